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

_KEYS = {"name", "title", "classes", "background", "static", "flip", "options"}

Map = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Vocabulary:
    """Classes, and the map from each dataset's labels to them.

    Attributes:
        name: short name, such as pointing, with the options chosen: pointing+exclude_clicks.
        title: what it tells apart, in words.
        classes: class names; the position is the `class_id`.
        background: the class that stands for none of the others, if there is one.
        static: classes that one frame shows as well as many; `to-parquet` cuts fewer windows of them.
        flip: pairs of classes that a horizontal flip swaps.
        mapped: dataset -> label -> class name.
        excluded: dataset -> label -> reason.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    background: str | None
    static: tuple[str, ...]
    flip: tuple[tuple[str, str], ...]
    mapped: Mapping[str, Mapping[str, str]]
    excluded: Mapping[str, Mapping[str, str]]

    def class_ids(self, dataset: str, labels: Iterable[str | None]) -> dict[str, int]:
        """Label -> class number, for the labels of a dataset that are not excluded; None is no label.

        Raises:
            ConfigError: the vocabulary says nothing of the dataset, or of one of the labels.
        """
        if dataset not in self.mapped:
            raise ConfigError(
                f"vocabulary {self.name!r} has no table [{dataset}] (it has: {', '.join(sorted(self.mapped))})"
            )
        known, left_out = self.mapped[dataset], self.excluded[dataset]
        silent = sorted({label for label in labels if label is not None} - known.keys() - left_out.keys())
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
    def static_ids(self) -> list[int]:
        """Numbers of the static classes."""
        return [self.classes.index(name) for name in self.static]

    @property
    def background_id(self) -> int | None:
        """Number of the background class, or None."""
        return None if self.background is None else self.classes.index(self.background)


def vocabulary_names() -> list[str]:
    """The vocabularies that ship with pgc-data."""
    return [path.stem for path in schema_files("vocabularies/*.toml")]


def load_vocabulary(name: str) -> Vocabulary:
    """Reads a vocabulary: one that ships with pgc-data by name, or a user's own TOML file by path.

    Options that its file declares are chosen behind the name: `NAME+OPTION+OPTION`. Their order does not matter.

    Example:
        >>> load_vocabulary("pointing").classes
        ('not_pointing', 'pointing')
        >>> load_vocabulary("pointing+exclude_clicks").name
        'pointing+exclude_clicks'

    Raises:
        ConfigError: unknown name or option, unreadable file, or a file that contradicts itself.
    """
    base, options = _split_name(name)
    own = Path(base)
    if own.suffix == ".toml":
        path = own
    elif base in vocabulary_names():
        path = schema_file(f"vocabularies/{base}.toml")
    else:
        raise unknown_name("vocabulary", base, vocabulary_names())
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no vocabulary file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"vocabulary file {path} cannot be read: {error}") from error
    return _parse(raw, str(path), options)


def _split_name(name: str) -> tuple[str, list[str]]:
    """Name or path, and the options behind it; the folders of a path may have a + in their names."""
    if name.endswith(".toml"):
        return name, []
    end = name.rfind(".toml+")
    at = end + len(".toml") if end >= 0 else name.find("+")
    return (name, []) if at < 0 else (name[:at], sorted(name[at + 1 :].split("+")))


def _parse(raw: Mapping[str, Any], where: str, options: list[str]) -> Vocabulary:
    classes = raw.get("classes")
    if not _is_names(classes) or not classes or len(set(classes)) != len(classes):
        raise ConfigError(f"{where}: 'classes' must be a list of different names")
    background = raw.get("background")
    if background is not None and background not in classes:
        raise ConfigError(f"{where}: background {background!r} is not one of the classes")
    static = raw.get("static", [])
    if not isinstance(static, list) or not all(name in classes for name in static):
        raise ConfigError(f"{where}: 'static' must be a list of classes")
    flip = raw.get("flip", [])
    if not isinstance(flip, list) or not all(
        _is_names(p) and len(p) == 2 and set(p) <= set(classes) for p in flip
    ):
        raise ConfigError(f"{where}: 'flip' must be a list of pairs of classes")
    tables = {key: value for key, value in raw.items() if key not in _KEYS}
    mapped, excluded = _tables(tables, classes, where, "")
    for classed, left_out in _chosen(raw.get("options", {}), options, classes, where):
        for dataset in classed:
            for label in [*classed[dataset], *left_out[dataset]]:
                mapped.setdefault(dataset, {}).pop(label, None)
                excluded.setdefault(dataset, {}).pop(label, None)
            mapped[dataset].update(classed[dataset])
            excluded[dataset].update(left_out[dataset])
    return Vocabulary(
        name="+".join([str(raw.get("name", Path(where).stem)), *options]),
        title=str(raw.get("title", "")),
        classes=tuple(classes),
        background=background,
        static=tuple(static),
        flip=tuple((a, b) for a, b in flip),
        mapped=mapped,
        excluded=excluded,
    )


def _tables(tables: Mapping[str, Any], classes: list[str], where: str, prefix: str) -> tuple[Map, Map]:
    """Dataset -> label -> class, and dataset -> label -> reason for leaving it out."""
    mapped: Map = {}
    excluded: Map = {}
    for dataset, table in tables.items():
        if dataset not in DATASETS:
            raise ConfigError(f"{where}: {unknown_name('dataset or key', dataset, [*DATASETS, *_KEYS])}")
        mapped[dataset], excluded[dataset] = _labels(dataset, table, classes, f"{where}: [{prefix}{dataset}]")
    return mapped, excluded


def _chosen(declared: Any, options: list[str], classes: list[str], where: str) -> list[tuple[Map, Map]]:
    """What each chosen option says; those that are not chosen are checked too."""
    if not isinstance(declared, dict) or not all(isinstance(table, dict) for table in declared.values()):
        raise ConfigError(f"{where}: 'options' must be tables, such as [options.NAME.ipn]")
    known = {name: _tables(table, classes, where, f"options.{name}.") for name, table in declared.items()}
    said: dict[tuple[str, str], str] = {}
    for option in options:
        if option not in known:
            raise ConfigError(f"{where}: {unknown_name('option', option, known)}")
        mapped, excluded = known[option]
        for dataset in mapped:
            for label in [*mapped[dataset], *excluded[dataset]]:
                if (dataset, label) in said:
                    raise ConfigError(
                        f"{where}: the options {said[dataset, label]!r} and {option!r} both say what becomes of the "
                        f"{dataset} label {label!r}: choose one"
                    )
                said[dataset, label] = option
    return [known[option] for option in options]


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
        if facts.labels and label not in facts.labels:
            raise ConfigError(f"{where}: {unknown_name(f'{dataset_id} label', label, facts.labels)}")
    both = sorted(mapped.keys() & excluded.keys())
    if both:
        raise ConfigError(f"{where}: label {both[0]!r} is mapped and excluded")
    return mapped, excluded
