"""Neighbouring frames: PGC's way of splitting, a split by group, and every distance."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

from pgc_data.audits.adjacency import adjacency
from pgc_data.audits.audit import audit_target
from pgc_data.audits.targets import find_target

VIDEOS, FRAMES = 20, 300


def pgc_rows(datasets: Any) -> list[dict[str, Any]]:
    """20 videos of 300 frames, 40 % of them pointing, all in train."""
    image = datasets.row("crops", "train", "s", 0, 1)
    rows = []
    for video in range(VIDEOS):
        for frame in range(1, FRAMES + 1):
            class_id = int(frame > 180)
            row = {**image, "video_id": f"v{video}", "subject_id": f"s{video}", "group_id": f"ipn:s{video}"}
            row |= {"frame": frame, "class_id": class_id, "label": ("not_pointing", "pointing")[class_id]}
            # Unlike bytes for every row; a byte after the end of a PNG is no fault.
            extra = f"{video}/{frame}".encode()
            row["image"] = {"bytes": image["image"]["bytes"] + extra, "path": "x.png"}
            rows.append({**row, "sample_id": f"v{video}/{class_id}"})
    return rows


def test_a_split_by_row_leaks_as_pgc_s_does(datasets: Any) -> None:
    rows = pgc_rows(datasets)
    chance = random.Random(42)
    for class_id in (0, 1):
        chosen = [row for row in rows if row["class_id"] == class_id]
        chance.shuffle(chosen)
        for row in chosen[int(len(chosen) * 0.8) :]:
            row["split"] = "val"
    audit = audit_target(find_target(datasets.write(crops=rows)))
    near = audit.tables["crops"]["adjacency"]["val"]
    assert near["rows"] == 1200
    assert 0.94 <= near["share_within_1"] <= 0.98
    assert near["share_within_5"] >= 0.999
    assert audit.overlap["video_id"]["shared"] == audit.overlap["video_id"]["values"] == VIDEOS
    assert audit.verdict == "leak"


def test_the_same_rows_split_by_group_do_not(datasets: Any) -> None:
    rows = pgc_rows(datasets)
    for row in rows:
        row["split"] = "val" if int(row["video_id"][1:]) % 5 == 0 else "train"
    audit = audit_target(find_target(datasets.write(crops=rows)))
    assert audit.tables["crops"]["adjacency"]["val"] == {
        "rows": 1200,
        "within_1": 0,
        "within_5": 0,
        "share_within_1": 0.0,
        "share_within_5": 0.0,
    }
    assert all(numbers["shared"] == 0 for numbers in audit.overlap.values())
    assert audit.verdict == "clean"


def frame_of(rows: list[tuple[str, str | None, int, int]]) -> pl.DataFrame:
    names = ["split", "video_id", "start", "end"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.with_columns(dataset=pl.lit("ipn"), file=pl.lit("f"), row=pl.int_range(pl.len()))


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
