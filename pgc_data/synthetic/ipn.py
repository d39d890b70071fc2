"""Writes drawn hands in IPN Hand's own raw layout, habits included, with the true joints beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgc_data.errors import DataError
from pgc_data.synthetic.annotations import Video, write_annotations
from pgc_data.synthetic.render import Camera
from pgc_data.synthetic.score import Segment, compose
from pgc_data.synthetic.studio import (
    SyntheticSummary,
    check_absent,
    check_counts,
    draw_all,
    drawing_folder,
    single_thread,
    write_picture,
)
from pgc_data.synthetic.subjects import Subject, draw_subject
from pgc_data.synthetic.truth import Truth, TruthWriter

logger = logging.getLogger(__name__)

_TEST_SHARE = 0.26


@dataclass(frozen=True)
class _Job:
    """One video to draw; all that a worker process needs to know."""

    subject: Subject
    name: str
    seed: tuple[int, int, int]
    repeats: int
    size: tuple[int, int]
    folder: Path
    test: bool


def write_ipn(
    out: Path,
    *,
    subjects: int = 8,
    videos_per_subject: int = 1,
    repeats: int = 1,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    workers: int = 1,
    test_subjects: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> SyntheticSummary:
    """Draws a small IPN Hand data set.

    Writes `frames/<video>/<video>_%06d.jpg` (from 000001), IPN's annotation files and `joints.parquet`, the true
    joints of every frame (see `truth.SCHEMA`). The same arguments give the same bytes, whatever `workers` is.
    `frames` appears last, so that its presence says that everything is there.

    Args:
        out: the data set's folder; made if need be.
        subjects: how many people.
        videos_per_subject: of each of them.
        repeats: how often each of the 14 labels occurs in a video at least.
        seed: of everything.
        size: width and height of the frames in pixels.
        workers: processes that draw; 1 draws in this one.
        test_subjects: how many people go to the official test split; about a quarter by default.
        progress: called with the number of frames of each video as it is done.

    Returns:
        How much was written.

    Raises:
        DataError: an argument makes no sense, or `out` already holds frames.

    Example:
        >>> import tempfile
        >>> summary = write_ipn(Path(tempfile.mkdtemp()), subjects=1, size=(64, 48))
        >>> (summary.subjects, summary.items)
        (1, 1)
    """
    testers = _check(out, subjects, videos_per_subject, repeats, seed, size, workers, test_subjects)
    drawing = drawing_folder(out)
    jobs = _plan(drawing, subjects, testers, videos_per_subject, repeats, seed, size)
    videos = []
    with TruthWriter(out / "joints.parquet") as truth_writer:
        for job, (segments, truth) in zip(jobs, draw_all(_draw, jobs, workers), strict=True):
            truth_writer.write(truth)
            videos.append(Video(job.name, job.subject, segments, job.test))
            logger.info("drew %s: %d frames", job.name, len(truth.visible))
            if progress is not None:
                progress(len(truth.visible))
    write_annotations(out, videos)
    drawing.rename(out / "frames")
    frames = sum(video.frames for video in videos)
    return SyntheticSummary(len(videos), frames, subjects)


def _check(
    out: Path,
    subjects: int,
    videos_per_subject: int,
    repeats: int,
    seed: int,
    size: tuple[int, int],
    workers: int,
    test_subjects: int | None,
) -> int:
    """Refuses arguments that make no sense; returns the number of test subjects."""
    check_counts(
        subjects=subjects, videos_per_subject=videos_per_subject, repeats=repeats, workers=workers, seed=seed
    )
    if min(size) < 48:
        raise DataError(f"cannot draw hands with size={size[0]}x{size[1]}: give at least 48 pixels a side")
    check_absent(out, ["frames"])
    testers = round(_TEST_SHARE * subjects) if test_subjects is None else test_subjects
    if not 0 <= testers <= subjects:
        raise DataError(f"cannot put test_subjects={testers} of {subjects} subjects in the test split")
    return testers


def _plan(
    drawing: Path,
    subjects: int,
    testers: int,
    videos_per_subject: int,
    repeats: int,
    seed: int,
    size: tuple[int, int],
) -> list[_Job]:
    """All videos, those of training subjects first, as IPN's own list has them."""
    shuffled = np.random.default_rng([seed, subjects]).permutation(subjects)
    tested = set(shuffled[:testers].tolist())
    jobs = []
    for index in sorted(range(subjects), key=lambda i: (i in tested, i)):
        subject = draw_subject(seed, index)
        hand = "L" if subject.left else "R"
        for take in range(videos_per_subject):
            name = f"{subject.subject_id}_{hand}_#{index * videos_per_subject + take + 1}"
            jobs.append(_Job(subject, name, (seed, index, take), repeats, size, drawing, index in tested))
    return jobs


def _draw(job: _Job) -> tuple[tuple[Segment, ...], Truth]:
    """Draws one video into a folder that gets its name when all frames are in it."""
    rng = np.random.default_rng(job.seed)
    score = compose(job.subject, job.repeats, job.size, rng)
    performance = score.performance
    folder = job.folder / f"{job.name}.part"
    folder.mkdir()
    with single_thread():
        camera = Camera(job.subject, job.size, rng)
        for number in range(len(performance.joints)):
            picture = camera.take(performance.view(number, job.size[1]))
            write_picture(folder / f"{job.name}_{number + 1:06d}.jpg", picture)
    folder.rename(job.folder / job.name)
    labels = [segment.label for segment in score.segments for _ in range(segment.frames)]
    return score.segments, Truth.of(job.name, labels, performance, left=job.subject.left, size=job.size)
