"""Which column of a table holds what: told by the table itself, guessed from names and content, or given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pgc_data.audits.file_names import SPLITS
from pgc_data.errors import DataError
from pgc_data.paths import remote_of
from pgc_data.storage.schemas import HUGGINGFACE_KEY, read_metadata, table_schema

CONTENTS = ("image", "features")
"""The roles of which a table has one: what its rows are of."""

Given = Mapping[str, str]
"""Role -> the column that the user says has it."""

_IMAGE_NAME = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF", b"II*\x00", b"MM\x00*", b"GIF8")
_FEW_VALUES = 200


@dataclass(frozen=True)
class Role:
    """Which column has a role, and why.

    Attributes:
        column: its name; None where it comes from elsewhere or is not known.
        how: declared, named, content, file name, option, or none where it is not known.
        note: what else a reader should know, in words.
    """

    column: str | None
    how: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"column": self.column, "how": self.how, "note": self.note}


UNKNOWN = Role(None, "none")


def _is_text(type_: pa.DataType) -> bool:
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(
        pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
    )


def _is_name(type_: pa.DataType) -> bool:
    return _is_text(type_) or bool(pa.types.is_integer(type_) or pa.types.is_boolean(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_floating(type_) or pa.types.is_integer(type_))


def is_list(type_: pa.DataType) -> bool:
    """Whether a column holds lists, of fixed size or not."""
    return bool(
        pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    )


def _is_features(type_: pa.DataType) -> bool:
    return is_list(type_) and _is_number(_innermost(type_)) and not pa.types.is_uint8(_innermost(type_))


def _innermost(type_: pa.DataType) -> pa.DataType:
    while is_list(type_):
        type_ = type_.value_type
    return type_


def is_bytes(type_: pa.DataType) -> bool:
    """Whether a column holds bytes."""
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(
        pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_)
    )


def _is_image(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return type_.get_field_index("bytes") >= 0 and is_bytes(type_.field("bytes").type)
    return is_bytes(type_)


def _is_flags(type_: pa.DataType) -> bool:
    return is_list(type_) and bool(pa.types.is_boolean(type_.value_type))


@dataclass(frozen=True)
class _Wanted:
    """What a role's column is called, most likely first, and what type it has."""

    fits: Callable[[pa.DataType], bool]
    names: tuple[str, ...]


_PERSON = (
    "subject_id", "subject", "user_id", "user", "person_id", "person", "participant_id", "participant", "signer_id",
    "signer", "performer", "actor",
)  # fmt: skip
_NUMBER = (
    "class_id", "classid", "label_id", "class_idx", "class_index", "category_id", "target_id",
)  # fmt: skip
_WANTED = {
    "image": _Wanted(
        _is_image, ("image", "image_bytes", "img", "crop", "picture", "photo", "bytes", "png", "jpg", "jpeg")
    ),
    "features": _Wanted(
        _is_features,
        (
            "features",
            "landmarks",
            "keypoints",
            "landmark",
            "world_landmarks",
            "sequence",
            "window",
            "joints",
            "x",
        ),
    ),
    "split": _Wanted(_is_name, ("split", "subset", "partition", "fold", "split_name")),
    "label": _Wanted(
        _is_name,
        (
            "label",
            "class",
            "class_name",
            "label_name",
            "gesture",
            "category",
            "sign",
            "labels",
            "target",
            "y",
        ),
    ),
    # A label with gaps comes from pandas as floats.
    "class_id": _Wanted(_is_number, (*_NUMBER, "label", "class")),
    "group": _Wanted(_is_name, ("group_id", "group", "session_id", "session")),
    "subject": _Wanted(_is_name, _PERSON),
    "video": _Wanted(
        _is_name, ("video_id", "video", "video_name", "clip_id", "clip", "sequence_id", "recording")
    ),
    "frame": _Wanted(
        _is_number,
        (
            "frame",
            "frame_start",
            "frame_id",
            "frame_idx",
            "frame_index",
            "frame_number",
            "frame_no",
            "start_frame",
        ),
    ),
    "frame_end": _Wanted(_is_number, ("frame_end", "end_frame")),
    "dataset": _Wanted(_is_text, ("dataset", "source", "dataset_name", "source_dataset")),
    "sample": _Wanted(_is_name, ("sample_id",)),
    "name": _Wanted(
        _is_text,
        ("image_path", "path", "file_name", "filename", "file", "filepath", "image_name", "window_id"),
    ),
    "usable_fraction": _Wanted(_is_number, ("usable_fraction",)),
    "usable": _Wanted(_is_flags, ("usable",)),
    "licence": _Wanted(_is_text, ("licence", "license")),
}
_OURS = {
    "image": "image", "features": "features", "split": "split", "label": "label", "class_id": "class_id",
    "group": "group_id", "subject": "subject_id", "video": "video_id", "dataset": "dataset", "sample": "sample_id",
    "usable_fraction": "usable_fraction", "usable": "usable", "licence": "licence",
}  # fmt: skip
_OURS_OF = {
    "crops": {**_OURS, "frame": "frame", "name": "image_path"},
    "windows": {**_OURS, "frame": "frame_start", "frame_end": "frame_end", "name": "window_id"},
}


