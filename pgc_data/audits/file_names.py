"""What names of files say: the split, and the video and frame that an image was taken from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import polars as pl

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
"""What splits are called, and what this audit calls them."""

_SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(-\w+)?\.parquet")
_FOLD = re.compile(r"fold[-_]?\d+")
_CHUNK = re.compile(r"\d{5,}")

_MIN_ROWS_OF_VIDEO = 8
_LONGEST_STEP = 30
_IN_RUNS = 0.6
_DISTINCT = 0.3
_TIE = 0.05
_COUNTERS = 3


def canonical_split(name: str) -> str:
    """The audit's word for a split: `validation` is `val`; what is not known stays as it is."""
    return SPLITS.get(name.strip().lower(), name.strip())


def split_in_name(path: PurePath) -> str | None:
    """The split that the name of a Parquet file or one of its folders gives.

    Example:
        >>> split_in_name(PurePath("data/validation-00000-of-00002.parquet")), split_in_name(PurePath("test/0.parquet"))
        ('val', 'test')
    """
    shard = _SHARD.fullmatch(path.name)
    if shard:
        return canonical_split(shard["split"])
    words = [re.split(r"[-_.]", path.stem)[0], *reversed(path.parts[:-1])]
    return next(
        (canonical_split(w) for w in words if w.lower() in SPLITS or _FOLD.fullmatch(w.lower())), None
    )


@dataclass(frozen=True)
class FolderNames:
    """What the folders of loose images say.

    Attributes:
        splits: (n,) split of each image, null where no folder is called like one.
        labels: (n,) the nearest folder that is neither a split nor a chunk; null where there is none.
    """

    splits: pl.Series
    labels: pl.Series


def read_folders(names: pl.Series) -> FolderNames:
    """Reads class and split of images from their folders.

    Args:
        names: (n,) paths relative to the folder asked for, `train/fist/0001.jpg`.
    """
    folders = names.str.extract(r"^(.*)/[^/]*$", 1).fill_null("").alias("folder")
    known = [(folder, *_split_and_class(folder)) for folder in folders.unique()]
    table = pl.DataFrame(
        known, schema={"folder": pl.String, "split": pl.String, "label": pl.String}, orient="row"
    )
    found = folders.to_frame().join(table, on="folder", how="left", maintain_order="left")
    return FolderNames(found["split"], found["label"])


def _split_and_class(folder: str) -> tuple[str | None, str | None]:
    parts = [part for part in folder.split("/") if part]
    split = next((canonical_split(p) for p in reversed(parts) if p.lower() in SPLITS), None)
    others = [part for part in parts if part.lower() not in SPLITS]
    # Folders such as 000000123 hold the next thousand images of the class above them.
    if len(others) > 1 and _CHUNK.fullmatch(others[-1]):
        others.pop()
    return split, others[-1] if others else None


@dataclass(frozen=True)
class Recovered:
    """Video and frame of images, read from their names.

    Attributes:
        video: (n,) what stands before the counter, null where a name has none.
        frame: (n,) the counter.
        note: how it was told, in words.
    """

    video: pl.Series
    frame: pl.Series
    note: str


@dataclass(frozen=True)
class _Reading:
    """One way of reading the names: rows with `video` and `frame`, and how much speaks for it."""

    rows: pl.DataFrame
    in_runs: float
    distinct: float
    step: int
    described: str


def recover_frames(
    names: pl.Series, labels: pl.Series, splits: pl.Series, videos: pl.Series | None = None
) -> Recovered | None:
    """Reads videos and frame numbers from file names, if the names as a whole show such a pattern.

    A number in the name is taken for the frame if it counts on through long runs under several stems. The stem, what
    stands before it, is then the video; it may take in the folder. Numbers that count through the whole dataset, a
    class or a split are not frames.

    Args:
        names: (n,) file names or paths, may hold nulls.
        labels: (n,) class of each row, may be null.
        splits: (n,) split of each row, may be null.
        videos: (n,) the video where it is known: then only the frame is read.

    Returns:
        None where no such pattern is sure.
    """
    rows = pl.DataFrame(
        {"name": names.cast(pl.String), "label": labels.cast(pl.String), "split": splits.cast(pl.String)}
    ).with_columns(pl.col("name").str.replace_all("\\", "/", literal=True).str.replace(r"\.\w{2,5}$", ""))
    rows = rows.with_columns(
        folder=pl.col("name").str.extract(r"^(.*)/", 1).fill_null(""),
        base=pl.col("name").str.extract(r"([^/]*)$", 1),
    )
    if videos is None:
        rows = rows.with_columns(folder=_informative_folders(rows))
    else:
        rows = rows.with_columns(known=videos.cast(pl.String))
    readings = [r for r in _readings(rows, videos is not None) if r is not None]
    if not readings:
        return None
    best = readings[0]
    for reading in readings[1:]:
        if reading.distinct * reading.in_runs > best.distinct * best.in_runs + _TIE:
            best = reading
    return _recovered(best, names)


