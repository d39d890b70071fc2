from __future__ import annotations

import json

import polars as pl
import pytest
from factories import annotate, frames

from pgc_data.datasets import DATASETS, ingester
from pgc_data.errors import DataError
from pgc_data.stages import prepare
from pgc_data.stages.prepare import PrepareConfig
from pgc_data.storage.parquet import read_table
from pgc_data.storage.schemas import read_metadata


def test_the_prepared_source_holds_samples_ledger_facts_and_chart(prepared):
    folder = prepared / "prepared" / "ipn"
    samples = read_table(folder / "samples.parquet", "samples")
    assert samples.num_rows == 24
    assert set(samples["official_split"].to_pylist()) == {"train", "test"}
    assert read_table(folder / "ledger.parquet", "ledger").num_rows == 0
    assert (folder / "class_balance.png").read_bytes().startswith(b"\x89PNG")
    source = json.loads((folder / "source.json").read_text())
    assert (source["raw"], source["licence"], source["synthetic"]) == ("raw/ipn", "CC BY 4.0", False)
    metadata = read_metadata(samples.schema)
    assert (metadata["schema"], metadata["licence"]) == ("samples", "CC BY 4.0")
    assert str(prepared) not in json.dumps(metadata)


def test_the_summary_counts_labels_and_vocabularies(prepared):
    summary = prepare.run(PrepareConfig(workspace=prepared, dataset="ipn"))
    assert (summary.samples, summary.subjects, summary.videos) == (24, 6, 6)
    assert summary.labels == {"D0X": (6, 120), "B0A": (6, 240), "G05": (6, 180), "G10": (6, 60)}
    assert summary.official_split == {"test": 4, "train": 20}
    assert summary.vocabularies["pointing"] == {"not_pointing": 240, "pointing": 240}
    assert summary.vocabularies["maestro10"]["swiping_left"] == 180


def test_rows_dropped_are_in_the_ledger_and_the_count_is_kept(tmp_path):
    raw = tmp_path / "raw" / "ipn"
    frames(raw, "1CM1_1_R_#1", 10)
    annotate(raw, ["1CM1_1_R_#1,B0A,2,1,5,5", "1CM1_1_R_#1,B0Z,2,6,9,4", "1CM1_1_R_#1,B0B,3,6,12,7"])
    summary = prepare.run(PrepareConfig(workspace=tmp_path, dataset="ipn"))
    assert (summary.rows_read, summary.samples) == (3, 2)
    assert (summary.dropped, summary.kept_though_odd) == ({"unknown_label": 1}, {"interval_past_end": 1})
    ledger = pl.read_parquet(tmp_path / "prepared" / "ipn" / "ledger.parquet")
    assert ledger.select("action", "reason", "line").rows() == [
        ("dropped", "unknown_label", 3), ("kept", "interval_past_end", 4),
    ]  # fmt: skip


def test_a_reader_that_loses_a_row_is_caught(tmp_path, monkeypatch):
    annotate(tmp_path / "raw" / "ipn", ["1CM1_1_R_#1,B0A,2,1,5,5", "1CM1_1_R_#1,B0B,3,6,9,4"])
    whole = ingester("ipn")

    def lossy(raw, annotations_only):
        found = whole(raw, annotations_only)
        return type(found)(found.samples.slice(1), found.ledger, found.rows_read)

    monkeypatch.setattr(prepare, "ingester", lambda name: lossy)
    with pytest.raises(DataError, match="a row went missing"):
        prepare.run(PrepareConfig(workspace=tmp_path, dataset="ipn", annotations_only=True))


def test_preparing_twice_gives_the_same_bytes(prepared):
    path = prepared / "prepared" / "ipn" / "samples.parquet"
    before = path.read_bytes()
    prepare.run(PrepareConfig(workspace=prepared, dataset="ipn"))
    assert path.read_bytes() == before


def test_a_raw_folder_elsewhere_is_named_absolutely(tmp_path):
    annotate(tmp_path / "elsewhere", ["1CM1_1_R_#1,B0A,2,1,5,5"])
    config = PrepareConfig(
        workspace=tmp_path / "w", dataset="ipn", raw=tmp_path / "elsewhere", annotations_only=True
    )
    prepare.run(config)
    source = json.loads((tmp_path / "w" / "prepared" / "ipn" / "source.json").read_text())
    assert source["raw"] == str(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_dataset_says_when_its_raw_folder_is_missing(tmp_path, name):
    with pytest.raises(DataError, match=r"no raw folder|cannot be read"):
        prepare.run(PrepareConfig(workspace=tmp_path, dataset=name))


def test_a_dry_run_writes_nothing(tmp_path):
    lines = prepare.plan(PrepareConfig(workspace=tmp_path, dataset="ipn")).lines()
    assert "nothing was written (--dry-run)" in lines
    assert list(tmp_path.iterdir()) == []
