"""The whole flow on drawn hands with real MediaPipe, as `make demo` runs it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from pgc_data.stages import audit, extract, prepare, synthesize, to_parquet

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("end-to-end")]
SOURCE = "ipn-synthetic"


def extract_config(workspace, **settings):
    return extract.ExtractConfig(
        workspace=workspace, dataset=SOURCE, **{"shard_frames": 500, "workers": 2, **settings}
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Four drawn people through every stage; the summaries of the stages by name."""
    root = tmp_path_factory.mktemp("demo")
    config = synthesize.SynthesizeConfig(workspace=root, dataset="ipn", subjects=4, workers=2)
    done = {"workspace": root, "synthesize": synthesize.run(config)}
    done["prepare"] = prepare.run(prepare.PrepareConfig(workspace=root, dataset="ipn", name=SOURCE))
    done["extract"] = extract.run(extract_config(root))
    common = {"workspace": root, "datasets": (SOURCE,), "name": "demo"}
    to_parquet.run(to_parquet.ToParquetConfig(**common, vocabulary="pointing"))
    done["to-parquet"] = to_parquet.run(
        to_parquet.ToParquetConfig(**common, vocabulary="maestro10", table=("windows",))
    )
    done["audit"] = audit.run(audit.AuditConfig(workspace=root, path="demo"))
    return done


def table(demo, *parts):
    return pl.read_parquet(demo["workspace"].joinpath(*parts))


def test_every_frame_and_every_hand_is_accounted_for(demo):
    counts, drawn = demo["extract"].counts, demo["synthesize"]
    assert counts["frames"] == drawn.frames
    assert (
        counts["frames"]
        == counts["with_hand"] + counts["without_hand"] + counts["missing"] + counts["undecodable"]
    )
    assert (counts["missing"], counts["undecodable"]) == (0, 0)
    hands = table(demo, "extracted", SOURCE, "hands-*.parquet")
    assert hands.height == counts["hands"]
    crops = demo["to-parquet"].tables["crops"]
    assert sum(crops["rows"].values()) == counts["hands"] - sum(d["count"] for d in crops["dropped"])
    assert table(demo, "parquet", "demo", "crops", "*.parquet").height == sum(crops["rows"].values())


def test_the_hand_is_found_where_one_is_shown_and_nearly_nowhere_else(demo):
    joints = table(demo, "raw", SOURCE, "joints.parquet").with_columns(media="frames/" + pl.col("video"))
    frames = joints.join(table(demo, "extracted", SOURCE, "frames-*.parquet"), on=["media", "frame"])
    assert frames.height == joints.height
    shown = frames.filter(pl.col("visible"))
    assert (shown["hands"] > 0).mean() >= 0.97
    points = frames["joints"].to_numpy()[:, :, :2]
    absent = frames.filter(~((points > 0) & (points < 1)).all(axis=2).any(axis=1))
    assert absent.height > 20
    assert (absent["hands"] > 0).mean() < 0.05


def test_landmarks_lie_on_the_true_joints_for_every_gesture(demo):
    joints = table(demo, "raw", SOURCE, "joints.parquet").with_columns(media="frames/" + pl.col("video"))
    hands = table(demo, "extracted", SOURCE, "hands-*.parquet")
    both = joints.filter(pl.col("visible")).join(hands, on=["media", "frame"])
    size = both.select("image_width", "image_height").to_numpy()[:, None, :]
    error = (both["joints"].to_numpy() - both["landmarks"].to_numpy())[:, :, :2] * size
    per_palm = np.linalg.norm(error, axis=2).mean(axis=1) / both["palm_px"].to_numpy()
    by_label = (
        both.select("label")
        .with_columns(error=pl.Series(per_palm))
        .group_by("label")
        .agg(pl.col("error").mean())
    )
    assert by_label.height == 14
    assert by_label["error"].max() < 0.10, by_label.sort("error")


def test_handedness_names_the_anatomical_hand_of_an_unmirrored_image(demo):
    joints = table(demo, "raw", SOURCE, "joints.parquet").with_columns(media="frames/" + pl.col("video"))
    hands = table(demo, "extracted", SOURCE, "hands-*.parquet")
    both = joints.filter(pl.col("visible")).join(hands, on=["media", "frame"], suffix="_found")
    assert both["handedness"].n_unique() == 2
    assert (both["handedness"] == both["handedness_found"]).mean() > 0.95


def test_swipes_move_the_way_their_name_says(demo):
    """Images are not mirrored: the subject's left is towards larger x."""
    windows = table(demo, "parquet", "demo", "windows", "*.parquet")
    travel = {}
    for label, axis in (("left", 0), ("right", 0), ("up", 1), ("down", 1)):
        rows = windows.filter(pl.col("label") == f"swiping_{label}")["features"].to_numpy()
        travel[label] = np.median(rows[:, :, 144 + axis].sum(axis=1))
    assert travel["left"] > 0 > travel["right"]
    assert travel["down"] > 0 > travel["up"]


