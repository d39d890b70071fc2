from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from pgc_data.models.colour import colour_stem

# OpenCV interpolates Lab in a table of 33x33x33: up to 0.3 of 100 from the formulas.
CASES = [
    ("y", lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2YUV)[..., :1], 1.0, 1e-5),
    ("lab", lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2Lab), 0.01, 4e-3),
    ("luv", lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2Luv), 0.01, 2e-3),
]


def colours():
    """Every 5th level of all three channels, as an image: dark, grey and saturated ones among them."""
    levels = np.arange(0, 256, 15, np.float32) / 255
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, len(levels), 3)


@pytest.mark.parametrize(("colour", "reference", "scale", "tolerance"), CASES)
def test_colours_are_those_of_opencv(colour, reference, scale, tolerance):
    stem, channels = colour_stem(colour)
    image = colours()
    found = stem(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert found.shape[2] == channels
    np.testing.assert_allclose(found, reference(image) * scale, atol=tolerance)


@pytest.mark.parametrize(
    ("colour", "rgb", "wanted"),
    [
        ("lab", (1, 0, 0), (53.24, 80.09, 67.20)),
        ("lab", (0, 0, 1), (32.30, 79.19, -107.86)),
        ("luv", (1, 0, 0), (53.24, 175.01, 37.75)),
        ("luv", (0, 0, 1), (32.30, -9.40, -130.34)),
        *((colour, (1, 1, 1), (100, 0, 0)) for colour in ("lab", "luv")),
        *((colour, (0, 0, 0), (0, 0, 0)) for colour in ("lab", "luv")),
    ],
)
def test_primaries_white_and_black_have_their_tabulated_colours(colour, rgb, wanted):
    stem, _ = colour_stem(colour)
    found = stem(torch.tensor(rgb, dtype=torch.float32).reshape(1, 3, 1, 1)).flatten() * 100
    np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.mark.parametrize("colour", ["y", "lab", "luv"])
def test_gradients_are_finite_everywhere_black_and_white_too(colour):
    stem, _ = colour_stem(colour)
    image = torch.from_numpy(colours()).permute(2, 0, 1)[None].requires_grad_()
    stem(image).sum().backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


def test_a_stem_adds_no_parameters_and_nothing_to_a_state():
    for colour in ("rgb", "y", "lab", "luv"):
        assert not colour_stem(colour)[0].state_dict()
