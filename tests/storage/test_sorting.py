import numpy as np
import pyarrow as pa
import pytest

from pgc_data.storage.sorting import SortedRows

SCHEMA = pa.schema([("n", pa.int64()), ("image", pa.struct([("bytes", pa.binary())]))])


def rows(numbers):
    return pa.table(
        {"n": numbers, "image": [{"bytes": bytes([n % 256]) * 50} for n in numbers]}, schema=SCHEMA
    )


@pytest.mark.parametrize("memory", [100, 3_000, 1 << 20])
def test_rows_come_back_by_place(tmp_path, memory):
    order = np.random.default_rng(0).permutation(200)
    found = SortedRows(tmp_path / "rows", SCHEMA, memory)
    for part in np.array_split(order, 13):
        found.add(rows(part.tolist()), part)
    found.seal("mark", {})
    assert found.read(0, 200).column("n").to_pylist() == list(range(200))
    assert found.read(37, 113) == rows(list(range(37, 113)))
    assert found.read(50, 50).num_rows == 0
    assert found.is_kept == (memory < 1 << 20)
    found.clear()
    assert not (tmp_path / "rows").exists()


def test_a_later_run_finds_them_under_the_same_mark_only(tmp_path):
    first = SortedRows(tmp_path, SCHEMA, 100)
    for place in (2, 0, 1):
        first.add(rows([place]), np.array([place]))
    assert SortedRows.sealed(tmp_path, SCHEMA, "m") is None
    first.seal("m", {"dropped": 4})
    again, facts = SortedRows.sealed(tmp_path, SCHEMA, "m")
    assert (again.read(0, 3).column("n").to_pylist(), facts) == ([0, 1, 2], {"dropped": 4})
    assert SortedRows.sealed(tmp_path, SCHEMA, "other") is None
    next(tmp_path.glob("*.arrow")).unlink()
    assert SortedRows.sealed(tmp_path, SCHEMA, "m") is None


def test_no_rows_are_an_empty_table(tmp_path):
    found = SortedRows(tmp_path, SCHEMA)
    found.seal("m", {})
    assert found.read(0, 10) == SCHEMA.empty_table()
