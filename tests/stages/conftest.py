"""A workspace with a small IPN-like source, extracted by a recorded backend: no MediaPipe, no processes."""

from __future__ import annotations

import pytest
from factories import RecordedBackend, annotate, drawn_hand, frames

from pgc_data.engines import Attempt
from pgc_data.hands.model_file import ModelFile
from pgc_data.stages import extract, networks, prepare, shards

LABELS = {"D0X": (1, 20), "B0A": (21, 60), "G05": (61, 90), "G10": (91, 100)}


@pytest.fixture
def recorded(monkeypatch, tmp_path_factory):
    """Makes `extract.run` use a recorded backend in this process; set `.hands` to change what it finds."""

    class Recorded:
        # The corner tells videos apart, so that no two of them give the same hand.
        hands = staticmethod(lambda image, timestamp_s: [drawn_hand(timestamp_s + image[-1, -1, 0] / 47.3)])
        shards: list[int] = []  # noqa: RUF012

    def in_process(function, packs, workers, initialize, arguments, *engine):
        for pack in packs:
            # For each of them, as `.hands` may have changed.
            shards.set_up(*arguments)
            Recorded.shards.append(pack.number)
            yield function(pack, Attempt())

    Recorded.shards = []
    model = tmp_path_factory.mktemp("model") / "m.task"
    model.touch()
    monkeypatch.setattr(extract, "map_shards", in_process)
    monkeypatch.setattr(extract, "make_backend", lambda *what: RecordedBackend(Recorded.hands))
    monkeypatch.setattr(networks, "find_hand_model", lambda given: ModelFile(model, "0" * 64, "recorded"))
    return Recorded


@pytest.fixture
def prepared(tmp_path):
    """Six people with one video of 100 frames each, prepared as `ipn` in `tmp_path`."""
    raw = tmp_path / "raw" / "ipn"
    rows = []
    for person in range(6):
        video = f"1CM1_{person}_R_#{person}"
        frames(raw, video, 100)
        rows += [f"{video},{label},1,{a},{b},{b - a + 1}" for label, (a, b) in LABELS.items()]
    annotate(raw, rows)
    (raw / "Annot_TrainList.txt").write_text("\r\n".join(r for r in rows if not r.startswith("1CM1_5")))
    (raw / "Annot_TestList.txt").write_text("\r\n".join(r for r in rows if r.startswith("1CM1_5")))
    prepare.run(prepare.PrepareConfig(workspace=tmp_path, dataset="ipn"))
    return tmp_path


@pytest.fixture
def extracted(prepared, recorded):
    """`prepared`, extracted in shards of two videos."""
    extract.run(extract.ExtractConfig(workspace=prepared, dataset="ipn", shard_frames=200))
    return prepared


@pytest.fixture
def second_source(extracted):
    """Adds another source of the same dataset to `extracted`, with its own videos of the people named."""

    def add(people, name="two"):
        raw = extracted / "raw" / name
        lines = []
        for number, person in enumerate(people):
            video = f"{person}_R_#{100 + number}"
            frames(raw, video, 60)
            lines.append(f"{video},B0A,2,1,30,30\n{video},G05,8,31,60,30")
        annotate(raw, lines)
        prepare.run(prepare.PrepareConfig(workspace=extracted, dataset="ipn", name=name))
        extract.run(extract.ExtractConfig(workspace=extracted, dataset=name))

    return add
