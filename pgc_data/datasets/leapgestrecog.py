"""LeapGestRecog: 10 labels, near-infrared stills of 10 people, 200 consecutive frames a person and label.

`SS/GG_name/frame_SS_GG_NNNN.png`: the folder SS is the subject, GG_name the label, frames count from 1. There is
no annotation beside the folders' names, no frame rate and no split. The archive on Kaggle holds the tree twice
(`leapGestRecog/` and `leapgestrecog/leapGestRecog/`): taken twice, every image would stand on both sides of a
split. Frames of a folder are consecutive, so a folder is one sample, and subjects are what to split by.
"""

from __future__ import annotations

import re
from pathlib import Path

from pgc_data.datasets.base import Dataset, Ingested, Licence, Row
from pgc_data.datasets.rows import DROPPED, KEPT, Ledger, entries, no_raw_folder
from pgc_data.errors import DataError
from pgc_data.hands.media import numbered_files
from pgc_data.storage.parquet import table_of

LABELS = {
    "01_palm": "palm",
    "02_l": "l",
    "03_fist": "fist",
    "04_fist_moved": "fist moved",
    "05_thumb": "thumb",
    "06_index": "index",
    "07_ok": "ok",
    "08_palm_moved": "palm moved",
    "09_c": "c",
    "10_down": "down",
}
_SUBJECT = re.compile(r"[0-9]{2}")
_FILE = re.compile(r"frame_([0-9]{2})_([0-9]{2})_[0-9]{4}\.png")
# The archive's second copy lies in leapgestrecog/leapGestRecog/.
_MOST_FOLDERS = 2


def ingest(raw: Path, annotations_only: bool) -> Ingested:
    """Reads the folders below `raw`.

    Args:
        raw: folder that holds `SS/`, `leapGestRecog/SS/`, or both copies of the archive.
        annotations_only: of no effect: the folders are the annotation.

    Returns:
        One sample a folder of frames; `rows_read` counts such folders, those of the second copy too.

    Raises:
        DataError: no folder of frames below `raw`, or none that can be used.
    """
    if not raw.is_dir():
        raise no_raw_folder(raw, "LeapGestRecog", "leapgestrecog")
    ledger = Ledger()
    folders = _sequences(raw, _roots(raw), ledger)
    samples = [
        sample
        for copies in folders.values()
        if (sample := _sample(raw, _fullest(raw, copies, ledger), ledger)) is not None
    ]
    if not samples:
        raise DataError(
            f"no folder SS/GG_name of frames, such as leapGestRecog/00/01_palm, can be used below {raw} "
            f"({ledger.reasons()}): unpack LeapGestRecog's archive there"
        )
    _note_missing(samples, ledger)
    samples.sort(key=lambda sample: sample["media"])
    return Ingested(table_of("samples", samples), ledger.rows, len(samples) + ledger.dropped)


def _roots(raw: Path) -> list[str]:
    """The folders, as prefixes below raw, that hold subjects; the highest first."""
    roots, level = [], [""]
    for _ in range(_MOST_FOLDERS + 1):
        deeper = []
        for folder in level:
            names = entries(raw / folder)[0]
            if any(map(_SUBJECT.fullmatch, names)):
                roots.append(folder)
            deeper += [f"{folder}{name}/" for name in names if not _SUBJECT.fullmatch(name)]
        level = deeper
    return roots


def _sequences(raw: Path, roots: list[str], ledger: Ledger) -> dict[str, list[str]]:
    """`SS/GG_name` -> its copies below raw; folders of other names are noted."""
    found: dict[str, list[str]] = {}
    for root in roots:
        for subject in entries(raw / root)[0]:
            if not _SUBJECT.fullmatch(subject):
                if not any(other.startswith(f"{root}{subject}/") for other in roots):
                    detail = "the folder is not named after a subject, such as 00"
                    ledger.tally(KEPT, "odd_folder", f"{root}{subject}", detail, unit="folders")
                continue
            for label in entries(raw / root / subject)[0]:
                if label in LABELS:
                    found.setdefault(f"{subject}/{label}", []).append(f"{root}{subject}/{label}")
                else:
                    detail = f"{label!r} is none of LeapGestRecog's 10 labels"
                    ledger.add(DROPPED, "unknown_label", f"{root}{subject}/{label}", detail)
    return found


def _fullest(raw: Path, copies: list[str], ledger: Ledger) -> str:
    """The copy with most frames, the first of equals; the others are dropped."""
    kept = max(copies, key=lambda folder: len(numbered_files(raw / folder))) if len(copies) > 1 else copies[0]
    for copy in copies:
        if copy != kept:
            detail = f"the archive holds it twice, such as {kept}, which is the one that is used"
            ledger.tally(DROPPED, "archive_copy", copy.rsplit("/", 2)[0] if "/" in copy else ".", detail)
    return kept


def _sample(raw: Path, folder: str, ledger: Ledger) -> Row | None:
    subject, label = folder.split("/")[-2:]
    frames = numbered_files(raw / folder)
    last = max(frames, default=0)
    if not last:
        ledger.add(DROPPED, "no_frames", folder, "the folder holds no frame")
        return None
    others = {m.groups() for m in map(_FILE.fullmatch, frames.values()) if m} - {(subject, label[:2])}
    if others:
        detail = f"files such as {frames[last]} are named after another subject or label than the folder"
        ledger.add(DROPPED, "names_disagree", folder, detail)
        return None
    odd = [name for name in entries(raw / folder)[1] if not _FILE.fullmatch(name)]
    if odd:
        detail = f"not named frame_{subject}_{label[:2]}_NNNN.png, such as {odd[0]}"
        ledger.tally(KEPT, "odd_file", folder, detail, count=len(odd), unit="files")
    if 0 in frames or len(frames) != last:
        detail = f"{len(frames)} frames numbered {min(frames)} to {last}: frames count from 1 without gaps"
        ledger.add(KEPT, "frames_with_gaps", folder, detail)
    sequence = f"{subject}_{label}"
    return {
        "dataset": "leapgestrecog", "sample_id": sequence, "media": folder, "media_kind": "frames", "frame_start": 1,
        "frame_end": last, "label": label, "label_id": int(label[:2]), "video_id": sequence, "subject_id": subject,
    }  # fmt: skip


def _note_missing(samples: list[Row], ledger: Ledger) -> None:
    """Notes labels that a subject lacks, where others have them."""
    present = {(sample["subject_id"], sample["label"]) for sample in samples}
    for subject in sorted({subject for subject, _ in present}):
        lacking = [label for label in LABELS if (subject, label) not in present]
        if lacking:
            detail = f"subject {subject} has no frames of {', '.join(lacking)}"
            ledger.tally(KEPT, "missing_folder", subject, detail, count=len(lacking), unit="folders")


LEAPGESTRECOG = Dataset(
    id="leapgestrecog",
    title="LeapGestRecog",
    labels=LABELS,
    samples="20,000 near-infrared images",
    subjects=10,
    size="about 2.2 GB",
    homepage="https://www.kaggle.com/datasets/gti-upm/leapgestrecog",
    licence=Licence(
        "CC BY-NC-SA 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "non-commercial use with attribution, shared alike",
    ),
    citation=(
        "Mantecon, del-Blanco, Jaureguizar, Garcia: Hand Gesture Recognition using Infrared Imagery Provided by "
        "Leap Motion Controller, ACIVS 2016"
    ),
    hands=1,
    fps=None,
    labelling="clip",
    ingest=ingest,
)
