"""One frozen dataclass a stage: the source of its flags, help, recipe keys and recorded run."""

from __future__ import annotations

import dataclasses
import difflib
import keyword
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pgc_data.errors import ConfigError
from pgc_data.paths import STORES, RemotePath, as_path

C = TypeVar("C", bound="Config")

_SHOWN = 50
# How the names of stores begin when they were mistaken for those of folders.
_SCHEMES = frozenset(f"{protocol}:" for protocol in STORES)


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    recorded: bool = True,
    argument: bool = False,
    metavar: str | None = None,
    local: bool = False,
) -> Any:
    """A field of a `Config`: its default (`...` where required), help text and limits.

    Args:
        default: default value, or `...` for a required one.
        help: one line for `--help`.
        minimum: smallest number accepted.
        maximum: largest number accepted.
        choices: the strings accepted.
        recorded: whether the value can change what is written, and so belongs in the recorded config.
        argument: whether the command line takes it by position.
        metavar: how `--help` calls the value.
        local: whether a path must be on this machine.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "recorded": recorded,
        "argument": argument,
        "metavar": metavar,
        "local": local,
    }
    return field(default=MISSING if default is ... else default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every stage's configuration: checks each field's limits at construction."""

    workspace: Path = option(
        Path("data"), "folder that all stages read and write, here or in a store (s3://...)", recorded=False
    )

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ConfigError: naming the field, its value and what is accepted.
        """
        for item in dataclasses.fields(self):
            for value in _values(getattr(self, item.name)):
                _check(flag_name(item.name), value, item.metadata)

    def recorded(self) -> dict[str, Any]:
        """The fields that can change what is written, as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["recorded"]}
        return {name: _plain(value) for name, value in values.items()}


def flag_name(field: str) -> str:
    """The name of a field as a flag: `min_size` is min-size, and `class_`, which Python's grammar asks for, class."""
    return field.rstrip("_").replace("_", "-")


def _values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _plain(value: Any) -> Any:
    if isinstance(value, Path | RemotePath):
        return value.as_posix()
    return list(value) if isinstance(value, tuple) else value


def _check(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, Path) and value.parts[:1] and value.parts[0] in _SCHEMES:
        raise ConfigError(
            f'{name}={value} is a folder of this machine: make it by as_path("{value.parts[0]}//...")'
        )
    if limits["local"] and isinstance(value, RemotePath):
        raise ConfigError(f"{name}={value} is in a store: copy it to this machine, and name it there")
    minimum, maximum, choices = limits["minimum"], limits["maximum"], limits["choices"]
    if choices is not None and value not in choices:
        raise ConfigError(f"{name}={value!r} is not one of {', '.join(choices)}{_nearest(value, choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name}={value} is not a finite number")
    if minimum is not None and value < minimum:
        raise ConfigError(f"{name}={value} is too small: the least is {minimum}")
    if maximum is not None and value > maximum:
        raise ConfigError(f"{name}={value} is too large: the most is {maximum}")


def _nearest(word: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown_name(what: str, name: str, known: typing.Iterable[str]) -> ConfigError:
    """The error for a name that is not known, naming the nearest one, and as many as can be read."""
    known = sorted(known)
    more = f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
    return ConfigError(
        f"unknown {what} {name!r}{_nearest(name, known)} (known: {', '.join(known[:_SHOWN])}{more})"
    )


def from_mapping(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """Builds a config from a recipe's table.

    Args:
        kind: the config class.
        values: keys as in the recipe, `-` and `_` alike.
        where: file and table, for errors.

    Raises:
        ConfigError: an unknown key (naming the nearest known one), a missing one, a value of the wrong type
            or out of range.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        name += "_" * keyword.iskeyword(name)
        if name not in fields:
            raise ConfigError(f"{where}: unknown key {key!r}{_nearest(name, fields)}")
        given[name] = _convert(value, hints[name], f"{where}: {key}")
    missing = [n for n, f in fields.items() if f.default is MISSING and n not in given]
    if missing:
        raise ConfigError(f"{where}: {missing[0]!r} is missing")
    try:
        return kind(**given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def element_type(hint: Any) -> tuple[Any, bool]:
    """The plain type behind an annotation, and whether it is a tuple: `tuple[str, ...]` -> (str, True)."""
    if isinstance(hint, types.UnionType):
        hint = next(h for h in typing.get_args(hint) if h is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _convert(value: Any, hint: Any, where: str) -> Any:
    plain, many = element_type(hint)
    if many:
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        return tuple(_convert(v, plain, where) for v in value)
    if plain is Path and isinstance(value, str):
        return as_path(value)
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not plain:
        raise ConfigError(f"{where} must be of type {plain.__name__}, not {value!r}")
    return value
