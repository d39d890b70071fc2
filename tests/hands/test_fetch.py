from __future__ import annotations

import numpy as np
import pytest
from factories import frames, write_video

from pgc_data.hands import media
from pgc_data.hands.fetch import local_media
from pgc_data.hands.media import read_frames
from pgc_data.paths import as_path
from pgc_data.storage.files import remove_folder

MEDIA = {"image": "frames/v/v_000002.jpg", "frames": "frames/v", "video": "v.avi"}


@pytest.fixture
def raws(tmp_path):
    """A raw folder here, and the same in a store in memory."""
    pytest.importorskip("fsspec")
    frames(tmp_path, "v", 9)
    (tmp_path / "frames" / "v" / "mask_000001.png").write_bytes(b"no frame")
    write_video(tmp_path / "v.avi", 9)
    store = as_path("memory://fetch/raw")
    store.filesystem.put(f"{tmp_path}/", f"{store}/", recursive=True)
    yield tmp_path, store
    remove_folder(store)


def seen(raw, name, kind, intervals):
    with local_media(raw / name, kind, intervals) as path:
        return list(read_frames(path, kind, intervals, 30.0))


@pytest.mark.parametrize("kind", MEDIA)
@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_media_in_a_store_give_the_same_frames_as_here(raws, kind, there):
    name = MEDIA[kind] if there else f"gone/{MEDIA[kind]}"
    intervals = ((1, 1),) if kind == "image" else ((2, 3), (8, 11))
    here, store = (seen(raw, name, kind, intervals) for raw in raws)
    assert len(here) == sum(end - start + 1 for start, end in intervals)
    for mine, theirs in zip(here, store, strict=True):
        assert (mine.number, mine.status, mine.detail) == (theirs.number, theirs.status, theirs.detail)
        assert mine.timestamp_s == theirs.timestamp_s
        assert np.array_equal(mine.image, theirs.image) if mine.image is not None else theirs.image is None


def test_only_the_frames_wanted_are_copied_and_removed_afterwards(raws):
    _, store = raws
    with local_media(store / "frames" / "v", "frames", ((2, 3), (8, 11))) as path:
        assert sorted(media.numbered_files(path)) == [2, 3, 8, 9]
    assert not path.exists()
