"""Options that the commands which run a network share."""

from __future__ import annotations

import re
from pathlib import Path

from pgc_data.errors import ConfigError
from pgc_data.inference.resize import Size
from pgc_data.storage.workspace import Workspace

_SIZE = re.compile(r"(\d{1,4})(?:x(\d{1,4}))?")


def size_option(text: str | None) -> Size | None:
    """Height and width from `48` or `HEIGHTxWIDTH`.

    Raises:
        ConfigError: it is neither.

    Example:
        >>> size_option("48"), size_option("32x24")
        ((48, 48), (32, 24))
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    sides = [int(side) for side in match.groups() if side] if match else []
    if not sides or min(sides) < 1:
        raise ConfigError(f"image-size={text!r} is no size: give HEIGHTxWIDTH such as 32x32, or one number")
    return sides[0], sides[-1]


def found_inputs(inputs: tuple[Path, ...], workspace: Path) -> list[Path]:
    """The inputs of a call; one that is no path but the name of a dataset in the workspace stands for its crops.

    Raises:
        ConfigError: there is none.
    """
    if not inputs:
        raise ConfigError("nothing to look at: give images, folders of images or Parquet files")
    return [_found(path, Workspace(workspace)) for path in inputs]


def _found(path: Path, workspace: Workspace) -> Path:
    if path.exists() or len(path.parts) != 1:
        return path
    crops = workspace.parquet(path.name) / "crops"
    return crops if crops.is_dir() else path
