"""How the groups of a dataset are to be split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.splits import Splits, folds, three_way

GROUP, OFFICIAL, FOLDS, LEAVE_ONE_OUT = SPLIT_KINDS = ("group", "official", "folds", "leave-one-out")
# Each group is a file then.
_MOST_LEFT_OUT = 200


@dataclass(frozen=True)
class SplitSettings:
    """What is asked for.

    Attributes:
        kind: one of `SPLIT_KINDS`.
        ratios: shares wanted of train, val and test; not used for folds.
        folds: number of folds.
        seed: of the search, and of the order of row groups.
        lock: `splits.parquet` of another dataset to keep to, or None.
        cap: most rows of a class in train, or None.
        stratify: columns besides the class whose values are to be shared evenly.
        join_alike: whether groups that show the same picture are joined.
    """

    kind: str
    ratios: tuple[float, ...]
    folds: int
    seed: int
    lock: Path | None
    cap: int | None = None
    stratify: tuple[str, ...] = ()
    join_alike: bool = True

    def facts(self) -> dict[str, Any]:
        """What the metadata say of it, as JSON values."""
        shares = {GROUP: self.ratios, OFFICIAL: self.ratios}.get(self.kind)
        return {
            "split": self.kind,
            "ratios": list(three_way(shares).ratios) if shares else None,
            "folds": self.folds if self.kind == FOLDS else None,
            "stratify": list(self.stratify),
            "near_duplicates": "join" if self.join_alike else "keep",
            "seed": self.seed,
        }

    def splits(self, groups: int) -> Splits:
        """The splits for a number of groups.

        Raises:
            DataError: too few groups for the folds, or too many to leave each out.
        """
        if self.kind in (GROUP, OFFICIAL):
            return three_way(self.ratios)
        count = groups if self.kind == LEAVE_ONE_OUT else self.folds
        if groups < max(count, 2):
            raise DataError(
                f"{groups} groups cannot make {max(count, 2)} folds: ask for fewer, or bring more people"
            )
        if count > _MOST_LEFT_OUT:
            raise DataError(
                f"leaving out each of {groups:,} groups would make as many files: use --split folds --folds 10"
            )
        return folds(count)
