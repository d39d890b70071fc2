"""The files that `write_ipn` writes, down to their bytes."""

import csv
import re

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import DataError
from pgc_data.synthetic import SyntheticSummary, write_ipn
from pgc_data.synthetic.gestures import LABELS
from pgc_data.synthetic.truth import SCHEMA

SMALL = {"subjects": 4, "seed": 11, "size": (96, 72)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("ipn") / "raw"
    progress: list[int] = []
    return out, write_ipn(out, **SMALL, progress=progress.append), progress


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def annotated(out):
    with (out / "Annot_List.txt").open(newline="") as file:
        return list(csv.DictReader(file))


def test_summary_counts_what_lies_there(written):
    out, summary, progress = written
    frames = list((out / "frames").glob("*/*.jpg"))
    assert summary == SyntheticSummary(items=4, frames=len(frames), subjects=4)
    assert sum(progress) == summary.frames
    assert len(progress) == 4
    assert sorted(p.name for p in out.iterdir()) == [
        "Annot_List.txt",
        "Annot_TestList.txt",
        "Annot_TrainList.txt",
        "Video_TestList.txt",
        "Video_TrainList.txt",
        "classIdx.txt",
        "frames",
        "joints.parquet",
        "metadata.csv",
    ]


@pytest.mark.parametrize(
    ("name", "start", "end_of_line", "final"),
    [
        ("Annot_List.txt", rb"video,label,id,t_start,t_end,frames\r\n", b"\r\n", False),
        ("Annot_TrainList.txt", rb"[14]C[MV]\d+_\d+_[RL]_#\d+,D0X,1,1,\d+,\d+\n", b"\n", True),
        ("Annot_TestList.txt", rb"[14]C[MV]\d+_\d+_[RL]_#\d+,D0X,1,1,\d+,\d+\n", b"\n", True),
        ("classIdx.txt", rb"id,label\r\n1,D0X\r\n2,B0A\r\n", b"\r\n", True),
        ("Video_TrainList.txt", rb"[14]C[MV]\d+_\d+_[RL]_#\d+\t\d+\n", b"\n", False),
        ("Video_TestList.txt", rb"\n[14]C[MV]\d+_\d+_[RL]_#\d+\t\d+$", b"\n", False),
        (
            "metadata.csv",
            rb"Video Name,Frames,Sex,Hand,Background,Illumination,People in Scene,Background Motion,Set\r\n",
            b"\r\n",
            True,
        ),
    ],
)
def test_bytes_of_the_annotation_files(written, name, start, end_of_line, final):
    data = (written[0] / name).read_bytes()
    assert re.match(start, data), data[:80]
    assert data.endswith(end_of_line) is final
    assert data.count(b"\n") == data.count(end_of_line)
    assert data.count(b"\r") == (data.count(b"\n") if end_of_line == b"\r\n" else 0)


def test_segments_are_gapless_and_as_long_as_the_videos(written):
    out = written[0]
    last: dict[str, int] = {}
    for row in annotated(out):
        start, end = int(row["t_start"]), int(row["t_end"])
        assert start == last.get(row["video"], 0) + 1
        assert int(row["frames"]) == end - start + 1 > 0
        assert row["label"] == LABELS[int(row["id"]) - 1]
        last[row["video"]] = end
    assert set(last) == {p.name for p in (out / "frames").iterdir()}
    for video, frames in last.items():
        names = sorted(p.name for p in (out / "frames" / video).iterdir())
        assert names == [f"{video}_{number:06d}.jpg" for number in range(1, frames + 1)]


def test_train_and_test_lists_make_up_the_whole_and_share_no_subject(written):
    out = written[0]
    train, test = ((out / f"Annot_{part}List.txt").read_text().splitlines() for part in ("Train", "Test"))
    assert train + test == (out / "Annot_List.txt").read_text().splitlines()[1:]
    people = [{"_".join(row.split("_")[:2]) for row in rows} for rows in (train, test)]
    assert len(people[0]) == 3
    assert len(people[1]) == 1
    assert not people[0] & people[1]


def test_metadata_describes_every_video_once(written):
    out = written[0]
    with (out / "metadata.csv").open(newline="") as file:
        rows = {row["Video Name"]: row for row in csv.DictReader(file)}
    ends = {row["video"]: int(row["t_end"]) for row in annotated(out)}
    listed = {}
    for part in ("Train", "Test"):
        lines = (out / f"Video_{part}List.txt").read_text().split("\n")
        listed.update(dict(line.split("\t") for line in lines if line))
    assert set(rows) == set(ends) == set(listed)
    for video, row in rows.items():
        assert int(row["Frames"]) - ends[video] in (0, 1)
        assert row["Frames"] == listed[video]
        assert row["Hand"][0] == video.split("_")[2]
        assert row["Background"].strip() in ("Plain", "Clutter")
        assert row["Sex"] in "MW"


def test_frames_are_pictures_of_the_asked_size(written):
    out = written[0]
    frame = sorted((out / "frames").glob("*/*_000200.jpg"))[0]
    assert cv2.imread(str(frame)).shape == (72, 96, 3)


def test_truth_has_a_row_for_every_frame(written):
    out, summary, _ = written
    table = pq.read_table(out / "joints.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == summary.frames
    expected = [
        (row["video"], number, row["label"])
        for row in annotated(out)
        for number in range(int(row["t_start"]), int(row["t_end"]) + 1)
    ]
    assert list(zip(*(table[c].to_pylist() for c in ("video", "frame", "label")), strict=True)) == expected
    joints = np.array(table["joints"].to_pylist())
    palm = np.linalg.norm((joints[:, 9] - joints[:, 0]) * [96, 72, 96], axis=1)
    np.testing.assert_allclose(palm, table["palm_px"], rtol=1e-4)
    np.testing.assert_allclose(joints[:, 0, 2], 0.0, atol=1e-6)
    sides = {
        v: h[0] for v, h in zip(table["video"].to_pylist(), table["handedness"].to_pylist(), strict=True)
    }
    assert all(video.split("_")[2] == side for video, side in sides.items())


def test_the_hand_changes_the_picture_where_the_joints_are(written):
    out = written[0]
    table = pq.read_table(out / "joints.parquet").to_pylist()
    video = table[0]["video"]
    empty = cv2.imread(str(out / "frames" / video / f"{video}_000001.jpg")).astype(int)
    row = next(r for r in table if r["video"] == video and r["label"] == "B0A" and r["visible"])
    shown = cv2.imread(str(out / "frames" / video / f"{video}_{row['frame']:06d}.jpg")).astype(int)
    change = np.abs(shown - empty).sum(axis=2)
    at_joints = [change[int(y * 72), int(x * 96)] for x, y, _ in row["joints"]]
    assert np.median(at_joints) > 5 * np.median(change)


def test_same_seed_same_bytes_whatever_the_workers(tmp_path):
    few = {"subjects": 2, "seed": 11, "size": (48, 48)}
    for folder, workers in (("one", 1), ("two", 2)):
        write_ipn(tmp_path / folder, **few, workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_other_seed_other_pictures(tmp_path):
    for seed in (1, 2):
        write_ipn(tmp_path / str(seed), subjects=1, seed=seed, size=(48, 48))
    first, second = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert first["joints.parquet"] != second["joints.parquet"]


def test_refuses_a_folder_that_holds_frames(tmp_path):
    (tmp_path / "frames").mkdir()
    with pytest.raises(DataError, match=r"frames already exists: delete it or choose another folder"):
        write_ipn(tmp_path, subjects=1)
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subjects": 0}, "subjects=0"),
        ({"videos_per_subject": 0}, "videos_per_subject=0"),
        ({"repeats": -1}, "repeats=-1"),
        ({"workers": 0}, "workers=0"),
        ({"seed": -1}, "seed=-1"),
        ({"size": (20, 20)}, "size=20x20"),
        ({"subjects": 2, "test_subjects": 3}, "test_subjects=3"),
    ],
)
def test_refuses_arguments_that_make_no_sense(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message):
        write_ipn(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_run_leaves_no_frames_and_can_be_repeated(tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    few = {"subjects": 2, "seed": 3, "size": (48, 48)}
    with pytest.raises(KeyboardInterrupt):
        write_ipn(tmp_path / "broken", **few, progress=stop)
    assert not (tmp_path / "broken" / "frames").exists()
    assert not (tmp_path / "broken" / "joints.parquet").exists()
    write_ipn(tmp_path / "broken", **few)
    write_ipn(tmp_path / "whole", **few)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
