"""The files that `write_leapgestrecog` writes."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pgc_data.datasets.leapgestrecog import LEAPGESTRECOG
from pgc_data.errors import DataError
from pgc_data.synthetic import SyntheticSummary, write_leapgestrecog
from pgc_data.synthetic.leapgestrecog import LEAP_LABELS
from pgc_data.synthetic.truth import MEDIA_SCHEMA


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("leap") / "raw"
    progress: list[int] = []
    return out, write_leapgestrecog(out, subjects=2, frames=3, seed=2, progress=progress.append), progress


def test_labels_are_the_datasets_own_in_its_order():
    assert tuple(LEAPGESTRECOG.labels) == LEAP_LABELS


def test_names_of_folders_and_files(written):
    out, summary, progress = written
    found = [
        str(p.relative_to(out / "leapGestRecog")) for p in sorted((out / "leapGestRecog").rglob("*.png"))
    ]
    assert found == [
        f"{person:02d}/{label}/frame_{person:02d}_{label[:2]}_{number:04d}.png"
        for person in range(2)
        for label in LEAP_LABELS
        for number in range(1, 4)
    ]
    assert summary == SyntheticSummary(items=20, frames=60, subjects=2)
    assert progress == [3] * 20


def test_the_tree_lies_there_twice_without_taking_twice_the_disk(written):
    out = written[0]
    assert sorted(p.name for p in out.iterdir()) == ["joints.parquet", "leapGestRecog", "leapgestrecog"]
    first, second = out / "leapGestRecog", out / "leapgestrecog" / "leapGestRecog"
    assert contents(first) == contents(second)
    name = "01/02_l/frame_01_02_0003.png"
    assert (first / name).samefile(second / name)


def test_without_the_copy(tmp_path):
    write_leapgestrecog(tmp_path, subjects=1, frames=1, doubled=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["joints.parquet", "leapGestRecog"]


def test_pictures_are_grey_with_a_bright_hand_on_dark_ground(written):
    out = written[0]
    for path in sorted((out / "leapGestRecog").rglob("*_0001.png")):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (picture.shape, picture.dtype) == ((240, 640), np.uint8)
        assert np.median(picture) < 25
        bright = (picture > 110).mean()
        assert 0.02 < bright < 0.3, path
        assert picture[:, :40].std() > 0.5


def test_truth_has_a_row_for_every_still_of_the_first_tree(written):
    out = written[0]
    table = pq.read_table(out / "joints.parquet")
    assert table.schema.equals(MEDIA_SCHEMA)
    rows = table.to_pylist()
    assert len(rows) == 60
    assert all(row["visible"] for row in rows)
    assert [(r["media"], r["frame"]) for r in rows[:4]] == [
        ("leapGestRecog/00/01_palm", 1),
        ("leapGestRecog/00/01_palm", 2),
        ("leapGestRecog/00/01_palm", 3),
        ("leapGestRecog/00/02_l", 1),
    ]
    row = rows[0]
    picture = cv2.imread(str(out / row["media"] / "frame_00_01_0001.png"), cv2.IMREAD_UNCHANGED)
    assert np.median([picture[int(y * 240), int(x * 640)] for x, y, _ in row["joints"]]) > 110


def test_stills_of_a_folder_follow_each_other(written):
    rows = pq.read_table(written[0] / "joints.parquet").to_pylist()
    joints = np.array([r["joints"] for r in rows])[:, :, :2] * [640, 240]
    palm = np.array([r["palm_px"] for r in rows])
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=2).max(axis=1) / palm[1:]
    within = np.arange(1, 60) % 3 != 0
    assert steps[within].max() < 0.25
    assert steps[within].min() > 0.0


def test_same_seed_same_bytes_whatever_the_workers(tmp_path):
    for folder, seed, workers in (("one", 5, 1), ("two", 5, 2), ("other", 6, 1)):
        write_leapgestrecog(tmp_path / folder, subjects=1, frames=1, seed=seed, workers=workers)
    one, two, other = (contents(tmp_path / f) for f in ("one", "two", "other"))
    assert one == two
    assert one["joints.parquet"] != other["joints.parquet"]


@pytest.mark.parametrize("wrong", ["subjects", "frames", "workers"])
def test_refuses_arguments_that_make_no_sense(tmp_path, wrong):
    with pytest.raises(DataError, match=f"{wrong}=0: give at least 1"):
        write_leapgestrecog(tmp_path / "out", **{wrong: 0})
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_that_holds_either_tree(tmp_path):
    (tmp_path / "leapgestrecog" / "leapGestRecog").mkdir(parents=True)
    with pytest.raises(DataError, match="already exists"):
        write_leapgestrecog(tmp_path)
