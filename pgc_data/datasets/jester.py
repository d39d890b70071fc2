"""20BN-Jester v1: 27 labels over 148,092 clips of 1,376 actors whose identity is unpublished."""

from __future__ import annotations

from pgc_data.datasets.base import Dataset, Licence

_LABELS = (
    "Swiping Left", "Swiping Right", "Swiping Down", "Swiping Up", "Pushing Hand Away", "Pulling Hand In",
    "Sliding Two Fingers Left", "Sliding Two Fingers Right", "Sliding Two Fingers Down",
    "Sliding Two Fingers Up", "Pushing Two Fingers Away", "Pulling Two Fingers In", "Rolling Hand Forward",
    "Rolling Hand Backward", "Turning Hand Clockwise", "Turning Hand Counterclockwise",
    "Zooming In With Full Hand", "Zooming Out With Full Hand", "Zooming In With Two Fingers",
    "Zooming Out With Two Fingers", "Thumb Up", "Thumb Down", "Shaking Hand", "Stop Sign",
    "Drumming Fingers", "No gesture", "Doing other things",
)  # fmt: skip

JESTER = Dataset(
    id="jester",
    title="20BN-Jester v1",
    labels={label: label for label in _LABELS},
    samples="148,092 clips of about 37 frames, 118,562 train, 14,787 validation, 14,743 test",
    subjects=None,
    size="22.9 GB",
    homepage="https://www.qualcomm.com/developer/software/jester-dataset",
    licence=Licence(
        "Qualcomm Research Use License",
        "https://www.qualcomm.com/developer/software/jester-dataset",
        "internal non-profit research; limits on redistribution and on combining with other data",
        must_accept=True,
    ),
    citation=(
        "Materzynska, Berger, Bax, Memisevic: The Jester Dataset: A Large-Scale Video Dataset of Human Gestures, "
        "ICCV Workshops 2019"
    ),
    hands=1,
    fps=12.0,
    labelling="clip",
    keeps_official_split=True,
)
