"""Fixtures that several folders of tests share."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pgc_data.cli import main


@pytest.fixture
def cli():
    """Calls the command line: `cli("prepare", "ipn")` -> click's result, with `.exit_code` and `.output`."""

    def call(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return call
