"""LeapGestRecog: 10 labels, near-infrared stills of 10 people, 200 consecutive frames a person and label."""

from __future__ import annotations

from pgc_data.datasets.base import Dataset, Licence

_LABELS = (
    "01_palm", "02_l", "03_fist", "04_fist_moved", "05_thumb",
    "06_index", "07_ok", "08_palm_moved", "09_c", "10_down",
)  # fmt: skip

LEAPGESTRECOG = Dataset(
    id="leapgestrecog",
    title="LeapGestRecog",
    labels={label: label[3:].replace("_", " ") for label in _LABELS},
    samples="20,000 near-infrared images",
    subjects=10,
    size="about 2.2 GB",
    homepage="https://www.kaggle.com/datasets/gti-upm/leapgestrecog",
    licence=Licence(
        "CC BY-NC-SA 4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "non-commercial use with attribution, shared alike",
    ),
    citation=(
        "Mantecon, del-Blanco, Jaureguizar, Garcia: Hand Gesture Recognition using Infrared Imagery Provided by "
        "Leap Motion Controller, ACIVS 2016"
    ),
    hands=1,
    fps=None,
    labelling="clip",
)
