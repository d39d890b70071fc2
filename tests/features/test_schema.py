import json
import re

import numpy as np
import pytest

from pgc_data.errors import DataError
from pgc_data.features import SCHEMA, feature_names, load_schema
from pgc_data.features.schema import read_schema
from pgc_data.resources import schema_file

DOCUMENT = json.loads(schema_file("feature-schema-v1.json").read_text())

# Written out from the specification, not from the file.
LAYOUT = [
    ("position", 0, 62, "palms"),
    ("fingertip_spread", 63, 67, "palms"),
    ("wrist_trajectory", 68, 70, "palms"),
    ("velocity", 71, 133, "palms/s"),
    ("joint_angles", 134, 143, "rad"),
    ("wrist_vel_raw", 144, 146, "frames/s"),
]


@pytest.mark.parametrize(("name", "start", "end", "unit"), LAYOUT)
def test_block_lies_where_the_specification_puts_it(name, start, end, unit):
    block = SCHEMA.block(name)
    entry = next(entry for entry in DOCUMENT["blocks"] if entry["name"] == name)
    assert (block.start, block.end, block.size, block.unit) == (start, end, end - start + 1, unit)
    assert (entry["start"], entry["end"], entry["size"], entry["unit"]) == (start, end, end - start + 1, unit)
    assert np.array(block.joints).tolist() == entry["joints"]
    assert np.arange(147)[block.columns].tolist() == list(range(start, end + 1))


def test_blocks_are_disjoint_and_cover_the_frame():
    columns = [index for block in SCHEMA.blocks for index in SCHEMA.indices(block.name)]
    assert columns == list(range(147))


def test_streams_of_the_two_stream_model():
    a = SCHEMA.indices("position", "joint_angles")
    b = SCHEMA.indices("fingertip_spread", "wrist_trajectory", "velocity", "wrist_vel_raw")
    assert (a.size, b.size) == (73, 74)
    assert sorted([*a, *b]) == list(range(147))


def test_names():
    names = feature_names()
    assert len(names) == len(set(names)) == 147
    assert names[24:27] == ("position.index_tip.x", "position.index_tip.y", "position.index_tip.z")
    assert names[63] == "fingertip_spread.thumb_tip-index_tip"
    assert names[68:72] == (
        "wrist_trajectory.x",
        "wrist_trajectory.y",
        "wrist_trajectory.z",
        "velocity.wrist.x",
    )
    assert names[134:138] == (
        "joint_angles.thumb_mcp",
        "joint_angles.thumb_ip",
        "joint_angles.index_mcp",
        "joint_angles.index_pip",
    )
    assert names[146] == "wrist_vel_raw.z"


def test_dead_dims_are_all_named():
    names = feature_names()
    assert [dim.index for dim in SCHEMA.dead_dims] == [0, 1, 2, 70, 71, 72, 73, 146]
    assert [dim.name for dim in SCHEMA.dead_dims] == [names[dim.index] for dim in SCHEMA.dead_dims]
    assert sorted(i for block in SCHEMA.blocks for i in block.dead_dims) == [
        dim.index for dim in SCHEMA.dead_dims
    ]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("scale_eps", 1e-4),
        ("grid_hz", 30),
        ("hold_frames", 3),
        ("reacquire_s", 0.2),
        ("interpolate_s", 0.2),
        ("window_frames", 16),
        ("min_usable", 0.8),
        ("label_share", 0.6),
        ("background_share", 0.9),
        ("clip_middle_share", 0.6),
    ],
)
def test_rules(rule, value):
    assert getattr(SCHEMA.rules, rule) == value == DOCUMENT["rules"][rule]["value"]


def test_every_rule_of_the_file_is_read():
    assert set(DOCUMENT["rules"]) == set(vars(SCHEMA.rules))
    assert load_schema() is SCHEMA


def test_unknown_block_names_those_there_are():
    with pytest.raises(DataError, match=r"no block 'angles'.*joint_angles"):
        SCHEMA.block("angles")


def _without_rules(document):
    del document["rules"]


def _overlap(document):
    document["blocks"][1]["start"] = 60


def _short(document):
    document["frame_dims"] = 150


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_rules, "not a feature schema (KeyError: 'rules')"),
        (_overlap, "'fingertip_spread' spans 60-67, size 5; it must start at 63"),
        (_short, "the blocks cover 147 features, frame_dims says 150"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, change, message):
    document = json.loads(json.dumps(DOCUMENT))
    change(document)
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=re.escape(message)):
        read_schema(path)


def test_text_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text("<html>")
    with pytest.raises(DataError, match="not a feature schema"):
        read_schema(path)
