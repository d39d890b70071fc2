"""HaGRID: photographs of people showing static gestures, with hand boxes and user ids, in three releases.

The annotation is JSON, a file a gesture, key = image name without ending: `bboxes` (x, y, width, height as
fractions of the image), `labels` beside them, `user_id`. v1 adds `landmarks` and `leading_hand`; v2 adds
`hand_landmarks`, `united_bbox` and `united_label` (gestures of two hands) and `meta`; 2.0 adds nothing. What a
release adds may be null, missing or empty. The folder of the JSON file that holds a key is its split: `train`,
`val` and `test` (2.0, v2), `ann_train_val` and `ann_test` (v1, and the samples on Kaggle, whose JSON files hold
the keys of all images). Images may lie in the folder of another gesture than their JSON's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pgc_data.datasets.base import Dataset, Ingested, Licence
from pgc_data.datasets.hagrid_records import LABELS, Image, Reader, read_json_file
from pgc_data.datasets.rows import KEPT, Ledger, entries, identity, no_raw_folder
from pgc_data.errors import DataError

# Folder of annotation -> official split, and the folder where the images of a gesture lie.
_LAYOUTS: dict[str, tuple[str | None, str]] = {
    "train": ("train", "hagrid_dataset/{}"),
    "ann_train_val": ("train", "train_val_{}"),
    "val": ("val", "hagrid_dataset/{}"),
    "test": ("test", "hagrid_dataset/{}"),
    "ann_test": ("test", "test/{}"),
    "ann_subsample": (None, "subsample/{}"),
}
_SUFFIXES = (".jpg", ".jpeg", ".png")
_RELEASES = {
    "v1": {"landmarks", "leading_hand", "leading_conf"},
    "v2": {"united_bbox", "united_label", "hand_landmarks", "meta"},
}


@dataclass(frozen=True)
class _File:
    """One JSON file: its path below raw, its split, and where the images of its gesture would lie."""

    path: str
    split: str | None
    image_folder: str


def ingest(raw: Path, annotations_only: bool) -> Ingested:
    """Reads the JSON files below `raw`, of whichever release they are.

    Args:
        raw: folder that holds the annotation and the images, at any depth.
        annotations_only: do not look for images; they are taken to lie where the release puts them.

    Returns:
        One sample an image and label; `rows_read` counts images and labels likewise. What is odd or cannot be
        used is counted per JSON file, images that no JSON names per folder.

    Raises:
        DataError: no annotation, a file that is no such JSON, records of v1 and v2 together, or no image found.
    """
    if not raw.is_dir():
        raise no_raw_folder(raw, "HaGRID", "hagrid")
    ledger = Ledger()
    files, images = _find(raw, ledger, annotations_only)
    if not files:
        raise DataError(
            f"no annotations/train/*.json (2.0, v2) and no ann_train_val/*.json (v1) below {raw}: get HaGRID's "
            "annotations, or name the folder that holds them with --raw"
        )
    reader = Reader(ledger, None if annotations_only else images)
    tables = [
        reader.read(read_json_file(raw / file.path), file.path, file.split, file.image_folder)
        for file in files
    ]
    table = pa.concat_tables(tables)
    if not table.num_rows:
        raise DataError(
            f"none of the {reader.rows} labelled images in the JSON files below {raw} can be used "
            f"({ledger.reasons()}): put the images below {raw}, or pass --annotations-only"
        )
    _note_unlisted(images, reader, ledger)
    return Ingested(_without_doubtful_splits(table, reader), ledger.rows, reader.rows, _release(raw, reader))


def _release(raw: Path, reader: Reader) -> str:
    found = [name for name, marks in _RELEASES.items() if marks & reader.fields]
    if len(found) > 1:
        raise DataError(
            f"{raw} holds records of v1 ({min(_RELEASES['v1'] & reader.fields)}) and of v2 "
            f"({min(_RELEASES['v2'] & reader.fields)}), whose user ids cannot be compared: prepare each release "
            "from a raw folder of its own, under its own --name"
        )
    return found[0] if found else "2.0"


def _find(raw: Path, ledger: Ledger, annotations_only: bool) -> tuple[list[_File], dict[str, Image]]:
    """The JSON files in the order train, val, test, and where the image of each key lies."""
    files: list[_File] = []
    images: dict[str, Image] = {}
    todo = [""]
    been: set[object] = set()
    while todo:
        folder = todo.pop(0)
        place = identity(raw / folder)
        if place in been:
            # A link to a folder above, or to one that was read under another name.
            continue
        been.add(place)
        folders, names = entries(raw / folder)
        todo += [f"{folder}{name}/" for name in folders]
        parent, _, name = folder.rstrip("/").rpartition("/")
        if name in _LAYOUTS:
            files += _annotation(parent, name, names)
        if not annotations_only:
            _add_images(folder, names, images, ledger)
    order = list(_LAYOUTS)
    files.sort(key=lambda file: (order.index(file.path.split("/")[-2]), file.path))
    return files, images


def _annotation(parent: str, folder: str, names: list[str]) -> list[_File]:
    split, images = _LAYOUTS[folder]
    root = parent.removesuffix("annotations").rstrip("/")
    prefix = f"{root}/" if root else ""
    here = f"{parent}/{folder}" if parent else folder
    return [
        _File(f"{here}/{name}", split, prefix + images.format(name[: -len(".json")]))
        for name in names
        if name.endswith(".json")
    ]


def _add_images(folder: str, names: list[str], images: dict[str, Image], ledger: Ledger) -> None:
    # One object a folder and ending: half a million keys share a few dozen of them.
    places = {suffix: Image(folder, suffix) for suffix in {n[n.rfind(".") :] for n in names if "." in n}}
    for name in names:
        key, dot, ending = name.rpartition(".")
        if f".{ending.lower()}" not in _SUFFIXES or not dot:
            continue
        if key in images:
            detail = f"an image of this name lies elsewhere too and is used instead, such as {name}"
            ledger.tally(KEPT, "image_twice", folder.rstrip("/") or ".", detail, unit="images")
        else:
            images[key] = places[f".{ending}"]


def _note_unlisted(images: dict[str, Image], reader: Reader, ledger: Ledger) -> None:
    unlisted = Counter(image.folder for key, image in images.items() if key not in reader.seen)
    for folder, count in sorted(unlisted.items()):
        detail = "no usable record names the image: not used"
        ledger.tally(KEPT, "unlisted_image", folder.rstrip("/") or ".", detail, count=count, unit="images")


def _without_doubtful_splits(table: pa.Table, reader: Reader) -> pa.Table:
    """No official split for images that stand in the JSON files of two splits."""
    if not reader.doubtful:
        return table
    keys = pc.replace_substring_regex(table["sample_id"], pattern=":[^:]*$", replacement="")
    doubtful = pc.is_in(keys, pa.array(sorted(reader.doubtful)))
    at = table.schema.get_field_index("official_split")
    column = pc.if_else(doubtful, pa.scalar(None, pa.string()), table["official_split"])
    return table.set_column(at, table.schema.field(at), column)


HAGRID = Dataset(
    id="hagrid",
    title="HaGRID",
    labels={label: label.replace("_", " ") for label in LABELS},
    samples="1,086,158 images (v2), 554,800 (2.0), 552,992 (v1)",
    subjects=65_977,
    size="1.5 TB full size, 119 GB at 512 pixels (v2)",
    homepage="https://github.com/hukenovs/hagrid",
    licence=Licence(
        "HaGRID licence",
        "https://github.com/hukenovs/hagrid/blob/Hagrid_v2-1M/license/en_us.pdf",
        "the authors' own terms, reworked from CC BY-SA 4.0",
        must_accept=True,
    ),
    citation=(
        "Kapitanov, Kvanchiani, Nagaev, Kraynov, Makhliarchuk: HaGRID - HAnd Gesture Recognition Image Dataset, "
        "WACV 2024"
    ),
    hands=2,
    fps=None,
    labelling="image",
    ingest=ingest,
)
