"""The people whose hands are drawn: bodies, clothes, rooms, light, cameras and habits, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgc_data.synthetic.skeleton import Proportions, draw_proportions

Colour = tuple[float, float, float]

BACKDROPS = ("wall", "blinds", "shelves", "window", "pictures", "panels")
PLAIN_BACKDROPS = ("wall", "blinds", "panels")

# Photographed skin (not a cosmetics chart), from the palest to the darkest, red, green, blue.
_SKIN_TONES = np.array(
    [
        [238, 206, 182],
        [231, 188, 158],
        [214, 165, 130],
        [190, 138, 101],
        [157, 108, 76],
        [121, 80, 56],
        [92, 61, 45],
    ]
)
_SHIRTS = np.array(
    [
        [158, 38, 44],
        [44, 66, 112],
        [52, 56, 60],
        [214, 212, 204],
        [62, 98, 74],
        [122, 112, 96],
        [96, 62, 104],
        [206, 158, 70],
        [92, 138, 166],
    ]
)
_SESSIONS = ("1CM1", "1CM42", "1CV12", "4CM11")
_GOLDEN = 0.6180339887


@dataclass(frozen=True)
class Subject:
    """One person in front of one camera.

    Attributes:
        subject_id: as IPN Hand names people, such as `1CM42_7`.
        sex: `M` or `W`, as in IPN's metadata.
        left: True if the left hand makes the gestures.
        proportions: the hand's bones.
        girth: thickness of the fingers relative to the average.
        skin: of the back of the hand, red, green, blue, 0 to 255.
        sleeve: colour of sleeve and shirt, likewise.
        sleeve_start: palm lengths from the wrist to the sleeve's hem.
        backdrop: one of `BACKDROPS`.
        scene_seed: seed of everything that varies inside the backdrop.
        light: unit vector towards the lamp: right, down, towards the camera.
        contrast: share of the light that comes from the lamp.
        illumination: `Stable`, `Light` or `Dark`, as in IPN's metadata.
        gain: brightness of the whole picture.
        cast: colour cast of the camera, a factor for each of red, green, blue.
        noise: standard deviation of the camera's noise, of 255.
        palm_height: palm length as a share of the picture's height.
        home: where the palm usually is, as shares of width and height.
        tempo: frames of this person's gestures relative to the average.
        reach: size of this person's movements relative to the average.
    """

    subject_id: str
    sex: str
    left: bool
    proportions: Proportions
    girth: float
    skin: Colour
    sleeve: Colour
    sleeve_start: float
    backdrop: str
    scene_seed: int
    light: tuple[float, float, float]
    contrast: float
    illumination: str
    gain: float
    cast: Colour
    noise: float
    palm_height: float
    home: tuple[float, float]
    tempo: float
    reach: float

    @property
    def clutter(self) -> bool:
        """Whether the room behind counts as cluttered in IPN's metadata."""
        return self.backdrop not in PLAIN_BACKDROPS


def draw_subject(seed: int, index: int) -> Subject:
    """Draws person number `index` (from 0) of a data set; one in every four is left-handed.

    The same seed and index give the same person, however many others there are. Skin tones and backdrops are spread
    evenly over the first few people rather than left to chance.
    """
    rng = np.random.default_rng([seed, index])
    shared = np.random.default_rng([seed, 1 << 20])
    tone = (shared.random() + index * _GOLDEN) % 1.0
    order = shared.permutation(len(BACKDROPS))
    left_in_four = int(np.random.default_rng([seed, 1 << 21, index // 4]).integers(4))
    left = index % 4 == left_in_four
    illumination = str(rng.choice(["Stable", "Light", "Dark"], p=[0.6, 0.25, 0.15]))
    side = 1.0 if left else -1.0
    return Subject(
        subject_id=f"{rng.choice(_SESSIONS)}_{index + 1}",
        sex=str(rng.choice(["M", "W"], p=[0.7, 0.3])),
        left=left,
        proportions=draw_proportions(rng),
        girth=float(rng.uniform(0.92, 1.12)),
        skin=_skin(tone, rng),
        sleeve=_as_colour(_SHIRTS[rng.integers(len(_SHIRTS))] * rng.uniform(0.8, 1.15, 3)),
        sleeve_start=float(rng.choice([rng.uniform(0.35, 0.7), rng.uniform(1.0, 1.8), 9.0])),
        backdrop=BACKDROPS[order[index % len(BACKDROPS)]],
        scene_seed=int(rng.integers(1 << 31)),
        light=_light(rng),
        contrast=float(rng.uniform(0.4, 0.62)),
        illumination=illumination,
        gain=float({"Stable": 1.0, "Light": 1.12, "Dark": 0.72}[illumination] * rng.uniform(0.95, 1.05)),
        cast=_as_colour(np.array([1.0, 1.0, 1.0]) + rng.normal(0.0, 0.025, 3)),
        noise=float(rng.uniform(1.0, 4.5)),
        palm_height=float(rng.uniform(0.155, 0.2)),
        home=(0.5 + side * float(rng.uniform(0.04, 0.12)), float(rng.uniform(0.5, 0.56))),
        tempo=float(rng.uniform(0.88, 1.14)),
        reach=float(rng.uniform(0.85, 1.15)),
    )


def _skin(tone: float, rng: np.random.Generator) -> Colour:
    steps = np.arange(len(_SKIN_TONES))
    colour = [np.interp(tone * steps[-1], steps, _SKIN_TONES[:, channel]) for channel in range(3)]
    return _as_colour(np.array(colour) * rng.normal(1.0, 0.012, 3))


def _light(rng: np.random.Generator) -> tuple[float, float, float]:
    around, height = rng.uniform(-1.0, 1.0), rng.uniform(0.35, 0.8)
    lamp = np.array([0.7 * around, -height, 0.75])
    return _as_colour(lamp / np.linalg.norm(lamp))


def _as_colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
