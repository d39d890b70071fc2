"""Neighbouring frames: every distance, and splits without train."""

from __future__ import annotations

import random

import polars as pl
import pytest

from pgc_data.audits.adjacency import adjacency
from pgc_data.audits.findings import Checked


def frame_of(rows: list[tuple[str, str | None, int, int]]) -> pl.DataFrame:
    names = ["split", "video_id", "start", "end"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    known = {
        "dataset": "ipn",
        "file": "f",
        "label": "fist",
        "group_id": None,
        "subject_id": None,
        "name": None,
    }
    texts = [pl.lit(value, dtype=pl.String).alias(name) for name, value in known.items()]
    return frame.with_columns(*texts, row=pl.int_range(pl.len()))


@pytest.mark.parametrize(
    ("train", "held_out", "within_1", "within_5"),
    [
        ([(10, 10)], (10, 10), 1, 1),
        ([(10, 10)], (11, 11), 1, 1),
        ([(10, 10)], (9, 9), 1, 1),
        ([(10, 10)], (12, 12), 0, 1),
        ([(10, 10)], (5, 5), 0, 1),
        ([(10, 10)], (4, 4), 0, 0),
        ([(10, 10)], (16, 16), 0, 0),
        ([(1, 16)], (17, 32), 1, 1),
        ([(1, 16)], (21, 36), 0, 1),
        ([(1, 16)], (22, 37), 0, 0),
        ([(30, 45)], (14, 29), 1, 1),
        ([(30, 45)], (9, 24), 0, 0),
        ([(1, 100)], (40, 50), 1, 1),
        ([(40, 50)], (1, 100), 1, 1),
        # The train row that starts last is not the one that reaches furthest.
        ([(1, 30), (5, 8)], (28, 28), 1, 1),
        ([(1, 2), (50, 60)], (20, 30), 0, 0),
    ],
)
def test_every_distance(
    train: list[tuple[int, int]], held_out: tuple[int, int], within_1: int, within_5: int
) -> None:
    rows = [("train", "v", *span) for span in train] + [("train", "other", 1, 500), ("test", "v", *held_out)]
    numbers = adjacency("windows", frame_of(rows)).numbers["test"]
    assert (numbers["rows"], numbers["within_1"], numbers["within_5"]) == (1, within_1, within_5)


def test_agrees_with_comparing_every_pair() -> None:
    chance = random.Random(1)
    rows = []
    for _ in range(400):
        start = chance.randrange(1, 400)
        split = chance.choice(["train", "val", "val", "test"])
        rows.append((split, chance.choice("abcd"), start, start + chance.randrange(0, 12)))
    numbers = adjacency("windows", frame_of(rows)).numbers
    for split in ("val", "test"):
        for reach in (1, 5):
            near = sum(
                any(t[0] == "train" and t[1] == r[1] and max(t[2] - r[3], r[2] - t[3]) <= reach for t in rows)
                for r in rows
                if r[0] == split
            )
            assert numbers[split][f"within_{reach}"] == near


def test_folds_are_compared_with_all_others() -> None:
    rows = [("fold-0", "v", 1, 1), ("fold-1", "v", 2, 2), ("fold-2", "v", 9, 9), ("fold-2", "w", 2, 2)]
    checked = adjacency("crops", frame_of(rows))
    assert {split: n["within_1"] for split, n in checked.numbers.items()} == {
        "fold-0": 1,
        "fold-1": 1,
        "fold-2": 0,
    }
    assert "of a row of another split of the same video" in checked.findings[0].meaning


def test_examples_are_the_nearest_pairs_of_several_videos() -> None:
    rows = [("train", "v", n, n) for n in range(1, 60, 4)] + [("val", "v", n, n) for n in range(2, 60, 4)]
    rows += [("train", "w", 1, 8), ("train", "w", 30, 31), ("val", "w", 5, 12), ("val", "x", 5, 5)]
    (finding,) = adjacency("windows", frame_of(rows)).findings
    pairs = [(e["a"]["row"], e["b"]["row"], e["video"], e["frames_apart"]) for e in finding.examples]
    assert pairs[:3] == [(32, 30, "w", 0), (15, 0, "v", 1), (16, 1, "v", 1)]
    assert {(e["a"]["split"], e["b"]["split"]) for e in finding.examples} == {("val", "train")}


@pytest.mark.parametrize("missing", ["start", "video_id", "split"])
def test_rows_without_what_it_takes_are_not_compared(missing: str) -> None:
    rows = frame_of([("train", "v", 1, 1), ("val", "v", 2, 2)])
    none = pl.lit(None, dtype=rows[missing].dtype).alias(missing)
    assert adjacency("crops", rows.with_columns(none)) == Checked({})


def test_a_table_without_datasets_is_compared_too() -> None:
    rows = frame_of([("train", "v", 1, 1), ("val", "v", 2, 2)]).with_columns(
        dataset=pl.lit(None, dtype=pl.String)
    )
    assert adjacency("crops", rows).numbers["val"]["within_1"] == 1
