"""Writes drawn photographs of people showing a gesture in HaGRID's raw layout, in any of its three releases."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.synthetic.gestures import PITCH, ROLL, YAW
from pgc_data.synthetic.hagrid_records import (
    RELEASES,
    DrawnHand,
    Photograph,
    Record,
    draw_key,
    draw_user_id,
    flesh_margin,
    record_of,
    write_records,
)
from pgc_data.synthetic.performance import Performance, perform
from pgc_data.synthetic.poses import POSES, TWO_HANDED
from pgc_data.synthetic.render import Camera
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
from pgc_data.synthetic.subjects import BACKDROPS, Subject, draw_subject
from pgc_data.synthetic.truth import MEDIA_SCHEMA, Truth, TruthWriter

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

HAGRID_V1_LABELS = (
    "call", "dislike", "fist", "four", "like", "mute", "ok", "one", "palm", "peace", "peace_inverted", "rock",
    "stop", "stop_inverted", "three", "three2", "two_up", "two_up_inverted",
)  # fmt: skip
# All of v2's 34 but holy, timeout, hand_heart, hand_heart2 and take_picture, whose two hands touch.
HAGRID_V2_LABELS = tuple(sorted(POSES))

_SIZES = ((480, 640), (640, 480))
_SECOND_HAND = 0.3
_SHARES = {"val": 0.15, "test": 0.2}
_NO_GESTURE = "no_gesture"
_RACES = ("White", "Black", "Asian", "Indian", "Latino")


@dataclass(frozen=True)
class _Job:
    """One photograph to draw; all that a worker process needs to know."""

    subject: Subject
    key: str
    gesture: str
    split: str
    user_id: str
    media: str
    number: int
    seed: tuple[int, int]
    folder: Path


def write_hagrid(
    out: Path,
    *,
    images: int = 8,
    subjects: int = 8,
    seed: int = 0,
    workers: int = 1,
    release: str = "2.0",
    progress: Callable[[int], None] | None = None,
) -> SyntheticSummary:
    """Draws a small HaGRID.

    Writes for release `v1` `train_val_GESTURE/KEY.jpg` and `ann_train_val/GESTURE.json`, `test/GESTURE/KEY.jpg` and
    `ann_test/GESTURE.json`; for `2.0` and `v2` `hagrid_dataset/GESTURE/KEY.jpg` and
    `annotations/{train,val,test}/GESTURE.json`. As in the archives in circulation, v1's JSON lists photographs that
    are not there: one for each class. `joints.parquet` holds the true joints, a row for each hand (see
    `truth.MEDIA_SCHEMA`). Splits share no person. The same arguments give the same bytes, whatever `workers` is; the
    annotations appear last.

    Args:
        out: raw folder to write.
        images: photographs of each class.
        subjects: people, who take turns.
        seed: of everything.
        workers: processes.
        release: `v1`, `2.0` (both 18 classes) or `v2` (29 of its 34).
        progress: called with 1 for each photograph as it is done.

    Raises:
        DataError: an argument makes no sense, or `out` already holds photographs.

    Example:
        >>> import tempfile
        >>> write_hagrid(Path(tempfile.mkdtemp()), images=1, subjects=1).items
        18
    """
    check_counts(images=images, subjects=subjects, workers=workers, seed=seed)
    if release not in RELEASES:
        raise DataError(f"cannot draw HaGRID with release={release!r}: give {', '.join(RELEASES)}")
    labels = HAGRID_V2_LABELS if release == "v2" else HAGRID_V1_LABELS
    check_absent(out, _top_folders(release, labels))
    drawing = drawing_folder(out)
    jobs = list(_plan(drawing, labels, images, subjects, seed, release))
    for folder in {(drawing / job.media).parent for job in jobs}:
        folder.mkdir(parents=True)
    photographs = []
    with TruthWriter(out / "joints.parquet", MEDIA_SCHEMA) as writer:
        for photograph, truths in draw_all(_draw, jobs, workers):
            writer.write(*truths)
            photographs.append(photograph)
            if progress is not None:
                progress(1)
    logger.info("drew %d photographs", len(photographs))
    for path, records in _listed(photographs, release, seed).items():
        write_records(drawing / path, records)
    names = [name for name in _top_folders(release, labels) if (drawing / name).is_dir()]
    move_into(out, {name: drawing / name for name in names})
    drawing.rmdir()
    return SyntheticSummary(len(photographs), len(photographs), subjects)


def _top_folders(release: str, labels: Sequence[str]) -> list[str]:
    """Folders of the release in the order in which they appear."""
    if release == "v1":
        return [*(f"train_val_{label}" for label in labels), "test", "ann_test", "ann_train_val"]
    return ["hagrid_dataset", "annotations"]


def _plan(
    drawing: Path, labels: Sequence[str], images: int, subjects: int, seed: int, release: str
) -> Iterator[_Job]:
    """All photographs, class by class."""
    people = [draw_subject(seed, index) for index in range(subjects)]
    splits = _split_people(subjects, seed)
    for kind, label in enumerate(labels):
        order = np.random.default_rng([seed, 1 << 23, kind]).permutation(subjects)
        for image in range(images):
            number = kind * images + image
            index = int(order[image % subjects])
            key = draw_key(np.random.default_rng([seed, 1 << 24, number]))
            yield _Job(
                people[index], key, label, splits[index], draw_user_id(release, seed, index),
                _media(release, splits[index], label, key), number, (seed, number), drawing,
            )  # fmt: skip


def _split_people(subjects: int, seed: int) -> list[str]:
    """Each person's split; from three people on every split has one."""
    order = np.random.default_rng([seed, subjects]).permutation(subjects)
    counts = {
        name: max(1, round(share * subjects)) if subjects >= 3 else 0 for name, share in _SHARES.items()
    }
    splits = ["train"] * subjects
    taken = 0
    for name, count in counts.items():
        for index in order[taken : taken + count]:
            splits[index] = name
        taken += count
    return splits


