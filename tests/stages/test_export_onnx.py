from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from loaders.tables import crop_row, noise, png, write_file
from networks import FACTS, save

from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import export_onnx
from pgc_data.stages.export_onnx import ExportOnnxConfig
from pgc_data.training import export

SMALL = {"base_channels": 8, "num_blocks": 2}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "runs" / "best.pt"
    save(path, "inverted_se", **SMALL)
    return path


@pytest.fixture
def workspace(tmp_path):
    """A workspace with the crops dataset `d`."""
    start = 0
    for split, count in {"train": 80, "val": 20, "test": 40}.items():
        rows = [crop_row(n, split, png(noise(n))) for n in range(start, start + count)]
        write_file(tmp_path / "parquet" / "d" / "crops" / f"{split}-00000-of-00001.parquet", "crops", rows)
        start += count
    return tmp_path


def test_a_checkpoint_becomes_a_checked_file(checkpoint):
    summary = export_onnx.run(ExportOnnxConfig(checkpoint=checkpoint))
    torch_, fp32 = summary.variants
    assert (torch_.name, torch_.file, fp32.file) == ("torch", None, checkpoint.with_suffix(".onnx"))
    assert 0 <= fp32.largest_difference <= 1e-5
    assert (fp32.same_verdict, fp32.accuracy, fp32.f1) == (1.0, None, None)
    assert fp32.bytes == fp32.file.stat().st_size
    assert all(ms > 0 for v in summary.variants for ms in v.latency_ms.values())
    onnx.checker.check_model(onnx.load(fp32.file), full_check=True)
    assert "drawn inputs" in summary.lines()[0]


def test_variants_are_made_and_measured_on_crops(checkpoint, workspace):
    config = ExportOnnxConfig(workspace=workspace, checkpoint=checkpoint, fp16=True, int8=True, crops="d")
    summary = export_onnx.run(config)
    assert [v.name for v in summary.variants] == ["torch", "fp32", "fp16", "int8"]
    assert "40 crops of d, test" in summary.checked_on
    assert all(0 <= v.accuracy <= 1 and 0 <= v.f1 <= 1 for v in summary.variants)
    names = {path.name for path in checkpoint.parent.iterdir()}
    assert names == {"best.pt", "best.onnx", "best_fp16.onnx", "best_int8.onnx"}
    assert json.loads(json.dumps(summary.as_dict()))["variants"][3]["latency_ms"].keys() == {"1", "32"}


@pytest.mark.parametrize("split", ["test", "train"])
def test_accuracy_and_f1_are_counted(checkpoint, workspace, split, monkeypatch):
    """A model that says pointing to everything: accuracy is the share of pointing."""
    constant = lambda *_, **__: np.full(40, 0.9, np.float32)  # noqa: E731
    monkeypatch.setattr(export, "torch_probabilities", constant)
    monkeypatch.setattr(export, "onnx_probabilities", constant)
    summary = export_onnx.run(ExportOnnxConfig(workspace=workspace, checkpoint=checkpoint, crops="d"))
    labels = [crop_row(n, "test", b"")["label"] for n in range(100, 140)]
    share = labels.count("pointing") / 40
    assert summary.variants[1].accuracy == pytest.approx(share)
    assert summary.variants[1].f1 == pytest.approx(2 * share / (1 + share))


def test_a_graph_that_differs_is_not_written(checkpoint, monkeypatch):
    true = export.onnx_probabilities
    monkeypatch.setattr(export, "onnx_probabilities", lambda *a: true(*a) + np.float32(2e-5))
    with pytest.raises(DataError, match="differs from torch"):
        export_onnx.run(ExportOnnxConfig(checkpoint=checkpoint))
    assert [path.name for path in checkpoint.parent.iterdir()] == ["best.pt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"int8": True}, "give --crops"),
        ({"output": "model.pt"}, "ends in .onnx"),
    ],
)
def test_wrong_calls(cli, checkpoint, options, message):
    words = [w for k, v in options.items() for w in ([f"--{k}"] if v is True else [f"--{k}", v])]
    result = cli("export-onnx", checkpoint, *words)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_files_that_are_there_stay(cli, checkpoint):
    there = checkpoint.with_suffix(".onnx")
    there.write_bytes(b"mine")
    result = cli("export-onnx", checkpoint)
    assert (result.exit_code, there.read_bytes()) == (2, b"mine")
    assert "--overwrite" in result.output
    assert cli("export-onnx", checkpoint, "--overwrite").exit_code == 0
    assert there.read_bytes() != b"mine"


def test_a_page_instead_of_a_checkpoint_is_one_line(cli, tmp_path):
    page = tmp_path / "a.pt"
    page.write_text("<html>")
    result = cli("export-onnx", page)
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1


def test_a_checkpoint_without_facts_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    save(path, "baseline", facts={k: v for k, v in FACTS.items() if k != "crop"})
    with pytest.raises(DataError, match="does not say crop"):
        export_onnx.run(ExportOnnxConfig(checkpoint=path))


def test_a_dry_run_names_the_files(cli, checkpoint, workspace):
    result = cli("export-onnx", checkpoint, "--fp16", "--crops", workspace / "parquet" / "d", "--dry-run")
    assert result.exit_code == 0
    assert "best_fp16.onnx" in result.output
    assert "test-00000-of-00001.parquet" in result.output
    assert not checkpoint.with_suffix(".onnx").exists()


def test_crops_without_landmarks_are_refused_where_the_model_takes_them(tmp_path, workspace):
    path = tmp_path / "a.pt"
    save(path, "landmark_mlp")
    rows = [{**crop_row(n, "test", png(noise(n))), "landmarks": None} for n in range(20)]
    write_file(tmp_path / "none" / "crops" / "test-00000-of-00001.parquet", "crops", rows)
    with pytest.raises(DataError, match="no valid landmarks"):
        export_onnx.run(ExportOnnxConfig(checkpoint=path, crops=str(tmp_path / "none")))


def test_a_missing_package_says_what_to_install(checkpoint, monkeypatch):
    def missing(path):
        raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

    monkeypatch.setattr("pgc_data.training.checkpoints.read_checkpoint", missing)
    with pytest.raises(ConfigError, match=r"pip install 'pgc-data\[train\]'"):
        export_onnx.run(ExportOnnxConfig(checkpoint=checkpoint))
