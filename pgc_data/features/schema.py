"""The layout of the feature vector, read from `schemas/feature-schema-v1.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.features.arrays import Ints
from pgc_data.resources import schema_file

SCHEMA_NAME = "feature-schema-v1"


@dataclass(frozen=True)
class Block:
    """One named run of consecutive features.

    Attributes:
        name: the block's name, such as `joint_angles`.
        start, end: first and last index in the frame vector, inclusive.
        size: number of features.
        unit: palms, palms/s, rad or frames/s (image widths and heights a second).
        formula: how a feature is computed.
        joints: the joints of each element: single joints, pairs or triples of indices into `joint_names`.
        invariant_to: what leaves the block unchanged, of translation, scale and rotation.
        dead_dims: indices that carry no information.
        note: what else to know.
    """

    name: str
    start: int
    end: int
    size: int
    unit: str
    formula: str
    joints: tuple[tuple[int, ...], ...]
    invariant_to: tuple[str, ...]
    dead_dims: tuple[int, ...]
    note: str

    @property
    def columns(self) -> slice:
        """Where the block lies in the last axis of a feature array."""
        return slice(self.start, self.end + 1)


@dataclass(frozen=True)
class DeadDim:
    """A feature that is constant on MediaPipe's landmarks, kept so that the order of the others holds."""

    index: int
    name: str
    value: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """The constants of the rules; the schema file gives the unit and the wording of each."""

    scale_eps: float
    coordinate_limit: float
    grid_hz: float
    hold_frames: int
    reacquire_s: float
    interpolate_s: float
    time_tolerance_s: float
    window_frames: int
    train_stride: int
    eval_every: int
    min_usable: float
    label_share: float
    background_share: float
    clip_middle_share: float


@dataclass(frozen=True)
class FeatureSchema:
    """The whole schema; checked when it is made.

    Raises:
        DataError: the blocks do not follow each other from 0 to `frame_dims` - 1, or a size is wrong.
    """

    name: str
    version: int
    frame_dims: int
    axes: tuple[str, ...]
    joint_names: tuple[str, ...]
    wrist_joint: int
    scale_joints: tuple[int, int]
    rules: Rules
    blocks: tuple[Block, ...]
    dead_dims: tuple[DeadDim, ...]

    def __post_init__(self) -> None:
        position = 0
        for block in self.blocks:
            if block.start != position or block.end != block.start + block.size - 1:
                raise DataError(
                    f"{self.name}: block {block.name!r} spans {block.start}-{block.end}, size {block.size}; "
                    f"it must start at {position}"
                )
            position = block.end + 1
        if position != self.frame_dims:
            raise DataError(
                f"{self.name}: the blocks cover {position} features, frame_dims says {self.frame_dims}"
            )

    def block(self, name: str) -> Block:
        """The block of that name.

        Raises:
            DataError: there is none; the message lists those there are.
        """
        for block in self.blocks:
            if block.name == name:
                return block
        known = ", ".join(block.name for block in self.blocks)
        raise DataError(f"{self.name} has no block {name!r}; its blocks are {known}")

    def indices(self, *names: str) -> Ints:
        """Indices of the features of some blocks, in the order asked: what a model's stream selects.

        >>> SCHEMA.indices("position", "joint_angles").size
        73
        """
        spans = [np.arange(block.start, block.end + 1) for block in map(self.block, names)]
        return np.concatenate(spans).astype(np.int64)


@cache
def load_schema() -> FeatureSchema:
    """Reads and checks the schema file, once.

    Raises:
        DataError: the file is missing, is not JSON, lacks a key or contradicts itself.
    """
    return read_schema(schema_file(f"{SCHEMA_NAME}.json"))


def read_schema(path: Path) -> FeatureSchema:
    """Reads and checks a schema file of this layout (see `load_schema`)."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rules = Rules(**{field.name: document["rules"][field.name]["value"] for field in fields(Rules)})
        return FeatureSchema(
            name=document["name"],
            version=document["version"],
            frame_dims=document["frame_dims"],
            axes=tuple(document["axes"]),
            joint_names=tuple(document["joint_names"]),
            wrist_joint=document["wrist_joint"],
            scale_joints=tuple(document["scale_joints"]),
            rules=rules,
            blocks=tuple(_block(entry) for entry in document["blocks"]),
            dead_dims=tuple(DeadDim(**entry) for entry in document["dead_dims"]),
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a feature schema ({type(error).__name__}: {error})") from error


def _block(entry: Mapping[str, Any]) -> Block:
    values = dict(entry)
    values["joints"] = tuple(tuple(element) for element in entry["joints"])
    values["invariant_to"] = tuple(entry["invariant_to"])
    values["dead_dims"] = tuple(entry["dead_dims"])
    return Block(**values)


def feature_names() -> tuple[str, ...]:
    """Names of the 147 features in order.

    `position.index_tip.x`, `fingertip_spread.thumb_tip-index_tip`, `wrist_trajectory.x`,
    `velocity.index_tip.x`, `joint_angles.index_pip` (the joint at the vertex), `wrist_vel_raw.x`.
    """
    return tuple(name for block in SCHEMA.blocks for name in _block_names(block))


def _block_names(block: Block) -> list[str]:
    joints = SCHEMA.joint_names
    width = len(block.joints[0])
    if width == 2:
        return [f"{block.name}.{joints[a]}-{joints[b]}" for a, b in block.joints]
    if width == 3:
        return [f"{block.name}.{joints[vertex]}" for _, vertex, _ in block.joints]
    if len(block.joints) == 1:
        return [f"{block.name}.{axis}" for axis in SCHEMA.axes]
    return [f"{block.name}.{joints[joint]}.{axis}" for (joint,) in block.joints for axis in SCHEMA.axes]


SCHEMA = load_schema()
