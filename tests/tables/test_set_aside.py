from __future__ import annotations

import cv2
import numpy as np
import pytest

from pgc_data.hands.crops import encode_png, perceptual_hash
from pgc_data.tables.set_aside import repeated, set_aside


class Shown:
    """Pictures in memory."""

    def __init__(self, images):
        self.hashes = np.array([int(perceptual_hash(image), 16) for image in images], dtype=np.uint64)
        self._images = [encode_png(image) for image in images]

    def pixels(self, hands):
        return ((hand, self._images[hand]) for hand in hands.tolist())


def picture(seed, brighter=0):
    coarse = np.random.default_rng(seed).integers(0, 200, (9, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC) + np.uint8(brighter)


def left_out(images, sides, weights):
    found, unsure = set_aside(Shown(images), np.arange(len(images)), np.array(sides), np.array(weights))
    assert unsure == 0
    return found.tolist()


def test_the_heavier_of_two_sides_keeps_its_picture():
    images = [picture(1), picture(2), picture(1, 3), picture(3)]
    assert left_out(images, [0, 0, 1, 1], [2, 2, 1, 1]) == [2]
    assert left_out(images, [0, 0, 1, 1], [1, 1, 2, 2]) == [0]
    assert left_out(images, [0, 0, 0, 0], [1, 1, 1, 1]) == []


def test_a_picture_that_goes_itself_makes_no_other_go():
    """0 and 2 are of one side; 1, of the other, has to go for 0, so 2 may stay."""
    images = [picture(1), picture(1, 2), picture(1, 4)]
    assert left_out(images, [0, 1, 0], [3, 2, 1]) == [1]


def test_every_copy_of_a_plain_picture_goes():
    black = np.zeros((40, 40, 3), np.uint8)
    assert left_out([black, black, black, picture(1)], [0, 0, 1, 0], [1, 1, 2, 1]) == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_no_content_is_left_on_two_sides(seed):
    rng = np.random.default_rng(seed)
    digest, sides = rng.integers(0, 8, 60).astype(np.uint64), rng.integers(0, 3, 60)
    weights = sides * 100 + rng.integers(0, 100, 60)
    gone = repeated(digest, sides, weights)
    for content in np.unique(digest):
        mine = digest == content
        kept = np.unique(sides[mine & ~gone])
        assert kept.tolist() == [sides[mine].max()]
        assert set(sides[mine & gone]) == set(sides[mine]) - set(kept)
