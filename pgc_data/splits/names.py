"""The splits of a dataset: their names, and the share of the rows that each is to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgc_data.errors import ConfigError

TRAIN, VAL, TEST = "train", "val", "test"


@dataclass(frozen=True)
class Splits:
    """Splits by name.

    Attributes:
        names: in the order of tables and reports.
        ratios: share wanted of each; they sum to 1.
    """

    names: tuple[str, ...]
    ratios: tuple[float, ...]

    def number(self, name: str) -> int:
        """The number of a split, or -1 where it is not one of these."""
        return self.names.index(name) if name in self.names else -1


def three_way(ratios: Sequence[float]) -> Splits:
    """Train, val and test.

    Args:
        ratios: their shares, of any sum.

    Raises:
        ConfigError: not three, negative, or train is 0.
    """
    values = np.asarray(ratios, dtype=np.float64)
    if values.shape != (3,) or not np.isfinite(values).all() or (values < 0).any() or values[0] <= 0:
        shown = "/".join(f"{value:g}" for value in ratios)
        raise ConfigError(
            f"ratios={shown}: give train, val and test, none negative and train above 0, as 0.7 0.15 0.15"
        )
    return Splits((TRAIN, VAL, TEST), tuple((values / values.sum()).tolist()))


def folds(count: int) -> Splits:
    """Folds of equal size, for cross-validation: train on all but one, test on that one.

    A fold keeps its name when there are more of them, so that a lock still knows it.

    Example:
        >>> folds(2)
        Splits(names=('fold-0', 'fold-1'), ratios=(0.5, 0.5))
    """
    return Splits(tuple(f"fold-{number}" for number in range(count)), (1 / count,) * count)
