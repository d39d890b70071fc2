"""The sources as data: what users may ask for, and the facts that must not change by accident."""

from __future__ import annotations

import pytest

from pgc_data.datasets import DATASETS
from pgc_data.downloads.kaggle import check_slug
from pgc_data.downloads.sources import KINDS, OFFERS, find_offer, with_classes
from pgc_data.errors import ConfigError

ALL = [(offer, source) for offers in OFFERS.values() for offer in offers for source in offer.sources]


def test_every_dataset_is_offered_and_says_what():
    assert set(OFFERS) <= set(DATASETS)
    for offers in OFFERS.values():
        assert len({offer.subset for offer in offers}) == len(offers)


@pytest.mark.parametrize(("offer", "source"), ALL, ids=lambda x: getattr(x, "subset", getattr(x, "kind", "")))
def test_a_source_is_well_formed(offer, source):
    assert source.kind in KINDS
    names = [file.name for file in source.files]
    assert len(set(names)) == len(names)
    assert source.base in ("",) or (source.base.startswith("https://") and source.base.endswith("/"))
    assert not source.slug or check_slug(source.slug)
    assert all(file.sha256 is None or len(file.sha256) == 64 for file in source.files)
    assert [KINDS.index(s.kind) for s in offer.sources] == sorted(KINDS.index(s.kind) for s in offer.sources)


def test_jester_has_its_three_parts():
    http = find_offer("jester", None).sources[1]
    assert sum(file.bytes for file in http.files) == 22_930_724_987
    assert http.joined


def test_no_kaggle_dataset_is_guessed_for_ipn():
    assert not any(s.slug for offer in OFFERS["ipn"] for s in offer.sources)


def test_hagrid_classes_lie_where_the_facts_say():
    files = {f.label: f for f in find_offer("hagrid", "v2").sources[0].files if f.label}
    assert len(files) == 34
    assert files["call"].path == "hagrid/hagrid_dataset_new_554800/hagrid_dataset/call.zip"
    assert files["rock"].path == "hagrid_v2/hagrid_v2_zip/rock.zip"
    assert files["hand_heart2"].path.endswith("/hands_heart2.zip")
    assert files["hand_heart2"].alternatives == ("hagrid_v2/hagrid_v2_zip/hand_heart2.zip",)


def test_classes_leave_the_annotation_and_the_classes_asked_for():
    offer = with_classes(find_offer("hagrid", "v2"), ("call", "point"))
    assert [f.name for f in offer.sources[0].files] == ["annotations.zip", "call.zip", "point.zip"]
    assert offer.bytes == 90_000_000_000
    assert [s.kind for s in with_classes(find_offer("hagrid", "v1"), ("call",)).sources] == ["http"]


@pytest.mark.parametrize(
    ("dataset", "subset", "classes", "message"),
    [
        ("hagrid", "v3", (), "unknown subset of hagrid 'v3'"),
        ("hagrid", "v2", ("cal",), "did you mean 'call'"),
        (
            "hagrid",
            "v2-512",
            ("call",),
            r"does not come as an archive a class \(those do: --subset 2.0, v1, v2\)",
        ),
        ("jester", None, ("Thumb Up",), "leave it out"),
        ("folder", None, (), "folder is nothing to download"),
    ],
)
def test_what_is_not_offered_is_told(dataset, subset, classes, message):
    with pytest.raises(ConfigError, match=message):
        with_classes(find_offer(dataset, subset), classes)
