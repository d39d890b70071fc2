"""What counts as too much: every threshold of the audit with its default, and `--fail-on`."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.audits.findings import KINDS, Finding, Severity
from pgc_data.config import unknown_name
from pgc_data.errors import ConfigError
from pgc_data.similarity import BITS


@dataclass(frozen=True)
class Thresholds:
    """From which value on something is reported.

    Attributes:
        near_bits: two images whose 64-bit perceptual hashes differ in at most so many bits may be one picture.
        share_deviation: percentage points that a class's share in a split may differ from its share overall.
        imbalance: rows of the largest class for one of the smallest.
        dataset_gain: percentage points by which knowing a row's dataset may better the guess of its class.
        usable_fraction: least share of frames of a window that should show a hand.
        without_hand: percentage points by which a class may have more windows without a hand than the others.
        tiny_pixels: least shorter side of an image, pixels.
        flat_contrast: least standard deviation of an image's grey levels, of 255.
        dark: least mean grey level, of 255.
        bright: largest mean grey level, of 255.
        probe_gap: points of score that the given split may lie above a split by group.
    """

    near_bits: int = BITS
    share_deviation: float = 5.0
    imbalance: float = 10.0
    dataset_gain: float = 10.0
    usable_fraction: float = 0.8
    without_hand: float = 20.0
    tiny_pixels: int = 12
    flat_contrast: float = 2.0
    dark: float = 5.0
    bright: float = 250.0
    probe_gap: float = 5.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, whole = getattr(self, field.name), field.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                wanted = "a whole number" if whole else "a number"
                raise ConfigError(f"threshold {field.name}={value!r} is not {wanted}")
            most = _MOST.get(field.name, math.inf)
            if not (math.isfinite(value) and 0 <= value <= most):
                wanted = "a number of 0 or more" if most == math.inf else f"between 0 and {most:g}"
                raise ConfigError(f"threshold {field.name}={value} is not {wanted}")


_MOST = {
    "near_bits": 16,
    "usable_fraction": 1,
    "flat_contrast": 255,
    "dark": 255,
    "bright": 255,
}
_NAMES = tuple(field.name for field in dataclasses.fields(Thresholds))
_MEASURED = {
    "class_imbalance": "imbalance",
    "class_share_deviation": "share_deviation",
    "dataset_gives_class_away": "dataset_gain",
    "probe_gap": "probe_gap",
}
"""The kinds whose number in `--fail-on` is compared with a threshold's quantity instead of a count."""


def read_thresholds(file: Path | None, given: Iterable[str]) -> Thresholds:
    """The defaults, changed by a TOML file, changed by the command line.

    Args:
        file: TOML with `name = value` lines, or None.
        given: `name=value`, each.

    Raises:
        ConfigError: no such file, not TOML, an unknown name, or a value that makes no sense.
    """
    values = {} if file is None else _of_file(file)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"threshold {text!r} is not of the form NAME=VALUE, such as imbalance=20")
        name = _known(name.strip())
        values[name] = _number(name, value)
    return Thresholds(**values)


def _of_file(file: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"thresholds {file} cannot be read: {error}") from error
    return {_known(name): value for name, value in found.items()}


def _known(name: str) -> str:
    name = name.replace("-", "_")
    if name not in _NAMES:
        raise unknown_name("threshold", name, _NAMES)
    return name


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"threshold {name}={text.strip()!r} is not a number") from None
    return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class Rule:
    """One part of `--fail-on`.

    Attributes:
        text: as given.
        names: the severities or kinds that it means.
        limit: findings up to it are let pass; None: every one fails.
        is_share: whether the limit is a share of all, from a text such as `undecodable:1%`.
    """

    text: str
    names: frozenset[str]
    limit: float | None
    is_share: bool

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is worse than the rule allows."""
        if finding.kind not in self.names and finding.severity not in self.names:
            return False
        if self.limit is None:
            return True
        return (finding.share if self.is_share else finding.amount) > self.limit


def fail_rules(text: str) -> tuple[Rule, ...]:
    """Reads `--fail-on`: severities and kinds, each with a number up to which it passes, separated by commas.

    A kind may be called by any of its words: `imbalance` is class_imbalance, `duplicate` is every kind with that
    word. `none` never fails.

    Example:
        >>> [sorted(rule.names) for rule in fail_rules("leak,imbalance:10")]
        [['leak'], ['class_imbalance']]

    Raises:
        ConfigError: an unknown name, naming the nearest, or a limit that is no number.
    """
    if text.strip() == "none":
        return ()
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigError("fail-on is empty: give severities or kinds, such as leak,damage, or none")
    return tuple(_rule(part) for part in parts)


def _rule(text: str) -> Rule:
    name, colon, number = text.partition(":")
    names = _meant(name.strip().replace("-", "_"))
    is_share = number.strip().endswith("%")
    try:
        limit = float(number.strip().removesuffix("%")) if colon else None
    except ValueError:
        limit = math.nan
    if limit is not None and not (math.isfinite(limit) and limit >= 0):
        raise ConfigError(f"fail-on {text!r}: {number!r} is not a number of 0 or more")
    return Rule(text, names, limit / 100 if is_share and limit is not None else limit, is_share)


def _meant(name: str) -> frozenset[str]:
    if name in KINDS or name in set(Severity):
        return frozenset({name})
    words = set(name.split("_"))
    meant = frozenset(kind for kind in KINDS if words <= set(kind.split("_")))
    if not meant:
        raise unknown_name("kind of finding", name, [*map(str, Severity), *KINDS])
    return meant


def tightened(thresholds: Thresholds, rules: Iterable[Rule]) -> Thresholds:
    """The thresholds, lowered where a rule asks for less: `imbalance:5` has to see an imbalance of 6."""
    lower: dict[str, float] = {}
    for rule in rules:
        for kind in rule.names & _MEASURED.keys():
            name = _MEASURED[kind]
            if rule.limit is not None and not rule.is_share:
                lower[name] = min(lower.get(name, getattr(thresholds, name)), rule.limit)
    changed: Mapping[str, Any] = lower
    return dataclasses.replace(thresholds, **changed)