def _media(release: str, split: str, label: str, key: str) -> str:
    if release != "v1":
        return f"hagrid_dataset/{label}/{key}.jpg"
    return f"test/{label}/{key}.jpg" if split == "test" else f"train_val_{label}/{key}.jpg"


def _draw(job: _Job) -> tuple[Photograph, list[Truth]]:
    """Draws one photograph under its own name in the temporary folder."""
    rng = np.random.default_rng(job.seed)
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    # Each photograph is another room or another place in it, of the same person.
    subject = replace(
        job.subject,
        backdrop=BACKDROPS[int(rng.integers(len(BACKDROPS)))],
        scene_seed=int(rng.integers(1 << 31)),
        palm_height=float(rng.uniform(0.09, 0.14)) * max(size) / size[1],
    )
    hands = [_hand(subject, job.gesture, size, rng, other=False)]
    labels = [job.gesture]
    if job.gesture in TWO_HANDED or rng.random() < _SECOND_HAND:
        labels.append(job.gesture if job.gesture in TWO_HANDED else _NO_GESTURE)
        hands.append(_hand(subject, labels[1], size, rng, other=True))
    with single_thread():
        camera = Camera(subject, size, rng)
        views = [hand.view(0, size[1], other=bool(index)) for index, hand in enumerate(hands)]
        write_picture(job.folder / job.media, camera.take(*views[::-1]))
    sides = [subject.left, not subject.left][: len(hands)]
    truths = [
        Truth.of(job.media, [label], hand, left=left, size=size)
        for label, hand, left in zip(labels, hands, sides, strict=True)
    ]
    drawn = tuple(
        DrawnHand(label, hand.joints[0, :, :2] / size, flesh_margin(float(hand.palm[0]), size), left)
        for label, hand, left in zip(labels, hands, sides, strict=True)
    )
    if job.number % 2:
        drawn, truths = drawn[::-1], truths[::-1]
    return _photograph(job, drawn), truths


def _photograph(job: _Job, hands: tuple[DrawnHand, ...]) -> Photograph:
    person = np.random.default_rng([job.subject.scene_seed])
    age, race = round(float(person.uniform(18.0, 65.0)), 2), _RACES[int(person.integers(len(_RACES)))]
    gender = "female" if job.subject.sex == "W" else "male"
    return Photograph(job.key, job.gesture, job.split, job.user_id, hands, job.number, age, gender, race)


def _hand(
    subject: Subject, label: str, size: tuple[int, int], rng: np.random.Generator, *, other: bool
) -> Performance:
    """One hand of the person in its place: beside the face, at the mouth, or low where it is not gesturing."""
    pose = POSES[label].copy()
    pose[[ROLL, PITCH, YAW]] += rng.normal(0.0, [0.1, 0.07, 0.08])
    side = -1.0 if subject.left != other else 1.0
    palm = subject.palm_height * size[1]
    across, down = rng.uniform(1.7, 2.4), rng.uniform(0.42, 0.6)
    if label == "mute":
        across, down = 0.35, 0.44
    elif label in TWO_HANDED:
        across, down = (-1.15, 0.55) if label == "xsign" else (rng.uniform(1.4, 1.8), 0.55)
    elif label == _NO_GESTURE:
        across, down = rng.uniform(1.7, 2.2), rng.uniform(0.66, 0.74)
    middle = 0.5 + 0.1 * (-1.0 if subject.left else 1.0)
    home = (middle - side * across * palm / size[0], down)
    person = replace(subject, left=subject.left != other, home=home)
    return perform(person, pose[None], size)


def _listed(photographs: Sequence[Photograph], release: str, seed: int) -> dict[str, dict[str, Record]]:
    """The records of every JSON file by its path."""
    files: dict[str, dict[str, Record]] = defaultdict(dict)
    gone: set[str] = set()
    for photograph in photographs:
        if release == "v1":
            part = "test" if photograph.split == "test" else "train_val"
            path = f"ann_{part}/{photograph.gesture}.json"
        else:
            path = f"annotations/{photograph.split}/{photograph.gesture}.json"
        record = record_of(photograph, release)
        files[path][photograph.key] = record
        if release == "v1" and photograph.gesture not in gone:
            gone.add(photograph.gesture)
            files[path][draw_key(np.random.default_rng([seed, 1 << 25, photograph.number]))] = record
    return files
