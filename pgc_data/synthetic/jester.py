"""Writes drawn hands in the raw layout of 20BN-Jester, the original one or that of Kaggle, with the true joints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pgc_data.errors import DataError
from pgc_data.synthetic.gestures import draw_manner
from pgc_data.synthetic.jester_moves import JESTER_LABELS, jester_movement, mirrored_label
from pgc_data.synthetic.performance import perform, smooth, tremor
from pgc_data.synthetic.render import Camera
from pgc_data.synthetic.studio import (
    SyntheticSummary,
    check_absent,
    check_counts,
    draw_all,
    drawing_folder,
    move_into,
    single_thread,
    write_lines,
    write_picture,
)
from pgc_data.synthetic.subjects import Subject, draw_subject
from pgc_data.synthetic.truth import MEDIA_SCHEMA, Truth, TruthWriter

logger = logging.getLogger(__name__)

LAYOUTS = ("original", "kaggle")

_HEIGHT = 100
_WIDTHS = (132, 140, 150, 160, 176)
_LENGTH = (30, 44)
_FOLDER = "20bn-jester-v1"
_PARTS = ("train", "validation", "test")
# Of ten clips of one label, which go where; of two in a row one at least is for training.
_SHARE = ("train", "train", "validation", "train", "test", "train", "train", "train", "train", "train")
_KAGGLE_HEADER = "video_id,label,frames,label_id,shape,format"


@dataclass(frozen=True)
class _Job:
    """One clip to draw; all that a worker process needs to know."""

    subject: Subject
    clip_id: int
    label: str
    part: str
    media: str
    seed: tuple[int, int]
    folder: Path


@dataclass(frozen=True)
class _Clip:
    """One clip as the annotation files list it."""

    clip_id: int
    label: str
    part: str
    frames: int
    width: int


def write_jester(
    out: Path,
    *,
    clips: int = 27,
    subjects: int = 8,
    seed: int = 0,
    workers: int = 1,
    layout: str = "original",
    progress: Callable[[int], None] | None = None,
) -> SyntheticSummary:
    """Draws a small Jester.

    Writes, in the original layout, `20bn-jester-v1/<id>/%05d.jpg` (from 00001, 100 pixels high, the width differing
    between clips) and `jester-v1-{train,validation,test,labels}.csv`; in Kaggle's, `{Train,Validation,Test}/<id>/` and
    `{Train,Validation,Test}.csv`. `joints.parquet` beside them holds the true joints (see `truth.MEDIA_SCHEMA`).

    Labels take turns, so that 27 clips show each label once; people take turns as well. As in the real data nothing
    says who is who, and splits share people. For the meaning of left and right see `jester_moves`. The same arguments
    give the same bytes, whatever `workers` is. The frames appear last.

    Args:
        out: raw folder to write.
        clips: how many to draw.
        subjects: people in them.
        seed: of everything.
        workers: processes.
        layout: `original` or `kaggle`.
        progress: called with the number of frames of each clip as it is done.

    Raises:
        DataError: an argument makes no sense, or `out` already holds frames.

    Example:
        >>> import tempfile
        >>> write_jester(Path(tempfile.mkdtemp()), clips=1, subjects=1).items
        1
    """
    check_counts(clips=clips, subjects=subjects, workers=workers, seed=seed)
    if layout not in LAYOUTS:
        raise DataError(f"cannot draw Jester with layout={layout!r}: give {' or '.join(LAYOUTS)}")
    names = [_FOLDER] if layout == "original" else [part.capitalize() for part in _PARTS]
    check_absent(out, names)
    drawing = drawing_folder(out)
    for name in names:
        (drawing / name).mkdir()
    jobs = _plan(drawing, clips, subjects, seed, layout)
    done = []
    with TruthWriter(out / "joints.parquet", MEDIA_SCHEMA) as truths:
        for clip, truth in draw_all(_draw, jobs, workers):
            truths.write(truth)
            done.append(clip)
            if progress is not None:
                progress(clip.frames)
    logger.info("drew %d clips", len(done))
    (_write_original if layout == "original" else _write_kaggle)(out, done, seed)
    move_into(out, {name: drawing / name for name in names})
    drawing.rmdir()
    return SyntheticSummary(clips, sum(clip.frames for clip in done), subjects)


def _plan(drawing: Path, clips: int, subjects: int, seed: int, layout: str) -> list[_Job]:
    """All clips under shuffled ids, in the order of their ids."""
    ids = np.random.default_rng([seed, clips]).permutation(clips) + 1
    people = [_jester_subject(seed, index) for index in range(subjects)]
    jobs = []
    for number, clip_id in enumerate(ids.tolist()):
        turn, label = divmod(number, len(JESTER_LABELS))
        # The step keeps a label's clips from always meeting the same person.
        subject = people[(number + turn) % subjects]
        part = _SHARE[(turn + 3 * label) % len(_SHARE)]
        folder = _FOLDER if layout == "original" else part.capitalize()
        media = f"{folder}/{clip_id}"
        jobs.append(_Job(subject, clip_id, JESTER_LABELS[label], part, media, (seed, clip_id), drawing))
    return sorted(jobs, key=lambda job: job.clip_id)


def _jester_subject(seed: int, index: int) -> Subject:
    """A person nearer to the camera than in IPN: webcam clips of a hand before the chest."""
    subject = draw_subject(seed, index)
    across = 0.5 + 0.6 * (subject.home[0] - 0.5)
    return replace(subject, palm_height=subject.palm_height * 1.35, home=(across, 0.58))


def _draw(job: _Job) -> tuple[_Clip, Truth]:
    """Draws one clip into a folder that gets its name when all frames are in it."""
    rng = np.random.default_rng(job.seed)
    size = (int(rng.choice(_WIDTHS)), _HEIGHT)
    frames = int(rng.integers(_LENGTH[0], _LENGTH[1] + 1))
    label = mirrored_label(job.label) if job.subject.left else job.label
    poses = jester_movement(label, frames, draw_manner(rng, job.subject.reach))
    performance = perform(job.subject, smooth(poses + tremor(frames, rng)), size)
    folder = job.folder / job.media
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir()
    with single_thread():
        camera = Camera(job.subject, size, rng)
        for number in range(frames):
            picture = camera.take(performance.view(number, _HEIGHT))
            write_picture(part / f"{number + 1:05d}.jpg", picture)
    part.rename(folder)
    truth = Truth.of(job.media, [job.label] * frames, performance, left=job.subject.left, size=size)
    return _Clip(job.clip_id, job.label, job.part, frames, size[0]), truth


def _shuffled(clips: Sequence[_Clip], part: str, seed: int) -> list[_Clip]:
    """The clips of one part in the order of its file, which is not that of their ids."""
    own = [clip for clip in clips if clip.part == part]
    order = np.random.default_rng([seed, len(own), _PARTS.index(part)]).permutation(len(own))
    return [own[int(i)] for i in order]


def _write_original(out: Path, clips: Sequence[_Clip], seed: int) -> None:
    for part in _PARTS:
        own = _shuffled(clips, part, seed)
        lines = [f"{c.clip_id}" if part == "test" else f"{c.clip_id};{c.label}" for c in own]
        write_lines(out / f"jester-v1-{part}.csv", [*lines, ""] if lines else [])
    # Some of the copies in circulation lack the final newline.
    write_lines(out / "jester-v1-labels.csv", [*JESTER_LABELS, ""] if seed % 2 == 0 else JESTER_LABELS)


def _write_kaggle(out: Path, clips: Sequence[_Clip], seed: int) -> None:
    for part in _PARTS:
        rows = [
            f"{c.clip_id},{'' if part == 'test' else c.label},{c.frames},"
            f'{"" if part == "test" else JESTER_LABELS.index(c.label)},"({_HEIGHT}, {c.width}, 3)",jpg'
            for c in _shuffled(clips, part, seed)
        ]
        header = _KAGGLE_HEADER.replace("video_id", "id") if part == "test" else _KAGGLE_HEADER
        write_lines(out / f"{part.capitalize()}.csv", [header, *rows, ""])
