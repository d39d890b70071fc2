"""`explain heatmaps` and `explain ablate` as they are typed: files, tables, wrong calls."""

from __future__ import annotations

import builtins
import csv
import json

import cv2
import numpy as np
import pytest
from pointing_networks import write_pointing, write_sequence

PNG = b"\x89PNG"


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 255, (12, 9 + number, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    (folder / "9.png").write_bytes(b"no image")
    return write_pointing(tmp_path / "m.onnx")


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_heatmaps_write_a_panel_a_layer_and_a_composite(cli, model, tmp_path):
    result = cli("explain", "heatmaps", model, "images")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "m_heatmaps"
    pictures = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert pictures == [
        f"{number:03d}_{number}/{name}.png"
        for number in range(3)
        for name in ("000_stem.act", "001_block.act", "composite")
    ]
    assert all((folder / name).read_bytes().startswith(PNG) for name in pictures)
    found = json.loads((folder / "heatmaps.json").read_text())
    assert [image["name"] for image in found["images"]] == ["0.png", "1.png", "2.png"]
    assert [fault["name"] for fault in found["not_decoded"]] == ["9.png"]
    table = rows(folder / "heatmaps.csv")
    assert len(table) == len(found["heatmaps"]) == 6
    assert table[0]["shape"] == "4x8x8" and float(table[0]["max"]) == pytest.approx(
        found["heatmaps"][0]["max"]
    )
    assert "1 images not decoded" in result.output


@pytest.mark.parametrize(
    ("words", "pictures"),
    [
        (["--composite-topk", 0], 6),
        (["--max-images", 1], 3),
        (["--layers", "block.act", "--reduce", "max", "--cmap", "gray", "--invert-cmap"], 6),
        (["--composite-layout", "col", "--composite-sort", "order", "--scale", "layer"], 9),
        (["--all", "--op-type", "Conv"], 9),
    ],
)
def test_heatmaps_of_some_layers_and_images(cli, model, tmp_path, words, pictures):
    result = cli("explain", "heatmaps", model, "images", "--out", "o", *words)
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.rglob("o/**/*.png"))) == pictures


def test_pictures_are_the_same_again(cli, model, tmp_path):
    for folder in ("a", "b"):
        assert cli("explain", "ablate", model, "images", "--out", folder).exit_code == 0
    first = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    second = {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")}
    assert first == second


@pytest.mark.parametrize("activation", ["silu", "relu", "gelu"])
def test_ablation_ranks_layers_and_draws_the_first(cli, model, tmp_path, activation):
    write_pointing(model, activation, channels_last=activation == "gelu")
    result = cli("explain", "ablate", model, "images", "--topk-image", 1, "--topk-heatmaps", 1)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "m_ablation"
    ranking = json.loads((folder / "ablation.json").read_text())["ranking"]
    assert [row["rank"] for row in ranking] == [1, 2]
    assert [row["name"] for row in ranking] == [row["name"] for row in rows(folder / "ablation.csv")]
    assert sorted(path.name for path in folder.rglob("*.png")) == [
        f"001_{ranking[0]['name']}.png", "composite.png", "ranking.png",
    ]  # fmt: skip
    assert ranking[0]["name"] in result.output


@pytest.mark.parametrize("command", ["heatmaps", "ablate"])
def test_layers_are_listed_without_images(cli, model, tmp_path, command):
    layers = json.loads(cli("explain", command, model, "--list-layers", "--json").output)["layers"]
    assert [layer["name"] for layer in layers] == ["stem.act", "block.act"]
    assert not (tmp_path / "m_heatmaps").exists()
    assert "2 layers to list" in cli("explain", command, model, "--list-layers", "--dry-run").output


@pytest.mark.parametrize("command", ["heatmaps", "ablate"])
@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "nothing to look at"),
        (["images", "--regex", "("], 2, "is no regular expression"),
        (["images", "--cmap", "turbot"], 2, "did you mean 'turbo'"),
        (["images", "--layers", "9"], 2, "no layer 9"),
        (["images", "--out", "images"], 2, "is not empty"),
        (["images/9.png"], 1, "none of 1 images can be decoded"),
        (["images/8.png"], 1, "no file or folder"),
    ],
)
def test_wrong_calls(cli, model, command, words, status, message):
    result = cli("explain", command, model, *words)
    assert (result.exit_code, message in result.output) == (status, True), result.output
    assert result.output.count("\n") == 1


def test_heatmaps_need_maps_and_ablation_an_image_that_is_there(cli, model):
    flat = cli("explain", "heatmaps", model, "images", "--all", "--op-type", "Gemm")
    assert (flat.exit_code, "is a map of several places" in flat.output) == (1, True)
    none = cli("explain", "ablate", model, "images", "--topk-image", 3)
    assert (none.exit_code, "there are images 0 to 2" in none.output) == (2, True)


def test_ablation_without_maps_still_ranks(cli, model, tmp_path):
    result = cli("explain", "ablate", model, "images", "--all", "--op-type", "Gemm", "--out", "o")
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.rglob("o/**/*.png")] == ["ranking.png"]


def test_models_that_are_none(cli, model, tmp_path):
    (tmp_path / "page.onnx").write_text("<!DOCTYPE html>")
    write_sequence(tmp_path / "s.onnx")
    write_pointing(tmp_path / "l.onnx", inputs=("images", "landmarks"))
    for name, message in (("page", "HTML page"), ("s", "is a sequence model"), ("l", "takes landmarks")):
        result = cli("explain", "heatmaps", tmp_path / f"{name}.onnx", "images")
        assert (result.exit_code, message in result.output) == (1, True), result.output


def test_without_onnx_the_error_says_what_to_install(cli, model, monkeypatch):
    usual = builtins.__import__

    def without(name, *arguments, **options):
        if name == "onnx":
            raise ImportError(name)
        return usual(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    result = cli("explain", "heatmaps", model, "images")
    assert (result.exit_code, "pip install 'pgc-data[train]'" in result.output) == (2, True), result.output
