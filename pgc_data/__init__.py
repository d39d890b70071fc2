"""pgc-data builds gesture datasets: hands found, cropped and tracked, in tables that do not leak."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgc_data.loaders import load as load

# OpenCV reads this when it is loaded: an image of 30,000 x 30,000 pixels is refused rather than taking the memory.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`pgc_data.load`, imported when it is first asked for."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("pgc_data.loaders").load
