"""LeapGestRecog's folders: the archive's second copy, odd names, gaps."""

from __future__ import annotations

import pytest

from pgc_data.datasets.leapgestrecog import LABELS, ingest
from pgc_data.errors import DataError


def sequence(root, subject, label, numbers=range(1, 4), name="frame_{subject}_{gesture}_{number:04d}.png"):
    folder = root / subject / label
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / name.format(subject=subject, gesture=label[:2], number=number)).touch()


def reasons(made):
    return sorted((row["action"], row["reason"], row["count"]) for row in made.ledger)


def conserved(made):
    dropped = sum(row["count"] for row in made.ledger if row["action"] == "dropped")
    return made.rows_read == made.samples.num_rows + dropped


def subject(root, name, numbers=range(1, 4)):
    for label in LABELS:
        sequence(root, name, label, numbers)


@pytest.mark.parametrize("root", ["leapGestRecog", "leapgestrecog/leapGestRecog", ""])
def test_a_folder_becomes_a_sample(tmp_path, root):
    subject(tmp_path / root, "00")
    made = ingest(tmp_path, annotations_only=True)
    prefix = f"{root}/" if root else ""
    assert made.samples.to_pylist()[1] == {
        "dataset": "leapgestrecog", "sample_id": "00_02_l", "media": f"{prefix}00/02_l", "media_kind": "frames",
        "frame_start": 1, "frame_end": 3, "fps": None, "label": "02_l", "label_id": 2, "video_id": "00_02_l",
        "subject_id": "00", "official_split": None, "boxes": None, "landmarks_2d": None,
    }  # fmt: skip
    assert (made.rows_read, made.samples.num_rows, made.ledger) == (10, 10, [])


def test_the_archives_second_copy_is_left_out(tmp_path):
    for root in ("leapGestRecog", "leapgestrecog/leapGestRecog"):
        subject(tmp_path / root, "00")
        subject(tmp_path / root, "01")
    made = ingest(tmp_path, annotations_only=False)
    assert {m.split("/")[0] for m in made.samples["media"].to_pylist()} == {"leapGestRecog"}
    assert reasons(made) == [("dropped", "archive_copy", 20)]
    assert (made.rows_read, made.samples.num_rows) == (40, 20)


def test_of_two_copies_the_fuller_is_used(tmp_path):
    subject(tmp_path / "leapGestRecog", "00", [1])
    subject(tmp_path / "leapgestrecog" / "leapGestRecog", "00")
    made = ingest(tmp_path, annotations_only=False)
    assert set(made.samples["frame_end"].to_pylist()) == {3}
    assert conserved(made)


def test_odd_folders_and_files_are_noted(tmp_path):
    root = tmp_path / "leapGestRecog"
    subject(root, "00")
    for label in list(LABELS)[:7]:
        sequence(root, "01", label)
    sequence(root, "01", "11_new")
    sequence(root, "01", "08_palm_moved", [])
    sequence(root, "01", "09_c", [1, 2, 5])
    sequence(root, "01", "10_down", name="frame_03_{gesture}_{number:04d}.png")
    (root / "extra").mkdir()
    (root / "00" / "01_palm" / "Thumbs.db").touch()
    (root / "00" / "01_palm" / ".DS_Store").touch()
    made = ingest(tmp_path, annotations_only=False)
    assert reasons(made) == [
        ("dropped", "names_disagree", 1), ("dropped", "no_frames", 1), ("dropped", "unknown_label", 1),
        ("kept", "frames_with_gaps", 1), ("kept", "missing_folder", 2), ("kept", "odd_file", 1),
        ("kept", "odd_folder", 1),
    ]  # fmt: skip
    assert conserved(made)


@pytest.mark.parametrize(
    "folder", [None, "", "leapGestRecog", "leapGestRecog/00", "leapGestRecog/00/01_palm"]
)
def test_a_folder_without_frames_is_one_clear_error(tmp_path, folder):
    if folder is not None:
        (tmp_path / "raw" / folder).mkdir(parents=True)
    message = "no raw folder" if folder is None else "no folder SS/GG_name of frames"
    with pytest.raises(DataError, match=message):
        ingest(tmp_path / "raw", annotations_only=False)
