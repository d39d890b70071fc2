"""A plain folder of your own: `label/subject/` with `image.jpg`, `clip.mp4` or `clip/00001.jpg`."""

from __future__ import annotations

from pathlib import Path

from pgc_data.datasets.base import Dataset, Ingested, Licence, Row
from pgc_data.datasets.rows import DROPPED, Ledger, entries
from pgc_data.errors import DataError
from pgc_data.hands.media import numbered_files
from pgc_data.hands.video import Video
from pgc_data.storage.parquet import table_of
from pgc_data.storage.remote import local_file

_IMAGES = (".jpg", ".jpeg", ".png")
_VIDEOS = (".avi", ".mkv", ".mov", ".mp4", ".webm")


def ingest(raw: Path, annotations_only: bool) -> Ingested:
    """Reads the folders below `raw`, which are the annotation: `annotations_only` has no effect.

    Raises:
        DataError: no raw folder, or nothing in it that can be used.
    """
    ledger = Ledger()
    samples: list[Row] = []
    labels, strays = entries(raw)
    for name in strays:
        ledger.add(DROPPED, "no_label", name, "lies in no folder of a label")
    for label in labels:
        subjects, strays = entries(raw / label)
        for name in strays:
            ledger.add(DROPPED, "no_subject", f"{label}/{name}", "lies in no folder of a subject")
        for subject in subjects:
            folders, files = entries(raw / label / subject)
            for name in folders + files:
                media = f"{label}/{subject}/{name}"
                kind, last, fps = _media(raw / media)
                if not last:
                    ledger.add(DROPPED, "no_frames", media, "no image, video or folder of images 1, 2, 3 ...")
                    continue
                samples.append({
                    "dataset": "folder", "sample_id": media, "media": media, "media_kind": kind, "frame_start": 1,
                    "frame_end": last, "fps": fps, "label": label, "subject_id": subject,
                    "video_id": None if kind == "image" else media,
                })  # fmt: skip
    if not samples:
        raise DataError(f"nothing below {raw} can be used: put clips or images in {raw}/label/subject/")
    return Ingested(table_of("samples", samples), ledger.rows, rows_read=len(samples) + ledger.dropped)


def _media(path: Path) -> tuple[str, int, float | None]:
    """Kind, last frame (0 where there is none) and frames per second (None where unknown)."""
    if path.is_dir():
        last = max(numbers := numbered_files(path), default=0)
        # Numbers such as those of a camera name photographs, not the frames of a clip.
        return "frames", last if last <= 2 * len(numbers) else 0, None
    if path.suffix.lower() not in _VIDEOS:
        return "image", int(path.suffix.lower() in _IMAGES), None
    with local_file(path) as file:
        try:
            opened = Video(file)
        except (DataError, FileNotFoundError):
            return "video", 0, None
        with opened as video:
            return "video", video.count(), video.fps


FOLDER = Dataset(
    id="folder",
    title="A folder of your own",
    labels={},
    samples="what lies in label/subject/",
    subjects=None,
    size="its own",
    homepage="docs/add-a-dataset.md",
    licence=Licence("unstated", "", "what the owner of the images allows: find out before publishing"),
    citation="none",
    hands=2,
    fps=None,
    labelling="clip",
    ingest=ingest,
)
