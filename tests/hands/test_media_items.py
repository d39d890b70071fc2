from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgc_data.hands import media_items as module
from pgc_data.hands.media_items import MediaItem, MediaTable, items_of, media_fingerprint, media_items
from pgc_data.storage import parquet
from pgc_data.storage.parquet import table_of, write_table

SAMPLES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 30), st.integers(0, 8)), max_size=40)


def samples(folder, rows):
    written = [
        {
            "dataset": "ipn", "sample_id": str(number), "media": media, "media_kind": "frames", "frame_start": start,
            "frame_end": start + more, "fps": 30.0,
        }
        for number, (media, start, more) in enumerate(rows)
    ]  # fmt: skip
    write_table(folder / "samples.parquet", table_of("samples", written), "samples", {})
    return folder / "samples.parquet"


def merged(rows):
    """Media -> the stretches of frames that its samples cover."""
    wanted = {}
    for media, start, more in rows:
        wanted.setdefault(media, set()).update(range(start, start + more + 1))
    found = {}
    for media, numbers in wanted.items():
        starts = sorted(n for n in numbers if n - 1 not in numbers)
        ends = sorted(n for n in numbers if n + 1 not in numbers)
        found[media] = tuple(zip(starts, ends, strict=True))
    return found


@pytest.fixture
def small_pieces(monkeypatch):
    """Row groups and pieces of a few rows, so that a media lies in several of them."""
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 3)
    monkeypatch.setattr(parquet, "NUMBER_GROUP_ROWS", 7)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=SAMPLES)
def test_media_come_in_order_with_every_frame_wanted_once(tmp_path, small_pieces, rows):
    table = MediaTable(samples(tmp_path, rows))
    expected = merged(rows)
    items = list(table)
    assert [item.media for item in items] == sorted(expected)
    assert {item.media: item.intervals for item in items} == expected
    assert [item.frames for item in items] == [
        sum(end - start + 1 for start, end in expected[media]) for media in sorted(expected)
    ]
    # From any media on, and up to any.
    places = [row for row, _ in table.numbered()] + [table.rows]
    for first in range(len(items)):
        for last in range(first + 1, len(items) + 1):
            assert items_of(table.some(places[first], places[last])) == tuple(items[first:last])


def test_the_order_of_samples_does_not_matter(tmp_path):
    rows = [(f"m{number % 5}", number, 3) for number in range(1, 40)]
    items = media_items(samples(tmp_path, rows))
    random.Random(1).shuffle(rows)
    again = media_items(samples(tmp_path, rows))
    assert again == items
    assert media_fingerprint(again) == media_fingerprint(items)


def test_the_fingerprint_is_that_of_every_version_before(tmp_path):
    item = MediaItem("m", "frames", 30.0, ((1, 4), (7, 9)))
    expected = "ae18fb22ad13247644ecea2ad9656b134b91270847a48f5c93216ac7db14d518"
    assert media_fingerprint([item]) == expected
