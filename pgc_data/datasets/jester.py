"""20BN-Jester v1: 27 labels over 148,092 clips of 1,376 actors whose identity is unpublished.

Two layouts are told apart by their lists. The original has `20bn-jester-v1/ID/00001.jpg` and lists without a
header, split at `;`; the Kaggle copy has `Train/ID/00001.jpg` (and `Validation`, `Test`) and lists split at
commas with a header and quoted shapes. Numbers of labels differ between copies, so labels are keyed on text.
Test clips have no label in most copies. Clips are about 37 JPEGs of 100 pixels' height at 12 frames per second.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pgc_data.datasets.base import Dataset, Ingested, Licence
from pgc_data.datasets.rows import DROPPED, KEPT, Ledger, entries, no_raw_folder, samples_table, text_lines
from pgc_data.errors import DataError
from pgc_data.hands.media import numbered_files

_LABELS = (
    "Swiping Left", "Swiping Right", "Swiping Down", "Swiping Up", "Pushing Hand Away", "Pulling Hand In",
    "Sliding Two Fingers Left", "Sliding Two Fingers Right", "Sliding Two Fingers Down",
    "Sliding Two Fingers Up", "Pushing Two Fingers Away", "Pulling Two Fingers In", "Rolling Hand Forward",
    "Rolling Hand Backward", "Turning Hand Clockwise", "Turning Hand Counterclockwise",
    "Zooming In With Full Hand", "Zooming Out With Full Hand", "Zooming In With Two Fingers",
    "Zooming Out With Two Fingers", "Thumb Up", "Thumb Down", "Shaking Hand", "Stop Sign",
    "Drumming Fingers", "No gesture", "Doing other things",
)  # fmt: skip
FPS = 12.0
_IDS = {label: number for number, label in enumerate(_LABELS)}
_NAMES = {"train": "train", "val": "validation", "test": "test"}
_FOLDER = "20bn-jester-v1"
# Longer numbers are no clip's, and would be another spelling of the same one.
_CLIP = re.compile(r"[0-9]{1,9}")
_MOST_FRAMES = 1_000_000


class _Row(NamedTuple):
    """One line of a list; `frames` is None where the list does not say."""

    line: int
    clip: str
    label: str
    frames: str | None


@dataclass(frozen=True)
class _Lists:
    """The lists of one layout: split -> file, the labels of test clips if published, and the layout's name."""

    layout: str
    files: dict[str, Path]
    answers: dict[str, str]

    @property
    def kaggle(self) -> bool:
        return self.layout == "kaggle"


@dataclass
class _Columns:
    clips: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)


def ingest(raw: Path, annotations_only: bool) -> Ingested:
    """Reads Jester's lists below `raw`, in either layout.

    Args:
        raw: folder of the lists (or `labels/`) and of the clips' folders.
        annotations_only: do not look for frames. Where the lists do not say how many frames a clip has, which
            the original ones never do, none is claimed: `frame_end` is 0, and the ledger says so.

    Returns:
        One sample a clip, unlabelled where its label is unpublished.

    Raises:
        DataError: no lists, lists of both layouts, a list without its columns, or no clip that can be used.
    """
    lists = _find_lists(raw)
    ledger = Ledger()
    folders = None if annotations_only else _clip_folders(raw, ledger)
    columns = _Columns()
    seen: dict[str, str] = {}
    rows = 0
    for split, path in lists.files.items():
        for row in _read(path, lists.kaggle):
            rows += 1
            _add(_Context(raw, path.name, split, lists, folders, seen, ledger), row, columns)
    if not columns.clips:
        raise DataError(
            f"none of the {rows} clips in the lists below {raw} can be used ({ledger.reasons()}): put the clips in "
            f"{raw / _FOLDER}/ID/ (or Train/, Validation/ and Test/ of the Kaggle copy), or pass --annotations-only"
        )
    _note_leftovers(lists, folders, seen, ledger)
    table = samples_table(
        len(columns.clips), dataset="jester", sample_id=columns.clips, media=columns.media, media_kind="frames",
        frame_start=1, frame_end=columns.ends, fps=FPS, label=columns.labels,
        label_id=[None if label is None else _IDS[label] for label in columns.labels], video_id=columns.clips,
        official_split=columns.splits,
    )  # fmt: skip
    return Ingested(table, ledger.rows, rows, layout=lists.layout)


