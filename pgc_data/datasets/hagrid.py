"""HaGRID: photographs of people showing static gestures, with hand boxes and user ids, in three releases."""

from __future__ import annotations

from pgc_data.datasets.base import Dataset, Licence

_LABELS = (
    "grabbing", "grip", "holy", "point", "call", "three3", "timeout", "xsign", "hand_heart", "hand_heart2",
    "little_finger", "middle_finger", "take_picture", "dislike", "fist", "four", "like", "mute", "ok", "one",
    "palm", "peace", "peace_inverted", "rock", "stop", "stop_inverted", "three", "three2", "two_up",
    "two_up_inverted", "three_gun", "thumb_index", "thumb_index2", "no_gesture",
)  # fmt: skip

HAGRID = Dataset(
    id="hagrid",
    title="HaGRID",
    labels={label: label.replace("_", " ") for label in _LABELS},
    samples="1,086,158 images (v2), 554,800 (2.0), 552,992 (v1)",
    subjects=65_977,
    size="1.5 TB full size, 119 GB at 512 pixels (v2)",
    homepage="https://github.com/hukenovs/hagrid",
    licence=Licence(
        "HaGRID licence",
        "https://github.com/hukenovs/hagrid/blob/Hagrid_v2-1M/license/en_us.pdf",
        "the authors' own terms, reworked from CC BY-SA 4.0",
        must_accept=True,
    ),
    citation=(
        "Kapitanov, Kvanchiani, Nagaev, Kraynov, Makhliarchuk: HaGRID - HAnd Gesture Recognition Image Dataset, "
        "WACV 2024"
    ),
    hands=2,
    fps=None,
    labelling="image",
)
