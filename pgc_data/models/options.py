"""What can be chosen of a model: one frozen dataclass an architecture, checked at construction; without torch."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pgc_data.config import element_type, option, unknown_name
from pgc_data.errors import ConfigError

OptionsT = TypeVar("OptionsT", bound="Options")

HEADS = ("auto", "avg", "avgmax_mlp", "transformer", "mlp_mixer")
COLOURS = ("rgb", "y", "lab", "luv")
LANDMARK_FEATURES = 78

_TOKEN_HEADS = ("transformer", "mlp_mixer")
_TOKEN_LAYERS = 2
_LONGEST_TOKEN_SIDE = 4
# Every second block doubles the channels and halves the map.
_DOUBLES_EVERY = 2


@dataclass(frozen=True)
class TensorSpec:
    """One input of a model.

    Attributes:
        name: of the argument, and of the ONNX input.
        shape: without the batch axis.
        meaning: unit and layout, in words.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """The input as JSON values."""
        return {"name": self.name, "shape": list(self.shape), "dtype": "float32", "meaning": self.meaning}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every architecture's options."""

    def __post_init__(self) -> None:
        """Checks every field against its limits.

        Raises:
            ConfigError: naming the option, its value and what is accepted.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                _check(field.name, number, field.metadata)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order that the model takes them."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON values; `options_from` reads them back."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def options_from(kind: type[OptionsT], values: Mapping[str, Any], architecture: str) -> OptionsT:
    """Options from what a caller or a checkpoint says.

    Args:
        kind: class of the options.
        values: option -> value; lists and tuples alike.
        architecture: for errors.

    Raises:
        ConfigError: the architecture has no such option, or a value is of another type or out of range.
    """
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    given = {}
    for name, value in values.items():
        if name not in known:
            raise unknown_name(f"option of {architecture}", name, known)
        given[name] = _typed(value, hints[name], f"{architecture}: {name}")
    return kind(**given)


@dataclass(frozen=True, kw_only=True)
class CropOptions(Options):
    """What every architecture on crops has."""

    STEM_STRIDE: ClassVar[int] = 2

    colour: str = option(
        "rgb", "what the network sees: RGB, luma (y), or the CIE colours Lab or Luv", choices=COLOURS
    )
    image_size: tuple[int, int] = option(
        (32, 32), "height and width of the input, pixels", minimum=8, maximum=1024, metavar="H W"
    )
    base_channels: int = option(32, "channels of the first two blocks", minimum=4, maximum=512)
    num_blocks: int = option(4, "blocks; the third, fifth, ... double the channels", minimum=1, maximum=12)
    dropout: float = option(
        0.3, "share of the head's activations dropped in training", minimum=0, maximum=0.9
    )

    def __post_init__(self) -> None:
        """See `Options`.

        Raises:
            ConfigError: also if the image is too small for so many blocks.
        """
        super().__post_init__()
        if self.base_channels % 4:
            raise ConfigError(f"base_channels={self.base_channels} is not a multiple of 4")
        if min(self.feature_map) < 1:
            height, width = self.image_size
            raise ConfigError(
                f"image_size={height}x{width} is too small for {self.num_blocks} blocks: "
                "take a larger one, or fewer blocks"
            )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The crop."""
        return (TensorSpec("images", (3, *self.image_size), "RGB, 0 to 1"),)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that each block gives."""
        return tuple(self.base_channels << block // _DOUBLES_EVERY for block in range(self.num_blocks))

    def stride(self, block: int) -> int:
        """2 for a block that halves the map, else 1."""
        return 2 if block and block % _DOUBLES_EVERY == 0 else 1

    @property
    def feature_map(self) -> tuple[int, int]:
        """Height and width of the map after the last block."""
        halvings = sum(self.stride(block) == 2 for block in range(self.num_blocks))
        height, width = (self._side(side, halvings) for side in self.image_size)
        return height, width

    def _side(self, side: int, halvings: int) -> int:
        """Padded 3x3 convolutions of stride 2: half, rounded up."""
        for _ in range(halvings + 1):
            side = -(-side // 2)
        return side


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(CropOptions):
    """What every classifier of crops alone has."""

    DEFAULT_HEAD: ClassVar[str]

    head: str = option("auto", "head; auto takes the one that suits the architecture", choices=HEADS)
    token_grid: tuple[int, int] | None = option(
        None, "rows and columns of tokens of the transformer and mlp_mixer head", minimum=1, metavar="H W"
    )
    token_layers: int | None = option(
        None, "layers of the transformer and mlp_mixer head", minimum=1, maximum=12
    )

    def __post_init__(self) -> None:
        """See `CropOptions`.

        Raises:
            ConfigError: also if the token grid does not divide the feature map (says which do), or the head has none.
        """
        super().__post_init__()
        if self.resolved_head not in _TOKEN_HEADS:
            for name in ("token_grid", "token_layers"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{name} has no effect on the head {self.resolved_head}: leave it out, or take the head "
                        f"{' or '.join(_TOKEN_HEADS)}"
                    )
            return
        (rows, columns), (height, width) = self.resolved_grid, self.feature_map
        if height % rows or width % columns:
            grids = ", ".join(f"{r}x{c}" for r in _divisors(height) for c in _divisors(width))
            raise ConfigError(
                f"token_grid={rows}x{columns} does not divide the feature map, {height}x{width} at image_size "
                f"{self.image_size[0]}x{self.image_size[1]}; these do: {grids}"
            )

    @property
    def resolved_head(self) -> str:
        """The head that is built."""
        return self.DEFAULT_HEAD if self.head == "auto" else self.head

    @property
    def resolved_grid(self) -> tuple[int, int]:
        """Rows and columns of tokens: the given ones, else the most up to 4 that divide the feature map."""
        if self.token_grid is not None:
            return self.token_grid
        rows, columns = (
            max(divisor for divisor in _divisors(side) if divisor <= _LONGEST_TOKEN_SIDE)
            for side in self.feature_map
        )
        return rows, columns

    @property
    def resolved_layers(self) -> int:
        """Layers of a token head."""
        return _TOKEN_LAYERS if self.token_layers is None else self.token_layers


@dataclass(frozen=True, kw_only=True)
class BaselineOptions(ClassifierOptions):
    """Options of `baseline`."""

    DEFAULT_HEAD: ClassVar[str] = "avg"


@dataclass(frozen=True, kw_only=True)
class InvertedOptions(CropOptions):
    """What networks of inverted residuals have."""

    expansion: int = option(
        4, "channels within a block, as a multiple of those it gets", minimum=1, maximum=8
    )
    se_reduction: int = option(8, "how much squeeze-and-excitation narrows them", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        """See `CropOptions`.

        Raises:
            ConfigError: also if squeeze-and-excitation would have no channel left.
        """
        super().__post_init__()
        widest = self.base_channels * self.expansion
        if self.se_reduction > widest:
            raise ConfigError(
                f"se_reduction={self.se_reduction} leaves nothing of {widest} channels: take {widest} or less"
            )


@dataclass(frozen=True, kw_only=True)
class InvertedSEOptions(InvertedOptions, ClassifierOptions):
    """Options of `inverted_se`."""

    DEFAULT_HEAD: ClassVar[str] = "avgmax_mlp"


@dataclass(frozen=True, kw_only=True)
class ConvNeXtOptions(ClassifierOptions):
    """Options of `convnext`."""

    DEFAULT_HEAD: ClassVar[str] = "transformer"
    STEM_STRIDE: ClassVar[int] = 4

    expansion: int = option(
        4, "channels within a block, as a multiple of those it gets", minimum=1, maximum=8
    )

    def _side(self, side: int, halvings: int) -> int:
        """Unpadded patches: what is over at the edge is left out."""
        return side // self.STEM_STRIDE >> halvings


@dataclass(frozen=True, kw_only=True)
class LandmarkOptions(Options):
    """Options of `landmark_mlp`."""

    hidden: tuple[int, ...] = option(
        (128, 64), "widths of the layers on the landmarks", minimum=1, maximum=4096, metavar="N"
    )
    dropout: float = option(
        0.3, "share of each layer's activations dropped in training", minimum=0, maximum=0.9
    )

    def __post_init__(self) -> None:
        """See `Options`.

        Raises:
            ConfigError: also if there is no layer.
        """
        super().__post_init__()
        _need_layer(self.hidden)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The features of the landmarks."""
        return (_LANDMARKS,)


