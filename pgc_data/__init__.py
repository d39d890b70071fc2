"""pgc-data builds gesture datasets: hands found, cropped and tracked, in tables that do not leak."""

__version__ = "0.1.0"
