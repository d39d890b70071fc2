"""The figures of a table that is split: rows and groups of each split, of each class, of each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pgc_data.splits import Assignment, Counts, Group, Splits


def figures(
    groups: Sequence[Group], assignment: Assignment, rows: Counts, splits: Splits, classes: Sequence[str]
) -> dict[str, Any]:
    """What the manifest says of the rows of a table.

    Args:
        groups: their ids begin with the dataset and a colon.
        assignment: (groups,) number of the split of each.
        rows: (groups, classes) rows.
        splits: their names.
        classes: their names.

    Returns:
        `rows` and `groups` by split, `class_rows` by split and class, `origins`: rows by class and dataset.
    """
    of_split = {split: rows[assignment == number] for number, split in enumerate(splits.names)}
    datasets = np.array([group.id.split(":", 1)[0] for group in groups])
    totals = {str(name): rows[datasets == name].sum(axis=0) for name in np.unique(datasets)}
    return {
        "rows": {split: int(mine.sum()) for split, mine in of_split.items()},
        "groups": {split: int((mine.sum(axis=1) > 0).sum()) for split, mine in of_split.items()},
        "class_rows": {
            split: dict(zip(classes, mine.sum(axis=0).tolist(), strict=True))
            for split, mine in of_split.items()
        },
        "origins": {
            name: {dataset: int(total[number]) for dataset, total in totals.items() if total[number]}
            for number, name in enumerate(classes)
        },
    }
