"""Writes drawn hands in LeapGestRecog's raw layout, as the Kaggle archive has it, with the true joints beside it."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.gestures import PITCH, POSE, ROLL, SIZE, YAW, X, Y
from pgc_data.synthetic.infrared import InfraredCamera
from pgc_data.synthetic.performance import perform
from pgc_data.synthetic.poses import LEAP_POSES
from pgc_data.synthetic.studio import (
    SyntheticSummary,
    check_absent,
    check_counts,
    draw_all,
    drawing_folder,
    move_into,
    single_thread,
    write_picture,
)
from pgc_data.synthetic.subjects import Subject, draw_subject
from pgc_data.synthetic.truth import MEDIA_SCHEMA, Truth, TruthWriter

logger = logging.getLogger(__name__)

LEAP_LABELS = tuple(LEAP_POSES)

_SIZE = (640, 240)
_FOLDER = "leapGestRecog"
_COPY = "leapgestrecog/leapGestRecog"
# How far the hand wanders in each column, in palm lengths, radians, and shares of its size.
_WANDER = ((X, 0.5), (Y, 0.14), (ROLL, 0.12), (PITCH, 0.1), (YAW, 0.12), (SIZE, 0.06))
_MOVED = 2.0


@dataclass(frozen=True)
class _Job:
    """One folder of consecutive stills; all that a worker process needs to know."""

    subject: Subject
    person: int
    label: str
    frames: int
    seed: tuple[int, int, int]
    folder: Path

    @property
    def media(self) -> str:
        """Its folder below the raw folder."""
        return f"{_FOLDER}/{self.person:02d}/{self.label}"


def write_leapgestrecog(
    out: Path,
    *,
    subjects: int = 10,
    frames: int = 200,
    seed: int = 0,
    workers: int = 1,
    doubled: bool = True,
    progress: Callable[[int], None] | None = None,
) -> SyntheticSummary:
    """Draws a LeapGestRecog: ten gestures of every subject, in near infrared, 640 by 240 pixels, 8 bits of grey.

    Writes `leapGestRecog/SS/GG_name/frame_SS_GG_NNNN.png`, SS from 00, NNNN from 0001; the whole tree once more under
    `leapgestrecog/`, as the Kaggle archive holds it (hard links where the file system has them); and `joints.parquet`,
    the true joints (see `truth.MEDIA_SCHEMA`), of the first tree alone. The same arguments give the same bytes,
    whatever `workers` is. `leapGestRecog` appears last.

    Args:
        out: raw folder to write.
        subjects: people; 10 in the real data.
        frames: stills in each folder; 200 in the real data.
        seed: of everything.
        workers: processes.
        doubled: whether to write the second tree.
        progress: called with the number of frames of each folder as it is done.

    Raises:
        DataError: an argument makes no sense, or `out` already holds frames.

    Example:
        >>> import tempfile
        >>> write_leapgestrecog(Path(tempfile.mkdtemp()), subjects=1, frames=1).frames
        10
    """
    check_counts(subjects=subjects, frames=frames, workers=workers, seed=seed)
    check_absent(out, [_FOLDER, *([_COPY] if doubled else [])])
    drawing = drawing_folder(out)
    jobs = [
        _Job(person, index, label, frames, (seed, index, number), drawing)
        for index, person in enumerate(_leap_subject(seed, index) for index in range(subjects))
        for number, label in enumerate(LEAP_LABELS)
    ]
    with TruthWriter(out / "joints.parquet", MEDIA_SCHEMA) as truths:
        for truth in draw_all(_draw, jobs, workers):
            truths.write(truth)
            if progress is not None:
                progress(frames)
    logger.info("drew %d folders of %d stills", len(jobs), frames)
    if doubled:
        shutil.copytree(drawing / _FOLDER, drawing / "copy", copy_function=_link)
        move_into(out, {_COPY: drawing / "copy"})
    move_into(out, {_FOLDER: drawing / _FOLDER})
    drawing.rmdir()
    return SyntheticSummary(len(jobs), len(jobs) * frames, subjects)


def _leap_subject(seed: int, index: int) -> Subject:
    """A person whose hand is close above the sensor."""
    subject = draw_subject(seed, index)
    across = 0.5 + 0.5 * (subject.home[0] - 0.5)
    return replace(subject, palm_height=1.85 * subject.palm_height, home=(across, 0.62))


def _draw(job: _Job) -> Truth:
    """Draws one folder, which gets its name when all stills are in it."""
    rng = np.random.default_rng(job.seed)
    amplitude = _MOVED if job.label.endswith("_moved") else 1.0
    poses = LEAP_POSES[job.label] + amplitude * _wandering(job.frames, rng)
    performance = perform(job.subject, poses, _SIZE)
    folder = job.folder / job.media
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    with single_thread():
        camera = InfraredCamera(job.subject, _SIZE, rng)
        for number in range(job.frames):
            name = f"frame_{job.person:02d}_{job.label[:2]}_{number + 1:04d}.png"
            write_picture(part / name, camera.take(performance.view(number, _SIZE[1])))
    part.rename(folder)
    return Truth.of(job.media, [job.label] * job.frames, performance, left=job.subject.left, size=_SIZE)


def _wandering(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slow changes of a hand held over the sensor, added to its pose; (frames, 27)."""
    time = np.arange(frames)
    wander = np.zeros((frames, POSE))
    for column, amplitude in _WANDER:
        periods, phases = rng.uniform(60.0, 160.0, 2), rng.uniform(0.0, 2.0 * np.pi, 2)
        wander[:, column] = amplitude * np.sin(2.0 * np.pi * time[:, None] / periods + phases).mean(axis=1)
    return wander


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
