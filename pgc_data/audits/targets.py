"""What an audit reads: our dataset folders, anyone's Parquet, or a folder of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pgc_data.audits.file_names import split_in_name
from pgc_data.audits.findings import counted
from pgc_data.audits.roles import (
    CONTENTS,
    UNKNOWN,
    Given,
    Role,
    class_names,
    guess_roles,
    image_base,
    is_bytes,
    our_table,
)
from pgc_data.config import unknown_name
from pgc_data.errors import DataError
from pgc_data.storage.files import folder_entries
from pgc_data.storage.parquet import parquet_file
from pgc_data.storage.schemas import read_metadata

TABLES = ("crops", "windows", "pgc")
"""The folders of a dataset of ours that hold a table each."""

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class TableFiles:
    """One table: its files, and which column is what.

    Attributes:
        table: its name: that of its folder in a dataset of ours, `images` or `features` elsewhere.
        files: its Parquet files, sorted by name; of loose images the one folder.
        content: `image` or `features`.
        roles: role -> column; see `roles`.
        names: class names in the order of their numbers, may be empty.
        base: the folder below which the table's paths of images lie, or None.
        images: paths of loose images relative to the folder, sorted; None for Parquet.
        lacking: files beside the others that lack the content column, and are not read.
    """

    table: str
    files: tuple[Path, ...]
    content: str
    roles: dict[str, Role]
    names: tuple[str, ...] = ()
    base: Path | None = None
    images: pl.Series | None = field(default=None, repr=False, compare=False)
    lacking: tuple[Path, ...] = ()

    def column(self, role: str) -> str | None:
        """The column that has a role, or None."""
        return self.roles.get(role, UNKNOWN).column

    @property
    def noun(self) -> str:
        """What one row is called."""
        return "image" if self.content == "image" else "window"


@dataclass(frozen=True)
class Target:
    """What is audited.

    Attributes:
        path: the folder or file that was asked for.
        root: the dataset folder it belongs to, which holds `manifest.json`.
        tables: the tables found in `path`.
    """

    path: Path
    root: Path
    tables: tuple[TableFiles, ...]

    @property
    def name(self) -> str:
        """What the report calls it."""
        return self.root.name if self.path == self.root else f"{self.root.name}/{self.path.name}"

    @property
    def audit_folder(self) -> Path:
        """Where the report goes by default; that of a part leaves the whole dataset's alone."""
        folder = self.root / "audit"
        return folder if self.path == self.root else folder / self.path.stem

    def relative(self, path: Path) -> str:
        """A file's path relative to the dataset folder, as the manifest has it."""
        return path.relative_to(self.root).as_posix()


def find_target(path: Path, given: Given | None = None) -> Target:
    """Finds the tables at `path`, and which of their columns is what.

    Args:
        path: a dataset folder of ours, a folder with Parquet files in it or below it, one Parquet file, or a folder
            with images in it or below it.
        given: role -> column, where the user names it.

    Raises:
        DataError: there is neither Parquet nor an image, or no table that can be audited.
        ConfigError: a column of `given` is not there.
    """
    path, given = path.resolve(), given or {}
    if path.is_file():
        if path.name.lower().endswith(IMAGE_ENDINGS):
            raise DataError(f"{path} is one image: give the folder of images that it lies in")
        root = path.parent.parent if path.parent.name in TABLES else path.parent
        return _checked(Target(path, root, (_table_of((path,), given),)), given)
    folders = [(name, files) for name in TABLES if (files := _parquet_files(path / name))]
    if folders:
        tables = tuple(_table_of(files, given, name) for name, files in folders)
        return _checked(Target(path, path, tables), given)
    root = path.parent if path.name in TABLES else path
    files = _parquet_files(path) or _parquet_files(path / "data")
    if not files:
        below = list(_files_below(path))
        files = tuple(sorted(path / name for name in below if name.lower().endswith(".parquet")))
        images = sorted(name for name in below if name.lower().endswith(IMAGE_ENDINGS))
        if not files and images:
            return Target(path, root, (_loose_images(path, images, len(below), given),))
    if not files:
        raise DataError(
            f"no Parquet files and no images in {path}, nor below it: give a dataset folder, one .parquet file or a "
            "folder of images"
        )
    name = path.name if path.name in TABLES else None
    return _checked(Target(path, root, (_table_of(files, given, name),)), given)


def _parquet_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.glob("*.parquet") if p.is_file() and not p.name.startswith(".")))


