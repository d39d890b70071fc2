"""IPN Hand: 14 labels over 200 videos of 50 people, every frame of a video annotated.

Layout, quirks and counts as found in the dataset's own annotation files (Benitez-Garcia et al., ICPR 2020):
`Annot_List.txt` has a header and CRLF, the train and test lists have none and lack a final newline, and the
test list of videos starts with a blank line. Frames are counted from 1, both ends inclusive. Images are not
mirrored: left and right are the subject's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgc_data.datasets.base import Dataset, Ingested, Licence, Row
from pgc_data.datasets.rows import DROPPED, KEPT, Ledger, is_safe_name, no_raw_folder, text_lines
from pgc_data.errors import DataError
from pgc_data.hands.media import numbered_files
from pgc_data.storage.parquet import table_of

COLUMNS = ("video", "label", "id", "t_start", "t_end", "frames")
LABELS = {
    "D0X": "non-gesture",
    "B0A": "point with one finger",
    "B0B": "point with two fingers",
    "G01": "click with one finger",
    "G02": "click with two fingers",
    "G03": "throw up",
    "G04": "throw down",
    "G05": "throw left",
    "G06": "throw right",
    "G07": "open twice",
    "G08": "double click with one finger",
    "G09": "double click with two fingers",
    "G10": "zoom in",
    "G11": "zoom out",
}
FPS = 30.0
_IDS = {label: number for number, label in enumerate(LABELS, start=1)}
_VIDEO_SUFFIXES = (".avi", ".mp4")
# Ten million frames are 93 hours: more is a slip of the pen, and would be read frame by frame.
_MAX_DIGITS = 7


@dataclass(frozen=True)
class _Line:
    """One line of an annotation file, split at its commas."""

    file: str
    number: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class _Media:
    """The frames folder or video file of one video; `last` is its last frame, None where unknown."""

    path: str
    kind: str
    last: int | None


def _note(ledger: Ledger, line: _Line, action: str, reason: str, detail: str) -> None:
    """Notes one annotation row in the ledger."""
    ledger.add(action, reason, ",".join(line.fields[:6]), detail, file=line.file, line=line.number)


def ingest(raw: Path, annotations_only: bool) -> Ingested:
    """Reads the annotation files below `raw` (or `raw/annotations`).

    Args:
        raw: folder with `Annot_List.txt` and `frames/<video>/<video>_%06d.jpg` or `videos/<video>.avi|.mp4`.
        annotations_only: do not look for frames or videos.

    Returns:
        One sample a segment. Rows that cannot be used are dropped with a reason, odd ones kept with one.

    Raises:
        DataError: no annotation file, one without its columns, or none of the videos is there.
    """
    folder = _annotation_folder(raw)
    splits = _official_splits(folder)
    ledger = Ledger()
    lines = list(_segments(folder))
    media = {} if annotations_only else _find_media(raw, {line.fields[0] for line in lines})
    samples: list[Row] = []
    seen: set[str] = set()
    for line in lines:
        sample = _sample(line, media, annotations_only, splits, seen, ledger)
        if sample is not None:
            samples.append(sample)
    if not samples:
        raise DataError(_nothing_usable(raw, len(lines), ledger))
    samples.sort(key=lambda s: (s["video_id"], s["frame_start"], s["frame_end"], s["label"]))
    _note_overlaps(samples, ledger)
    return Ingested(table_of("samples", samples), ledger.rows, len(lines))


def _nothing_usable(raw: Path, rows: int, ledger: Ledger) -> str:
    reasons = sorted({str(row["reason"]) for row in ledger.rows})
    hint = (
        f"put the frames in {raw / 'frames'}/<video>/, or pass --annotations-only"
        if {"missing_media", "no_frames"} & set(reasons)
        else "check that these are IPN Hand's own files"
    )
    return f"none of the {rows} annotation rows below {raw} can be used ({', '.join(reasons) or 'no rows'}): {hint}"


def _annotation_folder(raw: Path) -> Path:
    names = ("Annot_List.txt", "Annot_TrainList.txt", "Annot_TestList.txt")
    for folder in (raw, raw / "annotations"):
        if any((folder / name).is_file() for name in names):
            return folder
    if not raw.is_dir():
        raise no_raw_folder(raw, "IPN Hand", "ipn")
    raise DataError(
        f"no Annot_List.txt in {raw} or {raw / 'annotations'}: get it from IPN Hand's annotations folder"
    )


def _read_lines(path: Path) -> Iterator[_Line]:
    """The lines of an annotation file that are not blank, without stray spaces.

    IPN quotes nothing: to the csv module, a stray quote would begin a field that swallows the lines after it.
    """
    for number, text in text_lines(path):
        fields = tuple(value.strip() for value in text.split(","))
        if any(fields):
            yield _Line(path.name, number, fields)


def _segments(folder: Path) -> Iterator[_Line]:
    """The segment rows: of Annot_List.txt, or where it is missing of the train and test lists."""
    whole = folder / "Annot_List.txt"
    if whole.is_file():
        lines = _read_lines(whole)
        header = next(lines, None)
        if header is None or header.fields[: len(COLUMNS)] != COLUMNS:
            found = "nothing" if header is None else ",".join(header.fields)
            raise DataError(
                f"{whole}, line 1: expected the columns {','.join(COLUMNS)}, found {found[:80]}: "
                "get Annot_List.txt from IPN Hand's annotations folder"
            )
        yield from lines
        return
    for name in ("Annot_TrainList.txt", "Annot_TestList.txt"):
        if (folder / name).is_file():
            yield from _read_lines(folder / name)


def _official_splits(folder: Path) -> dict[str, str | None]:
    """Video -> train or test, from the train and test lists; None for a video that stands in both."""
    splits: dict[str, str | None] = {}
    for name, split in (("Annot_TrainList.txt", "train"), ("Annot_TestList.txt", "test")):
        if (folder / name).is_file():
            for video in {line.fields[0] for line in _read_lines(folder / name)}:
                splits[video] = split if splits.get(video, split) == split else None
    return splits


def _find_media(raw: Path, videos: set[str]) -> dict[str, _Media]:
    found: dict[str, _Media] = {}
    for video in filter(is_safe_name, videos):
        folder = raw / "frames" / video
        last = max(numbered_files(folder), default=0)
        files = [name for suffix in _VIDEO_SUFFIXES if (raw / (name := f"videos/{video}{suffix}")).is_file()]
        if files and not last:
            found[video] = _Media(files[0], "video", None)
        elif folder.is_dir():
            found[video] = _Media(f"frames/{video}", "frames", last)
    return found


def _sample(
    line: _Line,
    media: dict[str, _Media],
    annotations_only: bool,
    splits: dict[str, str | None],
    seen: set[str],
    ledger: Ledger,
) -> Row | None:
    """The sample of one annotation row, or None where it was dropped."""
    problem = _problem(line)
    if problem is not None:
        _note(ledger, line, DROPPED, *problem)
        return None
    video, label = line.fields[0], line.fields[1]
    start, end = int(line.fields[3]), int(line.fields[4])
    sample_id = f"{video}:{start}-{end}:{label}"
    if sample_id in seen:
        _note(ledger, line, DROPPED, "duplicate_row", "the same segment stands twice")
        return None
    seen.add(sample_id)
    item = _Media(f"frames/{video}", "frames", None) if annotations_only else media.get(video)
    if item is None or not _fits(line, item, start, end, ledger):
        if item is None:
            _note(
                ledger,
                line,
                DROPPED,
                "missing_media",
                f"no folder frames/{video} and no videos/{video}.avi or .mp4",
            )
        return None
    if line.fields[5:6] != (str(end - start + 1),):
        _note(ledger, line, KEPT, "frame_count_disagrees", f"the interval holds {end - start + 1} frames")
    if video in splits and splits[video] is None:
        _note(
            ledger, line, KEPT, "official_split_conflict", "the video stands in the train and the test list"
        )
    return {
        "dataset": "ipn", "sample_id": sample_id, "media": item.path,
        "media_kind": item.kind, "frame_start": start, "frame_end": min(end, item.last or end), "fps": FPS,
        "label": label, "label_id": _IDS[label], "video_id": video, "subject_id": "_".join(video.split("_")[:2]),
        "official_split": splits.get(video),
    }  # fmt: skip


def _problem(line: _Line) -> tuple[str, str] | None:
    """Why a row cannot be used, whatever lies on disk: reason and detail."""
    if len(line.fields) < 5:
        return "bad_row", f"{len(line.fields)} fields, expected {len(COLUMNS)}: {','.join(COLUMNS)}"
    video, label, _, start, end = line.fields[:5]
    if not is_safe_name(video):
        return "unsafe_name", f"the video name {video!r} is not a plain folder name"
    if label not in LABELS:
        return "unknown_label", f"{label!r} is none of IPN Hand's 14 labels"
    if not (start.isdecimal() and end.isdecimal()) or max(len(start), len(end)) > _MAX_DIGITS:
        return "bad_number", f"t_start={start!r}, t_end={end!r} are not frame numbers"
    if int(start) < 1 or int(end) < int(start):
        return (
            "bad_interval",
            f"frames {start} to {end}: frames count from 1, and t_end is not before t_start",
        )
    return None


def _fits(line: _Line, item: _Media, start: int, end: int, ledger: Ledger) -> bool:
    """Whether any frame of the interval is there; notes one that reaches past the last frame, which is cut there."""
    if item.last is None or end <= item.last:
        return True
    if item.last == 0:
        _note(ledger, line, DROPPED, "no_frames", f"{item.path} holds no frame")
        return False
    action = KEPT if start <= item.last else DROPPED
    _note(
        ledger,
        line,
        action,
        "interval_past_end",
        f"frames {start} to {end}, but the last frame is {item.last}",
    )
    return start <= item.last


def _note_overlaps(samples: list[Row], ledger: Ledger) -> None:
    """Notes segments that share frames with the one before; their frames are settled when tables are built."""
    reach: dict[str, int] = {}
    for sample in samples:
        video, start = sample["video_id"], sample["frame_start"]
        if start <= reach.get(video, 0):
            detail = f"starts at {start}, but another segment reaches {reach[video]}"
            ledger.add(KEPT, "overlapping_interval", sample["sample_id"], detail)
        reach[video] = max(reach.get(video, 0), sample["frame_end"])


IPN = Dataset(
    id="ipn",
    title="IPN Hand",
    labels=LABELS,
    samples="5,649 segments in 200 videos, 800,491 annotated frames",
    subjects=50,
    size="videos 4.6 GB; frames archive of unpublished size",
    homepage="https://gibranbenitez.github.io/IPN_Hand",
    licence=Licence("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "any use, with attribution"),
    citation=(
        "Benitez-Garcia, Olivares-Mercado, Sanchez-Perez, Yanai: IPN Hand: A Video Dataset and Benchmark for "
        "Real-Time Continuous Hand Gesture Recognition, ICPR 2020"
    ),
    hands=1,
    fps=FPS,
    labelling="interval",
    ingest=ingest,
    # Their videos share the running numbers #13-16 and #25-28; nobody says whether they share the person.
    same_person=(("4CM11_1", "4CM11_17"), ("4CM11_15", "4CM11_23")),
)
