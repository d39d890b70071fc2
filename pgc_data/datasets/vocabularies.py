"""Vocabularies: which of a dataset's labels becomes which class, and which are left out, and why."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.config import unknown_name
from pgc_data.datasets import DATASETS
from pgc_data.errors import ConfigError
from pgc_data.resources import schema_file, schema_files
from pgc_data.storage.files import sha256_json

_KEYS = {"name", "title", "classes", "background", "flip"}


@dataclass(frozen=True)
class Vocabulary:
    """Classes, and the map from each dataset's labels to them.

    Attributes:
        name: short name, such as pointing.
        title: what it tells apart, in words.
        classes: class names; the position is the `class_id`.
        background: the class that stands for none of the others, if there is one.
        flip: pairs of classes that a horizontal flip swaps.
        mapped: dataset -> label -> class name.
        excluded: dataset -> label -> reason.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    background: str | None
    flip: tuple[tuple[str, str], ...]
    mapped: Mapping[str, Mapping[str, str]]
    excluded: Mapping[str, Mapping[str, str]]

    def class_ids(self, dataset: str, labels: Iterable[str]) -> dict[str, int]:
        """Label -> class number, for the labels of a dataset that are not excluded.

        Raises:
            ConfigError: the vocabulary says nothing of the dataset, or of one of the labels.
        """
        if dataset not in self.mapped:
            raise ConfigError(
                f"vocabulary {self.name!r} has no table [{dataset}] (it has: {', '.join(sorted(self.mapped))})"
            )
        known, left_out = self.mapped[dataset], self.excluded[dataset]
        silent = sorted(set(labels) - known.keys() - left_out.keys())
        if silent:
            raise ConfigError(
                f"vocabulary {self.name!r} does not mention the {dataset} label {silent[0]!r}: "
                f"map it to a class in [{dataset}], or name the reason for leaving it out in [{dataset}.exclude]"
            )
        return {label: self.classes.index(name) for label, name in known.items()}

    def digest(self) -> str:
        """sha256 of all that it says."""
        return sha256_json(dataclasses.asdict(self))

    @property
    def background_id(self) -> int | None:
        """Number of the background class, or None."""
        return None if self.background is None else self.classes.index(self.background)


def vocabulary_names() -> list[str]:
    """The vocabularies that ship with pgc-data."""
    return [path.stem for path in schema_files("vocabularies/*.toml")]


def load_vocabulary(name: str) -> Vocabulary:
    """Reads a vocabulary: one that ships with pgc-data by name, or a user's own TOML file by path.

    Example:
        >>> load_vocabulary("pointing").classes
        ('not_pointing', 'pointing')

    Raises:
        ConfigError: unknown name, unreadable file, or a file that contradicts itself.
    """
    own = Path(name)
    if own.suffix == ".toml":
        path = own
    elif name in vocabulary_names():
        path = schema_file(f"vocabularies/{name}.toml")
    else:
        raise unknown_name("vocabulary", name, vocabulary_names())
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no vocabulary file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"vocabulary file {path} cannot be read: {error}") from error
    return _parse(raw, str(path))


def _parse(raw: Mapping[str, Any], where: str) -> Vocabulary:
    classes = raw.get("classes")
    if not _is_names(classes) or not classes or len(set(classes)) != len(classes):
        raise ConfigError(f"{where}: 'classes' must be a list of different names")
    background = raw.get("background")
    if background is not None and background not in classes:
        raise ConfigError(f"{where}: background {background!r} is not one of the classes")
    flip = raw.get("flip", [])
    if not isinstance(flip, list) or not all(
        _is_names(p) and len(p) == 2 and set(p) <= set(classes) for p in flip
    ):
        raise ConfigError(f"{where}: 'flip' must be a list of pairs of classes")
    mapped: dict[str, dict[str, str]] = {}
    excluded: dict[str, dict[str, str]] = {}
    for dataset, table in raw.items():
        if dataset in _KEYS:
            continue
        if dataset not in DATASETS:
            raise ConfigError(f"{where}: {unknown_name('dataset or key', dataset, [*DATASETS, *_KEYS])}")
        mapped[dataset], excluded[dataset] = _labels(dataset, table, classes, f"{where}: [{dataset}]")
    return Vocabulary(
        name=str(raw.get("name", Path(where).stem)),
        title=str(raw.get("title", "")),
        classes=tuple(classes),
        background=background,
        flip=tuple((a, b) for a, b in flip),
        mapped=mapped,
        excluded=excluded,
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _labels(
    dataset_id: str, table: Any, classes: list[str], where: str
) -> tuple[dict[str, str], dict[str, str]]:
    """One dataset's table: label -> class, and label -> reason for leaving it out."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is not a key of a vocabulary, nor a table of labels")
    mapped: dict[str, str] = {}
    excluded: dict[str, str] = {}
    for name, labels in table.items():
        if name == "exclude":
            if not isinstance(labels, dict) or not all(isinstance(r, str) and r for r in labels.values()):
                raise ConfigError(f"{where[:-1]}.exclude] must give each label a reason")
            excluded.update(labels)
            continue
        if name not in classes:
            raise ConfigError(f"{where}: {name!r} is not one of the classes {', '.join(classes)}")
        if not _is_names(labels):
            raise ConfigError(f"{where}: {name!r} must be a list of labels")
        for label in labels:
            if label in mapped:
                raise ConfigError(f"{where}: label {label!r} is mapped to {mapped[label]!r} and to {name!r}")
            mapped[label] = name
    facts = DATASETS[dataset_id]
    for label in [*mapped, *excluded]:
        if label not in facts.labels:
            raise ConfigError(f"{where}: {unknown_name(f'{dataset_id} label', label, facts.labels)}")
    both = sorted(mapped.keys() & excluded.keys())
    if both:
        raise ConfigError(f"{where}: label {both[0]!r} is mapped and excluded")
    return mapped, excluded
