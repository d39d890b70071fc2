"""`predict`: rows of every image, in every kind of output, and the exit status."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pointing_networks import write_pointing

from pgc_data.inference.network import PointingNetwork

COUNT = 7


@pytest.fixture
def model(tmp_path):
    return write_pointing(tmp_path / "m.onnx")


@pytest.fixture
def folder(tmp_path):
    """Images of growing brightness, and one that is broken."""
    path = tmp_path / "images"
    path.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(path / f"{number}.png"), np.full((9, 7, 3), 40 * number, np.uint8))
    (path / "broken.png").write_bytes(b"no image")
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_image_is_a_row(cli, model, folder, tmp_path, ending):
    out = tmp_path / f"out.{ending}"
    result = cli("predict", model, folder, "--output", out, "--batch-size", 3)
    assert result.exit_code == 0, result.output
    rows = pl.read_csv(out) if ending == "csv" else pl.read_parquet(out)
    assert rows.columns == ["path", "row", "name", "prob_pointing", "label", "error"]
    assert rows["name"].to_list() == [*(f"{n}.png" for n in range(COUNT)), "broken.png"]
    assert rows["error"].null_count() == COUNT
    network = PointingNetwork(model)
    crops = [np.full((9, 7, 3), 40 * number, np.uint8) for number in range(COUNT)]
    expected = network.probabilities(network.images(crops))
    np.testing.assert_allclose(rows["prob_pointing"][:COUNT].to_numpy(), expected, atol=1e-6)
    assert rows["label"].to_list() == [
        *("pointing" if p >= 0.4 else "not_pointing" for p in expected.tolist()),
        None,
    ]


def test_rows_do_not_depend_on_the_batch(cli, model, folder, tmp_path):
    texts = []
    for size in (1, 100):
        assert (
            cli("predict", model, folder, "--output", tmp_path / "o.csv", "--batch-size", size).exit_code == 0
        )
        texts.append([[*row[:3], row[3][:6], *row[4:]] for row in csv.reader((tmp_path / "o.csv").open())])
    assert texts[0] == texts[1]


def test_rows_of_tables_have_their_number(cli, model, folder, tmp_path):
    data = [(folder / f"{n}.png").read_bytes() for n in range(3)]
    table = pa.table(
        {"image_bytes": [*data, b"bad"], "image_path": ["p/a.png", "p/b.png", "p/c.png", "p/d.png"]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    summary = json.loads(cli("predict", model, tmp_path / "t.parquet", "--json").output)
    assert (summary["images"], summary["errors"], sum(summary["labels"].values())) == (4, 1, 3)
    assert [(row["row"], row["name"]) for row in summary["first_rows"]][3] == (3, "p/d.png")


def test_a_dataset_of_the_workspace_goes_by_its_name(cli, model, folder, tmp_path):
    crops = tmp_path / "data/parquet/mine/crops"
    crops.mkdir(parents=True)
    pq.write_table(pa.table({"image_bytes": [(folder / "1.png").read_bytes()]}), crops / "t.parquet")
    result = cli("predict", model, "mine", "--workspace", tmp_path / "data")
    assert "1 images" in result.output, result.output


@pytest.mark.parametrize(
    ("words", "status"), [([], 0), (["--strict"], 1), (["--threshold", "1.0"], 0), (["--dry-run"], 0)]
)
def test_the_exit_status_is_1_for_images_that_fail_only_if_asked(cli, model, folder, words, status):
    assert cli("predict", model, folder, *words).exit_code == status


def test_nothing_decoded_is_a_failure(cli, model, folder):
    result = cli("predict", model, folder / "broken.png")
    assert (result.exit_code, "it is not an image" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "nothing to look at"),
        (["images", "--output", "o.txt"], 2, "no known ending"),
        (["images", "--image-size", "0x3"], 2, "is no size"),
        (["none.png"], 1, "no file or folder none.png"),
        (["empty"], 1, "no image and no Parquet file in empty"),
        (["images", "--output", "images.csv"], 2, "is a folder"),
    ],
)
def test_wrong_calls(cli, model, folder, tmp_path, monkeypatch, words, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "images.csv").mkdir()
    result = cli("predict", model, *words)
    assert (result.exit_code, message in result.output) == (status, True), result.output
    assert result.output.count("\n") == 1


def test_a_model_that_is_a_page(cli, folder, tmp_path):
    (tmp_path / "p.onnx").write_text("<html>404</html>")
    result = cli("predict", tmp_path / "p.onnx", folder)
    assert (result.exit_code, "is an HTML page" in result.output) == (1, True)