def _find_lists(raw: Path) -> _Lists:
    if not raw.is_dir():
        raise no_raw_folder(raw, "Jester", "jester")
    names = set(entries(raw)[1])
    kaggle = {s: raw / f for s, n in _NAMES.items() if (f := f"{n.capitalize()}.csv") in names}
    original: dict[str, Path] = {}
    for split, name in _NAMES.items():
        for path in (
            raw / f"jester-v1-{name}.csv",
            *((raw / "labels") / f"{p}{name}.csv" for p in ("jester-v1-", "")),
        ):
            if path.is_file():
                original.setdefault(split, path)
    if kaggle and original:
        raise DataError(
            f"{raw} holds lists of two layouts ({next(iter(kaggle.values())).name} of the Kaggle copy, "
            f"{next(iter(original.values())).name} of the original): keep those that the clips came with"
        )
    answers = raw / "labels" / "test-answers.csv"
    if not kaggle and answers.is_file():
        if "test" not in original:
            return _Lists("original", {**original, "test": answers}, {})
        return _Lists("original", original, {row.clip: row.label for row in _read(answers, False)})
    if not kaggle and not original:
        raise DataError(
            f"no jester-v1-train.csv, labels/train.csv or Train.csv in {raw}: get Jester's lists, or name the folder "
            "that holds them with --raw"
        )
    return _Lists("kaggle" if kaggle else "original", kaggle or original, {})


def _read(path: Path, kaggle: bool) -> Iterator[_Row]:
    """The rows of a list as they stand; what is wrong with one is found later."""
    lines = text_lines(path)
    if not kaggle:
        for number, text in lines:
            clip, _, label = text.partition(";")
            yield _Row(number, clip.strip(), label.strip(), None)
        return
    header = [name.strip().lower() for name in _fields(next(lines, (1, ""))[1])]
    if header[0] not in ("video_id", "id") or ("label" not in header and path.name != "Test.csv"):
        raise DataError(
            f"{path}, line 1: expected the columns video_id,label,frames,label_id,shape,format, found "
            f"{','.join(header)[:80]!r}: get the list of the Kaggle copy again"
        )
    at = {name: position for position, name in enumerate(header)}
    for number, text in lines:
        values = [value.strip() for value in _fields(text)]
        label, frames = (
            values[at[n]] if at.get(n, len(values)) < len(values) else "" for n in ("label", "frames")
        )
        yield _Row(number, values[0], label, frames or None)


def _fields(text: str) -> list[str]:
    # A line at a time, so that a stray quote cannot swallow the lines after it.
    try:
        return next(csv.reader([text]), [""]) or [""]
    except csv.Error:
        return text.split(",")


def _clip_folders(raw: Path, ledger: Ledger) -> dict[str, str]:
    """Clip -> its folder below `raw`, for every folder of either layout whose name is a number."""
    found: dict[str, str] = {}
    for root in (_FOLDER, "Train", "Validation", "Test", ""):
        if not (raw / root).is_dir():
            continue
        for name in filter(_CLIP.fullmatch, entries(raw / root)[0]):
            if name in found:
                detail = "the clip has a folder elsewhere too, which is the one that is used"
                ledger.tally(KEPT, "clip_folder_twice", root or ".", detail, unit="clips")
            else:
                found[name] = f"{root}/{name}" if root else name
    return found


@dataclass(frozen=True)
class _Context:
    """Where a row stands, and what is known by then. `folders` is None where clips are not looked for."""

    raw: Path
    file: str
    split: str
    lists: _Lists
    folders: dict[str, str] | None
    seen: dict[str, str]
    ledger: Ledger


def _add(context: _Context, row: _Row, columns: _Columns) -> None:
    """Adds the sample of one row, or notes why there is none."""
    ledger, clip = context.ledger, row.clip
    label = row.label or (context.lists.answers.get(clip, "") if context.split == "test" else "")
    problem = _problem(context, clip, label)
    if problem is not None:
        ledger.add(DROPPED, *problem, file=context.file, line=row.line)
        return
    context.seen[clip] = context.split
    if context.folders is None:
        root = _NAMES[context.split].capitalize() if context.lists.kaggle else _FOLDER
        media, last = f"{root}/{clip}", _listed_frames(context, row)
    elif clip not in context.folders:
        detail = (
            f"no folder {_FOLDER}/ID, Train/ID, Validation/ID, Test/ID or ID for the clip, such as {clip}"
        )
        ledger.tally(DROPPED, "missing_media", context.file, detail, file=context.file)
        return
    else:
        media = context.folders[clip]
        last = _counted_frames(context, row, media)
        if not last:
            ledger.add(
                DROPPED, "no_frames", clip, f"{media} holds no frame", file=context.file, line=row.line
            )
            return
    columns.clips.append(clip)
    columns.media.append(media)
    columns.ends.append(last)
    columns.labels.append(label or None)
    columns.splits.append(context.split)


