"""`features inspect`: which window is drawn, where the picture goes, and what a wrong call gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.resources import schema_file
from pgc_data.stages.features_inspect import FeaturesInspectConfig, plan, run
from pgc_data.storage.parquet import TableWriter, table_of, write_table
from pgc_data.storage.schemas import arrow_schema, with_metadata

FRAMES, DIMS = 4, 147
SCHEMA = json.loads(schema_file("feature-schema-v1.json").read_text(encoding="utf-8"))
IDS = tuple(f"ipn/frames/1CM1_{i}_R_#1:{i * 4}+4@30" for i in range(3))


def row(window_id: str, **changes: Any) -> dict[str, Any]:
    """A windows row of random features; the third of its frames is not usable."""
    features = np.random.default_rng(len(window_id)).random((FRAMES, DIMS), dtype=np.float32)
    features[2] = 0
    known: dict[str, Any] = {
        "split": "train", "label": "swiping_left", "class_id": 1, "source": "ipn", "window_id": window_id,
        "dataset": "ipn", "sample_id": "s", "group_id": "ipn:1", "frame_start": 1, "frame_end": 4,
        "time_start_s": 0.0, "fps_source": 30.0, "fps_grid": 30.0, "handedness": "Left",
        "features": features.tolist(), "usable": [True, True, False, True], "usable_fraction": 0.75,
        "has_z": True, "native_label": "G05", "feature_schema": "feature-schema-v1", "licence": "CC BY 4.0",
    }  # fmt: skip
    return {**known, **changes}


def write(path: Path, rows: list[dict[str, Any]], document: Any = SCHEMA) -> Path:
    """Writes rows as to-parquet does."""
    sizes = {"T": FRAMES, "F": DIMS}
    facts = {"sizes": sizes, **({} if document is None else {"feature_schema": document})}
    schema = with_metadata(arrow_schema("windows", **sizes), "windows", facts)
    with TableWriter(path, schema) as writer:
        writer.write(pa.Table.from_pylist(rows, schema=schema))
    return path


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace's dataset `ipn-maestro10` of two files; the working directory is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = tmp_path / "data/parquet/ipn-maestro10"
    write(folder / "windows/test-00000-of-00001.parquet", [row(IDS[0])])
    write(folder / "windows/train-00000-of-00001.parquet", [row(IDS[1]), row(IDS[2])])
    return folder


def inspect(file: Path | str, **options: Any) -> Any:
    return run(FeaturesInspectConfig(file=str(file), **options))


@pytest.mark.parametrize("part", ["", "windows", "windows/test-00000-of-00001.parquet"])
def test_a_dataset_a_folder_and_a_file(dataset: Path, part: str) -> None:
    summary = inspect(dataset / part)
    assert summary.written == Path("ipn_frames_1CM1_0_R__1_0+4@30.png")
    assert summary.written.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path().iterdir()] == [summary.written.name]
    assert summary.exit_code == 0


def test_a_name_in_the_workspace_and_any_window(dataset: Path) -> None:
    workspace = dataset.parents[1]
    for window_id in IDS:
        out = Path(f"pictures/{IDS.index(window_id)}.png")
        summary = inspect("ipn-maestro10", window=window_id, workspace=workspace, out=out)
        assert summary.facts["window_id"] == window_id
        assert out.is_file()


def test_what_it_says(dataset: Path) -> None:
    summary = inspect(dataset)
    told = json.loads(json.dumps(summary.as_dict(), allow_nan=False))
    assert (told["frames"], told["usable_frames"], told["held_frames"], told["not_finite"]) == (4, 3, 0, 0)
    assert told["native_label"] == "G05" and told["subject_id"] is None
    assert [block["name"] for block in told["blocks"]] == [block["name"] for block in SCHEMA["blocks"]]
    assert all(0 < block["min"] < block["max"] < 1 for block in told["blocks"])
    lines = summary.lines()
    assert lines[0] == f"{IDS[0]}: swiping_left, 3 of 4 frames usable, 0 held"
    assert lines[-1].startswith("picture: ipn_frames")
    assert len(lines) == len(SCHEMA["blocks"]) + 3


def test_features_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    features = np.ones((FRAMES, DIMS), dtype=np.float32)
    features[1, 5:8] = np.nan
    features[2] = np.nan  # not usable: nobody reads it
    path = write(tmp_path / "w.parquet", [row("a", features=features.tolist())])
    summary = inspect(path, out=tmp_path / "a.png")
    assert summary.not_finite == 3
    assert any("3 features of usable frames are not finite" in line for line in summary.lines())


def test_a_window_without_a_usable_frame(tmp_path: Path) -> None:
    path = write(
        tmp_path / "w.parquet", [row("a", usable=[False] * FRAMES, handedness=None, native_label=None)]
    )
    summary = inspect(path, out=tmp_path / "a.png")
    assert summary.blocks[0][3:] == (None, None)
    assert summary.as_dict()["blocks"][0]["min"] is None
    assert summary.lines()[0].endswith("0 of 4 frames usable, 0 held")


def test_a_picture_is_replaced_only_when_asked(dataset: Path) -> None:
    out = Path("a.png")
    out.write_text("mine")
    with pytest.raises(ConfigError, match=r"a\.png exists: pass --overwrite"):
        inspect(dataset, out=out)
    with pytest.raises(ConfigError, match="--overwrite"):
        plan(FeaturesInspectConfig(file=str(dataset), out=out))
    assert out.read_text() == "mine"
    inspect(dataset, out=out, overwrite=True)
    first = out.read_bytes()
    inspect(dataset, out=out, overwrite=True)
    assert out.read_bytes() == first != b"mine"


@pytest.mark.parametrize(
    ("window_id", "name"),
    [
        ("a/b:0+16@30", "a_b_0+16@30.png"),
        ("../../etc/passwd", "etc_passwd.png"),
        ("日本", "window.png"),
        (f"{'x' * 300}:1", f"{'x' * 118}_1.png"),
        (".hidden", "hidden.png"),
    ],
)
def test_names_are_safe(tmp_path: Path, window_id: str, name: str) -> None:
    path = write(tmp_path / "w.parquet", [row(window_id)])
    assert plan(FeaturesInspectConfig(file=str(path))).writes == (Path(name),)


def test_a_dry_run_writes_nothing(dataset: Path) -> None:
    planned = plan(FeaturesInspectConfig(file=str(dataset), window=IDS[2]))
    assert planned.reads == (dataset / "windows/train-00000-of-00001.parquet",)
    assert planned.work == "1 window of 4 frames"
    assert not list(Path().iterdir())


def test_an_unknown_window_names_those_near_it(dataset: Path) -> None:
    wrong = "ipn/frames/1CM1_1_R_#1:5+4@30"
    with pytest.raises(ConfigError) as caught:
        inspect(dataset, window=wrong)
    assert str(caught.value) == f"no window {wrong!r} among 3; near it are {', '.join(IDS)}"


def test_only_a_few_of_many_windows_are_named(tmp_path: Path) -> None:
    ids = [f"v:{i:03d}" for i in range(100)]
    path = write(tmp_path / "w.parquet", [row(each) for each in ids])
    for wrong, named in (("v:0495", ids[48:52]), ("", ids[:4]), ("z", ids[-4:])):
        with pytest.raises(ConfigError, match=f"among 100; near it are {', '.join(named)}$"):
            inspect(path, window=wrong)


def foreign(folder: Path) -> Path:
    path = folder / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    return path


def crops(folder: Path) -> Path:
    path = folder / "crops.parquet"
    write_table(path, table_of("crops", []), "crops", {})
    return path


def text(folder: Path) -> Path:
    path = folder / "text.parquet"
    path.write_text("no")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "nothing to inspect: there is neither"),
        (lambda folder: folder, "no windows in"),
        (foreign, "holds another table, not windows"),
        (crops, "holds crops, not windows"),
        (text, "is not a whole Parquet file"),
        (lambda folder: write(folder / "w.parquet", []), "holds no window"),
        (lambda folder: write(folder / "w.parquet", [row("a")], None), "no feature_schema in its metadata"),
        (lambda folder: write(folder / "w.parquet", [row("a")], {"blocks": []}), "describes 0 features"),
    ],
)
def test_what_cannot_be_inspected(tmp_path: Path, make: Any, message: str) -> None:
    path = make(tmp_path)
    with pytest.raises(DataError, match=message):
        inspect(path, out=tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_a_picture_is_a_png() -> None:
    with pytest.raises(ConfigError, match=r"out=a\.jpg is not a PNG"):
        FeaturesInspectConfig(file="x", out=Path("a.jpg"))


def test_on_the_command_line(cli: Any, dataset: Path) -> None:
    workspace = dataset.parents[1]
    words = ("features", "inspect", "ipn-maestro10", "--workspace", workspace)
    told = cli(*words, "--window", IDS[1], "--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.output)
    assert facts["window_id"] == IDS[1] and Path(facts["written"][0]).is_file()
    again = cli(*words, "--window", IDS[1])
    assert (again.exit_code, again.output.count("\n")) == (2, 1)
    assert "pass --overwrite" in again.output
    assert cli(*words, "--window", IDS[1], "--overwrite").exit_code == 0
    assert cli(*words, "--dry-run").output.endswith("nothing was written (--dry-run)\n")
    unknown = cli(*words, "--window", "x")
    assert (unknown.exit_code, unknown.output.count("\n")) == (2, 1)
    missing = cli("features", "inspect", "nowhere", "--workspace", workspace)
    assert (missing.exit_code, missing.output.count("\n")) == (1, 1)
    assert "inspect" in cli("features", "--help").output
    assert "--window ID" in cli("features", "inspect", "--help").output
