"""`to-parquet` in a process of its own that is killed at any moment and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("PGC_DATA_KILLS", "6"))
# Rows go to files early, files are small, and every row group takes its time, so that a kill meets each of the steps.
RUN = """
import sys, time
from pgc_data.cli import main
from pgc_data.storage import parquet, sorting
from pgc_data.tables import writer
sorting.SortedRows.__init__.__defaults__ = (20_000,)
parquet.IMAGE_GROUP_ROWS, writer.FILE_BYTES = 20, 60_000
end_group = parquet.TableWriter.end_group
def slowly(self):
    time.sleep(0.01)
    end_group(self)
parquet.TableWriter.end_group = slowly
main(sys.argv[1:])
"""


def start(workspace, name):
    words = [
        "to-parquet",
        "ipn",
        "--vocabulary",
        "pointing",
        "--name",
        name,
        "--table",
        "crops",
        "--table",
        "windows",
    ]
    call = [sys.executable, "-c", RUN, *words, "--near-duplicates", "keep", "--workspace", str(workspace)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_and_restarted_dataset_equals_an_uninterrupted_one(extracted):
    began = time.monotonic()
    said, _ = start(extracted, "whole").communicate(timeout=300)
    seconds = time.monotonic() - began
    whole = contents(extracted / "parquet" / "whole")
    assert len([name for name in whole if name.startswith("crops/")]) > 3, said
    rng = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        process = start(extracted, "killed")
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    process = start(extracted, "killed")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert killed
    found = contents(extracted / "parquet" / "killed")
    # Only the card's title and loading lines tell the two apart.
    for each in (whole, found):
        for name in ("README.md", "manifest.json", ".lock"):
            each.pop(name, None)
    assert found == whole
