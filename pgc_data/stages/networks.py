"""The networks that extraction needs for a backend: found, recorded, handed to workers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import TYPE_CHECKING, Any

from pgc_data.errors import ConfigError
from pgc_data.hands.backends import HAND_CLASSES, PROVIDERS, BoxSettings
from pgc_data.hands.model_file import (
    HAND,
    HOLISTIC,
    ModelFile,
    find_hand_model,
    find_holistic_model,
    model_at_hand,
)

if TYPE_CHECKING:
    from pgc_data.stages.extract import ExtractConfig


def find_models(config: ExtractConfig) -> dict[str, ModelFile]:
    """The networks that the backend runs, by kind."""
    if config.backend == "holistic":
        return {"holistic": find_holistic_model(config.holistic_model)}
    models = _detectors(config)
    if _has_hand_model(config):
        models["hand"] = find_hand_model(config.hand_model)
    return models


def models_at_hand(config: ExtractConfig) -> dict[str, ModelFile] | None:
    """As `find_models`, but None where one is still to be fetched."""
    if config.backend == "holistic":
        found = model_at_hand(HOLISTIC, config.holistic_model)
        return None if found is None else {"holistic": found}
    models = _detectors(config)
    if _has_hand_model(config):
        if (found := model_at_hand(HAND, config.hand_model)) is None:
            return None
        models["hand"] = found
    return models


def _detectors(config: ExtractConfig) -> dict[str, ModelFile]:
    if config.detector is None:
        return {}
    # Imported here: ONNX Runtime takes a while, and other backends do without it.
    from pgc_data.hands.detector_network import find_detector

    return {"detector": find_detector(config.detector, config.provider or PROVIDERS[0])}


def _has_hand_model(config: ExtractConfig) -> bool:
    return config.backend == "direct" or "mediapipe" in (config.backend, config.landmarks_from)


def main_model(config: ExtractConfig, models: Mapping[str, ModelFile]) -> ModelFile | None:
    """The network that the backend itself is made of; annotation has none."""
    kind = {"annotation": None, "onnx": "detector", "holistic": "holistic"}.get(config.backend, "hand")
    return None if kind is None else models[kind]


def box_settings(config: ExtractConfig, models: Mapping[str, ModelFile]) -> BoxSettings | None:
    """What a backend that goes by boxes is made of, besides; None for the others."""
    if config.landmarks_from is None:
        return None
    return BoxSettings(
        landmarks=config.landmarks_from,
        hand_model=models["hand"].path.absolute() if "hand" in models else None,
        classes=config.detector_classes or HAND_CLASSES,
        provider=config.provider or PROVIDERS[0],
    )


def box_facts(config: ExtractConfig) -> dict[str, Any]:
    """What decides the content of the tables, of a backend that goes by boxes; nothing for the others."""
    if config.landmarks_from is None:
        return {}
    classes = sorted(set(config.detector_classes or HAND_CLASSES))
    return {
        "landmarks": config.landmarks_from,
        **({"detector_classes": classes} if config.backend == "onnx" else {}),
    }


def libraries(backend: str, models: Mapping[str, ModelFile]) -> dict[str, str]:
    """The packages that decide the content of the tables, and their versions.

    Raises:
        ConfigError: the backend's own is not installed.
    """
    names = ["av", "opencv-contrib-python"]
    if backend == "direct":
        names.insert(0, "ai-edge-litert")
    elif {"hand", "holistic"} & set(models):
        names.insert(0, "mediapipe")
    if "detector" in models:
        # One of several packages that bring the same module.
        names += sorted(set(packages_distributions()["onnxruntime"]))
    try:
        return {name: version(name) for name in names}
    except PackageNotFoundError as error:
        extra = "[direct]" if error.name == "ai-edge-litert" else ""
        raise ConfigError(
            f"the backend {backend} needs {error.name}: pip install 'pgc-data{extra}'"
        ) from error
