"""One landmark window as it is drawn: its features, and the blocks that the file's own feature schema names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

HAND_JOINTS = 21
"""Joints of a hand in MediaPipe's order: the wrist, then four a finger, the tip last."""


@dataclass(frozen=True)
class WindowBlock:
    """One run of features, as the schema has it.

    Attributes:
        name: such as `joint_angles`.
        start, size: first feature and number of features.
        unit: in words, or an empty string.
        joints: joints of each element, one, two or three; empty where the schema names none.
        dead: features of the frame vector that carry no information.
    """

    name: str
    start: int
    size: int
    unit: str
    joints: tuple[tuple[int, ...], ...]
    dead: frozenset[int]

    @property
    def axes(self) -> int:
        """Numbers an element has: 3 for x, y, z; 0 where they do not come out even."""
        count = len(self.joints)
        return self.size // count if count and self.size % count == 0 else 0

    @property
    def is_rate(self) -> bool:
        """Whether it is a change a second."""
        return self.unit.endswith("/s")

    @property
    def is_points(self) -> bool:
        """Whether it places joints in the plane: more than one single joint, with two or more numbers each."""
        return len(self.joints) > 1 and self.axes >= 2 and all(len(each) == 1 for each in self.joints)

    @property
    def is_hand(self) -> bool:
        """Whether it places the joints of one hand."""
        return self.is_points and len(self.joints) == HAND_JOINTS

    @property
    def plane(self) -> tuple[str, str]:
        """The units of x and y: blocks of one plane can be drawn on top of each other."""
        return self.unit_of("x"), self.unit_of("y")

    def unit_of(self, axis: str) -> str:
        """The unit of one axis: of `widths (x, z), heights (y)` that of y is heights."""
        for unit, axes in re.findall(r"([^,()]+) \(([^)]*)\)", self.unit):
            if axis in re.split(r",\s*", axes):
                return str(unit).strip()
        return self.unit


@dataclass(frozen=True, eq=False)
class Window:
    """What is drawn.

    Attributes:
        title: a few words, such as the class.
        subtitle: the line below it, such as the window's id.
        facts: the line below that; how many frames are usable is added to it.
        features: (T, F) float32.
        usable: (T,) bool.
        times: (T,) ms from the first frame; None where frames have no times.
        blocks: the schema's blocks, covering the F features.
        joint_names: of the indices in `WindowBlock.joints`; may be empty.
        axes: names of an element's numbers, such as x, y, z.
    """

    title: str
    subtitle: str
    facts: str
    features: Floats
    usable: Bools
    times: Floats | None
    blocks: tuple[WindowBlock, ...]
    joint_names: tuple[str, ...]
    axes: tuple[str, ...]

    def values(self, block: WindowBlock) -> Floats:
        """A block's features (T, size), NaN where unusable or not finite."""
        values = self.features[:, block.start : block.start + block.size]
        shown: Floats = np.where(self.usable[:, None] & np.isfinite(values), values, np.float32(np.nan))
        return shown

    def points(self, block: WindowBlock) -> Floats:
        """A block's joints (T, J, axes), NaN where unusable, or where all places are 0: not found."""
        points = self.values(block).reshape(len(self.usable), len(block.joints), block.axes)
        found = np.any(points != 0, axis=(1, 2)) | block.is_rate
        shown: Floats = np.where(found[:, None, None], points, np.float32(np.nan))
        return shown

    @cached_property
    def held(self) -> Bools:
        """(T,) frames that repeat the shape of the frame before, with all rates 0: a lost hand held for a moment.

        A held frame at the beginning cannot be told from a new one, and is not marked.
        """
        held = np.zeros(self.usable.size, dtype=bool)
        shapes = [b for b in self.blocks if b.is_points and not b.is_rate]
        if not shapes:
            return held
        shape = np.concatenate([self.values(b) for b in shapes], axis=1)
        held[1:] = (shape[1:] == shape[:-1]).all(axis=1)
        for block in self.blocks:
            if block.is_rate:
                held &= (self.values(block) == 0).all(axis=1)
        return held


def schema_blocks(document: Mapping[str, Any], dims: int) -> tuple[WindowBlock, ...]:
    """The blocks of a feature schema's JSON document.

    Args:
        document: with `blocks`, each with at least `name`, `start` and `size`.
        dims: features of a frame, F.

    Raises:
        DataError: the document has no blocks, or they do not cover the features one after the other.
    """
    name = document.get("name", "the feature schema")
    try:
        blocks = tuple(_block(entry) for entry in document["blocks"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name} in the file's metadata is not a feature schema ({error!r})") from error
    covered = 0
    for block in blocks:
        if block.size < 1:
            raise DataError(f"{name}: block {block.name!r} has no feature: its size is {block.size}")
        if block.start != covered:
            raise DataError(f"{name}: block {block.name!r} starts at {block.start}, it must at {covered}")
        covered += block.size
    if covered != dims:
        raise DataError(f"{name} describes {covered} features a frame, the file holds {dims}")
    return blocks


def _block(entry: Mapping[str, Any]) -> WindowBlock:
    name = str(entry["name"])
    joints = tuple(tuple(int(joint) for joint in element) for element in entry.get("joints", ()))
    return WindowBlock(
        name=name,
        start=int(entry["start"]),
        size=int(entry["size"]),
        unit=str(entry.get("unit", "")),
        joints=joints,
        dead=frozenset(map(int, entry.get("dead_dims", ()))),
    )
