"""The models of the live loop: pointing networks hand by hand, sequence networks window by window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.features import HandSet, StreamedWindow, StreamingFeatures, feature_set
from pgc_data.hands.types import Hand
from pgc_data.inference.crop_rule import hand_crop
from pgc_data.inference.facts import SEQUENCE, ModelFacts, read_facts
from pgc_data.inference.network import LANDMARKS, PointingNetwork
from pgc_data.inference.resize import Size
from pgc_data.live.types import SCENE, Classifier, LiveFrame, Verdict
from pgc_data.models.landmarks import landmark_features
from pgc_data.onnx_session import failures, first_line, open_session

# How long what was said of a window holds while none follows, seconds: a hand may be lost for so long.
_HOLDS_S = 0.25


def make_classifier(
    path: Path, provider: str, size: Size | None = None, margin: float | None = None
) -> tuple[Classifier, ModelFacts]:
    """The classifier that a model's metadata ask for.

    Args:
        path: ONNX file.
        provider: one of `onnx_session.PROVIDERS`.
        size: see `PointingNetwork`.
        margin: of crops, for a pointing model that does not say; None for the model's, or PGC's.

    Raises:
        ConfigError: no such file, no such provider.
        DataError: the file is no model that the loop can run.
    """
    session = open_session(path, provider)
    facts = read_facts(session.get_modelmeta().custom_metadata_map, path)
    if facts.kind == SEQUENCE:
        return SequenceClassifier(path, session, facts), facts
    return PointingClassifier(PointingNetwork(path, provider, size=size), margin), facts


class PointingClassifier:
    """Judges each hand of each frame by itself: its crop, cut by the rule of training, or its landmarks, or both."""

    def __init__(self, network: PointingNetwork, margin: float | None = None) -> None:
        """Takes a network.

        Args:
            network: any pointing network.
            margin: of crops, in place of the network's own.
        """
        self.classes: tuple[str, ...] = (network.facts.positive,)
        self.threshold = network.facts.threshold
        self._network = network
        rule = network.facts.crop
        self._rule = rule if margin is None else type(rule)(margin, rule.align, rule.mask)

    def see(self, frame: LiveFrame) -> list[Verdict]:
        """See `Classifier.see`; a hand outside the frame, or without landmarks that are needed, is not judged."""
        inputs = [self._inputs(frame, hand) for hand in frame.hands]
        judged = [
            (track, found) for track, found in zip(frame.tracks, inputs, strict=True) if found is not None
        ]
        if not judged:
            return []
        feeds = {name: np.concatenate([found[name] for _, found in judged]) for name in judged[0][1]}
        answers = self._network.answer(feeds).tolist()
        return [Verdict(track, (answer,)) for (track, _), answer in zip(judged, answers, strict=True)]

    def _inputs(self, frame: LiveFrame, hand: Hand) -> dict[str, NDArray[np.float32]] | None:
        found = {}
        if self._network.images_input is not None:
            crop = hand_crop(frame.image, hand, self._rule)
            if crop is None:
                return None
            rgb = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), np.uint8)
            found[self._network.images_input] = self._network.images([rgb])
        if self._network.landmark_dims is not None:
            if hand.landmarks is None:
                return None
            height, width = frame.image.shape[:2]
            features, valid = landmark_features(hand.landmarks[None].astype(np.float64), height / width)
            if features.shape[1] != self._network.landmark_dims:
                raise DataError(
                    f"{self._network.path} takes {self._network.landmark_dims} landmark features, this pgc-data makes "
                    f"{features.shape[1]}: export the model again"
                )
            if not valid[0]:
                return None
            found[LANDMARKS] = features
        return found


class SequenceClassifier:
    """Judges the scene by the windows of the one hand that training would have kept."""

    def __init__(self, path: Path, session: Any, facts: ModelFacts) -> None:
        """Takes a network: windows (1, T, F) or (B, T, F) in, logits (B, C) out.

        Raises:
            DataError: it has other inputs or outputs, or windows of features that are not known.
        """
        self._path, self._session = path, session
        self._check(facts)
        self.classes = tuple(name for name in facts.classes if name != facts.background)
        self.threshold = facts.threshold
        self._kept = [number for number, name in enumerate(facts.classes) if name != facts.background]
        self._stream: StreamingFeatures | None = None
        self._image_size: Size | None = None
        self._last: tuple[float, Verdict] | None = None

    def _check(self, facts: ModelFacts) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        found = feature_set(facts.feature_set)
        if not isinstance(found, HandSet):
            raise DataError(
                f"{self._path} takes {facts.feature_set}, which live does not make of a frame's hands"
            )
        right = (
            len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(shape) == 3
            and isinstance(shape[1], int) and shape[2] == found.dims
        )  # fmt: skip
        if not right:
            raise DataError(
                f"{self._path} takes {', '.join(f'{each.name} {each.shape}' for each in inputs)}: a sequence model "
                f"takes windows (B, T, {found.dims}), float32"
            )
        classes = outputs[0].shape[-1] if outputs[0].shape else None
        if isinstance(classes, int) and classes != len(facts.classes):
            raise DataError(f"{self._path} gives {classes} logits, but names {len(facts.classes)} classes")
        self._input, self._output = inputs[0].name, outputs[0].name
        self._length, self._set = int(shape[1]), found

    def see(self, frame: LiveFrame) -> list[Verdict]:
        """See `Classifier.see`: of the newest window that ends with this frame, or ended a moment ago."""
        for window in self._windows(frame)[-1:]:
            self._last = (frame.time, Verdict(SCENE, self._probabilities(window)))
        if self._last is None or frame.time - self._last[0] > _HOLDS_S:
            return []
        return [self._last[1]]

    def _windows(self, frame: LiveFrame) -> list[StreamedWindow]:
        size = frame.image.shape[:2]
        if self._stream is None or self._image_size != size:
            self._image_size = size
            self._stream = StreamingFeatures(size[1], size[0], length=self._length, of_grid=self._set.of_grid)
        shown = [(hand, track) for hand, track in zip(frame.hands, frame.tracks, strict=True)
                 if hand.landmarks is not None]  # fmt: skip
        return self._stream.push_hands(
            frame.time, np.array([hand.landmarks for hand, _ in shown]).reshape(-1, 21, 3),
            [hand.score for hand, _ in shown], [track for _, track in shown],
        )  # fmt: skip

    def _probabilities(self, window: StreamedWindow) -> tuple[float, ...]:
        """Softmax of the logits, without the background."""
        try:
            (logits,) = self._session.run([self._output], {self._input: window.features[None]})
        except failures() as error:
            raise DataError(f"{self._path} failed on a window: {first_line(error)}") from error
        powers = np.exp(logits.reshape(-1).astype(np.float64) - logits.max())
        shares = powers / powers.sum()
        return tuple(float(shares[number]) for number in self._kept)
