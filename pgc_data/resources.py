"""Where the data files that ship with the package lie: schemas, vocabularies, recipes.

In a checkout they are the top-level folders `schemas/` and `pipelines/`; a wheel carries them in `pgc_data/`.
"""

from __future__ import annotations

from pathlib import Path

from pgc_data.errors import DataError

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise DataError(f"pgc-data's own folder {name!r} is missing beside {_PACKAGE}: reinstall pgc-data")


def schema_file(name: str) -> Path:
    """Path of a file in `schemas/`, such as `hands.json` or `vocabularies/pointing.toml`.

    Raises:
        DataError: no such file.
    """
    path = _folder("schemas") / name
    if not path.is_file():
        raise DataError(f"no schema file {name!r} in {path.parent}")
    return path


def schema_files(pattern: str) -> list[Path]:
    """The files of `schemas/` that match a glob pattern, sorted by name."""
    return sorted(_folder("schemas").glob(pattern))


def recipe_files() -> list[Path]:
    """The recipes that ship with pgc-data, sorted by name."""
    return sorted(_folder("pipelines").glob("*.toml"))
