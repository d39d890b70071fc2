"""How media are packed, and what a worker checks before it begins."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import pytest
from factories import RecordedBackend

from pgc_data.errors import DataError
from pgc_data.hands.media_items import media_items
from pgc_data.stages.shards import Packs, Setup, initialize, set_up, worker_state


def make(*what):
    return RecordedBackend()


@pytest.fixture
def setup(tmp_path):
    for name in ("raw", "folder", "folder/logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "m.task").touch()
    return Setup(
        raw=tmp_path / "raw", folder=tmp_path / "folder", log=tmp_path / "folder" / "logs" / "native.log", margin=0.2,
        facts={"libraries": {"numpy": version("numpy")}}, tables=("frames", "hands"), make=make, backend="mediapipe",
        model=tmp_path / "m.task", hands=1, confidence=0.5,
    )  # fmt: skip


def test_a_worker_that_has_all_it_needs_is_set_up(setup):
    set_up(setup)
    found, backend = worker_state()
    assert (found, backend.name) == (setup, "recorded")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"model": s.model.with_name("gone.task")}, r"cannot see the model .*gone\.task"),
        (
            lambda s: {"facts": {"libraries": {"numpy": "0.1"}}},
            r"has numpy .*, where the run was started it is 0\.1",
        ),
    ],
)
def test_a_worker_that_differs_from_where_the_run_was_started_is_refused(setup, change, message):
    with pytest.raises(DataError, match=message):
        set_up(replace(setup, **change(setup)))


@pytest.mark.parametrize("gone", ["raw", "folder/logs"])
def test_a_worker_that_does_not_see_the_folders_is_refused(setup, tmp_path, gone):
    (tmp_path / gone).rmdir()
    with pytest.raises(
        DataError, match=rf"cannot see .*{gone}: workers need a folder that all of them share"
    ):
        initialize(setup)


@pytest.mark.parametrize(
    ("shard_frames", "frames"), [(1, [100] * 6), (150, [200] * 3), (250, [300, 300]), (999, [600])]
)
def test_packs_are_the_media_in_order_none_of_them_cut(prepared, shard_frames, frames):
    samples = prepared / "prepared" / "ipn" / "samples.parquet"
    packs = Packs(samples, shard_frames)
    assert (list(packs.frames), len(packs), packs.media) == (frames, len(frames), 6)
    items = [item for number in range(len(packs)) for item in packs.pack(number).items]
    assert items == media_items(samples)
    assert str(packs.pack(0)) == "shard 0"
