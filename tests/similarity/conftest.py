"""Drawn photographs of hands, and hashes that lie together as those of a video do."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pgc_data.synthetic.performance import perform
from pgc_data.synthetic.poses import POSES
from pgc_data.synthetic.render import Camera
from pgc_data.synthetic.subjects import draw_subject

SIZE = (400, 300)


@pytest.fixture(scope="session")
def photograph():
    """photograph(person, gesture) -> (300, 400, 3) picture, and the box around the hand: x, y, width, height."""

    @cache
    def draw(person, gesture):
        subject = draw_subject(3, person)
        hand = perform(subject, POSES[gesture][None], SIZE)
        picture = Camera(subject, SIZE, np.random.default_rng(person)).take(hand.view(0, SIZE[1]))
        flat = hand.joints[0, :, :2]
        low = np.clip(flat.min(axis=0) - 12, 4, None).astype(int)
        high = np.clip(flat.max(axis=0) + 12, None, np.array(SIZE) - 4).astype(int)
        return picture, (*low.tolist(), *(high - low).tolist())

    return draw


@pytest.fixture
def walks():
    """walks(rows, groups, seed) -> hashes and groups: a walk of up to three bits a row, gone twice, almost alike."""

    def draw(rows, groups, seed=0):
        rng = np.random.default_rng(seed)
        steps = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (3, rows // 2), dtype=np.uint64))
        walk = np.bitwise_xor.accumulate(steps)
        slips = rng.integers(0, 2, len(walk), dtype=np.uint64) << rng.integers(
            0, 64, len(walk), dtype=np.uint64
        )
        return np.concatenate([walk, walk ^ slips]), np.sort(rng.integers(0, groups, 2 * len(walk)))

    return draw
