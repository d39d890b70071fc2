"""Extraction in real processes that are killed, starved and fed with damaged files; MediaPipe alone is left out.

`PGC_DATA_KILLS=20 pytest tests/stages/test_chaos.py -k moments` kills the whole run that many times.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from factories import annotate, frames, write_video

from pgc_data.stages.prepare import PrepareConfig
from pgc_data.stages.prepare import run as prepare

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in /proc"),
]

TESTS = Path(__file__).parents[1]
KILLS = int(os.environ.get("PGC_DATA_KILLS", "5"))
FRAMES = 60
SHARD = 60
SECONDS = 120


def video(number):
    return f"1CM1_{number}_R_#{number}"


@pytest.fixture
def workspace(tmp_path):
    """Ten clips of 60 frames: eight folders of images, two video files; one shard each."""
    raw = tmp_path / "raw" / "ipn"
    for number in range(8):
        frames(raw, video(number), FRAMES)
    for number in (8, 9):
        write_video(raw / "videos" / f"{video(number)}.avi", FRAMES)
    annotate(raw, [f"{video(number)},B0A,2,1,{FRAMES},{FRAMES}" for number in range(10)])
    prepare(PrepareConfig(workspace=tmp_path, dataset="ipn"))
    return tmp_path


def start(workspace, *words):
    """`pgc-data extract ipn` in a process of its own."""
    path = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    call = [
        str(workspace / "stand-in.task"), "extract", "ipn", "--workspace", str(workspace), "--shard-frames", str(SHARD),
        "--workers", "2", *words,
    ]  # fmt: skip
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from stages import stand_ins; stand_ins.main(*sys.argv[1:])",
            *call,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )


def end(process):
    """Its exit status and what it said."""
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


def extract(workspace, *words):
    status, said = end(start(workspace, *words))
    assert status == 0, said
    return said


def files(workspace):
    """Name -> bytes of all that an extraction leaves, logs aside."""
    folder = workspace / "extracted" / "ipn"
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != ".lock"}


def begin_again(workspace):
    for path in (workspace / "extracted" / "ipn").iterdir():
        if path.is_file():
            path.unlink()


def workers_of(process):
    """Ids of its worker processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
            command = (stat.parent / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == process.pid and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def wait_for(condition, process=None):
    """Waits until `condition()` is true, and returns what it is."""
    last = time.monotonic() + SECONDS
    while time.monotonic() < last:
        if found := condition():
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended too early: {end(process)}")
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def begun(workspace):
    """Whether some shards are done, and some are not."""
    return 0 < len(list((workspace / "extracted" / "ipn").glob("stats-*.json"))) < 9


@contextmanager
def in_the_middle(workspace, run):
    """Holds a run when some of its shards are done: it hands out no more until the block ends."""
    wait_for(lambda: begun(workspace), run)
    run.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        run.send_signal(signal.SIGCONT)


def damage(workspace):
    """Damages every clip but three. Returns clip -> frames lost, by reason."""
    raw = workspace / "raw" / "ipn"

    def image(number, frame):
        return raw / "frames" / video(number) / f"{video(number)}_{frame:06d}.jpg"

    image(0, 5).write_bytes(b"")
    image(0, 9).write_bytes(b"this is no JPEG")
    image(1, 20).write_bytes(image(1, 20).read_bytes()[:200])
    image(1, 30).unlink()
    image(1, 31).unlink()
    # Kills whoever looks at it.
    cv2.imwrite(str(image(3, 40)), np.full((48, 64, 3), 255, np.uint8))
    cut = raw / "videos" / f"{video(8)}.avi"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_video(raw / "videos" / f"{video(9)}.avi", 0)
    return {
        f"frames/{video(0)}": {"undecodable": 2}, f"frames/{video(1)}": {"undecodable": 1, "missing": 2},
        f"frames/{video(3)}": {"crashed": FRAMES},
    }  # fmt: skip


def test_whatever_is_damaged_is_recorded_and_the_rest_is_extracted(workspace):
    lost = damage(workspace)
    said = extract(workspace)
    assert "1 media killed the processes that read them" in said
    found = pl.read_parquet(workspace / "extracted" / "ipn" / "frames-*.parquet")
    assert found.height == found.select("media", "frame").n_unique() == 10 * FRAMES
    counts = dict(found.group_by("status").len().iter_rows())
    hands = pl.read_parquet(workspace / "extracted" / "ipn" / "hands-*.parquet")
    assert hands.height == counts["decoded"] == found["hands"].sum()
    ledger = pl.read_parquet(workspace / "extracted" / "ipn" / "ledger.parquet")
    assert ledger["count"].sum() == 10 * FRAMES - counts["decoded"]
    by_media = ledger.with_columns(media=pl.col("item").str.extract(r"^(.*):\d+-\d+$"))
    for media, reasons in lost.items():
        mine = by_media.filter(pl.col("media") == media).group_by("reason").agg(pl.col("count").sum())
        assert dict(mine.iter_rows()) == reasons
    whole = (
        by_media.filter(pl.col("media").str.starts_with("videos/"))
        .group_by("media")
        .agg(pl.col("count").sum())
    )
    halves = dict(whole.iter_rows())
    assert halves[f"videos/{video(9)}.avi"] == FRAMES
    assert 10 < halves[f"videos/{video(8)}.avi"] < FRAMES - 10
    assert set(by_media["media"]) == {*lost, *halves}


def test_what_is_damaged_gives_the_same_files_each_time_and_whoever_works_on_it(workspace):
    damage(workspace)
    extract(workspace)
    whole = files(workspace)
    begin_again(workspace)
    extract(workspace, "--workers", "1")
    assert files(workspace) == whole


def test_ray_gives_the_same_files(workspace):
    pytest.importorskip("ray")
    damage(workspace)
    extract(workspace)
    whole = files(workspace)
    begin_again(workspace)
    assert "1 media killed the processes that read them" in extract(workspace, "--engine", "ray")
    assert files(workspace) == whole


def test_with_strict_a_crash_is_an_error(workspace):
    damage(workspace)
    raw = workspace / "raw" / "ipn"
    for number in (0, 1):
        frames(raw, video(number), FRAMES)
    status, said = end(start(workspace, "--strict", "--workers", "1"))
    assert status == 1
    assert re.search(
        r"1CM1_3_R_#3, frame 1 is undecodable: reading it killed two worker processes \(--strict\)", said
    )


def test_a_worker_killed_by_the_system_changes_nothing(workspace):
    extract(workspace)
    whole = files(workspace)
    begin_again(workspace)
    run = start(workspace)
    with in_the_middle(workspace, run):
        os.kill(workers_of(run)[0], signal.SIGKILL)
    status, said = end(run)
    assert (status, said.count("a worker process died (SIGKILL); a fresh one begins it again")) == (0, 1), (
        said
    )
    assert files(workspace) == whole


def test_a_run_killed_at_random_moments_ends_the_same(workspace):
    began = time.monotonic()
    extract(workspace)
    seconds = time.monotonic() - began
    whole = files(workspace)
    begin_again(workspace)
    choose = random.Random(4)
    for _ in range(KILLS):
        run = start(workspace)
        time.sleep(choose.uniform(0.1, 1.0) * seconds)
        run.kill()
        end(run)
        if choose.random() < 0.3:
            begin_again(workspace)
    extract(workspace)
    assert files(workspace) == whole


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_run_that_is_stopped_says_how_to_go_on(workspace, signals):
    run = start(workspace)
    with in_the_middle(workspace, run):
        workers = workers_of(run)
        for number in signals:
            run.send_signal(number)
    status, said = end(run)
    assert (status, said.strip()) == (
        130, "pgc-data: stopped; what is finished is kept: run the same command again to go on"
    )  # fmt: skip
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    extract(workspace)


def test_two_runs_refuse_each_other(workspace):
    run = start(workspace)
    with in_the_middle(workspace, run):
        status, said = end(start(workspace))
    assert status == 1
    assert re.fullmatch(r"pgc-data: another pgc-data run is writing .*: wait for it, or stop it .*\n", said)
    assert end(run)[0] == 0


@contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_what_is_done_is_kept(workspace):
    extract(workspace)
    whole = files(workspace)
    begin_again(workspace)
    (workspace / "extracted").rename(workspace / "elsewhere")
    size = sum(map(len, whole.values()))
    with small_disk(workspace / "extracted", size * 2 // 3):
        status, said = end(start(workspace))
        assert status == 1
        assert re.fullmatch(
            r"pgc-data: no space left to write .*: free some, then run the same command again\n", said
        )
        done = sorted(n for n in files(workspace) if n.startswith("stats-"))
        assert done
        subprocess.run(["mount", "-o", f"remount,size={3 * size}", workspace / "extracted"], check=True)
        said = extract(workspace)
        assert f"{10 - len(done)} of 10 shards worked on, {len(done)} were done already" in said
        assert files(workspace) == whole
