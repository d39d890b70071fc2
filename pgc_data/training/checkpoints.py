"""Checkpoints: one `.pt` file of tensors and plain values, never of code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pgc_data.errors import ConfigError, DataError
from pgc_data.models.options import Options
from pgc_data.models.registry import Architecture, architecture
from pgc_data.storage.files import atomic_path

_KEYS = ("model", "config", "facts", "training")
_PLAIN = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True)
class Checkpoint:
    """A model and what it was trained on.

    Attributes:
        model: weights and buffers, name -> tensor.
        config: `architecture` (a name of the registry), `options` (of the architecture), and whatever else was set.
        facts: what a user of the model must know: `classes`, `positive`, `crop`, `threshold`,
            `data_manifest_sha256`, ...
        training: what resuming needs besides: states of optimiser, schedule, random generators; empty in a file that
            is only used. Tensors and plain values.
    """

    model: Mapping[str, Tensor]
    config: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint atomically.

    Raises:
        TypeError: it holds something other than tensors, plain values, lists, tuples and dictionaries of them, which
            `read_checkpoint` would refuse.
        DataError: the folder cannot be written.
    """
    values = {key: _without_code(getattr(checkpoint, key), key) for key in _KEYS}
    with atomic_path(path) as temporary:
        torch.save(values, temporary)


def _without_code(value: Any, where: str) -> Any:
    """`value` with its mappings as plain dictionaries."""
    if type(value) in _PLAIN or type(value) is Tensor:
        return value
    if isinstance(value, Mapping):
        return {key: _without_code(item, f"{where}.{key}") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_code(item, f"{where}[{i}]") for i, item in enumerate(value))
    raise TypeError(f"{where} is a {type(value).__name__}: a checkpoint holds tensors and plain values")


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint to the CPU. Runs no code from the file.

    Raises:
        DataError: it is missing, damaged, holds code, or is no checkpoint of pgc-data.
    """
    try:
        with warnings.catch_warnings():
            # What torch remarks on before it refuses a stranger's file.
            warnings.simplefilter("ignore")
            values = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} is no checkpoint of pgc-data: it is damaged, or holds code, which is never run; "
            "give a .pt file that `pgc-data train` wrote"
        ) from error
    except _DAMAGE as error:
        raise DataError(
            f"{path} cannot be read as a checkpoint ({_first_line(error)}): copy it again, or give another one"
        ) from error
    return _checked(values, path)


# What torch raises for files that are cut short, empty or of other kinds.
_DAMAGE = (
    RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, zipfile.BadZipFile
)  # fmt: skip


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _checked(values: Any, path: Path) -> Checkpoint:
    if not isinstance(values, dict) or not {"model", "config"} <= values.keys():
        raise DataError(
            f"{path} is no checkpoint of pgc-data (it lacks `model` or `config`): give a .pt file that "
            "`pgc-data train` wrote"
        )
    parts = {key: values.get(key, {}) for key in _KEYS}
    for key, part in parts.items():
        if not isinstance(part, dict):
            raise DataError(f"{path}: `{key}` is a {type(part).__name__}, not a dictionary")
    if not all(isinstance(tensor, Tensor) for tensor in parts["model"].values()):
        raise DataError(f"{path}: `model` holds something other than tensors")
    return Checkpoint(**parts)


def load_model(checkpoint: Checkpoint, path: Path) -> tuple[nn.Module, Architecture, Options]:
    """Builds the model of a checkpoint, with its weights, in evaluation mode.

    Args:
        checkpoint: as read.
        path: it was read from, for errors.

    Returns:
        The model, its architecture and its options.

    Raises:
        DataError: its configuration is not that of a known architecture, or its weights do not fit.
    """
    config = checkpoint.config
    try:
        found = architecture(str(config.get("architecture")))
        options = found.configure(_as_mapping(config.get("options", {})))
    except ConfigError as error:
        raise DataError(f"{path}: {error}; it may be of another version of pgc-data") from error
    model = found.build(options)
    try:
        model.load_state_dict(dict(checkpoint.model))
    except RuntimeError as error:
        problems = str(error).splitlines()
        raise DataError(
            f"{path}: its weights do not fit {found.name} with its options: {problems[-1].strip()}"
        ) from error
    return model.eval(), found, options


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"options must be a table, not {value!r}")
    return value