def test_no_subject_lies_in_two_splits_and_the_audit_says_so(demo):
    for kind in ("crops", "windows"):
        rows = table(demo, "parquet", "demo", kind, "*.parquet")
        assert rows.group_by("subject_id").agg(pl.col("split").n_unique())["split"].max() == 1
        assert set(rows["split"]) == {"train", "val", "test"}
    assert demo["audit"].exit_code == 0
    report = json.loads((demo["workspace"] / "parquet" / "demo" / "audit" / "audit.json").read_text())
    assert report["verdict"] in {"clean", "warning"}


def test_a_split_that_leaks_is_found_out(demo, tmp_path):
    rows = table(demo, "parquet", "demo", "crops", "train-*.parquet")
    folder = tmp_path / "leaky" / "crops"
    folder.mkdir(parents=True)
    schema = pq.read_schema(next((demo["workspace"] / "parquet/demo/crops").glob("*.parquet")))
    for split, keep in (("train", pl.col("frame") % 5 > 0), ("val", pl.col("frame") % 5 == 0)):
        part = (
            rows.filter(keep).with_columns(split=pl.lit(split)).to_arrow().select(schema.names).cast(schema)
        )
        pq.write_table(part, folder / f"{split}-00000-of-00001.parquet")
    found = audit.run(audit.AuditConfig(workspace=tmp_path, path=str(tmp_path / "leaky")))
    assert found.exit_code == 1
    assert {"group_overlap", "subject_overlap", "adjacent_frames"} <= {f.kind for f in found.audit.findings}


def test_datasets_polars_duckdb_and_pandas_read_the_same_files(demo, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    folder = demo["workspace"] / "parquet" / "demo"
    expected = demo["to-parquet"].tables["crops"]["rows"]
    loaded = datasets.load_dataset(str(folder / "crops"), cache_dir=str(tmp_path / "cache"))
    assert {split: d.num_rows for split, d in loaded.items()} == {
        "train": expected["train"], "validation": expected["val"], "test": expected["test"],
    }  # fmt: skip
    row = loaded["train"][0]
    assert row["image"].size == (row["width"], row["height"])
    assert loaded["train"].features["class_id"].names == ["not_pointing", "pointing"]
    assert loaded["train"].features["class_id"].int2str(row["class_id"]) == row["label"]
    by_card = datasets.load_dataset(str(folder), "windows", cache_dir=str(tmp_path / "cache"))
    assert np.asarray(by_card["train"][0]["features"]).shape == (16, 147)

    files = str(folder / "crops" / "*.parquet")
    total = sum(expected.values())
    assert pl.scan_parquet(files).select(pl.len()).collect().item() == total
    counted = duckdb.sql(f"select count(*), count(distinct image.bytes) > 1 from '{files}'").fetchall()
    assert counted == [(total, True)]
    frame = pd.read_parquet(folder / "crops")
    assert len(frame) == total
    assert frame["image"][0]["bytes"].startswith(b"\x89PNG")


def hashes(folder, pattern="*.parquet"):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob(pattern)
    }


def flow(root, workers):
    synthesize.run(
        synthesize.SynthesizeConfig(workspace=root, dataset="ipn", subjects=2, seed=3, workers=workers)
    )
    prepare.run(prepare.PrepareConfig(workspace=root, dataset="ipn", name=SOURCE))
    extract.run(extract_config(root, workers=workers))
    for vocabulary, kind in (("pointing", "crops"), ("maestro10", "windows")):
        to_parquet.run(
            to_parquet.ToParquetConfig(
                workspace=root, datasets=(SOURCE,), name="demo", vocabulary=vocabulary, table=(kind,)
            )
        )
    return hashes(root)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One uninterrupted run with two workers, and the sha256 of every Parquet file it wrote."""
    root = tmp_path_factory.mktemp("whole")
    return root, flow(root, workers=2)


def test_one_worker_gives_the_bytes_of_two(whole, tmp_path):
    assert flow(tmp_path, workers=1) == whole[1]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_killed_half_way_and_started_again_the_bytes_are_the_same(whole, tmp_path):
    root, _ = whole
    for name in ("raw", "prepared"):
        (tmp_path / name).symlink_to(root / name)
    command = [sys.executable, "-m", "pgc_data", "extract", SOURCE, "--workspace", str(tmp_path),
               "--shard-frames", "500", "--workers", "1"]  # fmt: skip
    folder = tmp_path / "extracted" / SOURCE
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    until(lambda: list(folder.glob("stats-*.json")) or process.poll() is not None)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(folder.glob("stats-*.json"))) == 1
    assert not (folder / "summary.json").exists()
    until(lambda: not running_below(process.pid))
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 of 2 shards worked on, 1 were done already" in again.stdout
    assert "W0000" not in again.stderr + again.stdout
    assert hashes(folder) == hashes(root / "extracted" / SOURCE)


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def running_below(session):
    """Processes of a session that are still there: workers must not outlive their coordinator."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return [line for line in found.stdout.split() if Path(f"/proc/{line}").exists() or os.name != "posix"]