def _files_below(folder: Path, before: str = "", above: frozenset[Path] = frozenset()) -> Iterator[str]:
    """Paths of all files below a folder; hidden ones, reports of earlier audits and links to `above` left out."""
    own = folder.resolve()
    if own in above:
        return
    try:
        entries = sorted(folder_entries(folder))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error}): check the path") from error
    if ("audit.json", False) in entries:
        return
    for name, is_folder in entries:
        if name.startswith("."):
            continue
        if not _is_unicode(name):
            raise DataError(f"the name of {name!a} in {folder} is not UTF-8: rename it")
        if is_folder:
            yield from _files_below(folder / name, f"{before}{name}/", above | {own})
        else:
            yield before + name


def _is_unicode(name: str) -> bool:
    """Whether a file's name can be written down; of others Python keeps the bytes as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _table_of(files: Sequence[Path], given: Given, name: str | None = None) -> TableFiles:
    """The table in some files: those that have the content column of the first that has one."""
    found: TableFiles | None = None
    lacking, columns = [], ""
    for path in files:
        with open_parquet_file(path) as file:
            names = _column_names(file.schema_arrow, path)
            columns = columns or ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            if found is None:
                found = _understood(file, path, given, name)
                lacking += [path] if found is None else []
            elif found.column(found.content) not in names:
                lacking.append(path)
    if found is None:
        what = f"no Parquet files of {len(files)} have a column of images or one of features: {files[0]}"
        what = (
            what if len(files) > 1 else f"{files[0]} has neither a column of images nor one of features: it"
        )
        raise DataError(
            f"{what} has {columns}; name the one that holds them with --image-column or --features-column"
        )
    read = tuple(path for path in files if path not in lacking)
    return dataclasses.replace(found, files=read, lacking=tuple(lacking))


def _column_names(schema: pa.Schema, path: Path) -> list[str]:
    """The columns of a file that can be told apart and whose metadata can be read."""
    twice = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has several columns called {twice!r}: rename all but one")
    try:
        read_metadata(schema)
    except (ValueError, TypeError) as error:
        raise DataError(f"the facts in the metadata of {path} are not JSON: write it again") from error
    return list(schema.names)


def _checked(target: Target, given: Given) -> Target:
    """The target, if every column that the user names is in one of its tables."""
    for role, column in given.items():
        if not any(table.column(role) == column for table in target.tables):
            with open_parquet_file(target.tables[0].files[0]) as file:
                raise unknown_name(f"column for --{role}-column", column, file.schema_arrow.names)
    return target


def _understood(file: pq.ParquetFile, path: Path, given: Given, name: str | None) -> TableFiles | None:
    schema = file.schema_arrow
    roles = guess_roles(file, path, {role: name for role, name in given.items() if name in schema.names})
    content = next((role for role in CONTENTS if role in roles), None)
    if content is None:
        return None
    if "split" not in roles and split_in_name(path) is not None:
        roles["split"] = Role(None, "file name", f"{path.name} is of {split_in_name(path)}")
    names = class_names(schema, roles.get("label", UNKNOWN).column) or class_names(
        schema, roles.get("class_id", UNKNOWN).column
    )
    title = name or our_table(schema) or ("images" if content == "image" else "features")
    base = _base(file, path, roles) if content == "image" else None
    return TableFiles(title, (path,), content, roles, names, base)


def _base(file: pq.ParquetFile, path: Path, roles: dict[str, Role]) -> Path | None:
    """The folder of images that the table only names."""
    column = str(roles["image"].column)
    type_ = file.schema_arrow.field(column).type
    if is_bytes(type_):
        return None
    if pa.types.is_struct(type_):
        if type_.get_field_index("path") < 0:
            return None
        column = f"{column}.path"
    for batch in file.iter_batches(64, columns=[column]):
        values = batch.column(0)
        if pa.types.is_struct(values.type):
            values = values.field("path")
        names = [name for name in values.to_pylist() if isinstance(name, str)]
        return image_base(path, names)
    return None


def _loose_images(folder: Path, images: Sequence[str], files: int, given: Given) -> TableFiles:
    if given:
        role = next(iter(given))
        raise DataError(
            f"{folder} is a folder of images, which has no columns: leave out --{role.replace('_', '-')}-column"
        )
    others = files - len(images)
    left_out = f"; {counted(others, 'other file')} not looked at" if others else ""
    roles = {
        "image": Role(None, "content", counted(len(images), "image file") + left_out),
        "name": Role(None, "file name", "the path below the folder"),
    }
    return TableFiles(
        "images", (folder,), "image", roles, base=folder, images=pl.Series(images, dtype=pl.String)
    )


def open_parquet_file(path: Path) -> pq.ParquetFile:
    """Opens a Parquet file.

    Raises:
        DataError: it is not whole.
    """
    try:
        # A buffered stream keeps memory flat even where one row group holds the whole table.
        return parquet_file(path, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """The error for a Parquet file that cannot be read to its end."""
    reason = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
    return DataError(f"{path} is not a whole Parquet file ({reason}): copy it again, or write it again")
