"""IPN Hand's annotation files, byte for byte as the real ones are laid out.

The real files do not agree with each other: `Annot_List.txt` has a header, CRLF and no final newline; the train and
test lists have neither header nor CRLF but a final newline; the video lists are tab-separated without a final newline,
the test list after a blank line; `metadata.csv` counts one frame too many in some videos and has stray spaces.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgc_data.synthetic.gestures import LABELS
from pgc_data.synthetic.score import Segment
from pgc_data.synthetic.studio import write_lines
from pgc_data.synthetic.subjects import Subject

_HEADER = "video,label,id,t_start,t_end,frames"
_METADATA_HEADER = "Video Name,Frames,Sex,Hand,Background,Illumination,People in Scene,Background Motion,Set"
_ONE_FRAME_MORE_IN = 7
_STRAY_SPACE_EVERY = 3


@dataclass(frozen=True)
class Video:
    """One annotated video.

    Attributes:
        name: such as `1CM42_7_R_#3`.
        subject: who performs.
        segments: gapless, from frame 1.
        test: whether it belongs to the official test split.
    """

    name: str
    subject: Subject
    segments: tuple[Segment, ...]
    test: bool

    @property
    def frames(self) -> int:
        """Its length."""
        return self.segments[-1].end

    @property
    def listed_frames(self) -> int:
        """Its length as the metadata and the video lists give it: one too many in a few of the videos."""
        return self.frames + (zlib.crc32(self.name.encode()) % _ONE_FRAME_MORE_IN == 0)


def write_annotations(out: Path, videos: Sequence[Video]) -> None:
    """Writes all seven files into `out`; in `Annot_List.txt` and `metadata.csv` videos keep their order."""
    train, test = ([v for v in videos if v.test is wanted] for wanted in (False, True))
    write_lines(
        out / "classIdx.txt", ["id,label", *(f"{i},{label}" for i, label in enumerate(LABELS, 1)), ""], "\r\n"
    )
    write_lines(out / "Annot_List.txt", [_HEADER, *_rows(videos)], "\r\n")
    write_lines(out / "Annot_TrainList.txt", [*_rows(train), ""], "\n")
    write_lines(out / "Annot_TestList.txt", [*_rows(test), ""], "\n")
    write_lines(out / "Video_TrainList.txt", [f"{v.name}\t{v.listed_frames}" for v in train], "\n")
    write_lines(out / "Video_TestList.txt", ["", *(f"{v.name}\t{v.listed_frames}" for v in test)], "\n")
    write_lines(out / "metadata.csv", [_METADATA_HEADER, *_metadata(videos), ""], "\r\n")


def _rows(videos: Iterable[Video]) -> list[str]:
    return [
        f"{video.name},{s.label},{LABELS.index(s.label) + 1},{s.start},{s.end},{s.frames}"
        for video in videos
        for s in video.segments
    ]


def _metadata(videos: Iterable[Video]) -> Iterable[str]:
    cluttered = 0
    for video in videos:
        subject = video.subject
        background = "Clutter" if subject.clutter else "Plain"
        if subject.clutter:
            cluttered += 1
            background += " " if cluttered % _STRAY_SPACE_EVERY == 0 else ""
        hand, part = "Left" if subject.left else "Right", "test" if video.test else "train"
        yield (
            f"{video.name},{video.listed_frames},{subject.sex},{hand},{background},{subject.illumination},Single,Static,{part}"
        )
