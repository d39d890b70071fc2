from __future__ import annotations

import pytest

from pgc_data.datasets import DATASETS
from pgc_data.datasets.vocabularies import load_vocabulary, vocabulary_names
from pgc_data.errors import ConfigError


@pytest.mark.parametrize("name", vocabulary_names())
def test_every_shipped_vocabulary_mentions_every_label_of_its_datasets(name):
    vocabulary = load_vocabulary(name)
    assert vocabulary.name == name
    assert vocabulary.mapped
    for dataset in vocabulary.mapped:
        vocabulary.class_ids(dataset, DATASETS[dataset].labels)


def test_pointing_is_as_pgc_has_it():
    assert load_vocabulary("pointing").class_ids("ipn", ["B0A", "G01", "D0X"])["B0A"] == 1
    assert "D0X" in load_vocabulary("pointing").excluded["ipn"]


def test_maestro_swipes_follow_the_throws():
    vocabulary = load_vocabulary("maestro10")
    ids = vocabulary.class_ids("ipn", ())
    assert [vocabulary.classes[ids[label]] for label in ("G03", "G04", "G05", "G06")] == [
        "swiping_up", "swiping_down", "swiping_left", "swiping_right",
    ]  # fmt: skip
    assert vocabulary.flip == (("swiping_left", "swiping_right"),)
    assert vocabulary.background_id == 7


def own(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return str(path)


def test_a_users_own_file_works_the_same_way(tmp_path):
    path = own(
        tmp_path, 'classes = ["a", "b"]\n[ipn]\na = ["B0A"]\nb = ["B0B"]\n[ipn.exclude]\nD0X = "noise"\n'
    )
    vocabulary = load_vocabulary(path)
    assert vocabulary.name == "own"
    assert vocabulary.class_ids("ipn", ["B0A", "B0B", "D0X"]) == {"B0A": 0, "B0B": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = [", "cannot be read"),
        ('classes = ["a", "a"]', "list of different names"),
        ("classes = []", "list of different names"),
        ('classes = ["a"]\nbackground = "b"', "background 'b' is not one of the classes"),
        ('classes = ["a"]\nflip = [["a", "b"]]', "'flip' must be a list of pairs"),
        ('classes = ["a"]\nipn = 3', "is not a key of a vocabulary"),
        ('classes = ["a"]\n[ipm]\na = ["B0A"]', "did you mean 'ipn'"),
        ('classes = ["a"]\n[ipn]\na = ["B0X"]', "unknown ipn label 'B0X'"),
        ('classes = ["a"]\n[ipn]\nb = ["B0A"]', "'b' is not one of the classes"),
        ('classes = ["a"]\n[ipn]\na = "B0A"', "must be a list of labels"),
        ('classes = ["a", "b"]\n[ipn]\na = ["B0A"]\nb = ["B0A"]', "is mapped to 'a' and to 'b'"),
        ('classes = ["a"]\n[ipn]\na = ["B0A"]\n[ipn.exclude]\nB0A = "x"', "is mapped and excluded"),
        ('classes = ["a"]\n[ipn]\na = ["B0A"]\n[ipn.exclude]\nB0B = ""', "must give each label a reason"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_vocabulary(own(tmp_path, text))


def test_a_label_that_is_not_mentioned_is_an_error_never_a_drop(tmp_path):
    vocabulary = load_vocabulary(own(tmp_path, 'classes = ["a"]\n[ipn]\na = ["B0A"]\n'))
    with pytest.raises(ConfigError, match="does not mention the ipn label 'B0B'"):
        vocabulary.class_ids("ipn", ["B0A", "B0B"])
    with pytest.raises(ConfigError, match=r"has no table \[jester\]"):
        vocabulary.class_ids("jester", [])


@pytest.mark.parametrize("name", ["pointng", "nowhere.toml"])
def test_an_unknown_vocabulary_is_named(name):
    with pytest.raises(
        ConfigError, match="did you mean 'pointing'" if name == "pointng" else "no vocabulary file"
    ):
        load_vocabulary(name)
