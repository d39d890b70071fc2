"""A tiny dataset, and a stand-in of the Hub that the library knows alone."""

from __future__ import annotations

import pytest
from publishing.hub_server import HubServer, known_only, running
from publishing.tiny_dataset import write_manifest, write_tables


@pytest.fixture
def tiny(tmp_path):
    """`parquet/tiny` of a workspace, with files about it that are nobody's business."""
    folder = tmp_path / "parquet" / "tiny"
    write_tables(folder)
    write_manifest(folder)
    for name in ("cache/32x32.bin", ".crops.incomplete/train-00000.parquet", ".lock", ".cache/huggingface/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not for others")
    return folder


@pytest.fixture
def server(monkeypatch, tmp_path):
    with running(HubServer()) as started, known_only(monkeypatch, tmp_path, started.url):
        yield started
