"""Pictures of windows: any schema that names its joints is drawn, the same way every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgc_data.audits.window_blocks import Window, WindowBlock, schema_blocks
from pgc_data.audits.window_panels import Curves, HeatMap, Track, panels
from pgc_data.audits.window_picture import window_picture
from pgc_data.audits.window_strip import MOST_CELLS
from pgc_data.errors import DataError
from pgc_data.resources import schema_file

V1 = json.loads(schema_file("feature-schema-v1.json").read_text(encoding="utf-8"))
HAND = [[joint] for joint in range(21)]
IMAGE = "image widths (x, z), image heights (y)"


def document(*blocks: tuple[str, int, str, list[list[int]]], axes: tuple[str, ...] = ("x", "y", "z")) -> Any:
    """A feature schema of blocks given as name, size, unit and joints."""
    entries, start = [], 0
    for name, size, unit, joints in blocks:
        entries.append({"name": name, "start": start, "size": size, "unit": unit, "joints": joints})
        start += size
    return {"name": "made-up", "axes": list(axes), "joint_names": V1["joint_names"], "blocks": entries}


LANDMARKS = document(("landmarks", 63, IMAGE, HAND))
BODY = document(
    ("pose", 132, f"{IMAGE}, visibility 0 to 1", [[joint] for joint in range(33)]),
    ("face", 60, IMAGE, []),
    ("left_hand", 63, IMAGE, HAND),
    ("right_hand", 63, IMAGE, HAND),
)
BOX = document(("box", 42, "sides", HAND), axes=("x", "y"))
NOTHING_KNOWN = document(("embedding", 7, "", []))


def window(schema: Any, frames: int, gone: tuple[int, ...] = (), **changes: Any) -> Window:
    """A window of random features; the frames in `gone` are not usable."""
    dims = sum(block["size"] for block in schema["blocks"])
    usable = np.ones(frames, dtype=bool)
    usable[list(gone)] = False
    features = np.random.default_rng(0).random((frames, dims)).astype(np.float32)
    features[~usable] = 0
    values = {
        "title": "a $class$ <name>",
        "subtitle": "src/video:0",
        "facts": "train",
        "features": features,
        "usable": usable,
        "times": np.arange(frames, dtype=np.float32) * 33 if frames > 1 else None,
        "blocks": schema_blocks(schema, dims),
        "joint_names": tuple(schema["joint_names"]),
        "axes": tuple(schema["axes"]),
    }
    return Window(**{**values, **changes})


CASES = {
    "v1": window(V1, 16),
    "gap": window(V1, 16, (0, 7, 8, 15)),
    "one usable frame": window(V1, 4, (0, 1, 3)),
    "no usable frame": window(V1, 4, (0, 1, 2, 3)),
    "long": window(V1, 2 * MOST_CELLS + 1),
    "no times": window(V1, 3, times=None),
    "landmarks": window(LANDMARKS, 30, (3,)),
    "body": window(BODY, 30, (3,)),
    "image": window(BOX, 1),
    "no hand in the image": window(BOX, 1, (0,)),
    "v1 of one frame": window(V1, 1),
    "nothing known": window(NOTHING_KNOWN, 5, (2,)),
    "nothing usable, nothing known": window(NOTHING_KNOWN, 2, (0, 1)),
    "two features": window(document(("pair", 2, "", [])), 2),
    "long names": window(LANDMARKS, 2, title="t" * 300, subtitle="s" * 900, facts="f" * 900),
}


@pytest.mark.parametrize("case", CASES)
def test_a_picture_is_a_png_1600_pixels_wide(tmp_path: Path, case: str) -> None:
    window_picture(tmp_path / "one.png", CASES[case])
    assert b"tEXt" not in (tmp_path / "one.png").read_bytes()
    pixels = cv2.imread(str(tmp_path / "one.png"))
    assert pixels.shape[1] == 1600
    assert pixels.min() < 60


@pytest.mark.parametrize("case", ["gap", "image", "nothing known"])
def test_a_picture_is_the_same_every_time(tmp_path: Path, case: str) -> None:
    for name in ("one.png", "two.png"):
        window_picture(tmp_path / name, CASES[case])
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    features = CASES["v1"].features.copy()
    features[3, :] = np.nan
    features[4, 10] = np.inf
    broken = window(V1, 16, features=features)
    window_picture(tmp_path / "broken.png", broken)
    assert np.isnan(broken.values(broken.blocks[0])[3]).all()
    assert np.isnan(broken.values(broken.blocks[0])[4, 10])


@pytest.mark.parametrize(
    ("case", "titles"),
    [
        (
            "v1",
            [
                "position: fingertips, x →", "position: fingertips, y ↓", "fingertip_spread", "wrist_trajectory",
                "velocity: speed of the fingertips", "joint_angles at MCP", "joint_angles at IP / PIP",
                "wrist_vel_raw", "wrist_trajectory as a path",
            ],
        ),
        (
            "landmarks",
            ["landmarks: fingertips, x →", "landmarks: fingertips, y ↓", "landmarks: path of the wrist"],
        ),
        ("image", ["box"]),
        ("nothing known", ["embedding"]),
    ],
)  # fmt: skip
def test_panels_follow_from_the_schema(case: str, titles: list[str]) -> None:
    assert [panel.title for panel in panels(CASES[case])] == titles


def test_a_renamed_and_moved_block_is_drawn_as_what_it_is() -> None:
    schema = json.loads(json.dumps(V1))
    schema["blocks"] = [schema["blocks"][i] for i in (4, 0, 3)]
    start = 0
    for entry, name in zip(schema["blocks"], ("a", "b", "c"), strict=True):
        entry.update(name=name, start=start, dead_dims=[])
        start += entry["size"]
    titles = [panel.title for panel in panels(window(schema, 5))]
    assert titles == [
        "a at MCP", "a at IP / PIP", "b: fingertips, x →", "b: fingertips, y ↓", "c: speed of the fingertips",
        "b: path of the wrist",
    ]  # fmt: skip


def test_the_curves_hold_the_features() -> None:
    case = CASES["gap"]
    found = {panel.title: panel for panel in panels(case)}
    tips = found["position: fingertips, y ↓"]
    assert isinstance(tips, Curves) and tips.downward
    index = next(series for series in tips.series if series.label == "index")
    np.testing.assert_array_equal(index.values[case.usable], case.features[case.usable, 3 * 8 + 1])
    assert np.isnan(index.values[~case.usable]).all()
    speed = found["velocity: speed of the fingertips"]
    assert isinstance(speed, Curves)
    middle = case.features[1, 71 + 36 : 71 + 39]
    assert speed.series[2].values[1] == pytest.approx(np.linalg.norm(middle))
    raw = found["wrist_vel_raw"]
    assert isinstance(raw, Curves)
    assert [series.label for series in raw.series] == ["x →", "y ↓"]  # z is dead
    track = found["wrist_trajectory as a path"]
    assert isinstance(track, Track)
    assert track.units == ("palms", "palms") and track.span > 0


def test_blocks_without_joints_are_heat_maps() -> None:
    pose, face, *hands = panels(CASES["body"])
    assert isinstance(pose, HeatMap) and isinstance(face, HeatMap)
    assert (face.start, face.values.shape) == (132, (60, 30))
    names = ["left_hand", "left_hand", "right_hand", "right_hand", "left_hand"]
    assert [panel.title.split(":")[0] for panel in hands] == names


def test_a_part_that_is_all_zeros_was_not_found() -> None:
    features = CASES["body"].features.copy()
    features[:, 192:255] = 0
    body = window(BODY, 30, (3,), features=features)
    left, right = body.blocks[2:]
    assert np.isnan(body.points(left)).all()
    assert np.isfinite(body.points(right)[body.usable]).all()
    assert panels(body)[-1].title == "right_hand: path of the wrist"


def test_held_frames_repeat_the_shape_and_stand_still() -> None:
    features = CASES["v1"].features.copy()
    features[5:8] = features[4]
    features[5:8, 71:134] = 0
    features[5:8, 144:] = 0
    features[10] = features[9]  # the same shape, but moving
    features[12, 71:134] = 0  # standing still in another shape
    features[14:] = 0
    held = window(V1, 16, (14, 15), features=features).held
    assert np.flatnonzero(held).tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("unit", "x", "y"),
    [("palms", "palms", "palms"), (IMAGE, "image widths", "image heights"), ("", "", ""),
     (f"{IMAGE}, visibility 0 to 1", "image widths", "image heights")],
)  # fmt: skip
def test_units_of_the_axes(unit: str, x: str, y: str) -> None:
    assert WindowBlock("b", 0, 3, unit, ((0,),), frozenset()).plane == (x, y)


@pytest.mark.parametrize(
    ("schema", "dims", "message"),
    [
        ({}, 3, "not a feature schema"),
        ({"blocks": [{"name": "a"}]}, 3, "not a feature schema"),
        ({"blocks": [3]}, 3, "not a feature schema"),
        ({"name": "n", "blocks": [{"name": "a", "start": 1, "size": 2}]}, 3, "n: block 'a' starts at 1, it must at 0"),
        ({"name": "n", "blocks": [{"name": "a", "start": 0, "size": 0}]}, 3, "block 'a' has no feature"),
        ({"name": "n", "blocks": [{"name": "a", "start": 0, "size": 2}]}, 3, "describes 2 features a frame, the file"),
    ],
)  # fmt: skip
def test_schemas_that_do_not_fit(schema: Any, dims: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        schema_blocks(schema, dims)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_blocks_cover_the_features_in_order(sizes: list[int]) -> None:
    schema = document(*((f"b{i}", size, "", []) for i, size in enumerate(sizes)))
    blocks = schema_blocks(schema, sum(sizes))
    covered = [block.start + i for block in blocks for i in range(block.size)]
    assert covered == list(range(sum(sizes)))
