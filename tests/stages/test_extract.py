from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from factories import drawn_hand

from pgc_data.engines import Attempt, cores
from pgc_data.errors import ConfigError, DataError
from pgc_data.hands.media_items import media_items
from pgc_data.hands.model_file import ModelFile
from pgc_data.hands.types import Body, Found
from pgc_data.stages import extract, networks, prepare, rehearsal, shards
from pgc_data.stages.extract import ExtractConfig
from pgc_data.storage.parquet import table_of, write_table


def run(workspace, **settings):
    return extract.run(ExtractConfig(workspace=workspace, dataset="ipn", **{"shard_frames": 200, **settings}))


def table(workspace, name):
    return pl.read_parquet(workspace / "extracted" / "ipn" / f"{name}-*.parquet")


def files(workspace):
    folder = workspace / "extracted" / "ipn"
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")}


def test_frames_and_hands_are_written_and_counted(prepared, recorded):
    summary = run(prepared)
    assert (summary.shards, summary.worked) == (3, 3)
    assert summary.counts == {
        "frames": 600, "decoded": 600, "missing": 0, "undecodable": 0, "with_hand": 600, "without_hand": 0,
        "hands": 600, "crops": 600,
    }  # fmt: skip
    hands = table(prepared, "hands")
    assert hands.height == 600
    assert hands["track_id"].unique().to_list() == [0]
    first = hands.row(0, named=True)
    crop = cv2.imdecode(np.frombuffer(first["crop"], np.uint8), 1)
    assert crop.shape[:2] == (first["crop_box"][3], first["crop_box"][2])
    assert len(first["phash"]) == 16


def test_conservation_with_every_kind_of_frame(prepared, recorded):
    folder = prepared / "raw" / "ipn" / "frames" / "1CM1_0_R_#0"
    (folder / "1CM1_0_R_#0_000010.jpg").unlink()
    (folder / "1CM1_0_R_#0_000011.jpg").unlink()
    (folder / "1CM1_0_R_#0_000050.jpg").write_bytes(b"")
    far = replace(drawn_hand(), box=(900.0, 900.0, 5.0, 5.0))
    recorded.hands = lambda image, t: (
        [] if image.mean() < 20 else [drawn_hand(t), far] if image.mean() > 90 else [far]
    )
    counts = run(prepared).counts
    assert (
        counts["frames"]
        == 600
        == counts["with_hand"] + counts["without_hand"] + counts["missing"] + counts["undecodable"]
    )
    assert (counts["missing"], counts["undecodable"]) == (2, 1)
    frames, hands = table(prepared, "frames"), table(prepared, "hands")
    assert frames.height == 600
    assert hands.height == counts["hands"] == frames["hands"].sum()
    assert hands["crop"].count() == counts["crops"] < counts["hands"]
    ledger = pl.read_parquet(prepared / "extracted" / "ipn" / "ledger.parquet")
    assert ledger.select("item", "reason", "count").rows() == [
        ("frames/1CM1_0_R_#0:10-11", "missing", 2), ("frames/1CM1_0_R_#0:50-50", "undecodable", 1),
    ]  # fmt: skip


def test_a_frame_that_goes_missing_from_a_shard_is_caught(prepared, recorded):
    run(prepared)
    stats = prepared / "extracted" / "ipn" / "stats-00001.json"
    found = json.loads(stats.read_text())
    found["counts"]["without_hand"] -= 1
    stats.write_text(json.dumps(found))
    with pytest.raises(DataError, match=r"shard 1 .* should hold 200 frames"):
        run(prepared)


def test_a_second_run_redoes_nothing(prepared, recorded):
    run(prepared)
    before = files(prepared)
    assert run(prepared).worked == 0
    assert recorded.shards == [0, 1, 2]
    assert files(prepared) == before


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(prepared, recorded, tmp_path):
    run(prepared)
    whole = files(prepared)
    folder = prepared / "extracted" / "ipn"
    (folder / "stats-00001.json").unlink()
    (folder / "hands-00001.parquet").write_bytes(b"half")
    (folder / "summary.json").unlink()
    assert run(prepared).worked == 1
    assert files(prepared) == whole


def test_other_settings_are_not_mixed_in(prepared, recorded):
    run(prepared)
    with pytest.raises(DataError, match=r"made with other settings \(margin: 0.2, now 0.5\): pass --restart"):
        run(prepared, margin=0.5)
    assert run(prepared, margin=0.5, restart=True).worked == 3
    assert run(prepared, margin=0.5, workers=7).worked == 0


