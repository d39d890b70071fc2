"""ONNX Runtime sessions: one way to open them, and one line where that fails."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pgc_data.errors import ConfigError, DataError

# Each with what works on the nodes that it cannot.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
PROVIDERS = tuple(_PROVIDERS)


@cache
def failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises, which has no common base but Exception; it is loaded here, for it takes a while."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    names = (
        "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel",
        "NoSuchFile", "NotImplemented", "RuntimeException",
    )  # fmt: skip
    return (*(getattr(errors, name) for name in names), RuntimeError, ValueError)


def open_session(path: Path, provider: str, *, threads: int = 1, model: bytes | None = None) -> Any:
    """Opens a network.

    Args:
        path: of the ONNX file; names it in errors.
        provider: one of `PROVIDERS`.
        threads: that work on one operation.
        model: the network itself, where it is not what the file holds.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        ConfigError: no such file, or ONNX Runtime as it is installed lacks the provider.
        DataError: it is no network that ONNX Runtime can use, or the provider cannot be used on this machine.
    """
    import onnxruntime

    _check_provider(provider)
    if not path.is_file():
        raise ConfigError(f"no model {path}: give an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Errors alone: what it has to say of a fallback is checked below.
    # Threads that wait in a loop take the cores from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = str(path) if model is None else model
    try:
        session = onnxruntime.InferenceSession(source, options, providers=list(_PROVIDERS[provider]))
    except failures() as error:
        raise DataError(what_is_wrong(path, error)) from error
    if (used := session.get_providers()[0]) != _PROVIDERS[provider][0]:
        raise DataError(
            f"{provider} cannot be used on this machine (ONNX Runtime fell back to {used}): check its driver and "
            "libraries, or pass --provider cpu"
        )
    return session


def what_is_wrong(path: Path, error: BaseException) -> str:
    """Why a file is no network, in one line."""
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if not head:
        return f"{path} is empty: copy or download it again"
    if head.startswith((b"<!doctype", b"<html")):
        return f"{path} is an HTML page, not an ONNX file: download it again"
    return f"{path} is no network that ONNX Runtime can use: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or ["no message"])[0]


def _check_provider(provider: str) -> None:
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    if _PROVIDERS[provider][0] not in offered:
        have = ", ".join(name for name, (first, *_) in _PROVIDERS.items() if first in offered)
        raise ConfigError(
            f"provider={provider} is not in this ONNX Runtime {onnxruntime.__version__}, which has {have}: install "
            "onnxruntime-gpu in its place, or take one of these"
        )