@dataclass(frozen=True, kw_only=True)
class CropLandmarkOptions(InvertedOptions):
    """Options of `crop_landmark`."""

    hidden: tuple[int, ...] = option(
        (128, 64), "widths of the layers on the landmarks", minimum=1, maximum=4096, metavar="N"
    )

    def __post_init__(self) -> None:
        """See `InvertedOptions`.

        Raises:
            ConfigError: also if there is no layer.
        """
        super().__post_init__()
        _need_layer(self.hidden)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The crop, then the features of its landmarks."""
        return (*super().inputs, _LANDMARKS)


_LANDMARKS = TensorSpec(
    "landmarks",
    (LANDMARK_FEATURES,),
    "position (63, palms), fingertip_spread (5, palms) and joint_angles (10, rad) of feature-schema-v1",
)


def _typed(value: Any, hint: Any, where: str) -> Any:
    """`value` as an option of that type: lists as tuples, whole numbers as float where one is wanted."""
    if value is None and isinstance(hint, types.UnionType):
        return None
    plain, many = element_type(hint)
    if many:
        wanted = next((t for t in typing.get_args(hint) if typing.get_origin(t) is tuple), hint)
        any_length = Ellipsis in typing.get_args(wanted)
        if not isinstance(value, list | tuple) or not (
            any_length or len(value) == len(typing.get_args(wanted))
        ):
            count = "" if any_length else f"{len(typing.get_args(wanted))} "
            raise ConfigError(f"{where} must be {count}numbers, not {value!r}")
        return tuple(_typed(item, plain, where) for item in value)
    if plain is float and type(value) is int:
        return float(value)
    if type(value) is not plain:
        raise ConfigError(f"{where} must be of type {plain.__name__}, not {value!r}")
    return value


def _need_layer(hidden: tuple[int, ...]) -> None:
    if not hidden:
        raise ConfigError("hidden is empty: give the width of one layer or more")


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def _check(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    if value is None:
        return
    minimum, maximum, choices = limits["minimum"], limits["maximum"], limits["choices"]
    if choices is not None and value not in choices:
        raise unknown_name(name, str(value), choices)
    if minimum is not None and not value >= minimum:
        raise ConfigError(f"{name}={value} is too small: the least is {minimum}")
    if maximum is not None and value > maximum:
        raise ConfigError(f"{name}={value} is too large: the most is {maximum}")