def test_strict_stops_at_the_first_frame_that_cannot_be_decoded(prepared, recorded):
    (prepared / "raw" / "ipn" / "frames" / "1CM1_2_R_#2" / "1CM1_2_R_#2_000007.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1CM1_2_R_#2, frame 7 is undecodable: .*--strict"):
        run(prepared, strict=True)
    assert run(prepared).counts["undecodable"] == 1


def test_strict_fails_again_on_shards_that_were_done_before(prepared, recorded):
    (prepared / "raw" / "ipn" / "frames" / "1CM1_2_R_#2" / "1CM1_2_R_#2_000007.jpg").write_bytes(b"x")
    run(prepared)
    with pytest.raises(DataError, match=r"frame 7 is undecodable: .*--strict"):
        run(prepared, strict=True)


def test_where_nothing_can_be_read_the_run_fails_and_says_how_to_go_on(prepared, recorded):
    for path in (prepared / "raw" / "ipn" / "frames").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"frame 1 is missing: .*all 600: mend, then pass --restart"):
        run(prepared)


def test_a_run_that_never_began_leaves_its_settings_behind_in_peace(prepared, recorded, monkeypatch):
    def fail(*_):
        raise DataError("MediaPipe cannot use the hand model")

    with monkeypatch.context() as patch, pytest.raises(DataError, match="cannot use"):
        patch.setattr(extract, "_work", fail)
        run(prepared, margin=0.5)
    assert run(prepared).worked == 3


@pytest.mark.parametrize("content", ["{}", "[]", "null", "{", '{"counts": 3, "bytes": {}}'])
def test_stats_that_are_not_ours_mean_the_shard_is_done_again(prepared, recorded, content):
    run(prepared)
    whole = files(prepared)
    (prepared / "extracted" / "ipn" / "stats-00001.json").write_text(content)
    assert run(prepared).worked == 1
    assert files(prepared) == whole


def test_a_shard_overwritten_with_another_is_done_again(prepared, recorded):
    (prepared / "raw" / "ipn" / "frames" / "1CM1_2_R_#2" / "1CM1_2_R_#2_000007.jpg").unlink()
    run(prepared)
    whole = files(prepared)
    (prepared / "extracted" / "ipn" / "hands-00000.parquet").write_bytes(whole["hands-00001.parquet"])
    assert run(prepared).worked == 1
    assert files(prepared) == whole


def test_clips_of_unknown_length_are_nothing_to_extract(tmp_path, recorded):
    raw = tmp_path / "raw" / "jester"
    raw.mkdir(parents=True)
    (raw / "jester-v1-train.csv").write_text("1;Swiping Left\n")
    prepare.run(prepare.PrepareConfig(workspace=tmp_path, dataset="jester", annotations_only=True))
    with pytest.raises(DataError, match="no frame of jester is known: get its images or clips"):
        extract.run(ExtractConfig(workspace=tmp_path, dataset="jester"))


def test_shards_hold_whole_videos_until_they_are_full(prepared, recorded):
    assert run(prepared, shard_frames=150).shards == 3
    videos = [
        set(pl.read_parquet(prepared / "extracted" / "ipn" / f"frames-{n:05d}.parquet")["media"])
        for n in range(3)
    ]
    assert [len(v) for v in videos] == [2, 2, 2]
    assert len(set.union(*videos)) == 6


@pytest.mark.parametrize(
    ("intervals", "merged"),
    [
        ([(1, 5), (6, 9)], ((1, 9),)),
        ([(1, 5), (8, 9)], ((1, 5), (8, 9))),
        ([(1, 9), (3, 5), (10, 12)], ((1, 12),)),
        ([(8, 9), (1, 5)], ((1, 5), (8, 9))),
    ],
)
def test_frames_wanted_twice_are_read_once(tmp_path, intervals, merged):
    rows = [
        {
            "dataset": "ipn",
            "sample_id": str(n),
            "media": "m",
            "media_kind": "frames",
            "frame_start": a,
            "frame_end": b,
        }
        for n, (a, b) in enumerate(intervals)
    ]
    write_table(tmp_path / "s.parquet", table_of("samples", rows), "samples", {})
    assert [item.intervals for item in media_items(tmp_path / "s.parquet")] == [merged]


def test_restart_begins_again_and_picks_up_mended_frames(prepared, recorded):
    frame = prepared / "raw" / "ipn" / "frames" / "1CM1_0_R_#0" / "1CM1_0_R_#0_000010.jpg"
    data = frame.read_bytes()
    frame.unlink()
    assert run(prepared).counts["missing"] == 1
    frame.write_bytes(data)
    assert run(prepared).counts["missing"] == 1
    again = run(prepared, restart=True)
    assert (again.worked, again.counts["missing"]) == (3, 0)