def _problem(context: _Context, clip: str, label: str) -> tuple[str, str, str] | None:
    """Why a row cannot be used, whatever lies on disk: reason, item and detail."""
    if not _CLIP.fullmatch(clip):
        return "bad_id", clip[:80], f"{clip[:80]!r} is not the number of a clip"
    if label and label not in _IDS:
        return "unknown_label", clip, f"{label[:80]!r} is none of Jester's 27 labels"
    if not label and context.split != "test":
        return "no_label", clip, "a clip of the training or validation list without a label"
    if clip in context.seen:
        return "duplicate_row", clip, f"the clip stands in the {context.seen[clip]} list already"
    return None


def _listed_frames(context: _Context, row: _Row) -> int:
    """Frames as the list has them, or 0 where it does not say."""
    if row.frames is not None and row.frames.isdecimal() and 0 < int(row.frames) <= _MOST_FRAMES:
        return int(row.frames)
    if row.frames is not None:
        detail = f"{row.frames[:80]!r} is no number of frames"
        context.ledger.add(KEPT, "bad_number", row.clip, detail, file=context.file, line=row.line)
    detail = (
        "the list does not say and folders were not looked at: frame_end is 0, prepare again with the clips"
    )
    context.ledger.tally(KEPT, "frame_count_unknown", context.file, detail, file=context.file)
    return 0


def _counted_frames(context: _Context, row: _Row, media: str) -> int:
    """The last frame in the clip's folder, 0 where there is none; gaps and another number in the list are noted."""
    numbers = numbered_files(context.raw / media)
    last = max(numbers, default=0)
    if last and (0 in numbers or len(numbers) != last):
        detail = f"{len(numbers)} frames numbered {min(numbers)} to {last}: frames count from 1 without gaps"
        context.ledger.add(KEPT, "frames_with_gaps", row.clip, detail, file=context.file, line=row.line)
    elif last and row.frames is not None and row.frames != str(last):
        detail = f"the list says {row.frames[:80]} frames, the folder holds {last}"
        context.ledger.add(KEPT, "frame_count_disagrees", row.clip, detail, file=context.file, line=row.line)
    return last


def _note_leftovers(
    lists: _Lists, folders: dict[str, str] | None, seen: dict[str, str], ledger: Ledger
) -> None:
    """Notes lists that are missing, clips that no list names, and answers to clips that are not in the test list."""
    for split in (split for split in _NAMES if split not in lists.files):
        ledger.add(KEPT, "missing_list", f"{_NAMES[split]}.csv", f"no list of {split} clips", unit="files")
    for clip, folder in (folders or {}).items():
        if clip not in seen:
            root = folder.rpartition("/")[0] or "."
            ledger.tally(
                KEPT,
                "unlisted_clip",
                root,
                "no usable row of a list names the folder: not used",
                unit="clips",
            )
    for clip in lists.answers:
        if seen.get(clip) != "test":
            detail = f"not in the test list, such as {clip[:80]}: not used"
            ledger.tally(KEPT, "answer_without_clip", "test-answers.csv", detail)


JESTER = Dataset(
    id="jester",
    title="20BN-Jester v1",
    labels={label: label for label in _LABELS},
    samples="148,092 clips of about 37 frames, 118,562 train, 14,787 validation, 14,743 test",
    subjects=None,
    size="22.9 GB",
    homepage="https://www.qualcomm.com/developer/software/jester-dataset",
    licence=Licence(
        "Qualcomm Research Use License",
        "https://www.qualcomm.com/developer/software/jester-dataset",
        "internal non-profit research; limits on redistribution and on combining with other data",
        must_accept=True,
    ),
    citation=(
        "Materzynska, Berger, Bax, Memisevic: The Jester Dataset: A Large-Scale Video Dataset of Human Gestures, "
        "ICCV Workshops 2019"
    ),
    hands=1,
    fps=FPS,
    labelling="clip",
    keeps_official_split=True,
    ingest=ingest,
)
