"""A prepared source: which dataset it is, where its raw data lie, under which licence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgc_data.errors import DataError
from pgc_data.paths import as_path
from pgc_data.storage.files import read_json
from pgc_data.storage.workspace import Workspace

# In a raw folder: says that its images are drawn, and under which licence.
SYNTHETIC_MARKER = "synthetic.json"


@dataclass(frozen=True)
class Source:
    """The facts of `prepared/NAME/source.json`.

    Attributes:
        name: of the source in the workspace.
        dataset: id of the dataset whose layout it has.
        layout: which of the dataset's layouts or releases it has; empty if there is but one.
        raw: raw folder, relative to the workspace or absolute, or in a store.
        licence: short name of the licence of its data.
        licence_url: where the licence's text lies.
        citation: what to cite.
        synthetic: whether the images are drawn.
        annotations_only: whether it was prepared without looking for images or videos.
    """

    name: str
    dataset: str
    layout: str
    raw: str
    licence: str
    licence_url: str
    citation: str
    synthetic: bool
    annotations_only: bool

    def as_dict(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return dataclasses.asdict(self)

    def public(self) -> dict[str, Any]:
        """All of it but this machine's folders, as JSON values."""
        return {name: value for name, value in self.as_dict().items() if name != "raw"}

    def metadata(self) -> dict[str, Any]:
        """What the metadata of tables made from it carry: nothing of this machine's folders."""
        return {
            "licence": self.licence,
            "licence_url": self.licence_url,
            "citation": self.citation,
            "synthetic": self.synthetic,
        }

    def raw_folder(self, workspace: Workspace) -> Path:
        """Where its raw data lie."""
        raw = as_path(self.raw)
        return raw if raw.is_absolute() else workspace.root / raw


def read_source(workspace: Workspace, name: str) -> Source:
    """The facts of a prepared source.

    Raises:
        DataError: it is not prepared.
    """
    folder = workspace.prepared(name)
    if not (folder / "samples.parquet").is_file():
        raise DataError(
            f"{name} is not prepared ({folder / 'samples.parquet'} is missing): run `pgc-data prepare {name}`"
        )
    try:
        return Source(**read_json(folder / "source.json"))
    except TypeError as error:
        raise DataError(
            f"{folder / 'source.json'} is not of this version: run `pgc-data prepare {name}` again"
        ) from error
