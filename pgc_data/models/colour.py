"""Colour stems: RGB to luma, CIE Lab or CIE Luv in operations that are differentiable and export to ONNX."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# sRGB to CIE XYZ, D65, and BT.601 luma: the numbers of the standards.
_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = tuple(sum(row) for row in _XYZ)
_LUMA = (0.299, 0.587, 0.114)

# Where sRGB's and CIE's curves are straight lines instead.
_SRGB_LINE, _SRGB_SLOPE = 0.04045, 12.92
_CIE_LINE, _CIE_SLOPE = 0.008856, 7.787
_PALE = 16 / 116

# L is 0 to 100; a, b, u, v are of that size.
_SCALE = 0.01
_LEAST = 1e-6


def colour_stem(colour: str) -> tuple[nn.Module, int]:
    """The module that turns RGB (N, 3, H, W), 0 to 1, into a colour space, and the channels it gives.

    Args:
        colour: `rgb` (nothing is done), `y`, `lab` or `luv`.
    """
    return {"rgb": (nn.Identity(), 3), "y": (Luma(), 1), "lab": (Lab(), 3), "luv": (Luv(), 3)}[colour]


class _Mix(nn.Module):
    """A fixed linear mix of channels."""

    def __init__(self, rows: tuple[tuple[float, ...], ...]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(rows)[:, :, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        weight = self.get_buffer("weight")
        return nn.functional.conv2d(images, weight)


class Luma(nn.Module):
    """Y of BT.601's YUV: (N, 1, H, W), 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = _Mix((_LUMA,))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        luma: Tensor = self.mix(images)
        return luma


class Lab(nn.Module):
    """CIE L*a*b* (D65) divided by 100: (N, 3, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        rows = tuple(tuple(value / white for value in row) for row, white in zip(_XYZ, _WHITE, strict=True))
        self.mix = _Mix(rows)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        x, y, z = _cie_curve(self.mix(_linear(images))).chunk(3, dim=1)
        return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1) * _SCALE


class Luv(nn.Module):
    """CIE L*u*v* (D65) divided by 100: (N, 3, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = _Mix(_XYZ)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        x, y, z = self.mix(_linear(images)).chunk(3, dim=1)
        lightness = 116 * _cie_curve(y) - 16
        # Black has no chromaticity: its u and v are 0 because its lightness is.
        share = (x + 15 * y + 3 * z).clamp_min(_LEAST)
        white = _WHITE[0] + 15 * _WHITE[1] + 3 * _WHITE[2]
        u = 13 * lightness * (4 * x / share - 4 * _WHITE[0] / white)
        v = 13 * lightness * (9 * y / share - 9 * _WHITE[1] / white)
        return torch.cat([lightness, u, v], dim=1) * _SCALE


def _linear(images: Tensor) -> Tensor:
    """sRGB's curve undone."""
    # Clamped where the other branch is taken: its gradient must be finite all the same.
    curved = ((images.clamp_min(_SRGB_LINE) + 0.055) / 1.055) ** 2.4
    return torch.where(images > _SRGB_LINE, curved, images / _SRGB_SLOPE)


def _cie_curve(ratio: Tensor) -> Tensor:
    root = ratio.clamp_min(_CIE_LINE) ** (1 / 3)
    return torch.where(ratio > _CIE_LINE, root, _CIE_SLOPE * ratio + _PALE)
