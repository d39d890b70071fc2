from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from loaders.tables import crop_row, noise, png, write_dataset, write_file

import pgc_data
from pgc_data.audits.targets import find_target
from pgc_data.errors import ConfigError, DataError
from pgc_data.loaders import cache as format_
from pgc_data.loaders.images import decode_image
from pgc_data.paths import as_path
from pgc_data.recipes import load_recipe
from pgc_data.stages import cache
from pgc_data.stages.cache import CacheConfig
from pgc_data.tables.manifest import write_manifest


@pytest.fixture
def workspace(tmp_path):
    """A workspace with the dataset `d`: 620 crops of noise, smaller than 32x32 or larger."""
    splits = {"train": 560, "val": 40, "test": 20}
    start = 0
    for split, count in splits.items():
        rows = [crop_row(n, split, png(noise(n))) for n in range(start, start + count)]
        path = tmp_path / "parquet" / "d" / "crops" / f"{split}-00000-of-00001.parquet"
        write_file(path, "crops", rows, group_rows=100)
        start += count
    return tmp_path


def run(workspace, **options):
    return cache.run(CacheConfig(workspace=workspace, name="d", **options))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pixels_are_those_that_are_decoded_without_it(workspace):
    summary = run(workspace)
    assert (summary.rows, summary.fresh, summary.exit_code) == (
        {"train": 560, "val": 40, "test": 20},
        True,
        0,
    )
    assert summary.folder == workspace / "parquet" / "d" / "cache" / "crops-32x32"
    data = pgc_data.load(workspace / "parquet" / "d")
    for name in data.splits:
        rows = data.split(name).to_arrow(["image", "class_id"])
        images = np.load(summary.folder / f"{name}.npy", mmap_mode="r")
        encoded = [np.frombuffer(image["bytes"], np.uint8) for image in rows["image"].to_pylist()]
        assert (images == np.stack([decode_image(image, (32, 32)) for image in encoded])).all()
        assert np.load(summary.folder / f"{name}-class_id.npy").tolist() == rows["class_id"].to_pylist()
        others = data.split(name).to_polars([c for c in data.schema.names if c != "image"])
        assert pl.read_parquet(summary.folder / f"{name}.parquet").equals(others)


def test_batches_are_the_same_bit_for_bit(workspace):
    torch = pytest.importorskip("torch")
    run(workspace, size="24x40")
    train = pgc_data.load(workspace / "parquet" / "d").split("train")
    columns = ["sample_id", "landmarks", "subject_id", "hand_index"]
    pairs = zip(
        *(train.torch(64, size=(24, 40), columns=columns, cached=c) for c in (False, "auto")), strict=True
    )
    for decoded, cached in pairs:
        assert decoded.keys() == cached.keys()
        assert torch.equal(decoded["image"], cached["image"])
        assert decoded["image"].stride() == cached["image"].stride()
        for name in ("class_id", "landmarks", "hand_index"):
            assert decoded[name].dtype == cached[name].dtype
            assert torch.equal(decoded[name].nan_to_num(-1), cached[name].nan_to_num(-1))
        for name in ("sample_id", "subject_id"):
            assert decoded[name] == cached[name]


def test_folds_are_read_from_the_caches_of_all_of_them(tmp_path):
    pytest.importorskip("torch")
    write_dataset(tmp_path / "parquet" / "d", splits={f"fold-{n}": 30 for n in range(4)})
    run(tmp_path, size="8x8")
    train = pgc_data.load(tmp_path / "parquet" / "d").fold(1).split("train")
    for shuffle in (False, True):
        batches = train.torch(25, size=(8, 8), cached=True, columns=["frame"], shuffle=shuffle)
        rows = [
            (int(i[0, 0, 0]), int(f)) for b in batches for i, f in zip(b["image"], b["frame"], strict=True)
        ]
        assert all(image == frame for image, frame in rows)
        assert sorted(frame for _, frame in rows) == [*range(30), *range(90, 120)]


def test_what_is_up_to_date_is_left_alone(workspace):
    folder = run(workspace).folder
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert cache.plan(CacheConfig(workspace=workspace, name="d")).work.startswith("none")
    again = run(workspace)
    assert not again.fresh
    assert "up to date" in again.lines()[0]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_stale_cache_is_refused_and_replaced_when_told(workspace):
    pytest.importorskip("torch")
    folder = run(workspace).folder
    rows = [crop_row(n, "val", png(noise(n + 1))) for n in range(50)]
    write_file(workspace / "parquet" / "d" / "crops" / "val-00000-of-00001.parquet", "crops", rows)
    with pytest.raises(DataError, match="made from another state of d: pass --overwrite"):
        run(workspace)
    val = pgc_data.load(workspace / "parquet" / "d").split("val")
    with pytest.raises(DataError, match="is stale: run `pgc-data cache d --size 32x32 --overwrite`"):
        val.torch(8, size=(32, 32), cached=True)
    assert not val.torch(8, size=(32, 32), cached="auto")._source.in_memory
    assert run(workspace, overwrite=True).rows["val"] == 50
    assert np.load(folder / "val.npy").shape == (50, 32, 32, 3)


