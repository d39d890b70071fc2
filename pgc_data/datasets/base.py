"""What every dataset states about itself, and what its ingester returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Licence:
    """A licence in brief.

    Attributes:
        name: short name, as written in every row of a table.
        url: where its text or the dataset's page lies.
        summary: what it allows and forbids, in a sentence.
        must_accept: whether the user must accept it before downloading.
    """

    name: str
    url: str
    summary: str
    must_accept: bool = False


@dataclass(frozen=True)
class Ingested:
    """What an ingester made of a raw folder.

    Attributes:
        samples: the `samples` table, in the declared schema.
        ledger: what was dropped, or kept although odd: `item, action, reason, count, unit` and, where
            known, `detail, file, line`.
        rows_read: annotation rows read; equals `len(samples)` plus the rows dropped.
        layout: which of the dataset's layouts or releases was recognised, such as v2; empty if there is but one.
    """

    samples: pa.Table
    ledger: list[Row]
    rows_read: int
    layout: str = ""


Ingester = Callable[[Path, bool], Ingested]


@dataclass(frozen=True)
class Dataset:
    """One source dataset: its facts, and the function that reads its raw layout.

    Attributes:
        id: name on the command line.
        title: full name.
        labels: the dataset's own labels with their meaning, in the dataset's order; empty where any label may occur.
        samples: how many samples and images or frames the whole dataset has, in words.
        subjects: people shown, or None where unpublished.
        size: download size, in words.
        homepage: page to start from.
        licence: what may be done with it.
        citation: the paper to cite.
        hands: hands to look for in a frame.
        labelling: what a label is given to: `interval` (frames of a video), `clip` (a whole clip, whose ends are not
            the gesture yet) or `image` (a photograph, or the hands in its annotated boxes).
        fps: frames per second of its clips, None for stills or where unpublished.
        keeps_official_split: whether its own split is kept whatever is asked for, because its people are unknown.
        ingest: `ingest(raw folder, annotations_only) -> Ingested`.
        same_person: subjects that may be one person, and so must stay in one split.
    """

    id: str
    title: str
    labels: Mapping[str, str]
    samples: str
    subjects: int | None
    size: str
    homepage: str
    licence: Licence
    citation: str
    hands: int
    fps: float | None
    labelling: str
    ingest: Ingester
    keeps_official_split: bool = False
    same_person: tuple[tuple[str, ...], ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return {
            "id": self.id,
            "title": self.title,
            "classes": len(self.labels),
            "labels": dict(self.labels),
            "samples": self.samples,
            "subjects": self.subjects,
            "size": self.size,
            "licence": self.licence.name,
            "licence_url": self.licence.url,
            "must_accept_licence": self.licence.must_accept,
            "homepage": self.homepage,
            "citation": self.citation,
        }
