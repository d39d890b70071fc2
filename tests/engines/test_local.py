"""Worker processes: real ones, with small work."""

from __future__ import annotations

import os
import time

import pytest

from pgc_data.engines import cores, map_shards
from pgc_data.errors import DataError

_base = 0


def begin(base):
    global _base
    _base = base


def square(number):
    return _base + number * number


def die(number):
    os._exit(3)


def fail(number):
    if number == 1:
        raise DataError("shard 1 cannot be read")
    time.sleep(60)


def test_every_shard_gives_its_result_in_initialised_workers():
    assert sorted(map_shards(square, [1, 2, 3], 2, begin, (100,))) == [101, 104, 109]
    assert list(map_shards(square, [], 2)) == []
    assert cores() >= 1


def test_a_worker_that_dies_is_a_clear_error():
    with pytest.raises(DataError, match=r"a worker process died .*run the same command again"):
        list(map_shards(die, [1], 1))


def test_the_first_error_ends_the_run_at_once():
    start = time.monotonic()
    with pytest.raises(DataError, match="shard 1"):
        list(map_shards(fail, [0, 1], 2))
    assert time.monotonic() - start < 30
