"""Small factories: hands that move at random, with the faults that real extraction has."""

import numpy as np

from pgc_data.features import HandSequence


def one_hand(rng):
    """A plausible open hand (21, 3) near the middle of the image."""
    hand = np.zeros((21, 3))
    for finger in range(5):
        direction = np.array([0.35 * (finger - 2), -1.0, 0.1 * (finger - 2)])
        for knuckle in range(4):
            hand[1 + 4 * finger + knuckle] = direction * (0.08 + 0.05 * knuckle)
    return hand + np.array([0.5, 0.6, 0.0]) + rng.normal(0, 0.004, (21, 3))


def walk(rng, frames):
    """A hand drifting and deforming at random: (frames, 21, 3); the wrist's z stays 0, as MediaPipe has it."""
    drift = np.cumsum(rng.normal(0, 0.004, (frames, 1, 3)), axis=0) * np.array([1, 1, 0])
    bend = np.cumsum(rng.normal(0, 0.001, (frames, 21, 3)), axis=0)
    bend[:, 0, 2] = 0
    hands = one_hand(rng) + drift + bend
    hands[:, 0, 2] = 0
    return hands


def sequence(hands, fps=30.0, *, tracks=None, width=640, height=480, timestamps=None, has_z=True):
    frames = len(hands)
    times = np.arange(frames) / fps if timestamps is None else timestamps
    tracks = np.zeros(frames, dtype=np.int64) if tracks is None else np.asarray(tracks)
    return HandSequence(np.asarray(hands, dtype=float), times, tracks, width, height, has_z)


def faulty(rng, frames, fps):
    """A walk with missing, non-finite and degenerate hands in runs of every length, and changes of track."""
    hands = walk(rng, frames)
    at = 0
    while at < frames:
        at += int(rng.integers(2, 25))
        run = int(rng.integers(1, 9))
        fault = rng.integers(4)
        if fault == 0:
            hands[at : at + run] = np.nan
        elif fault == 1:
            hands[at : at + run, rng.integers(21), rng.integers(3)] = rng.choice(
                [np.nan, np.inf, -np.inf, 1e300]
            )
        elif fault == 2:
            hands[at : at + run] = hands[at : at + 1]
            hands[at : at + run, 9] = hands[at : at + run, 0]
        at += run
    tracks = np.cumsum(rng.random(frames) < 0.03)
    times = 5.0 + np.arange(frames) / fps
    if rng.random() < 0.3:
        times = times + rng.uniform(-0.3, 0.3, frames) / fps
    return sequence(hands, tracks=tracks, timestamps=times)
