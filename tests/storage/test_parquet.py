from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import DataError
from pgc_data.resources import schema_files
from pgc_data.storage import parquet
from pgc_data.storage.parquet import TableWriter, read_table, table_of, write_table
from pgc_data.storage.schemas import (
    arrow_schema,
    read_metadata,
    table_schema,
    upgraded,
    with_metadata,
)

# The other files of schemas/ describe features.
TABLES = sorted(p.stem for p in schema_files("*.json") if "columns" in json.loads(p.read_text()))
SCHEMA = pa.schema([("n", pa.int64()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])


def rows(count, size=100):
    images = [{"bytes": bytes([n % 256]) * (size + n % 7), "path": str(n)} for n in range(count)]
    return pa.table({"n": list(range(count)), "image": images}, schema=SCHEMA)


@pytest.mark.parametrize("name", TABLES)
def test_every_declared_table_has_a_schema_and_says_what_its_columns_hold(name):
    declared = table_schema(name)
    assert declared.name == name
    assert arrow_schema(name, T=16, F=147).names == [c.name for c in declared.columns]
    assert all(c.description for c in declared.columns)


@pytest.mark.parametrize("batch", [1, 7, 1000, 5000])
def test_equal_rows_give_equal_bytes_however_they_come(tmp_path, batch):
    table = rows(2500)
    with TableWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        for start in range(0, table.num_rows, batch):
            writer.write(table.slice(start, batch))
    whole = tmp_path / "b.parquet"
    with TableWriter(whole, SCHEMA) as writer:
        writer.write(table)
    assert hashlib.sha256((tmp_path / "a.parquet").read_bytes()).digest() == (
        hashlib.sha256(whole.read_bytes()).digest()
    )
    assert pq.read_table(whole).equals(table)


def test_row_groups_end_by_rows_and_by_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 50_000)
    with TableWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        writer.write(rows(1500, size=0))
        writer.write(rows(200, size=1000))
    file = pq.ParquetFile(tmp_path / "a.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert sizes[0] == 1000
    assert all(size < 1000 for size in sizes[1:])
    assert len(sizes) >= 5


def test_images_are_stored_plain_and_numbers_compressed(tmp_path):
    with TableWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        writer.write(rows(10))
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert found["image.bytes"].compression == "UNCOMPRESSED"
    assert not found["image.bytes"].has_dictionary_page
    assert found["n"].compression == "ZSTD"
    assert found["n"].has_offset_index


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), TableWriter(tmp_path / "a.parquet", SCHEMA) as writer:
        writer.write(rows(10))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_empty_table_is_a_file(tmp_path):
    assert write_table(tmp_path / "l.parquet", table_of("ledger", []), "ledger", {}) == 0
    assert read_table(tmp_path / "l.parquet", "ledger").num_rows == 0


def test_fixed_size_lists_come_back(tmp_path):
    hand = {
        "media": "m", "frame": 1, "timestamp_s": 0.0, "hand_index": 0, "track_id": 0, "score": 0.5,
        "box": [1, 2, 3, 4], "image_width": 4, "image_height": 3, "backend": "x",
        "landmarks": np.arange(63).reshape(21, 3).tolist(),
    }  # fmt: skip
    write_table(tmp_path / "h.parquet", table_of("hands", [hand]), "hands", {"source": "s"})
    found = read_table(tmp_path / "h.parquet", "hands")
    assert found["landmarks"].to_pylist() == [np.arange(63).reshape(21, 3).tolist()]
    assert read_metadata(found.schema)["source"] == "s"


def write_other(path, schema):
    pq.write_table(pa.Table.from_pylist([], schema=schema), path)


def test_foreign_older_and_broken_files_are_one_clear_error(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(DataError, match="is missing"):
        read_table(path, "splits")
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_table(path, "splits")
    good = arrow_schema("splits")
    write_other(path, good.remove(0))
    with pytest.raises(DataError, match="has no column 'group_id'"):
        read_table(path, "splits")
    write_other(path, good.set(0, pa.field("group_id", pa.int64())))
    with pytest.raises(DataError, match="column 'group_id' is int64, expected string"):
        read_table(path, "splits")
    write_other(path, with_metadata(good, "splits", {"schema_version": 9}))
    with pytest.raises(
        DataError, match="holds splits in version 9, this pgc-data reads version 1 and older: upgrade"
    ):
        read_table(path, "splits")


def test_a_foreign_table_without_sizes_is_named(tmp_path):
    pq.write_table(pa.table({"features": [[[1.0]]]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"does not say its size '[TF]': it is not a table of windows"):
        read_table(tmp_path / "x.parquet", "windows")


def test_a_table_of_an_older_version_is_read_with_nulls_for_what_it_had_not(tmp_path):
    path = tmp_path / "crops.parquet"
    old = arrow_schema("crops").remove(arrow_schema("crops").get_field_index("timestamp_s"))
    write_other(path, with_metadata(old, "crops", {"schema_version": 1}))
    found = upgraded(read_table(path, "crops"), "crops")
    assert found.schema.names == arrow_schema("crops").names
    assert found.schema.types == arrow_schema("crops").types
    assert [c.name for c in table_schema("crops").columns if c.since > 1] == ["timestamp_s"]
    write_other(path, with_metadata(old, "crops", {}))
    with pytest.raises(DataError, match="has no column 'timestamp_s'"):
        read_table(path, "crops")
