"""Groups that show the same picture: joined where they may be, else the picture is left out of one."""

from __future__ import annotations

import sys
import zlib
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pytest

from pgc_data.datasets.vocabularies import load_vocabulary
from pgc_data.errors import DataError
from pgc_data.hands.crops import encode_png, perceptual_hash
from pgc_data.similarity import pairs
from pgc_data.stages import to_parquet
from pgc_data.stages.to_parquet import ToParquetConfig
from pgc_data.storage.files import read_json, write_json
from pgc_data.storage.parquet import read_table, write_table
from pgc_data.storage.remote import temporary_folder
from pgc_data.storage.schemas import read_metadata
from pgc_data.storage.workspace import Workspace
from pgc_data.tables import alike
from pgc_data.tables.alike import join_alike_groups
from pgc_data.tables.inputs import open_sources

PEOPLE = [f"ipn:1CM1_{person}" for person in range(6)]


def picture(seed, side=64):
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def brighter(image):
    return cv2.convertScaleAbs(image, alpha=1.06, beta=3)


@pytest.fixture
def pictures(extracted):
    """Gives every hand a picture of its own; `show(person, frame, image)` another one."""
    folder = Workspace(extracted).extracted("ipn")

    def write(change):
        for path in sorted(folder.glob("hands-*.parquet")):
            hands = read_table(path, "hands")
            rows = hands.to_pylist()
            for row in rows:
                change(row)
            facts = read_metadata(hands.schema)
            write_table(path, type(hands).from_pylist(rows, schema=hands.schema), "hands", facts)
            stats = path.with_name(path.name.replace("hands", "stats")).with_suffix(".json")
            found = read_json(stats)
            found["bytes"]["hands"] = path.stat().st_size
            write_json(stats, found)

    def set_picture(row, image):
        row["crop"], row["phash"] = encode_png(image), perceptual_hash(image)

    write(lambda row: set_picture(row, picture(zlib.crc32(f"{row['media']} {row['frame']}".encode()))))

    def show(*what):
        wanted = {(person, frame): image for person, frame, image in what}

        def change(row):
            person = int(row["media"].split("#")[1])
            if (person, row["frame"]) in wanted:
                set_picture(row, wanted[person, row["frame"]])

        write(change)

    return show


def opened(workspace):
    return open_sources(Workspace(workspace), ["ipn"], load_vocabulary("pointing"))


def settings(**given):
    return replace(
        ToParquetConfig(datasets=("ipn",), vocabulary="pointing", name="d").split_settings, **given
    )


def joined(workspace, locks=(), **given):
    (source,), report = join_alike_groups(opened(workspace), settings(**given), locks)
    return source, report


def crops(workspace, name="d", **given):
    config = ToParquetConfig(
        workspace=workspace, datasets=("ipn",), vocabulary="pointing", name=name, **given
    )
    table = to_parquet.run(config).tables["crops"]
    return table, pl.read_parquet(workspace / "parquet" / name / "crops" / "*.parquet")


def test_nothing_alike_changes_nothing(extracted, pictures):
    source, report = joined(extracted)
    assert (report.hands, report.pairs, report.groups, report.dropped, report.unmet) == (600, 0, 0, 0, ())
    assert sorted(source.groups) == PEOPLE
    assert source.set_aside == {}


def test_people_with_one_picture_are_one_group(extracted, pictures, monkeypatch):
    monkeypatch.setattr(alike, "MOST_SHARE", 0.5)
    pictures((0, 30, picture(1)), (3, 70, brighter(picture(1))))
    source, report = joined(extracted)
    assert (report.pairs, report.groups, report.dropped, report.largest) == (1, 1, 0, 200)
    assert report.examples == (("ipn/frames/1CM1_0_R_#0 frame 30", "ipn/frames/1CM1_3_R_#3 frame 70"),)
    assert "ipn:1CM1_0+1CM1_3" in source.groups
    assert set(source.samples.filter(pl.col("subject_id").is_in(["1CM1_0", "1CM1_3"]))["group_id"]) == {
        "ipn:1CM1_0+1CM1_3"
    }
    for seed in range(3):
        _, found = crops(extracted, f"d{seed}", seed=seed)
        sides = dict(found.select("subject_id", "split").unique().rows())
        assert sides["1CM1_0"] == sides["1CM1_3"]


def test_where_groups_would_be_too_large_the_picture_stays_in_one(extracted, pictures):
    pictures((0, 30, picture(1)), (3, 70, brighter(picture(1))), (3, 71, picture(2)), (5, 40, picture(2)))
    source, report = joined(extracted)
    assert (report.pairs, report.groups, report.dropped) == (2, 0, 2)
    assert sorted(source.groups) == PEOPLE
    table, found = crops(extracted)
    assert sum(row["count"] for row in table["dropped"] if row["reason"] == "near_duplicate") == 2
    assert found.height == 480 - 2
    shown = found.filter(pl.col("frame").is_in([30, 40, 70, 71])).select("subject_id", "frame").rows()
    assert ("1CM1_0", 30) in shown
    assert ("1CM1_3", 70) not in shown
    assert ("1CM1_3", 71) in shown
    assert ("1CM1_5", 40) not in shown
    card = (extracted / "parquet" / "d" / "README.md").read_text()
    assert "2 pairs of images in different groups show the same picture: 2 images were left out" in card


