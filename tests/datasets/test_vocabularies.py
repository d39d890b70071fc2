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


def test_pointing_and_maestro_say_what_becomes_of_every_dataset_with_labels():
    datasets = {name for name, facts in DATASETS.items() if facts.labels}
    for name in ("pointing", "maestro10"):
        assert set(load_vocabulary(name).mapped) == datasets


# The table of facts/datasets.md; None: left out.
@pytest.mark.parametrize(
    ("dataset", "label", "pointing", "maestro"),
    [
        ("ipn", "B0A", "pointing", "point_one"),
        ("ipn", "B0B", "not_pointing", "point_two"),
        ("ipn", "D0X", None, "unknown"),
        ("ipn", "G08", "not_pointing", "unknown"),
        ("ipn", "G10", "not_pointing", None),
        ("jester", "Swiping Left", "not_pointing", "swiping_left"),
        ("jester", "Zooming Out With Full Hand", "not_pointing", "zooming_out_full_hand"),
        ("jester", "Zooming In With Two Fingers", "not_pointing", "unknown"),
        ("jester", "Pulling Two Fingers In", None, "unknown"),
        ("jester", "Doing other things", "not_pointing", "unknown"),
        ("hagrid", "point", "pointing", "point_one"),
        ("hagrid", "one", None, "point_one"),
        ("hagrid", "two_up_inverted", "not_pointing", "point_two"),
        ("hagrid", "peace", "not_pointing", None),
        ("hagrid", "fist", "not_pointing", "fist"),
        ("hagrid", "grip", "not_pointing", None),
        ("hagrid", "mute", None, None),
        ("hagrid", "three_gun", None, None),
        ("hagrid", "thumb_index2", None, None),
        ("hagrid", "no_gesture", "not_pointing", "unknown"),
        ("leapgestrecog", "04_fist_moved", "not_pointing", "fist"),
        ("leapgestrecog", "06_index", None, "point_one"),
        ("leapgestrecog", "02_l", "not_pointing", "unknown"),
    ],
)
def test_labels_become_the_classes_that_the_facts_name(dataset, label, pointing, maestro):
    for name, expected in (("pointing", pointing), ("maestro10", maestro)):
        vocabulary = load_vocabulary(name)
        assert vocabulary.mapped[dataset].get(label) == expected
        assert (label in vocabulary.excluded[dataset]) == (expected is None)


@pytest.mark.parametrize(
    ("name", "dataset", "classes"),
    [("leap10", "leapgestrecog", 10), ("hagrid18", "hagrid", 18), ("hagrid34", "hagrid", 34),
     ("jester27", "jester", 27), ("ipn14", "ipn", 14)],
)  # fmt: skip
def test_each_dataset_has_its_own_labels_as_a_vocabulary(name, dataset, classes):
    vocabulary = load_vocabulary(name)
    ids = vocabulary.class_ids(dataset, DATASETS[dataset].labels)
    assert len(vocabulary.classes) == len(ids) == len(set(ids.values())) == classes
    if name != "hagrid18":
        assert [ids[label] for label in DATASETS[dataset].labels] == list(range(classes))


@pytest.mark.parametrize("name", vocabulary_names())
def test_every_class_with_a_side_is_swapped_by_a_flip(name):
    vocabulary = load_vocabulary(name)
    sided = {c for c in vocabulary.classes if c.endswith(("left", "right", "clockwise"))}
    assert {c for pair in vocabulary.flip for c in pair} == sided
    swap = {"left": "right", "clockwise": "counterclockwise"}
    assert all(
        b == a.removesuffix(end) + swap[end] for a, b in vocabulary.flip for end in swap if a.endswith(end)
    )


def option(*names):
    return load_vocabulary("+".join(["maestro10", *names]))


def test_an_option_changes_what_it_names_and_nothing_else():
    plain, chosen = option(), option("exclude_clicks")
    assert chosen.name == "maestro10+exclude_clicks"
    assert chosen.mapped["ipn"].keys() == plain.mapped["ipn"].keys() - {"G01", "G02", "G08", "G09"}
    assert chosen.excluded["ipn"].keys() == plain.excluded["ipn"].keys() | {"G01", "G02", "G08", "G09"}
    assert chosen.mapped["jester"] == plain.mapped["jester"]
    chosen.class_ids("ipn", DATASETS["ipn"].labels)


@pytest.mark.parametrize(
    ("chosen", "dataset", "label", "expected"),
    [
        ("maestro10+peace_as_point_two", "hagrid", "peace_inverted", "point_two"),
        ("maestro10+near_misses_as_unknown", "hagrid", "grip", "unknown"),
        ("maestro10+ipn_zooms", "ipn", "G11", "zooming_out_full_hand"),
        ("pointing+non_gesture_as_negative", "ipn", "D0X", "not_pointing"),
        ("pointing+one_as_negative", "hagrid", "one", "not_pointing"),
        ("pointing+exclude_clicks", "ipn", "G01", None),
    ],
)
def test_the_options_of_the_facts(chosen, dataset, label, expected):
    vocabulary = load_vocabulary(chosen)
    assert vocabulary.mapped[dataset].get(label) == expected
    assert (label in vocabulary.excluded[dataset]) == (expected is None)


def test_the_digest_covers_options_in_whatever_order():
    both = ("ipn_zooms", "exclude_clicks")
    assert option(*both).name == option(*reversed(both)).name == "maestro10+exclude_clicks+ipn_zooms"
    assert option(*both).digest() == option(*reversed(both)).digest()
    assert len({option().digest(), option(both[0]).digest(), option(*both).digest()}) == 3


def test_a_label_that_is_null_needs_no_mention():
    assert load_vocabulary("jester27").class_ids("jester", [None, "Stop Sign"])["Stop Sign"] == 23


OPTIONS = """classes = ["a", "b"]
[ipn]
a = ["B0A"]
[options.x.ipn]
b = ["B0A"]
[options.y.ipn.exclude]
B0A = "no"
[options.z.folder]
b = ["anything"]
"""


def test_options_of_a_users_own_file(tmp_path):
    (tmp_path / "c++").mkdir()
    path = own(tmp_path / "c++", OPTIONS)
    assert load_vocabulary(path).mapped == {"ipn": {"B0A": "a"}}
    assert load_vocabulary(path + "+x").mapped == {"ipn": {"B0A": "b"}}
    assert load_vocabulary(path + "+x").excluded == {"ipn": {}}
    assert load_vocabulary(path + "+y").excluded == {"ipn": {"B0A": "no"}}
    assert load_vocabulary(path + "+z").class_ids("folder", ["anything"]) == {"anything": 1}
    assert load_vocabulary(path + "+y+z").name == "own+y+z"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("+w", r"unknown option 'w' \(known: x, y, z\)"),
        ("+", "unknown option ''"),
        ("+x+x", "the options 'x' and 'x' both say what becomes of the ipn label 'B0A'"),
        ("+x+y", "the options 'x' and 'y' both say"),
    ],
)
def test_options_that_are_unknown_or_contradict_each_other_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        load_vocabulary(own(tmp_path, OPTIONS) + options)


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
        ('classes = ["a"]\noptions = 3', "'options' must be tables"),
        ('classes = ["a"]\n[options]\nx = 3', "'options' must be tables"),
        ('classes = ["a"]\n[options.x.ipm]\na = []', "did you mean 'ipn'"),
        (
            'classes = ["a"]\n[options.x.ipn]\nb = ["B0A"]',
            r"\[options.x.ipn\]: 'b' is not one of the classes",
        ),
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
