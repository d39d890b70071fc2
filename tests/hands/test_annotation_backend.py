"""Annotated boxes travel from samples to the backend, and become hands without a network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.errors import DataError
from pgc_data.hands.annotated import packed_hands, unpacked_hands
from pgc_data.hands.annotation_backend import AnnotatedHands
from pgc_data.hands.media_items import MediaItem, MediaTable, media_fingerprint, media_items
from pgc_data.hands.types import Batched, KnowsHands
from pgc_data.storage.parquet import table_of, write_table

PICTURE = np.zeros((50, 200, 3), np.uint8)
BOX, OTHER = [0.25, 0.5, 0.5, 0.25], [0.0, 0.0, 0.125, 0.5]


def joints(at):
    return [[at + n / 100, at - n / 100] for n in range(21)]


def row(media, boxes, landmarks=None, kind="image", end=1, label="call"):
    return {
        "dataset": "hagrid", "sample_id": f"{media}:{label}", "media": media, "media_kind": kind, "frame_start": 1,
        "frame_end": end, "label": label, "boxes": boxes, "landmarks_2d": landmarks,
    }  # fmt: skip


def samples(tmp_path, *rows):
    path = tmp_path / "samples.parquet"
    write_table(path, table_of("samples", list(rows)), "samples", {})
    return path


def found(packed, joints=True):
    backend = AnnotatedHands(joints)
    backend.start(tracking=False)
    backend.expect(packed)
    return backend.find(PICTURE, 0.0)


def boxes(found):
    return [hand.box for hand in found.hands]


def test_every_box_of_every_sample_of_an_image_is_a_hand(tmp_path):
    path = samples(
        tmp_path,
        row("b.jpg", [BOX], label="peace"),
        row("a.jpg", [BOX, OTHER], [joints(0.3), joints(0.6)]),
        row("b.jpg", [OTHER], [joints(0.4)], label="no_gesture"),
        row("c.jpg", None),
    )
    items = {item.media: item for item in media_items(path, annotated=True)}
    a, b = found(items["a.jpg"].annotated), found(items["b.jpg"].annotated)
    assert boxes(a) == boxes(b) == [(50.0, 25.0, 100.0, 12.5), (0.0, 0.0, 25.0, 25.0)]
    assert {hand.score for hand in a.hands} == {1.0}
    assert {(hand.handedness, hand.handedness_score) for hand in a.hands} == {(None, None)}
    assert b.hands[0].landmarks is None
    for hand, at in ((a.hands[0], 0.3), (a.hands[1], 0.6), (b.hands[1], 0.4)):
        np.testing.assert_allclose(hand.landmarks, np.c_[joints(at), np.zeros(21)], atol=1e-7)
        assert hand.world_landmarks is None
    assert (boxes(found(items["c.jpg"].annotated)), a.body) == ([], None)


def test_landmarks_can_be_left_out(tmp_path):
    (item,) = media_items(samples(tmp_path, row("a.jpg", [BOX], [joints(0.3)])), annotated=True)
    assert found(item.annotated, joints=False).hands[0].landmarks is None


def test_joints_that_do_not_go_with_the_boxes_are_not_used(tmp_path):
    """As where a box spans both hands, and joints are given for each."""
    rows = row("a.jpg", [BOX], [joints(0.3), joints(0.6)]), row("b.jpg", [OTHER], [joints(0.4)])
    a, b = media_items(samples(tmp_path, *rows), annotated=True)
    assert found(a.annotated).hands[0].landmarks is None
    np.testing.assert_allclose(found(b.annotated).hands[0].landmarks[:, :2], joints(0.4), atol=1e-7)


def test_a_box_that_two_labels_share_is_one_hand(tmp_path):
    path = samples(tmp_path, row("a.jpg", [BOX, OTHER]), row("a.jpg", [BOX], label="peace"))
    (item,) = media_items(path, annotated=True)
    assert len(found(item.annotated).hands) == 2


def test_nothing_of_one_image_is_seen_in_the_next(tmp_path):
    (item,) = media_items(samples(tmp_path, row("a.jpg", [BOX])), annotated=True)
    backend = AnnotatedHands(joints=True)
    backend.expect(item.annotated)
    assert len(backend.find(PICTURE, 0.0).hands) == 1
    backend.start(tracking=False)
    assert backend.find(PICTURE, 0.0).hands == []
    assert isinstance(backend, KnowsHands)
    assert not isinstance(backend, Batched)


def test_boxes_of_a_clip_are_refused(tmp_path):
    path = samples(tmp_path, row("a.jpg", [BOX]), row("clip.avi", [BOX], kind="video", end=9))
    with pytest.raises(
        DataError, match=r"clip.avi has annotated boxes but is no photograph.*--backend mediapipe"
    ):
        media_items(path, annotated=True)
    assert [item.annotated for item in media_items(path)] == [b"", b""]


def test_a_dataset_without_boxes_is_refused(tmp_path):
    path = samples(tmp_path, row("a.jpg", None), row("b.jpg", None))
    with pytest.raises(
        DataError, match=r"none of the 2 samples .* has annotated boxes: use --backend mediapipe"
    ):
        MediaTable(path, annotated=True)


def test_what_is_annotated_counts_only_where_it_is_asked_for(tmp_path):
    prints = [
        [media_fingerprint(media_items(samples(tmp_path, row("a.jpg", *hand)), annotated)) for annotated in (0, 1)]
        for hand in ([[BOX]], [[OTHER]], [[BOX], [joints(0.3)]])
    ]  # fmt: skip
    assert len({without for without, _ in prints}) == 1
    assert len({annotated for _, annotated in prints}) == 3
    # What was extracted before there were annotated hands is still what it was.
    old = media_fingerprint([MediaItem("a", "image", None, ((1, 1),))])
    assert old.startswith("5750a667a223")


fractions = st.floats(-0.5, 1.5, width=32)
hands = st.lists(st.tuples(*[fractions] * 4), max_size=3, unique=True)


@given(st.lists(st.tuples(hands, st.booleans(), st.booleans()), min_size=1, max_size=8), st.integers(0, 3))
def test_what_is_packed_is_unpacked(rows, skipped):
    table = table_of(
        "samples",
        [
            row(
                f"{n}.jpg", None if missing else [list(box) for box in found],
                [joints(box[0]) for box in found] if with_joints else None,
            )
            for n, (found, missing, with_joints) in enumerate(rows)
        ],
    )  # fmt: skip
    # A slice, as columns of a large table come.
    (batch,) = table.slice(skipped).combine_chunks().to_batches() or [None]
    packed = [] if batch is None else list(packed_hands(batch))
    assert len(packed) == max(len(rows) - skipped, 0)
    for data, (found, missing, with_joints) in zip(packed, rows[skipped:], strict=True):
        boxes, points = unpacked_hands(data)
        wanted = [] if missing else found
        assert boxes.shape == (len(wanted), 4)
        np.testing.assert_array_equal(boxes, np.array(wanted, np.float32).reshape(-1, 4))
        if with_joints and wanted:
            np.testing.assert_array_equal(points, np.array([joints(box[0]) for box in found], np.float32))
        else:
            assert np.isnan(points).all()