def test_a_lock_keeps_groups_apart_that_it_has_on_two_sides(extracted, pictures, monkeypatch):
    monkeypatch.setattr(alike, "MOST_SHARE", 0.5)
    table, found = crops(extracted)
    sides = dict(found.select("subject_id", "split").unique().rows())
    train = [int(person[-1]) for person in sides if sides[person] == "train"]
    test = next(int(person[-1]) for person in sides if sides[person] == "test")
    pictures((train[0], 30, picture(1)), (train[1], 30, picture(1)), (test, 30, picture(1)))
    lock = extracted / "parquet" / "d" / "splits.parquet"
    _, report = joined(extracted, [lock])
    assert (report.groups, report.dropped) == (1, 1)
    _, free = joined(extracted)
    assert (free.groups, free.dropped) == (2, 0)
    again, _ = crops(extracted, "e", lock=lock)
    assert again["joined"]["dropped"] == 1
    assert table["joined"]["dropped"] == 0


def test_an_official_split_keeps_its_sides_apart(extracted, pictures, monkeypatch):
    monkeypatch.setattr(alike, "MOST_SHARE", 0.5)
    pictures((5, 30, picture(1)), (0, 30, picture(1)))
    table, found = crops(extracted, split="official")
    assert (table["joined"]["groups"], table["joined"]["dropped"]) == (0, 1)
    assert dict(found.select("subject_id", "split").unique().rows())["1CM1_5"] == "test"


def test_plain_pictures_are_alike_only_byte_for_byte(extracted, pictures, monkeypatch):
    monkeypatch.setattr(alike, "MOST_SHARE", 0.5)
    black, dark = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 3, np.uint8)
    pictures((0, 30, black), (1, 30, dark))
    assert joined(extracted)[1].pairs == 0
    pictures((0, 30, black), (1, 30, black), (2, 50, black))
    _, report = joined(extracted)
    assert (report.pairs, report.groups) == (2, 2)
    monkeypatch.setattr(alike, "MOST_SHARE", 0.1)
    assert joined(extracted)[1].dropped == 2


def test_groups_can_be_kept_as_they_are(extracted, pictures):
    pictures((0, 30, picture(1)), (3, 70, picture(1)))
    table, found = crops(extracted, near_duplicates="keep")
    assert table["joined"] is None
    assert found.height == 480
    assert "were not searched" in (extracted / "parquet" / "d" / "README.md").read_text()


def test_a_picture_is_not_missed_where_hashes_were_left_out(extracted, pictures, monkeypatch):
    """Of three hands with one hash the first and the last show one picture, but only neighbours are compared."""
    monkeypatch.setattr(pairs, "MOST_EQUAL", 1)
    monkeypatch.setattr(sys.modules[__name__], "perceptual_hash", lambda image: "5" * 16)
    pictures((0, 30, picture(1)), (1, 30, picture(2)), (2, 30, brighter(picture(1))))
    _, report = joined(extracted)
    assert (report.pairs, report.dropped) == (0, 1)
    assert report.unmet == (
        "1 comparisons of hands with nearly the same hash were left out: there were too many",
    )


def test_a_full_disk_is_said(extracted, pictures, monkeypatch, tmp_path):
    pictures((0, 30, picture(1)), (3, 70, brighter(picture(1))))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thumbnails").symlink_to("/dev/full")

    @contextmanager
    def full():
        with temporary_folder():
            yield tmp_path / "full"

    monkeypatch.setattr("pgc_data.tables.hand_pictures.temporary_folder", full)
    with pytest.raises(DataError, match=r"cannot hold temporary files \(No space left"):
        joined(extracted)


@pytest.mark.parametrize("seed", range(4))
def test_no_picture_is_left_on_two_sides(extracted, pictures, seed):
    """Whatever is shared by whom, and however often: no two groups show one picture afterwards."""
    rng = np.random.default_rng(seed)
    shared = [
        (int(person), int(frame), brighter(picture(kind)) if rng.random() < 0.5 else picture(kind))
        for person, frame, kind in zip(
            rng.integers(0, 6, 40), rng.integers(21, 101, 40), rng.integers(1, 8, 40), strict=True
        )
    ]
    pictures(*shared)
    source, report = joined(extracted)
    assert report.dropped
    kind_of = {(person, frame): image for person, frame, image in shared}
    aside = {(shard, row) for shard, rows in source.set_aside.items() for row in rows}
    left = []
    for shard in range(source.shards):
        hands = pl.read_parquet(source.shard("hands", shard)).with_row_index("row")
        for row in hands.select("row", "media", "frame", "phash").iter_rows(named=True):
            key = (int(row["media"].split("#")[1]), row["frame"])
            if key in kind_of and (shard, row["row"]) not in aside:
                left.append((key[0], int(row["phash"], 16)))
    for person, one in left:
        for other, two in left:
            assert person == other or (one ^ two).bit_count() > 8
