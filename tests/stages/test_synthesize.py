"""`synthesize`: which writer is called with what, what is refused, and what is drawn again."""

import json

import pytest

from pgc_data.errors import ConfigError, DataError
from pgc_data.stages import synthesize
from pgc_data.stages.synthesize import SynthesizeConfig, plan, run

FEW = {
    "jester": {"subjects": 1},
    "leapgestrecog": {"subjects": 1, "repeats": 1},
    "hagrid": {"subjects": 3, "repeats": 1},
}


def config(tmp_path, dataset, **more):
    return SynthesizeConfig(
        workspace=tmp_path, dataset=dataset, workers=1, **{**FEW.get(dataset, {}), **more}
    )


@pytest.fixture
def calls(monkeypatch):
    """Replaces every writer by one that notes its arguments and then fails."""
    noted = []

    def note(name):
        def write(folder, **arguments):
            arguments.pop("progress")
            noted.append((name, arguments))
            raise DataError("noted")

        return write

    for name in ("ipn", "jester", "leapgestrecog", "hagrid"):
        monkeypatch.setattr(synthesize, f"write_{name}", note(name))
    return noted


@pytest.mark.parametrize(
    ("dataset", "given", "expected"),
    [
        ("ipn", {}, {"subjects": 8, "videos_per_subject": 1, "repeats": 1, "seed": 0}),
        (
            "ipn",
            {"subjects": 2, "videos": 3, "repeats": 4, "seed": 5},
            {"subjects": 2, "videos_per_subject": 3, "repeats": 4, "seed": 5},
        ),
        ("jester", {}, {"clips": 27, "subjects": 8, "layout": "original", "seed": 0}),
        (
            "jester",
            {"repeats": 3, "layout": "kaggle"},
            {"clips": 81, "subjects": 8, "layout": "kaggle", "seed": 0},
        ),
        ("leapgestrecog", {}, {"subjects": 8, "frames": 20, "seed": 0}),
        ("leapgestrecog", {"repeats": 200}, {"subjects": 8, "frames": 200, "seed": 0}),
        ("hagrid", {}, {"subjects": 8, "images": 8, "release": "2.0", "seed": 0}),
        (
            "hagrid",
            {"repeats": 2, "release": "v2", "seed": 1},
            {"subjects": 8, "images": 2, "release": "v2", "seed": 1},
        ),
    ],
)
def test_each_dataset_has_its_writer_and_its_defaults(tmp_path, calls, dataset, given, expected):
    with pytest.raises(DataError, match="noted"):
        run(SynthesizeConfig(workspace=tmp_path, dataset=dataset, workers=2, **given))
    assert calls == [(dataset, {**expected, "workers": 2})]


@pytest.mark.parametrize(
    ("dataset", "given", "message"),
    [
        ("jester", {"videos": 2}, r"--videos 2 means nothing to jester: only ipn has it"),
        ("hagrid", {"videos": 1}, r"--videos 1 means nothing to hagrid"),
        ("ipn", {"layout": "kaggle"}, r"--layout kaggle means nothing to ipn: only jester has it"),
        (
            "leapgestrecog",
            {"release": "v1"},
            r"--release v1 means nothing to leapgestrecog: only hagrid has it",
        ),
        ("jester", {"name": "hagrid"}, r"--name hagrid is the place of the real dataset"),
        ("ipm", {}, r"did you mean 'ipn'"),
    ],
)
def test_refuses_what_has_no_effect(tmp_path, calls, dataset, given, message):
    with pytest.raises(ConfigError, match=message):
        run(SynthesizeConfig(workspace=tmp_path, dataset=dataset, **given))
    assert not calls
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"release": "v3"}, r"release='v3' is not one of v1, 2.0, v2"), ({"layout": "zip"}, r"layout='zip'")],
)
def test_choices_are_checked(given, message):
    with pytest.raises(ConfigError, match=message):
        SynthesizeConfig(dataset="hagrid", **given)


@pytest.mark.parametrize(
    ("dataset", "more", "work"),
    [
        ("ipn", {}, "about 4,240 frames"),
        ("jester", {"repeats": 2}, "about 1,998 frames"),
        ("leapgestrecog", {"repeats": 3}, "about 30 frames"),
        ("hagrid", {"release": "v2"}, "about 29 frames"),
    ],
)
def test_plan_says_how_much_and_writes_nothing(tmp_path, dataset, more, work):
    planned = plan(config(tmp_path, dataset, **more))
    assert work in planned.work
    assert planned.writes == (tmp_path / "raw" / f"{dataset}-synthetic",)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dataset", "videos", "frames", "unit"),
    [("leapgestrecog", 10, 10, "folders"), ("hagrid", 18, 18, "photographs")],
)
def test_draws_once_and_keeps_what_is_there(tmp_path, monkeypatch, dataset, videos, frames, unit):
    done = run(config(tmp_path, dataset))
    assert (done.videos, done.frames, done.drawn, done.unit) == (videos, frames, True, unit)
    assert done.lines() == [f"{videos} {unit}, {frames} frames drawn in {done.folder}"]
    monkeypatch.setattr(synthesize, f"write_{dataset}", None)
    again = run(config(tmp_path, dataset))
    assert (again.videos, again.frames, again.drawn) == (videos, frames, False)
    with pytest.raises(DataError, match="was drawn with other settings: pass --overwrite"):
        run(config(tmp_path, dataset, seed=1))


def test_overwrite_replaces_it_and_the_marker_says_how_it_was_drawn(tmp_path):
    folder = run(config(tmp_path, "hagrid", release="v1")).folder
    assert (folder / "ann_train_val").is_dir()
    run(config(tmp_path, "hagrid", release="2.0", overwrite=True))
    assert not (folder / "ann_train_val").exists()
    assert (folder / "annotations").is_dir()
    marker = json.loads((folder / synthesize.SYNTHETIC_MARKER).read_text())
    assert marker["synthetic"] is True
    assert marker["config"] == {
        "dataset": "hagrid",
        "subjects": 3,
        "repeats": 1,
        "release": "2.0",
        "seed": 0,
    }


def test_an_interrupted_drawing_is_drawn_anew(tmp_path):
    folder = run(config(tmp_path, "leapgestrecog")).folder
    (folder / "joints.parquet").unlink()
    done = run(config(tmp_path, "leapgestrecog"))
    assert (done.drawn, done.frames) == (True, 10)


def test_leaves_a_folder_alone_that_was_not_drawn(tmp_path):
    mine = tmp_path / "raw" / "jester-synthetic" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(DataError, match=r"holds notes.txt, which was not drawn: choose another --name"):
        run(config(tmp_path, "jester", overwrite=True))
    assert mine.read_text() == "mine"
