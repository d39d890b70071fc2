"""Extraction against the plain loop of tutorials and against the bare networks, on the same frames in one run.

python tests/bench/bench_extract.py [--raw FOLDER] [--backends mediapipe ...] [--rounds N] [--videos N] [--repeat N]

FOLDER is IPN Hand as it is published, of which N videos are taken (2 or more); without it, frames are drawn. With
--repeat, each video is there N times, so that the start of processes weighs less.

Every way of working runs in processes of its own, in turns, N rounds (1); medians count. Frames a second are those of
the clock: start of workers included for ours, without that of the landmarker for the plain loop, and of nothing but
the calls for the bare networks. CPU is that of all processes, for the bare networks that of the calls. Memory is the
peak of what all processes hold, sampled five times a second. The profile is that of one process that reads nothing
ahead, in CPU time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

NAME = "bench"
HANDS = 1
SAMPLE_S = 0.2


def items(workspace: Path) -> list[Any]:
    from pgc_data.hands.media_items import media_items

    return media_items(workspace / "prepared" / NAME / "samples.parquet")


def quiet() -> None:
    """What native libraries say is of no interest here; one thread each."""
    import cv2

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    cv2.setNumThreads(1)


def landmarker(mode: str) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    from pgc_data.hands.model_file import find_hand_model

    options = vision.HandLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(find_hand_model().path)),
        running_mode=vision.RunningMode[mode],
        num_hands=HANDS,
    )
    return vision.HandLandmarker.create_from_options(options)


def picture(image: Any) -> Any:
    import cv2
    import mediapipe as mp

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def images(raw: Path, item: Any) -> Iterator[Any]:
    """Frames as a tutorial reads them."""
    import cv2

    if item.kind == "video":
        capture = cv2.VideoCapture(str(raw / item.media))
        while (read := capture.read())[0]:
            yield read[1]
    else:
        for path in sorted((raw / item.media).glob("*.jpg")):
            yield cv2.imread(str(path))


def plain(workspace: Path, _: str, __: int) -> dict[str, float]:
    """The loop of tutorials: read, convert, detect in IMAGE mode, keep the landmarks."""
    quiet()
    found, frames = [], 0
    with landmarker("IMAGE") as hands:
        start = time.perf_counter()
        for item in items(workspace):
            for image in images(workspace / "raw" / NAME, item):
                found.append(hands.detect(picture(image)).hand_landmarks)
                frames += 1
        seconds = time.perf_counter() - start
    return {"frames": frames, "rate": frames / seconds}


def bare_part(workspace: Path, part: int, parts: int) -> tuple[int, float, float]:
    """Frames, and seconds of the clock and of the CPU in the calls of a landmarker that follows the hand."""
    quiet()
    frames, clock, cpu = 0, 0.0, 0.0
    for item in items(workspace)[part::parts]:
        with landmarker("VIDEO") as hands:
            for number, image in enumerate(images(workspace / "raw" / NAME, item)):
                begun, begun_cpu = time.perf_counter(), time.process_time()
                hands.detect_for_video(picture(image), number * 33)
                clock += time.perf_counter() - begun
                cpu += time.process_time() - begun_cpu
                frames += 1
    return frames, clock, cpu


def bare(workspace: Path, _: str, processes: int) -> dict[str, float]:
    """The landmarker's calls alone, in several processes at once."""
    jobs = [(workspace, part, processes) for part in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        done = pool.starmap(bare_part, jobs, chunksize=1)
    rate = sum(frames / clock for frames, clock, _ in done)
    return {"frames": sum(part[0] for part in done), "rate": rate, "cpu": sum(part[2] for part in done)}


def ours(workspace: Path, backend: str, workers: int) -> dict[str, float]:
    from pgc_data.stages import extract

    config = extract.ExtractConfig(
        workspace=workspace,
        dataset=NAME,
        backend=backend,
        workers=workers,
        hands=HANDS,
        shard_frames=1,
        restart=True,
    )
    start = time.perf_counter()
    summary = extract.run(config)
    return {
        "frames": summary.counts["frames"],
        "rate": summary.counts["frames"] / (time.perf_counter() - start),
    }


class Stopwatch:
    """CPU time of this process, divided among what is measured; what runs within another counts for itself."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inner = 0.0

    def add(self, name: str, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        before, self._inner = self._inner, 0.0
        start = time.process_time()
        try:
            return work(*arguments, **named)
        finally:
            whole = time.process_time() - start
            self.seconds[name] += whole - self._inner
            self._inner = before + whole

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **named: self.add(name, work, *arguments, **named)

    def each(self, name: str, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def run(*arguments: Any) -> Iterator[Any]:
            made = work(*arguments)
            while (item := self.add(name, next, made, None)) is not None:
                yield item

        return run


class Watched:
    """A backend whose time is taken."""

    def __init__(self, backend: Any, watch: Stopwatch) -> None:
        self._backend, self._watch = backend, watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._backend, name)
        return self._watch.timed("networks", value) if callable(value) else value


def profile(workspace: Path, backend: str, _: int) -> dict[str, Any]:
    """Where the time of a worker goes; nothing is read ahead, so that each part is on its own."""
    quiet()
    from pgc_data.hands import extractor
    from pgc_data.hands.backends import make_backend
    from pgc_data.hands.model_file import find_hand_model

    watch = Stopwatch()
    extractor.ahead = lambda frames, *_: frames
    extractor.read_frames = watch.each("read and decode", extractor.read_frames)
    extractor.encode_png = watch.timed("PNG", extractor.encode_png)
    extractor.perceptual_hash = watch.timed("perceptual hash", extractor.perceptual_hash)
    extractor.table_of = watch.timed("tables", extractor.table_of)
    for method in ("write", "__exit__"):
        setattr(extractor.TableWriter, method, watch.timed("tables", getattr(extractor.TableWriter, method)))
    networks = Watched(make_backend(backend, find_hand_model().path, HANDS, 0.5), watch)
    with tempfile.TemporaryDirectory() as out:
        shard = extractor.Shard(0, tuple(items(workspace)), workspace / "raw" / NAME, Path(out), 0.2, {})
        counts = watch.add("the rest", extractor.extract_shard, shard, networks)
    return {"frames": counts["frames"], "rate": 0.0, "profile": dict(watch.seconds)}


WAYS = {"plain": plain, "bare": bare, "ours": ours, "profile": profile}


def measure(workspace: Path, way: str, backend: str, processes: int) -> dict[str, Any]:
    """Runs one way of working in a process of its own."""
    words = ["--one", way, backend, str(processes), str(workspace)]
    child = subprocess.Popen(
        [sys.executable, __file__, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = [0.0]

    def watch() -> None:
        while child.poll() is None:
            peak[0] = max(peak[0], tree_mb(child.pid))
            time.sleep(SAMPLE_S)

    watching = threading.Thread(target=watch)
    watching.start()
    out, err = child.communicate()
    watching.join()
    if child.returncode:
        raise SystemExit(f"{way} {backend} {processes} failed:\n{err}")
    return {**json.loads(out.splitlines()[-1]), "peak_mb": peak[0]}


def tree_mb(pid: int) -> float:
    """Memory that a process and all below it hold, in MB; 0 where /proc does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        # Each thread has its own.
        below = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except OSError:
        return 0.0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
    return own / 1024 + sum(tree_mb(int(child)) for child in below)


def one(way: str, backend: str, processes: str, workspace: str) -> None:
    found = WAYS[way](Path(workspace), backend, int(processes))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"cpu": sum(part.ru_utime + part.ru_stime for part in used), **found}))


