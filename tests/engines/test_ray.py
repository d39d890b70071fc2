"""Ray: a real cluster of two nodes on this machine, of which one is removed."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest
from engines import work

import pgc_data.engines.ray as engine
from pgc_data.engines import map_shards
from pgc_data.errors import ConfigError, DataError

TESTS = str(Path(__file__).parents[1])
NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'pgc-data\[ray\]'"):
        list(map_shards(work.square, [1], engine="ray"))


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each; `PYTHONPATH` lets their workers find the functions of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", TESTS)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster_utils = pytest.importorskip("ray.cluster_utils")
        made = cluster_utils.Cluster(initialize_head=True, head_node_args=NODE)
        made.add_node(**NODE)
        yield made
        made.shutdown()


@pytest.fixture
def on_cluster(cluster):
    """`map_shards` on that cluster."""

    def call(function, shards, workers=2, initialize=None, arguments=()):
        return map_shards(function, shards, workers, initialize, arguments, "ray", cluster.address)

    return call


@pytest.mark.slow
def test_shards_run_in_initialised_workers_of_all_nodes(on_cluster):
    handler = signal.getsignal(signal.SIGTERM)
    with closing(on_cluster(work.square, range(5), 2, work.begin, (100,))) as results:
        found = [next(results)]
        assert signal.getsignal(signal.SIGTERM) is handler
        found += results
    assert sorted(found) == [100, 101, 104, 109, 116]
    # As many as the cluster has cores.
    assert len(set(on_cluster(work.process, range(12), None))) == 2
    assert list(on_cluster(work.square, [])) == []


@pytest.mark.slow
def test_few_shards_are_on_their_way_at_once(on_cluster):
    made = []

    def shards():
        for number in range(1000):
            made.append(number)
            yield number

    with closing(on_cluster(work.process, shards())) as results:
        next(results)
    assert len(made) < 10


@pytest.mark.slow
def test_a_node_that_goes_away_costs_the_shards_in_flight(cluster, on_cluster, tmp_path):
    shards = [(str(tmp_path), number) for number in range(20)]
    node = cluster.add_node(**NODE)
    with closing(on_cluster(work.slow_and_noted, shards, 3)) as results:
        found = [next(results) for _ in range(6)]
        cluster.remove_node(node)
        found += results
    assert sorted(found) == list(range(20))
    noted = [path.name.split("-") for path in tmp_path.iterdir()]
    assert len({process for _, process in noted}) >= 3
    assert 20 <= len(noted) <= 22


@pytest.mark.slow
def test_what_kills_its_worker_is_left_out_as_it_is_locally(on_cluster, tmp_path):
    shards = [["fine"], ["fine", "poison", "fine"], [str(tmp_path / "once"), "fine"]]
    found = sorted(on_cluster(work.items, shards), key=len)
    assert found == [["done"], ["done", "done"], ["done", "crashed", "done"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "initialize", "message"),
    [(work.fail_at_one, None, "shard 1 cannot be read"), (work.square, work.refuse, "no model")],
)
def test_errors_come_as_they_were_raised(on_cluster, function, initialize, message):
    with pytest.raises(DataError) as caught:
        list(on_cluster(function, [1, 1], 2, initialize))
    assert str(caught.value) == message


@pytest.mark.slow
def test_a_shard_that_takes_its_ray_worker_along_each_time_is_given_up(on_cluster):
    with pytest.raises(DataError, match=r"7 lost its Ray worker 5 times"):
        list(on_cluster(work.kill_owner, [7]))


@pytest.mark.slow
def test_another_version_on_a_node_is_refused(on_cluster, monkeypatch):
    monkeypatch.setattr(engine, "__version__", "0.0.0")
    with pytest.raises(
        DataError, match=r"a node of the cluster has pgc-data .*, this one 0\.0\.0: install the same"
    ):
        list(on_cluster(work.square, [7]))


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run(on_cluster, monkeypatch):
    monkeypatch.setattr(engine, "_Actor", work.Broken)
    with pytest.raises(
        DataError, match=r"die as they start \(.*no module named pgc_data\): is pgc-data installed"
    ):
        list(on_cluster(work.square, [7]))


@pytest.mark.slow
def test_an_address_without_a_cluster_is_a_wrong_call():
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match=r"no Ray at 127\.0\.0\.1:1: .*check --ray-address"):
        list(map_shards(work.square, [1], engine="ray", address="127.0.0.1:1"))
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
