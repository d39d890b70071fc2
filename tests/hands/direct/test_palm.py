"""Anchors, decoding and weighted non-maximum suppression, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.hands.direct.anchors import palm_anchors
from pgc_data.hands.direct.palm import PalmDetector, Palms, decode, merge, regions
from pgc_data.hands.direct.region import Size


def test_anchors_are_the_centres_of_the_cells_row_by_row_finest_first():
    plain = [
        ((x + 0.5) / cells, (y + 0.5) / cells)
        for cells, repeats in ((24, 2), (12, 6))
        for y in range(cells)
        for x in range(cells)
        for _ in range(repeats)
    ]
    np.testing.assert_allclose(palm_anchors(), plain, rtol=1e-6)
    assert palm_anchors().shape == (2016, 2)


def outputs(**raised):
    """Outputs of a network that sees a palm at each anchor named, `_17=2.0` being its logit."""
    logits = np.full(2016, -20, np.float32)
    for name, logit in raised.items():
        logits[int(name[1:])] = logit
    return np.zeros((2016, 18), np.float32), logits


def test_decoding_keeps_scores_from_the_confidence_up_and_counts_from_the_anchor():
    regressors, logits = outputs(_0=0.0, _17=2.0, _2015=-0.01)
    regressors[17] = np.arange(18) * 19.2
    palms = decode(regressors, logits, palm_anchors(), confidence=0.5)
    np.testing.assert_allclose(palms.scores, [0.5, 1 / (1 + math.exp(-2))], rtol=1e-6)
    x, y = palm_anchors()[17]
    np.testing.assert_allclose(palms.boxes[1], [[x - 0.1, y + 0.1 - 0.15], [0.2, 0.3]], atol=1e-6)
    np.testing.assert_allclose(palms.keypoints[1, 0], [x + 0.4, y + 0.5], atol=1e-6)
    np.testing.assert_allclose(palms.keypoints[1, 6], [x + 1.6, y + 1.7], atol=1e-6)


@pytest.mark.parametrize("logit", [1e4, 101, 100])
def test_extreme_logits_neither_overflow_nor_lose_their_palm(logit):
    palms = decode(*outputs(_5=logit), palm_anchors(), confidence=1.0)
    np.testing.assert_array_equal(palms.scores, [1.0])


def palms_of(*rows):
    """Palms from (score, left, top, width, height); every keypoint is the upper left corner."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    corners = table[:, None, 1:3]
    return Palms(table[:, 0], table[:, 1:].reshape(-1, 2, 2), np.repeat(corners, 7, axis=1))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), ()),
        (((0.6, 0, 0, 2, 2),), ((0.6, 0, 0, 2, 2),)),
        (((0.6, 0, 0, 2, 2), (0.9, 5, 5, 2, 2)), ((0.9, 5, 5, 2, 2), (0.6, 0, 0, 2, 2))),
        (((0.5, 0, 0, 4, 4), (1.0, 3, 0, 4, 4)), ((1.0, 3, 0, 4, 4), (0.5, 0, 0, 4, 4))),
        (((0.5, 0, 0, 4, 4), (1.0, 1.5, 0, 4, 4)), ((1.0, 1.0, 0, 4, 4),)),
        (((0.5, 0, 0, 4, 4), (1.0, 0, 0, 4, 7)), ((1.0, 0, 0, 4, 6),)),
        (((0.9, 1, 1, 0, 0), (0.8, 1, 1, 0, 0)), ((0.9, 1, 1, 0, 0), (0.8, 1, 1, 0, 0))),
    ],
    ids=["none", "one", "two apart", "two that touch", "two that overlap", "sizes", "without area"],
)
def test_palms_that_overlap_are_averaged_by_score(rows, expected):
    merged = merge(palms_of(*rows))
    wanted = palms_of(*expected)
    np.testing.assert_allclose(merged.scores, wanted.scores, atol=1e-6)
    np.testing.assert_allclose(merged.boxes, wanted.boxes, atol=1e-6)
    np.testing.assert_allclose(merged.keypoints, wanted.keypoints, atol=1e-6)


scores = st.floats(0.5, 1.0, width=32)
places = st.floats(0.0, 1.0, width=32)
extents = st.floats(0.125, 0.625, width=32)


@given(st.lists(st.tuples(scores, places, places, extents, extents), max_size=12))
def test_merging_loses_no_palm_and_leaves_each_inside_those_it_came_from(rows):
    palms = palms_of(*rows)
    merged = merge(palms)
    assert list(merged.scores) == sorted(merged.scores, reverse=True)
    assert set(merged.scores) <= set(palms.scores)
    assert bool(rows) == bool(len(merged.scores))
    for (left, top), _ in merged.boxes:
        assert palms.boxes[:, 0, 0].min() - 1e-5 <= left <= palms.boxes[:, 0, 0].max() + 1e-5
        assert palms.boxes[:, 0, 1].min() - 1e-5 <= top <= palms.boxes[:, 0, 1].max() + 1e-5


@pytest.mark.parametrize(
    ("size", "middle"),
    [(Size(192, 192), (96, 96)), (Size(640, 480), (320, 240)), (Size(90, 320), (45, 160))],
)
def test_the_letterbox_is_undone(size, middle):
    side = max(size.width, size.height)
    palms = palms_of((1.0, 0.5 - 10 / side, 0.5 - 10 / side, 20 / side, 20 / side))
    palms.keypoints[0] = 0.5
    palms.keypoints[0, 2, 1] -= 10 / side
    (region,) = regions(palms, size)
    assert region.width * size.width == pytest.approx(20 * 2.6, rel=1e-5)
    assert region.height * size.height == pytest.approx(20 * 2.6, rel=1e-5)
    shift = np.hypot(region.x * size.width - middle[0], region.y * size.height - middle[1])
    assert shift == pytest.approx(10, rel=1e-4)


def test_the_detector_reads_what_its_network_says():
    regressors, logits = outputs(_1000=3.0, _0=2.0)
    regressors[:, 2:4] = 19.2
    regressors[:, 9] = -10

    class Network:
        def run(self, picture):
            assert picture.shape == (192, 192, 3)
            return regressors[None], logits[None, :, None]

    first, second = PalmDetector(Network(), 0.5).find(np.zeros((192, 192, 3), np.uint8))
    near = palm_anchors()[[1000, 0]]
    np.testing.assert_allclose([(first.x, first.y), (second.x, second.y)], near, atol=0.06)