def prepare(workspace: Path, raw: Path | None, videos: int | None, repeat: int) -> None:
    """Lays the frames out in a workspace."""
    from pgc_data.stages import prepare as stage
    from pgc_data.synthetic import write_ipn

    if raw is None:
        raw = workspace / "drawn"
        write_ipn(raw, subjects=4)
    folder = workspace / "raw" / NAME
    (folder / "frames").mkdir(parents=True)
    header, *rows = (raw / "Annot_List.txt").read_text().splitlines()
    kept = [header]
    for video in sorted(path.name for path in (raw / "frames").iterdir())[:videos]:
        for copy in ("", *map(str, range(1, repeat))):
            (folder / "frames" / (video + copy)).symlink_to((raw / "frames" / video).resolve())
            kept += [row.replace(video, video + copy, 1) for row in rows if row.split(",")[0] == video]
    (folder / "Annot_List.txt").write_text("\n".join(kept))
    stage.run(stage.PrepareConfig(workspace=workspace, dataset="ipn", name=NAME))


def table(found: dict[tuple[str, str, int], list[dict[str, Any]]]) -> dict[tuple[str, str, int], float]:
    """Prints the medians; the frames a second of each."""
    print(f"{'':34}{'frames/s':>10}{'CPU s':>8}{'CPU ms/frame':>14}{'peak MB':>9}")
    rates = {}
    for (way, backend, processes), runs in found.items():
        if way == "profile":
            continue
        rate, cpu, peak = (
            float(np.median([run[name] for run in runs])) for name in ("rate", "cpu", "peak_mb")
        )
        rates[way, backend, processes] = rate
        name = {"plain": "plain loop", "bare": "bare networks", "ours": f"extract, {backend}"}[way]
        count = f", {processes} process{'es' if processes > 1 else ''}"
        spread = (
            f"  ({min(r['rate'] for r in runs):.0f}-{max(r['rate'] for r in runs):.0f})" if runs[1:] else ""
        )
        print(
            f"{name + count:34}{rate:10.1f}{cpu:8.1f}{cpu / runs[0]['frames'] * 1e3:14.2f}{peak:9.0f}{spread}"
        )
    return rates


