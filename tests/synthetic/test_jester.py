"""The files that `write_jester` writes, down to their bytes, and what the hands in them do."""

import re
from functools import cache

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pgc_data.datasets.jester import JESTER
from pgc_data.errors import DataError
from pgc_data.synthetic import SyntheticSummary, write_jester
from pgc_data.synthetic.gestures import ROLL, SIZE, X, Y, draw_manner
from pgc_data.synthetic.jester_moves import JESTER_LABELS, NO_GESTURE, jester_movement, mirrored_label
from pgc_data.synthetic.truth import MEDIA_SCHEMA

CLIPS = {"original": 54, "kaggle": 27}


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", params=["original", "kaggle"])
def written(request, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "raw"
    progress: list[int] = []
    summary = write_jester(
        out, clips=CLIPS[request.param], subjects=3, seed=4, layout=request.param, progress=progress.append
    )
    return request.param, out, summary, progress


def folders(layout, out):
    tops = ["20bn-jester-v1"] if layout == "original" else ["Train", "Validation", "Test"]
    return {int(d.name): d for top in tops for d in (out / top).iterdir()}


def truth(out):
    return pq.read_table(out / "joints.parquet").to_pylist()


@cache
def moved(label, seed=0, frames=37):
    rng = np.random.default_rng(seed)
    return jester_movement(label, frames, draw_manner(rng, 1.0))[frames // 5 : -frames // 5]


def test_labels_are_the_datasets_own_in_its_order():
    assert tuple(JESTER.labels) == JESTER_LABELS


def test_frames_are_100_pixels_high_jpegs_counted_from_1(written):
    layout, out, summary, progress = written
    clips = folders(layout, out)
    assert sorted(clips) == list(range(1, CLIPS[layout] + 1))
    widths, frames = set(), 0
    for folder in clips.values():
        names = sorted(p.name for p in folder.iterdir())
        assert names == [f"{n:05d}.jpg" for n in range(1, len(names) + 1)]
        assert 30 <= len(names) <= 44
        height, width, channels = cv2.imread(str(folder / names[0])).shape
        assert (height, channels) == (100, 3)
        widths.add(width)
        frames += len(names)
    assert widths <= {132, 140, 150, 160, 176}
    assert len(widths) > 2
    assert summary == SyntheticSummary(items=CLIPS[layout], frames=frames, subjects=3)
    assert (sum(progress), len(progress)) == (frames, CLIPS[layout])


def test_bytes_of_the_original_lists(written):
    layout, out, _, _ = written
    if layout != "original":
        assert not list(out.glob("jester-v1*"))
        return
    assert sorted(p.name for p in out.iterdir()) == [
        "20bn-jester-v1",
        "jester-v1-labels.csv",
        "jester-v1-test.csv",
        "jester-v1-train.csv",
        "jester-v1-validation.csv",
        "joints.parquet",
    ]
    true = {int(row["media"].split("/")[1]): row["label"] for row in truth(out)}
    listed, trained = {}, set()
    for part in ("train", "validation", "test"):
        data = (out / f"jester-v1-{part}.csv").read_bytes()
        assert b"\r" not in data
        assert data.endswith(b"\n")
        for line in data.decode().splitlines():
            clip, *label = line.split(";")
            assert label == ([] if part == "test" else [true[int(clip)]])
            assert int(clip) not in listed
            listed[int(clip)] = part
            trained |= set(label) if part == "train" else set()
    assert set(listed) == set(true) == set(range(1, 55))
    assert set(listed.values()) == {"train", "validation", "test"}
    assert trained == set(JESTER_LABELS)


@pytest.mark.parametrize(("seed", "newline"), [(0, True), (1, False)])
def test_some_label_lists_lack_the_final_newline(tmp_path, seed, newline):
    write_jester(tmp_path, clips=1, subjects=1, seed=seed)
    data = (tmp_path / "jester-v1-labels.csv").read_text()
    assert data.splitlines() == list(JESTER_LABELS)
    assert data.endswith("\n") is newline
    assert (tmp_path / "jester-v1-validation.csv").read_bytes() == b""


def test_bytes_of_the_kaggle_lists(written):
    layout, out, _, _ = written
    if layout != "kaggle":
        assert not list(out.glob("Train*"))
        return
    for part, first in (("Train", "video_id"), ("Validation", "video_id"), ("Test", "id")):
        header, *rows = (out / f"{part}.csv").read_bytes().decode().removesuffix("\n").split("\n")
        assert header == f"{first},label,frames,label_id,shape,format"
        assert {int(row.split(",")[0]) for row in rows} == {int(d.name) for d in (out / part).iterdir()}
        for row in rows:
            match = re.fullmatch(r'(\d+),([^,]*),(\d+),(\d*),"\(100, (\d+), 3\)",jpg', row)
            assert match, row
            folder = out / part / match[1]
            assert len(list(folder.iterdir())) == int(match[3])
            assert cv2.imread(str(folder / "00001.jpg")).shape[1] == int(match[5])
            label = JESTER_LABELS[int(match[4])] if part != "Test" else ""
            assert match[2] == label


def test_truth_has_a_row_for_every_frame(written):
    _, out, summary, _ = written
    assert pq.read_schema(out / "joints.parquet").equals(MEDIA_SCHEMA)
    rows = truth(out)
    assert len(rows) == summary.frames
    assert all((out / row["media"] / f"{row['frame']:05d}.jpg").is_file() for row in rows)
    visible: dict[str, list[bool]] = {}
    for row in rows:
        visible.setdefault(row["label"], []).append(row["visible"])
    assert set(visible) == set(JESTER_LABELS)
    assert not any(visible.pop(NO_GESTURE))
    assert all(0.6 < np.mean(seen) < 0.95 for seen in visible.values())


def test_the_hand_comes_into_the_picture_and_leaves_it(written):
    clips: dict[str, list[bool]] = {}
    for row in truth(written[1]):
        clips.setdefault(row["media"], []).append(row["visible"])
    for seen in clips.values():
        assert not seen[0]
        assert not seen[-1]


@pytest.mark.parametrize("layout", ["original", "kaggle"])
def test_same_seed_same_bytes_whatever_the_workers(tmp_path, layout):
    few = {"clips": 3, "subjects": 2, "seed": 9, "layout": layout}
    for folder, workers in (("one", 1), ("two", 2)):
        write_jester(tmp_path / folder, **few, workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    write_jester(tmp_path / "other", **{**few, "seed": 10})
    assert contents(tmp_path / "one")["joints.parquet"] != contents(tmp_path / "other")["joints.parquet"]


def test_an_interrupted_run_leaves_no_frames_and_can_be_repeated(tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jester(tmp_path / "broken", clips=2, subjects=1, progress=stop)
    assert [p.name for p in (tmp_path / "broken").iterdir()] == [".drawing"]
    for folder in ("broken", "whole"):
        write_jester(tmp_path / folder, clips=2, subjects=1)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": 0}, "clips=0"),
        ({"subjects": 0}, "subjects=0"),
        ({"workers": 0}, "workers=0"),
        ({"seed": -1}, "seed=-1: give at least 0"),
        ({"layout": "zip"}, "layout='zip': give original or kaggle"),
    ],
)
def test_refuses_arguments_that_make_no_sense(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message):
        write_jester(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_refuses_a_folder_that_holds_frames(tmp_path):
    (tmp_path / "Train").mkdir()
    with pytest.raises(DataError, match="Train already exists"):
        write_jester(tmp_path, layout="kaggle")


@pytest.mark.parametrize(
    ("label", "column", "sign", "least"),
    [
        ("Swiping Left", X, 1, 2.0),
        ("Swiping Right", X, -1, 2.0),
        ("Swiping Down", Y, 1, 0.9),
        ("Swiping Up", Y, -1, 0.9),
        ("Sliding Two Fingers Left", X, 1, 1.5),
        ("Sliding Two Fingers Right", X, -1, 1.5),
        ("Sliding Two Fingers Down", Y, 1, 0.8),
        ("Sliding Two Fingers Up", Y, -1, 0.8),
        ("Pushing Hand Away", SIZE, 1, 0.3),
        ("Pulling Hand In", SIZE, -1, 0.3),
        ("Pushing Two Fingers Away", SIZE, 1, 0.3),
        ("Pulling Two Fingers In", SIZE, -1, 0.3),
        ("Turning Hand Clockwise", ROLL, -1, 1.2),
        ("Turning Hand Counterclockwise", ROLL, 1, 1.2),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_movements_go_the_subjects_way(label, column, sign, least, seed):
    """The subject's left is the image's right."""
    poses = moved(label, seed)
    assert sign * (poses[-1, column] - poses[0, column]) > least


@pytest.mark.parametrize(("label", "sign"), [("Rolling Hand Forward", 1), ("Rolling Hand Backward", -1)])
def test_rolling_is_towards_the_camera_at_the_top(label, sign):
    poses = moved(label, frames=74)
    top = poses[1:-1, Y] < np.quantile(poses[:, Y], 0.2)
    nearer = poses[2:, SIZE] - poses[:-2, SIZE]
    assert sign * np.mean(nearer[top]) > 0.005


@pytest.mark.parametrize("what", ["Full Hand", "Two Fingers"])
def test_zooming_in_opens_the_hand_and_zooming_out_closes_it(what):
    opened, closed = moved(f"Zooming In With {what}"), moved(f"Zooming Out With {what}")
    curl = slice(0, 6)
    assert opened[0, curl].sum() - opened[-1, curl].sum() > 1.0
    assert closed[-1, curl].sum() - closed[0, curl].sum() > 1.0


def test_a_left_hand_mirrors_the_label():
    assert mirrored_label("Sliding Two Fingers Left") == "Sliding Two Fingers Right"
    assert mirrored_label("Turning Hand Counterclockwise") == "Turning Hand Clockwise"
    unchanged = [label for label in JESTER_LABELS if mirrored_label(label) == label]
    assert len(unchanged) == 21
    assert {mirrored_label(label) for label in JESTER_LABELS} == set(JESTER_LABELS)


@pytest.mark.parametrize(
    ("label", "axis", "sign"),
    [
        ("Swiping Left", 0, 1),
        ("Swiping Right", 0, -1),
        ("Swiping Down", 1, 1),
        ("Swiping Up", 1, -1),
        ("Sliding Two Fingers Left", 0, 1),
        ("Sliding Two Fingers Right", 0, -1),
    ],
)
def test_drawn_hands_go_the_subjects_way_whichever_hand_it_is(written, label, axis, sign):
    clips: dict[str, list[float]] = {}
    for row in truth(written[1]):
        if row["label"] == label:
            clips.setdefault(row["media"], []).append(row["joints"][9][axis])
    assert clips
    for knuckle in clips.values():
        third = len(knuckle) // 3
        assert sign * (knuckle[2 * third] - knuckle[third]) > 0.05


def test_both_hands_occur(written):
    assert {row["handedness"] for row in truth(written[1])} == {"Left", "Right"}
