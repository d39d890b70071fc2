"""Group splits: how even they come out, and how long they take, beside scikit-learn's StratifiedGroupKFold.

python tests/bench/bench_splits.py IPN_ANNOTATION HAGRID_ANNOTATIONS [--sklearn]

IPN_ANNOTATION is the folder of IPN Hand's `Annot_List.txt` (50 people, 14 labels); frames are counted.
HAGRID_ANNOTATIONS is the folder of some of HaGRID's records: people drawn with their number of images and their labels,
until there are 37,000 of them and 550,000 images.

With --sklearn (`pip install scikit-learn`) its split of the same groups follows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from pgc_data.splits import SplitReport, assign_groups, report, three_way
from pgc_data.stages import prepare

SPLITS = three_way((0.7, 0.15, 0.15))
PEOPLE, IMAGES = 37_000, 550_000


def main(ipn: Path, hagrid: Path, sklearn: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="pgc-bench-") as folder:
        samples = prepared(Path(folder), "ipn", ipn)
        frames = samples.with_columns(rows=pl.col("frame_end") - pl.col("frame_start") + 1)
        counts, classes = table(frames)
        measure(f"IPN, {counts.shape[0]} people, {counts.shape[1]} labels", counts, classes, sklearn)
        records = prepared(Path(folder), "hagrid", hagrid).with_columns(rows=pl.lit(1))
        counts, classes = grown(*table(records))
        what = f"HaGRID-like, {counts.shape[0]:,} people, {counts.sum():,} images, {counts.shape[1]} labels"
        measure(what, counts, classes, sklearn)


def prepared(workspace: Path, name: str, raw: Path) -> pl.DataFrame:
    prepare.run(prepare.PrepareConfig(workspace=workspace, dataset=name, raw=raw, annotations_only=True))
    return pl.read_parquet(workspace / "prepared" / name / "samples.parquet").drop_nulls(
        ["subject_id", "label"]
    )


def table(samples: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """(people, labels) rows."""
    wide = samples.pivot("label", index="subject_id", values="rows", aggregate_function="sum").fill_null(0)
    return wide.drop("subject_id").to_numpy().astype(np.int64), wide.columns[1:]


def grown(counts: np.ndarray, classes: list[str]) -> tuple[np.ndarray, list[str]]:
    """People drawn with replacement; each draw stands for as many images as give the total."""
    rng = np.random.default_rng(0)
    chosen = counts[rng.integers(0, len(counts), PEOPLE)]
    more = rng.multinomial(IMAGES - chosen.sum(), (chosen / chosen.sum()).ravel()).reshape(chosen.shape)
    return chosen + more, classes


def measure(what: str, counts: np.ndarray, classes: list[str], sklearn: bool) -> None:
    print(what)
    start = time.process_time()
    assignment = assign_groups(counts, SPLITS.ratios)
    show("pgc-data", report(counts, assignment, SPLITS, classes), time.process_time() - start)
    if sklearn:
        start = time.process_time()
        assignment = stratified_group_folds(counts)
        show("scikit-learn", report(counts, assignment, SPLITS, classes), time.process_time() - start)


def show(name: str, found: SplitReport, seconds: float) -> None:
    split, label = found.worst_where
    print(
        f"  {name:13} worst class share {found.worst:.4f} points off ({label} in {split}), groups "
        f"{'/'.join(map(str, found.groups.values()))}, {seconds:.2f} CPU-seconds"
    )
    for line in found.unmet:
        print(f"    {line}")


def stratified_group_folds(counts: np.ndarray) -> np.ndarray:
    """Twenty folds: three are val, three test, as the ratios want it."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups, classes = np.nonzero(counts)
    repeats = counts[groups, classes]
    group, label = np.repeat(groups, repeats), np.repeat(classes, repeats)
    assignment = np.zeros(len(counts), dtype=np.int64)
    folds = StratifiedGroupKFold(20).split(np.zeros((len(label), 1)), label, group)
    for fold, (_, held_out) in enumerate(folds):
        assignment[np.unique(group[held_out])] = 1 if fold < 3 else 2 if fold < 6 else 0
    return assignment


if __name__ == "__main__":
    ipn, hagrid, *more = sys.argv[1:]
    main(Path(ipn), Path(hagrid), "--sklearn" in more)