def test_a_missing_cache_is_explained(workspace):
    pytest.importorskip("torch")
    train = pgc_data.load(workspace / "parquet" / "d").split("train")
    with pytest.raises(DataError, match=r"is missing: run `pgc-data cache d --size 32x32`$"):
        train.torch(8, size=(32, 32), cached=True)
    with pytest.raises(ConfigError, match="cached needs a size"):
        train.torch(8, cached=True)


def test_a_damaged_cache_is_made_again(workspace):
    folder = run(workspace).folder
    before = contents(folder)
    (folder / "train.npy").write_bytes(b"cut")
    assert run(workspace).fresh
    assert contents(folder) == before


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_killed_run_is_gone_on_with(workspace, monkeypatch, stop):
    """Progress is saved after every batch; a run that dies at any of them leaves the same files when it goes on."""
    monkeypatch.setattr(format_, "_SAVED_BYTES", 1)
    whole = contents(run(workspace).folder)
    folder = workspace / "parquet" / "d" / "cache" / "crops-32x32"
    folder.rename(workspace / "kept")

    class KilledError(Exception):
        pass

    written = 0

    def counted(path, value):
        nonlocal written
        if path.name == "progress.json":
            written += 1
            if written == stop:
                # What was written since then is not known of.
                with (path.parent / "train.npy").open("ab") as handle:
                    handle.write(b"lost")
                raise KilledError
        keep(path, value)

    keep = format_.write_json
    with monkeypatch.context() as patch:
        patch.setattr(format_, "write_json", counted)
        with pytest.raises(KilledError):
            run(workspace)
    assert not folder.exists()
    decoded = []
    monkeypatch.setattr(
        "pgc_data.loaders.sources.decode_image", lambda *what: decoded.append(1) or decode_image(*what)
    )
    run(workspace)
    assert contents(folder) == whole
    assert len(decoded) == 620 - [0, 256, 512, 560, 600][stop - 1]
    assert [path.name for path in folder.parent.iterdir()] == ["crops-32x32"]


def test_what_another_state_has_left_is_not_gone_on_with(workspace):
    partial = workspace / "parquet" / "d" / "cache" / ".crops-32x32.incomplete"
    partial.mkdir(parents=True)
    (partial / "progress.json").write_text(json.dumps({"marks": {"table": "other"}, "rows": {"train": 256}}))
    (partial / "stray.npy").write_bytes(b"")
    folder = run(workspace).folder
    assert "stray.npy" not in contents(folder)
    assert np.load(folder / "train.npy").shape == (560, 32, 32, 3)


def test_a_broken_crop_is_named(workspace):
    path = workspace / "parquet" / "d" / "crops" / "val-00000-of-00001.parquet"
    write_file(path, "crops", [crop_row(n, "val", b"" if n == 7 else None) for n in range(20)])
    with pytest.raises(
        DataError, match=r"val-00000-of-00001.parquet: the image of row 7 cannot be decoded: it is em"
    ):
        run(workspace)


def test_the_dataset_does_not_know_of_its_caches(workspace):
    root = workspace / "parquet" / "d"
    target = find_target(root)
    (root / "README.md").touch()
    run(workspace)
    run(workspace, size="16x16")
    assert find_target(root) == target
    write_manifest(root, {}, [])
    assert not [
        file for file in json.loads((root / "manifest.json").read_text())["files"] if "cache" in file["path"]
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "../d"}, "cannot be a folder name"),
        ({"name": "d", "size": "32"}, "size='32' is no height and width: write it as 32x32"),
        ({"name": "d", "size": "0x32"}, "side of 0 pixels"),
        ({"name": "d", "workers": 0}, "workers=0 is too small"),
    ],
)
def test_wrong_settings_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        CacheConfig(**given)


def test_what_has_no_crops_is_refused(tmp_path):
    write_dataset(tmp_path / "parquet" / "d", "windows")
    with pytest.raises(DataError, match="has no crops to decode: run `pgc-data to-parquet`"):
        run(tmp_path)


def test_a_store_cannot_be_mapped():
    with pytest.raises(ConfigError, match="copy the dataset to a local workspace"):
        run(as_path("memory://bucket/w"))


def test_the_command(cli, workspace):
    plan = cli("cache", "d", "--workspace", workspace, "--dry-run")
    assert "620 crops, 1.9 MB" in plan.output
    done = cli("cache", "d", "--workspace", workspace, "--workers", "1", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["rows"] == {"train": 560, "val": 40, "test": 20}
    assert cli("cache", "d", "--size", "big", "--workspace", workspace).exit_code == 2


def test_a_recipe_decodes_what_it_wrote(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[01-to-parquet]\ndatasets = ["ipn"]\nvocabulary = "pointing"\n[02-cache]\nsize = "48x48"\n'
    )
    step = load_recipe(str(recipe), {"workspace": tmp_path, "workers": 3}).steps[1]
    assert (step.config.name, step.config.pixels, step.config.workers) == ("mine", (48, 48), 3)