def test_a_shard_whose_table_is_gone_is_done_again(prepared, recorded):
    run(prepared)
    whole = files(prepared)
    (prepared / "extracted" / "ipn" / "hands-00001.parquet").unlink()
    assert run(prepared).worked == 1
    assert files(prepared) == whole


def test_other_labels_on_the_same_frames_need_no_new_extraction(prepared, recorded):
    run(prepared)
    annotation = prepared / "raw" / "ipn" / "Annot_List.txt"
    annotation.write_text(annotation.read_text().replace(",B0A,", ",B0B,"))
    prepare.run(prepare.PrepareConfig(workspace=prepared, dataset="ipn"))
    assert run(prepared).worked == 0
    annotation.write_text(annotation.read_text().replace(",61,90,", ",61,89,"))
    prepare.run(prepare.PrepareConfig(workspace=prepared, dataset="ipn"))
    with pytest.raises(DataError, match="media_sha256"):
        run(prepared)


def test_shards_of_another_library_version_are_not_mixed_in(prepared, recorded, monkeypatch):
    run(prepared)
    monkeypatch.setattr(networks, "version", lambda name: "0.0")
    with pytest.raises(DataError, match="libraries"):
        run(prepared)


def test_half_written_files_of_a_killed_run_are_swept(prepared, recorded):
    folder = prepared / "extracted" / "ipn"
    folder.mkdir(parents=True)
    (folder / ".hands-00001.parquet.tmp-123").write_bytes(b"half")
    run(prepared)
    assert not list(folder.glob(".*.tmp-*"))


def test_bad_calls_are_clear_errors(prepared, recorded, tmp_path):
    with pytest.raises(DataError, match="nowhere is not prepared"):
        extract.run(ExtractConfig(workspace=prepared, dataset="nowhere"))
    with pytest.raises(ConfigError, match="workers=0 is too small"):
        ExtractConfig(dataset="ipn", workers=0)
    (prepared / "raw" / "ipn").rename(prepared / "raw" / "moved")
    with pytest.raises(DataError, match=r"the raw folder .* is gone"):
        run(prepared)


@pytest.fixture
def rehearsed(recorded, monkeypatch, tmp_path):
    """Makes a dry run measure the recorded backend, in this process; set `.model` to what is at hand."""

    class Rehearsed:
        model = ModelFile(tmp_path / "m.task", "0" * 64, "recorded")

    def in_process(function, packs, workers, initialize, arguments):
        shards.set_up(*arguments)
        for pack in packs:
            yield function(pack, Attempt())

    (tmp_path / "m.task").touch()
    monkeypatch.setattr(networks, "model_at_hand", lambda bundle, given: Rehearsed.model)
    monkeypatch.setattr(rehearsal, "map_shards", in_process)
    return Rehearsed


def planned(workspace, **settings):
    config = ExtractConfig(workspace=workspace, dataset="ipn", workers=2, **{"shard_frames": 200, **settings})
    return extract.plan(config).work


def test_a_dry_run_measures_a_few_frames_and_writes_nothing(prepared, rehearsed):
    said = planned(prepared)
    assert said.startswith("600 of 600 frames of 6 media are still to do; roughly 0.0 minutes with 2 workers")
    found = re.search(
        r"\(measured on (\d+) frames in (\d+) places: [\d,]+ frames/s a worker, (\d) at work\)", said
    )
    frames, places, at_work = map(int, found.groups())
    assert frames == 16 * places > 100
    assert at_work == min(2, cores())
    assert not (prepared / "extracted").exists()


def test_a_dry_run_measures_what_is_still_to_do(prepared, rehearsed, recorded):
    run(prepared)
    assert planned(prepared) == "0 of 600 frames of 6 media are still to do"
    (prepared / "extracted" / "ipn" / "stats-00001.json").unlink()
    assert planned(prepared).startswith("200 of 600 frames of 6 media are still to do; roughly")
    assert planned(prepared, restart=True).startswith("600 of 600 frames")


