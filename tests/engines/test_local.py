"""Worker processes: real ones, with small work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from engines import work

from pgc_data.engines import Attempt, cores, map_in_order, map_shards
from pgc_data.engines.attempts import Deaths, WorkerDied
from pgc_data.errors import DataError

TESTS = Path(__file__).parents[1]


def test_every_shard_gives_its_result_in_initialised_workers():
    assert sorted(map_shards(work.square, [1, 2, 3], 2, work.begin, (100,))) == [101, 104, 109]
    assert list(map_shards(work.square, [], 2)) == []
    assert cores() >= 1


def test_jobs_give_their_results_in_order():
    assert list(map_in_order(str, range(5), 2)) == ["0", "1", "2", "3", "4"]
    assert list(map_in_order(str, [], 2)) == []


def test_there_are_never_more_processes_than_cores():
    assert len(set(map_shards(work.process, range(2 * cores() + 2), 4 * cores()))) <= cores()


def test_a_worker_is_one_thread_and_leaves_ctrl_c_to_its_owner(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert list(map_shards(work.environment, [0], 1)) == [("1", True)]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_shards_are_made_only_when_a_worker_is_free():
    made = []

    def shards():
        for number in range(100):
            made.append(number)
            yield number

    with closing(map_shards(work.process, shards(), 1)) as results:
        next(results)
        assert len(made) < 10


@pytest.mark.parametrize(
    ("poisoned", "became"),
    [
        (["fine", "poison", "fine"], ["done", "crashed", "done"]),
        (["poison"], ["crashed"]),
        (["poison", "poison", "fine", "poison"], ["crashed", "crashed", "done", "crashed"]),
        (["fine", "ONCE", "fine"], ["done", "done", "done"]),
        (["ONCE", "poison"], ["done", "crashed"]),
    ],
)
def test_an_item_that_kills_its_worker_twice_is_left_out_and_the_pool_goes_on(tmp_path, poisoned, became):
    shard = [str(tmp_path / "once") if what == "ONCE" else what for what in poisoned]
    results = list(map_shards(work.items, [["fine"], shard, ["fine"] * 2], 2))
    assert sorted(results, key=str) == sorted([["done"], became, ["done"] * 2], key=str)


def test_what_is_opened_ahead_is_told_apart_by_a_careful_attempt():
    assert list(map_shards(work.ahead, [0], 1)) == [["done", "crashed", "done"]]


@pytest.mark.parametrize(
    ("function", "shards", "initialize", "message"),
    [
        (work.everywhere, ["FOLDER"], None, r"5 worker processes died over one shard.*exit status 4.*fewer --workers"),
        (work.items, [["poison"] * 20], None, r"8 media in a row each killed two worker processes.*SIGKILL"),
        (work.items, [["poison"]] * 20, None, r"8 media in a row each killed two worker processes.*SIGKILL"),
        (work.square, [1], work.die, r"die before they have begun \(exit status 3\)"),
        (work.square, [1], work.refuse, "no model"),
    ],
)  # fmt: skip
def test_what_is_no_fault_of_the_data_ends_the_run(tmp_path, function, shards, initialize, message):
    given = [str(tmp_path) if shard == "FOLDER" else shard for shard in shards]
    with pytest.raises(DataError, match=message):
        list(map_shards(function, given, 1, initialize))


def test_the_first_error_ends_the_run_at_once():
    start = time.monotonic()
    with pytest.raises(DataError, match="shard 1") as caught:
        list(map_shards(work.fail_at_one, [0, 1], 2))
    assert time.monotonic() - start < 30
    assert "in a worker process" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (work.odd_error, "UnportableError in a worker process: two arguments"),
        (work.unportable_result, "pickle"),
    ],
)
def test_what_cannot_cross_between_processes_is_an_error(function, message):
    with pytest.raises(Exception, match=message):
        list(map_shards(function, [1], 1))


def test_workers_end_when_the_iterator_is_closed():
    with closing(map_shards(work.process, range(100), 1)) as results:
        worker = next(results)
    assert _gone(worker)


def test_workers_do_not_outlive_a_run_that_is_killed():
    script = (
        "from engines import work\nfrom pgc_data.engines import map_shards\n"
        "if __name__ == '__main__':\n"
        "    for n in map_shards(work.process, range(1000), 1):\n        print(n, flush=True)"
    )
    path = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )
    worker = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert _gone(worker)


def _gone(process, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        # One that nobody has waited for yet is a zombie, and has ended as well.
        if Path(f"/proc/{process}/stat").exists() and (
            Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] == "Z"
        ):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("suspects", "causes"),
    [
        ([range(3, 4), range(3, 4)], [None, 3]),
        ([range(3, 4), range(5, 6), range(3, 4)], [None, None, 3]),
        ([range(2, 4), range(3, 4)], [None, 3]),
        ([range(2, 4), range(2, 4), range(2, 3)], [None, None, 2]),
        ([range(0)] * 4, [None] * 4),
    ],
)
def test_deaths_are_laid_at_one_item_only_when_it_alone_was_begun(suspects, causes):
    deaths = Deaths()
    assert [deaths.add(WorkerDied("SIGKILL", found)) for found in suspects] == causes
    assert deaths.crashed == {cause for cause in causes if cause is not None}


def test_an_attempt_knows_what_it_is_at():
    attempt = Attempt()
    assert list(attempt.suspects) == []
    attempt.begin(0)
    attempt.begin(1)
    assert list(attempt.suspects) == [0, 1]
    attempt.end(0)
    assert list(attempt.suspects) == [1]
