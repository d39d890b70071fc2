"""The score of one video: which gestures in which order, for how long, and the hand's place in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.gestures import (
    LABELS,
    arriving,
    draw_manner,
    ease,
    leaving,
    mirrored,
    mix,
    movement,
)
from pgc_data.synthetic.performance import Performance, perform, smooth, tremor
from pgc_data.synthetic.subjects import Subject

Array = NDArray[np.float64]

_LENGTHS = {"D0X": (20, 30), "B0A": (40, 60), "B0B": (40, 60)}
_GESTURE_LENGTH = (26, 38)
_SHORTEST, _LONGEST = 16, 60
_REST_BETWEEN = 0.15
_HANDOVER = 8


@dataclass(frozen=True)
class Segment:
    """One labelled stretch of a video; `start` and `end` count from 1, both included."""

    label: str
    start: int
    end: int

    @property
    def frames(self) -> int:
        """Its length."""
        return self.end - self.start + 1


@dataclass(frozen=True)
class Score:
    """Everything that happens in one video of n frames.

    Attributes:
        segments: gapless, from frame 1 to n.
        performance: the hand in every frame.
    """

    segments: tuple[Segment, ...]
    performance: Performance


def compose(subject: Subject, repeats: int, size: tuple[int, int], rng: np.random.Generator) -> Score:
    """Draws a video's order of gestures and moves the subject's hand through it.

    Args:
        subject: who performs.
        repeats: how often each of the 14 labels occurs at least.
        size: width and height of the picture in pixels.
        rng: of this video alone.
    """
    segments = _draw_segments(subject, repeats, rng)
    return Score(segments, perform(subject, _track(subject, segments, rng), size))


def _draw_segments(subject: Subject, repeats: int, rng: np.random.Generator) -> tuple[Segment, ...]:
    """Every video starts and ends with D0X; the rest is shuffled, with more of it now and then between."""
    order = [str(label) for label in rng.permutation([*LABELS[1:]] * repeats)]
    gaps = len(order) - 1
    rests = max(repeats - 2, int(rng.binomial(gaps, _REST_BETWEEN)))
    rested = set(rng.choice(gaps, rests, replace=False).tolist())
    labels = ["D0X"]
    for gap, label in enumerate(order):
        labels += [label, "D0X"] if gap in rested else [label]
    labels.append("D0X")
    segments, start = [], 1
    for label in labels:
        low, high = _LENGTHS.get(label, _GESTURE_LENGTH)
        frames = int(np.clip(round(subject.tempo * rng.integers(low, high + 1)), _SHORTEST, _LONGEST))
        segments.append(Segment(label, start, start + frames - 1))
        start += frames
    return tuple(segments)


def _track(subject: Subject, segments: tuple[Segment, ...], rng: np.random.Generator) -> Array:
    """The poses (n, 27) of a whole video: each movement grows out of where the last one ended."""
    parts: list[Array] = []
    for number, segment in enumerate(segments):
        manner = draw_manner(rng, subject.reach)
        label = mirrored(segment.label) if subject.left else segment.label
        if number == 0:
            part = arriving(segment.frames, manner)
        elif number == len(segments) - 1:
            part = leaving(segment.frames, manner)
        else:
            part = movement(label, segment.frames, manner)
        if parts:
            share = ease(np.arange(1.0, segment.frames + 1.0), 0.0, _HANDOVER + 1.0)
            part = mix(parts[-1][-1], part, share)
        parts.append(part)
    return smooth(np.concatenate(parts) + tremor(sum(map(len, parts)), rng))