def test_a_dry_run_says_why_it_cannot_measure(prepared, rehearsed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rehearsed, "model", None)
        assert planned(prepared).endswith("how long is not known yet, for the model is still to be fetched")
    with monkeypatch.context() as patch:
        patch.setattr(rehearsed, "model", ModelFile(prepared / "gone.task", "0" * 64, "gone"))
        assert re.search(
            "how long could not be measured: a worker cannot see the model .*gone.task", planned(prepared)
        )
    for path in (prepared / "raw" / "ipn" / "frames").rglob("*.jpg"):
        path.write_bytes(b"")
    assert planned(prepared).endswith("how long could not be measured: no frame that was tried can be read")


@pytest.mark.parametrize(
    ("media", "frames", "workers", "seconds"),
    [(10, 10, 1, 2.0), (10, 110, 1, 7.0), (10, 110, 2, 3.5)],
)
def test_an_estimate_counts_what_opening_a_clip_costs(media, frames, workers, seconds):
    measured = rehearsal.Rehearsal(media=2, opening_s=0.4, frames=20, frames_s=1.0, workers=1)
    assert measured.seconds(media, frames, workers) == pytest.approx(seconds)


@pytest.fixture
def bodies(recorded, monkeypatch, tmp_path):
    """Makes `--backend holistic` find one hand and a pose in every frame, in this process."""

    class Person:
        name = "holistic"

        def start(self, tracking):
            pass

        def find(self, image, timestamp_s):
            return Found([drawn_hand(timestamp_s)], Body(pose=np.full((33, 4), timestamp_s, np.float32)))

        def close(self):
            pass

    def make(*what):
        assert what == ("holistic", model, 2, 0.5)
        return Person()

    model = tmp_path / "h.task"
    model.touch()
    monkeypatch.setattr(extract, "make_backend", make)
    monkeypatch.setattr(networks, "find_holistic_model", lambda given: ModelFile(model, "1" * 64, "recorded"))


def test_bodies_are_extracted_with_a_model_and_settings_of_their_own(prepared, bodies):
    summary = run(prepared, backend="holistic")
    assert (summary.counts["bodies"], summary.counts["hands"]) == (600, 600)
    assert any("holistic model: " in line and "h.task" in line for line in summary.lines())
    assert any("600 frames with a pose, face or hand" in line for line in summary.lines())
    found = table(prepared, "holistic")
    assert found.height == 600
    assert found["pose"].dtype == pl.Array(pl.Float32, (33, 4))
    assert table(prepared, "hands")["backend"].unique().to_list() == ["holistic"]
    settings = json.loads((prepared / "extracted" / "ipn" / "settings.json").read_text())
    assert (settings["backend"], settings["config"]["hands"]) == ("holistic", 2)
    assert settings["holistic_model_sha256"] == "1" * 64
    assert "hand_model_sha256" not in settings
    assert run(prepared, backend="holistic").worked == 0


def test_hands_of_one_backend_are_not_mixed_with_those_of_another(prepared, recorded, bodies):
    run(prepared, backend="holistic")
    with pytest.raises(DataError, match=r"backend: 'holistic', now 'mediapipe'.*pass --restart"):
        run(prepared)
    recorded_settings = json.loads((prepared / "extracted" / "ipn" / "settings.json").read_text())
    assert recorded_settings["backend"] == "holistic"


def test_the_settings_of_hands_are_those_of_every_run_before(prepared, recorded):
    run(prepared)
    settings = json.loads((prepared / "extracted" / "ipn" / "settings.json").read_text())
    assert list(settings["config"]) == ["dataset", "hands", "confidence", "margin", "shard_frames"]
    assert (settings["backend"], settings["hand_model_sha256"]) == ("mediapipe", "0" * 64)
    assert settings["extraction_version"] == 2
    assert not {name for name in settings if "holistic" in name}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backend": "holistik"}, "did you mean 'holistic'"),
        ({"backend": "holistic", "hands": 1}, "hands=1 has no meaning for the backend holistic"),
        ({"backend": "holistic", "hand_model": Path("m.task")}, "hand-model=m.task has no meaning"),
        ({"holistic_model": Path("h.task")}, "holistic-model=h.task has no meaning for the backend mediapipe"),
    ],
)  # fmt: skip
def test_an_option_that_the_backend_does_not_use_is_a_wrong_call(given, message):
    with pytest.raises(ConfigError, match=message):
        ExtractConfig(dataset="ipn", **given)


def test_a_backend_that_is_not_installed_is_named(prepared, recorded, monkeypatch):
    def absent(name):
        if name == "ai-edge-litert":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(networks, "version", absent)
    with pytest.raises(ConfigError, match=r"direct needs ai-edge-litert: pip install 'pgc-data\[direct\]'"):
        run(prepared, backend="direct")
