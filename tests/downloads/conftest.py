"""A local server, and no waiting between retries."""

from __future__ import annotations

import pytest
from downloads.download_servers import FileServer, running

from pgc_data.downloads import http


@pytest.fixture
def server():
    with running(FileServer()) as started:
        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(http, "BACKOFF_S", 0.001)
    monkeypatch.setattr(http, "TIMEOUT_S", (2.0, 2.0))
