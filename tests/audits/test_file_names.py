"""Splits, videos and frames in file names: seen where they are, not where they are not."""

from __future__ import annotations

import random
import uuid
from pathlib import PurePath

import polars as pl
import pytest

from pgc_data.audits.file_names import canonical_split, read_folders, recover_frames, split_in_name

CHANCE = random.Random(0)
CLASSES = ("fist", "palm", "peace")


def texts(values: list[str | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


def recovered(names: list[str], labels: list[str] | None = None, splits: list[str] | None = None):
    none: list[str | None] = [None] * len(names)
    return recover_frames(texts(list(names)), texts(list(labels or none)), texts(list(splits or none)))


PGC = [f"data/cropped/{k // 1000 + 1:09d}/1CM1_{k // 300}_R_#217_{k % 300:06d}_1.png" for k in range(3000)]
SEEN = [name for name in PGC if CHANCE.random() < 0.7]


@pytest.mark.parametrize(
    ("names", "videos", "first"),
    [
        (PGC, 10, ("1CM1_0_R_#217", 0)),
        (SEEN, 10, ("1CM1_0_R_#217", int(SEEN[0][-12:-6]))),
        ([f"vid{v}/frame_{f:04d}.jpg" for v in range(5) for f in range(50)], 5, ("vid0/frame", 0)),
        ([f"{v}/{f:05d}.jpg" for v in range(100, 110) for f in range(1, 37)], 10, ("100", 1)),
        ([f"video{v}-{f:05d}.png" for v in range(5) for f in range(50)], 5, ("video0", 0)),
        ([f"v{v}_{f:05d}.png" for v in range(5) for f in range(0, 1000, 10)], 5, ("v0", 0)),
        ([f"v{v}_{f:05d}_{hand}.png" for v in range(5) for f in range(99) for hand in (0, 1)], 5, ("v0", 0)),
        ([f"s{s}/clip_{v}_{f:04d}.png" for s in range(3) for v in range(4) for f in range(50)], 12, ("s0/clip_0", 0)),
        ([f"a\\v{v}_{f}.png" for v in range(4) for f in range(30)], 4, ("v0", 0)),
    ],
)  # fmt: skip
def test_videos_and_frames(names: list[str], videos: int, first: tuple[str, int]) -> None:
    found = recovered(names)
    assert found is not None
    assert found.video.n_unique() == videos
    assert (found.video[0], found.frame[0]) == first
    assert f"{videos:,} videos" in found.note


def test_one_video_under_two_classes_is_one() -> None:
    cells = [(v, f, CLASSES[f > 50]) for v in range(6) for f in range(100)]
    found = recovered([f"{c}/v{v}_{f:05d}.png" for v, f, c in cells], [c for _, _, c in cells])
    assert found is not None and found.video.n_unique() == 6


def by_class(form: str) -> tuple[list[str], list[str]]:
    cells = [(c, n) for c in CLASSES for n in range(100)]
    return [form.format(c=c, n=n) for c, n in cells], [c for c, _ in cells]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ([f"{n:05d}.png" for n in range(500)], None),
        ([f"img_{n:05d}.png" for n in range(500)], None),
        ([f"{n // 100:06d}/img_{n:06d}.png" for n in range(1000)], None),
        ([f"{uuid.UUID(int=CHANCE.getrandbits(128))}.jpg" for _ in range(500)], None),
        ([f"v{v}_{f}.png" for v in range(100) for f in range(3)], None),
        ([f"v{v}_{CHANCE.randrange(10**6)}.png" for v in range(5) for _ in range(100)], None),
        (["same.png"] * 100, None),
        (["", None] * 50, None),
        ([f"c{n % 7}/s{n % 5}/im_{n}.png" for n in range(2000)], [f"s{n % 5}" for n in range(2000)]),
        by_class("{c}/{n:05d}.png"),
        by_class("{c}_{n:05d}.png"),
        by_class("train/{c}/{c}{n}.png"),
    ],
)
def test_other_numbers_are_no_frames(names: list[str], labels: list[str] | None) -> None:
    assert recovered(names, labels) is None


def test_frames_of_videos_that_are_known() -> None:
    videos = texts([str(v) for v in range(3) for _ in range(50)])
    none = texts([None] * 150)
    found = recover_frames(texts([f"x_{f:04d}.png" for _ in range(3) for f in range(50)]), none, none, videos)
    assert found is not None
    assert found.video.to_list() == videos.to_list()
    assert found.frame[149] == 49


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("crops/val-00000-of-00002.parquet", "val"),
        ("data/validation-00000-of-00001-0a1b2c.parquet", "val"),
        ("fold-3-00000-of-00001.parquet", "fold-3"),
        ("default/train/0000.parquet", "train"),
        ("Test.parquet", "test"),
        ("train_part2.parquet", "train"),
        ("fold_2/0.parquet", "fold_2"),
        ("dataset.parquet", None),
        ("trainer/values.parquet", None),
    ],
)
def test_the_split_of_a_file(path: str, split: str | None) -> None:
    assert split_in_name(PurePath(path)) == split


@pytest.mark.parametrize(
    ("name", "split"), [("Validation", "val"), ("dev", "val"), (" TRAIN ", "train"), ("fold-1", "fold-1")]
)
def test_what_splits_are_called(name: str, split: str) -> None:
    assert canonical_split(name) == split


def test_folders_of_images() -> None:
    names = [
        "fist/a.png", "train/fist/a.png", "fist/valid/a.png", "train/a.png", "a.png", "Testing/palm/000000123/a.png",
        "12345/a.png", "train/x/y/a.png",
    ]  # fmt: skip
    found = read_folders(texts(list(names)))
    assert found.splits.to_list() == [None, "train", "val", "train", None, "test", None, "train"]
    assert found.labels.to_list() == ["fist", "fist", "fist", None, None, "palm", "12345", "y"]
