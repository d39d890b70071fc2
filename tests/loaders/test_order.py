from __future__ import annotations

import itertools

import numpy as np
import pytest

from pgc_data.errors import ConfigError
from pgc_data.loaders.order import Order

SIZES = (100, 70, 100, 1, 99, 100, 30, 100, 64, 100)
TOTAL = sum(SIZES)
GROUP_OF = np.repeat(np.arange(len(SIZES)), SIZES)


def batches(order, kind, workers=1, epoch=0, first=0):
    """The batches of one rank, as a DataLoader takes them: of one worker after the other."""
    made = []
    for worker in range(workers):
        # A DataLoader begins with its worker 0, which stands for the one whose turn it is.
        number = (worker + first) % workers
        if kind == "grouped":
            made.append(list(order.grouped(SIZES, epoch, first, number, workers)))
        else:
            made.append(list(order.permuted(TOTAL, epoch, first, number, workers)))
    turns = itertools.chain.from_iterable(itertools.zip_longest(*made))
    return [picked for picked in turns if picked is not None]


def rows_of(found):
    return np.concatenate([picked.rows for picked in found]) if found else np.empty(0, int)


@pytest.mark.parametrize("kind", ["grouped", "permuted"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 250, 10_000])
def test_every_row_comes_once(kind, shuffle, workers, world, batch_size):
    found = []
    for rank in range(world):
        order = Order(batch_size, shuffle, seed=1, rank=rank, world_size=world, buffer_groups=4)
        own = batches(order, kind, workers)
        assert len(own) == order.batches(TOTAL)
        assert {len(picked.rows) for picked in own[:-1]} <= {batch_size}
        found.append(rows_of(own))
    assert np.sort(np.concatenate(found)).tolist() == list(range(TOTAL))
    if not shuffle:
        assert np.concatenate(found).tolist() == list(range(TOTAL))


@pytest.mark.parametrize("kind", ["grouped", "permuted"])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(("world", "batch_size"), [(1, 32), (3, 10), (7, 64)])
def test_with_drop_last_every_rank_has_as_many_full_batches(kind, workers, world, batch_size):
    counts, seen = set(), []
    for rank in range(world):
        order = Order(batch_size, True, drop_last=True, rank=rank, world_size=world, buffer_groups=3)
        own = batches(order, kind, workers)
        counts.add((len(own), order.batches(TOTAL)))
        assert {len(picked.rows) for picked in own} == {batch_size}
        seen.append(rows_of(own))
    ((count, said),) = counts
    assert count == said == TOTAL // (world * batch_size)
    assert len(np.unique(np.concatenate(seen))) == count * world * batch_size


@pytest.mark.parametrize("kind", ["grouped", "permuted"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_pass_is_gone_on_with_at_any_batch(kind, shuffle, workers, drop_last):
    order = Order(32, shuffle, seed=3, drop_last=drop_last, rank=1, world_size=2, buffer_groups=4)
    whole = [picked.rows.tolist() for picked in batches(order, kind, workers, epoch=2)]
    for first in range(len(whole) + 1):
        rest = [picked.rows.tolist() for picked in batches(order, kind, workers, epoch=2, first=first)]
        assert rest == whole[first:]


@pytest.mark.parametrize("kind", ["grouped", "permuted"])
def test_the_order_goes_by_seed_and_epoch(kind):
    def first(seed, epoch):
        return rows_of(batches(Order(32, True, seed=seed, buffer_groups=4), kind, epoch=epoch)).tolist()

    orders = [first(0, 0), first(0, 1), first(1, 0), first(1, 1)]
    assert first(0, 1) == orders[1]
    assert all(a != b for a, b in itertools.combinations(orders, 2))


def test_unshuffled_rows_do_not_depend_on_workers():
    order = Order(7)
    one, three = batches(order, "grouped"), batches(order, "grouped", workers=3)
    assert [p.rows.tolist() for p in one] == [p.rows.tolist() for p in three]


def test_a_batch_has_rows_of_as_many_groups_as_are_mixed():
    sizes = [1000] * 100
    groups = np.repeat(np.arange(100), 1000)
    found = list(Order(256, True, buffer_groups=32).grouped(sizes, 0))
    shares = [np.bincount(groups[picked.rows], minlength=100) for picked in found]
    # Of 32 groups 256 draws leave out none or one or two; no group has a quarter of a batch.
    assert min((share > 0).sum() for share in shares) >= 28
    assert max(share.max() for share in shares) < 32
    # From the first batch to the last, and not more than a batch that reaches into the next step.
    assert max((share > 0).sum() for share in shares) <= 33


def test_as_many_groups_are_held_as_are_mixed_and_read_ahead():
    sizes = [1000] * 50
    for picked in Order(256, True, buffer_groups=8).grouped(sizes, 0):
        needed = set((picked.rows // 1000).tolist())
        assert needed <= set(picked.groups)
        assert len(picked.groups) <= 8 + 3
    for picked in Order(256).grouped(sizes, 0):
        assert set((picked.rows // 1000).tolist()) <= set(picked.groups)
        assert len(picked.groups) <= 4


def test_rows_fall_evenly():
    """Where a row stands in an epoch says nothing of its group: each is spread over its stay."""
    sizes = [200] * 40
    places = np.zeros(8000)
    for epoch in range(60):
        rows = rows_of(list(Order(100, True, buffer_groups=40).grouped(sizes, epoch)))
        places[rows] += np.arange(8000)
    mean = places.reshape(40, 200).mean(axis=1) / 60
    # The mean of 12,000 evenly distributed places lies within 4 standard errors of the middle.
    assert abs(mean - 4000).max() < 4 * 8000 / np.sqrt(12 * 12_000)


def test_workers_share_out_row_groups():
    order = Order(10, True, seed=2)
    held = [
        {g for picked in order.grouped([100] * 40, 0, 0, worker, 4) for g in (picked.rows // 100).tolist()}
        for worker in range(4)
    ]
    assert all(len(a & b) <= 1 for a, b in itertools.combinations(held, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 is too small"),
        ({"batch_size": 1, "seed": -1}, "seed=-1"),
        ({"batch_size": 1, "buffer_groups": 0}, "buffer_groups=0"),
        ({"batch_size": 1, "world_size": 0}, "world_size=0"),
        ({"batch_size": 1, "rank": 2, "world_size": 2}, "rank=2 is none of the 2 ranks"),
    ],
)
def test_numbers_out_of_range_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Order(**given)


@pytest.mark.parametrize("sizes", [[], [0], [5]])
def test_few_rows(sizes):
    for shuffle in (False, True):
        found = list(Order(3, shuffle).grouped(sizes, 0))
        assert sorted(rows_of(found).tolist()) == list(range(sum(sizes)))