def guess_roles(file: pq.ParquetFile, path: Path, given: Given) -> dict[str, Role]:
    """Finds the role of each column of a Parquet file.

    A column that the user names has its role; a table of ours says its own; else a column has the role that its name
    and type suggest, or, for image, label and split, its content.

    Args:
        file: opened.
        path: its path, below or above which images may lie.
        given: role -> column of the file, from the command line.

    Returns:
        Every role that is known.

    Raises:
        DataError: a column of `given` cannot have its role.
    """
    schema = file.schema_arrow
    roles = {role: _given(schema, role, column, path) for role, column in given.items()}
    ours = _OURS_OF.get(str(read_metadata(schema).get("schema")))
    declared = _image_by_metadata(schema)
    for role, wanted in _WANTED.items():
        if role in roles or (role == "features" and "image" in roles):
            continue
        if ours is not None:
            column = ours.get(role)
            if column in schema.names:
                roles[role] = Role(column, "declared")
            continue
        if role == "image" and declared in schema.names:
            roles[role] = Role(declared, "declared", "an Image in the file's Hugging Face metadata")
            continue
        found = _named(schema, wanted, taken(roles.values()))
        if found is not None:
            roles[role] = found
    if ours is None:
        _by_content(file, path, roles)
    if {"image", "features"} <= roles.keys():
        # Of a table with both the images are audited, unless the user says otherwise.
        asked = roles["features"].how == "option" and roles["image"].how != "option"
        roles.pop("image" if asked else "features")
    return roles


def taken(roles: Iterable[Role]) -> set[str]:
    """The columns that have a role, a field of a struct by the struct's name too."""
    return {name for role in roles if role.column for name in (role.column, role.column.partition(".")[0])}