def ratios(
    backends: list[str], rates: dict[tuple[str, str, int], float], found: dict[Any, list[dict[str, Any]]]
) -> None:
    """Prints what the goals are about."""
    bare_gain = rates["bare", "mediapipe", 2] / rates["bare", "mediapipe", 1]
    print(f"\nbare networks, 2 processes against 1: {bare_gain:.2f}")
    for backend in backends:
        one_worker, two = (rates["ours", backend, workers] for workers in (1, 2))
        print(f"{backend}, 2 workers against the plain loop: {two / rates['plain', 'mediapipe', 1]:.2f}")
        print(
            f"{backend}, 2 workers against 1: {two / one_worker:.2f}, {two / one_worker / bare_gain:.2f} of bare"
        )
        parts = {
            name: float(np.median([run["profile"].get(name, 0.0) for run in found["profile", backend, 1]]))
            for name in found["profile", backend, 1][0]["profile"]
        }
        networks, frames = parts["networks"], found["profile", backend, 1][0]["frames"]
        print(
            f"{backend}, outside the networks: {(sum(parts.values()) - networks) / networks:.1%} of the time in them"
        )
        for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
            print(f"    {name:20}{seconds / frames * 1e3:8.3f} ms a frame{seconds / networks:8.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--backends", nargs="+", default=["mediapipe"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--videos", type=int, choices=range(2, 201), metavar="N")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(*given.one)
        return
    ways = [("plain", "mediapipe", 1), ("bare", "mediapipe", 1), ("bare", "mediapipe", 2)]
    ways += [("ours", backend, workers) for backend in given.backends for workers in (1, 2)]
    ways += [("profile", backend, 1) for backend in given.backends]
    found: dict[tuple[str, str, int], list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), given.raw, given.videos, given.repeat)
        for _ in range(given.rounds):
            for way in ways:
                found[way].append(measure(Path(folder), *way))
    print(f"{found[ways[0]][0]['frames']:,} frames, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
    ratios(given.backends, table(found), found)


if __name__ == "__main__":
    main()