def _recovered(best: _Reading, names: pl.Series) -> Recovered:
    video, frame = best.rows["video"].str.strip_chars_end("_-./ "), best.rows["frame"]
    row = int(frame.is_not_null().arg_max() or 0)
    step = "" if best.step == 1 else f", counting by {best.step}"
    note = (
        f"{best.described}{step}: {names[row]} is frame {frame[row]} of {video[row]}; "
        f"{video.n_unique():,} videos"
    )
    return Recovered(video, frame, note)


def _informative_folders(rows: pl.DataFrame) -> pl.Series:
    """The folders without those that only say the class or the split."""
    empty = set(rows["label"].drop_nulls().unique()) | set(rows["split"].drop_nulls().unique())
    folders = rows["folder"].unique().to_list()
    kept = {
        f: "/".join(p for p in f.split("/") if p not in empty and p.lower() not in SPLITS) for f in folders
    }
    return rows["folder"].replace_strict(kept, return_dtype=pl.String)


def _readings(rows: pl.DataFrame, known: bool) -> Iterator[_Reading | None]:
    for behind in range(_COUNTERS):
        pattern = rf"^(.*?)(\d{{1,9}})((?:\D+\d+){{{behind}}}\D*)$"
        stem = pl.col("base").str.extract(pattern, 1)
        frame = pl.col("base").str.extract(pattern, 2).cast(pl.Int64, strict=False)
        which = "the last number" if behind == 0 else f"the last number but {behind}"
        if known:
            yield _reading(
                rows, pl.col("known"), frame, f"the video's column; the frame is {which} of the name"
            )
            continue
        yield _reading(
            rows, stem, frame, f"the frame is {which} of the name, the video what stands before it"
        )
        folder = pl.when(pl.col("folder") != "").then(pl.format("{}/{}", "folder", stem))
        words = f"the frame is {which} of the name, the video its folder and what stands before it"
        yield _reading(rows, folder, frame, words)


def _reading(rows: pl.DataFrame, stem: pl.Expr, frame: pl.Expr, described: str) -> _Reading | None:
    found = rows.select("label", "split", frame=frame, video=pl.when(frame.is_not_null()).then(stem))
    read = found.drop_nulls(["video", "frame"])
    if read.height < max(2 * _MIN_ROWS_OF_VIDEO, 0.9 * rows.height):
        return None
    videos = read["video"].n_unique()
    if videos < 2 or read.height / videos < _MIN_ROWS_OF_VIDEO:
        return None
    numbers = read.select("video", "frame").unique().sort("video", "frame")
    distinct = numbers.height / read.height
    if distinct < _DISTINCT:
        return None
    steps = numbers.select(step=pl.col("frame").diff().over("video")).drop_nulls()["step"].to_numpy()
    usual = int(np.bincount(np.minimum(steps, _LONGEST_STEP + 1)).argmax()) if len(steps) else 0
    in_runs = float((steps <= usual).mean()) if 0 < usual <= _LONGEST_STEP else 0.0
    if in_runs < _IN_RUNS or _says_only_the_class(read) or _counts_on(numbers):
        return None
    return _Reading(found, in_runs, distinct, usual, described)


def _says_only_the_class(read: pl.DataFrame) -> bool:
    """Whether stems are no more than names of class and split: `fist_0001`, `train_0001`."""
    cells = read.select(pl.struct("label", "split").n_unique()).item()
    return bool(
        read["video"].n_unique() <= cells and read.select("video", "label", "split").n_unique() <= cells
    )


def _counts_on(numbers: pl.DataFrame) -> bool:
    """Whether one counter runs through all stems: chunks of one list, which differ in a number only, or a list that was
    dealt out to them, so that their ranges overlap and no number occurs twice."""
    ranges = numbers.group_by("video").agg(low=pl.col("frame").min(), high=pl.col("frame").max()).sort("low")
    overlapping = int((ranges["low"].shift(-1) <= ranges["high"]).sum())
    if 2 * overlapping >= ranges.height and bool(numbers["frame"].is_unique().all()):
        return True
    return not overlapping and ranges["video"].str.replace_all(r"\d+", "0").n_unique() == 1