def class_names(schema: pa.Schema, column: str | None) -> tuple[str, ...]:
    """The class names of an integer column in the order of its numbers, from Hugging Face metadata; or empty."""
    feature = _huggingface(schema).get(column or "", {})
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _huggingface(schema: pa.Schema) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {}).get(HUGGINGFACE_KEY, b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _image_by_metadata(schema: pa.Schema) -> str | None:
    images = [n for n, f in _huggingface(schema).items() if isinstance(f, dict) and f.get("_type") == "Image"]
    return images[0] if images else None


def _given(schema: pa.Schema, role: str, column: str, path: Path) -> Role:
    type_ = schema.field(column).type
    wanted = _WANTED[role]
    also = _is_text if role == "image" else _is_number if wanted.fits is _is_name else wanted.fits
    if not (wanted.fits(type_) or also(type_)):
        raise DataError(
            f"{path}: column {column!r} is {type_}, which cannot hold the {role.replace('_', ' ')}"
        )
    return Role(column, "option")


def _named(schema: pa.Schema, wanted: _Wanted, others: set[str]) -> Role | None:
    by_name = {name.lower(): name for name in reversed(schema.names)}
    for name in wanted.names:
        column = by_name.get(name)
        if column is not None and column not in others and wanted.fits(schema.field(column).type):
            return Role(column, "named")
    return None


def _by_content(file: pq.ParquetFile, path: Path, roles: dict[str, Role]) -> None:
    """Adds what names did not tell: images among bytes or paths, features among lists, splits and labels."""
    schema = file.schema_arrow
    free = [name for name in schema.names if name not in taken(roles.values())]
    if "image" not in roles:
        image = _image_by_content(file, path, roles, free)
        if image is not None:
            roles["image"] = image
    if not roles.keys() & set(CONTENTS):
        # Boxes and sizes are lists of whole numbers: such are features by their name only.
        types = {name: schema.field(name).type for name in free}
        lists = [n for n, t in types.items() if is_list(t) and pa.types.is_floating(_innermost(t))]
        if len(lists) == 1:
            roles["features"] = Role(lists[0], "content", "the only column of lists of numbers")
    if "split" not in roles:
        column = next((n for n in free if _is_text(schema.field(n).type) and _holds_splits(file, n)), None)
        if column is not None:
            roles["split"] = Role(column, "content", "it holds names of splits only")
    if "label" not in roles:
        _label_by_content(file, roles)
    if (
        "name" not in roles
        and "image" in roles
        and pa.types.is_struct(schema.field(roles["image"].column).type)
    ):
        roles["name"] = Role(f"{roles['image'].column}.path", "named")


def _image_by_content(
    file: pq.ParquetFile, path: Path, roles: Mapping[str, Role], free: Sequence[str]
) -> Role | None:
    schema = file.schema_arrow
    for name in free:
        type_ = schema.field(name).type
        if is_bytes(type_) and any(value.startswith(_MAGIC) for value in _first_values(file, name) if value):
            return Role(name, "content", "its bytes begin as images do")
    if "features" in roles:
        return None
    texts = [name for name in schema.names if _is_text(schema.field(name).type)]
    for name in sorted(texts, key=lambda n: n not in _WANTED["name"].names):
        values = [str(v) for v in _first_values(file, name) if v]
        if values and all(v.lower().endswith(_IMAGE_NAME) for v in values):
            base = image_base(path, values)
            if base is not None:
                return Role(name, "content", f"paths of images below {base}")
    return None


def image_base(path: Path, names: Sequence[str]) -> Path | None:
    """The folder, the table's own or one of four above it, below which the first of the images named lie."""
    for folder in list(path.resolve().parents)[:5]:
        if remote_of(folder) is not None and not str(folder).partition("://")[2]:
            # Above a bucket the first folder of a name would be taken for another bucket.
            break
        if any((found := path_below(folder, name)) and found.is_file() for name in names[:8]):
            return folder
    return None


def path_below(base: Path, name: str) -> Path | None:
    """A path that a table names, or None where it leads out of the folder that it should lie in."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return None if not parts or parts[0] == "/" or ".." in parts else base.joinpath(*parts)


def _first_values(file: pq.ParquetFile, column: str) -> list[Any]:
    for batch in file.iter_batches(16, columns=[column]):
        return list(batch.column(0).to_pylist())
    return []


def _distinct(file: pq.ParquetFile, column: str, most: int) -> set[Any]:
    """The values of a column, or rather more than `most` of them."""
    found: set[Any] = set()
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(50_000, row_groups=[group], columns=[column]):
            found |= set(pc.unique(batch.column(0).cast(pa.string())).to_pylist())
            if len(found) > most:
                return found
    return found


def _holds_splits(file: pq.ParquetFile, column: str) -> bool:
    values = {value.lower() for value in _distinct(file, column, 2 * len(SPLITS)) if value}
    return bool(values) and values <= SPLITS.keys()


def _label_by_content(file: pq.ParquetFile, roles: dict[str, Role]) -> None:
    schema = file.schema_arrow
    if "class_id" in roles:
        roles["label"] = Role(
            roles["class_id"].column, "named", "the number is the label: no column of names"
        )
        return
    free = [n for n in schema.names if n not in taken(roles.values()) and _is_text(schema.field(n).type)]
    few = [name for name in free if 2 <= len(_distinct(file, name, _FEW_VALUES)) <= _FEW_VALUES]
    rows = file.metadata.num_rows
    few = [name for name in few if 10 * len(_distinct(file, name, _FEW_VALUES)) <= rows]
    if len(few) == 1:
        roles["label"] = Role(few[0], "content", "the only column with few names that repeat")


def our_table(schema: pa.Schema) -> str | None:
    """`crops` or `windows` where a file says that it is such a table of pgc-data, else None."""
    name = str(read_metadata(schema).get("schema"))
    return name if name in _OURS_OF and table_schema(name) else None
