import itertools

import numpy as np
import pytest
from features_factories import one_hand
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pgc_data.errors import DataError
from pgc_data.features import adjacency, box_features, edge_index, graph_nodes, mirrored

ONE = np.array([[640.0, 480.0]])


def one(box=(100.0, 50.0, 200.0, 400.0)):
    return one_hand(np.random.default_rng(0))[None], np.array([box])


def test_joints_are_placed_by_the_longer_side_of_the_box():
    hand, box = one()
    features, usable = box_features(hand, box, ONE)
    x, y = hand[0, 8, 0] * 640, hand[0, 8, 1] * 480
    np.testing.assert_allclose(features[0, 16:18], [0.5 + (x - 200) / 400, 0.5 + (y - 250) / 400], atol=1e-6)
    assert usable.tolist() == [True]
    assert features.dtype == np.float32


@given(st.floats(0.2, 5), st.floats(-300, 300), st.floats(-300, 300))
def test_neither_place_nor_size_matters(scale, right, down):
    hand, box = one()
    pixels = hand[0, :, :2] * ONE[0]
    moved = np.concatenate([(pixels * scale + [right, down]) / ONE[0], hand[0, :, 2:]], axis=1)[None]
    corner = box[0, :2] * scale + [right, down]
    other = np.array([[*corner, *(box[0, 2:] * scale)]])
    np.testing.assert_allclose(box_features(moved, other, ONE)[0], box_features(hand, box, ONE)[0], atol=1e-4)


def test_proportions_and_joints_outside_the_box_are_kept():
    hand, _ = one()
    narrow = np.array([[300.0, 200.0, 20.0, 80.0]])
    features, _ = box_features(hand, narrow, ONE)
    assert features.min() < 0
    nodes = graph_nodes(features)[0] * 80
    apart = hand[0, :, :2] * ONE[0]
    np.testing.assert_allclose(nodes - nodes[0], apart - apart[0], atol=1e-3)


@given(
    hnp.arrays(float, (3, 21, 3), elements=st.floats(width=64, allow_nan=True, allow_infinity=True)),
    hnp.arrays(float, (3, 4), elements=st.floats(width=64, allow_nan=True, allow_infinity=True)),
)
def test_any_input_gives_finite_features(landmarks, boxes):
    with np.errstate(all="raise"):
        features, usable = box_features(landmarks, boxes, np.full((3, 2), 100.0))
    assert np.isfinite(features).all()
    assert (features[~usable] == 0).all()


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 0.5, 0.9), (0, 0, -20, -20)])
def test_a_box_without_extent_is_not_usable(box):
    hand, _ = one()
    features, usable = box_features(hand, np.array([box], float), ONE)
    assert not usable.any()
    assert not features.any()


def test_no_hand_gives_no_row():
    features, usable = box_features(np.empty((0, 21, 3)), np.empty((0, 4)), np.empty((0, 2)))
    assert (features.shape, usable.shape) == ((0, 42), (0,))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 20, 3), (2, 4), (2, 2)), r"landmarks has shape \(2, 20, 3\)"),
        (((2, 21, 3), (1, 4), (2, 2)), r"boxes has shape \(1, 4\)"),
        (((2, 21, 3), (2, 4), (2, 3)), r"sizes has shape \(2, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes, message):
    with pytest.raises(DataError, match=message):
        box_features(*(np.zeros(shape) for shape in shapes))


def test_mirroring_twice_is_nothing():
    features = np.random.default_rng(0).random((4, 42)).astype(np.float32)
    left = np.array([True, False, True, False])
    once = mirrored(features, left)
    np.testing.assert_array_equal(once[~left], features[~left])
    np.testing.assert_array_equal(once[left, 1::2], features[left, 1::2])
    np.testing.assert_allclose(mirrored(once, left), features, atol=1e-7)


def test_the_graph_has_23_links_both_ways():
    edges = edge_index()
    assert edges.shape == (2, 46)
    pairs = {tuple(pair) for pair in edges.T.tolist()}
    assert len(pairs) == 46
    assert all((b, a) in pairs and a != b for a, b in pairs)
    for chain in (
        [0, 1, 2, 3, 4],
        [0, 5, 6, 7, 8],
        [0, 9, 10],
        [0, 13, 14],
        [0, 17, 18, 19, 20],
        [5, 9, 13, 17],
    ):
        assert all(pair in pairs for pair in itertools.pairwise(chain))


def test_adjacency_is_the_normalised_one():
    matrix = adjacency().astype(float)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diag(matrix) > 0).all()
    assert np.count_nonzero(matrix) == 46 + 21
    # D^-1/2 (A + I) D^-1/2 has the largest eigenvalue 1, with the square roots of the degrees as its vector.
    degree = np.count_nonzero(matrix, axis=1)
    np.testing.assert_allclose(matrix @ np.sqrt(degree), np.sqrt(degree), atol=1e-5)
