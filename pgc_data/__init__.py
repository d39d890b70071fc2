"""pgc-data builds gesture datasets: hands found, cropped and tracked, in tables that do not leak."""

import os

# OpenCV reads this when it is loaded: an image of 30,000 x 30,000 pixels is refused rather than taking the memory.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(100_000_000))

__version__ = "0.1.0"
