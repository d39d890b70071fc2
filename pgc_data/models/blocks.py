"""The blocks that the networks on crops are made of. All maps are (N, C, H, W)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A padded convolution and the batch norm that gives it its bias."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs)


def feature(block: nn.Module, downsample: nn.Module | None = None) -> nn.Sequential:
    """One entry of a network's `features`: what halves the map, if not the block itself, and the block."""
    parts = {"downsample": downsample, "block": block}
    return nn.Sequential(OrderedDict({name: part for name, part in parts.items() if part is not None}))


class SeparableBlock(nn.Module):
    """Depthwise 3x3 then pointwise convolution, each with batch norm and ReLU: `baseline`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(*convolution(inputs, inputs, 3, stride, inputs), nn.ReLU(inplace=True))
        self.pointwise = nn.Sequential(*convolution(inputs, outputs, 1))
        self.out_act = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.out_act(self.pointwise(self.depthwise(maps)))
        return out


class SqueezeExcite(nn.Module):
    """Weights each channel, 0 to 1, by what all channels are on average."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = channels // reduction
        self.gate = nn.Sequential(
            nn.Linear(channels, narrow), nn.SiLU(), nn.Linear(narrow, channels), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        gates: Tensor = self.gate(maps.mean((2, 3)))
        return maps * gates[:, :, None, None]


class InvertedResidual(nn.Module):
    """Widen, depthwise 3x3, squeeze-and-excitation, narrow; a skip where the shape allows; SiLU: `inverted_se`."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, se_reduction: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = nn.Sequential(*convolution(inputs, wide, 1), nn.SiLU())
        self.depthwise = nn.Sequential(*convolution(wide, wide, 3, stride, wide), nn.SiLU())
        self.se = SqueezeExcite(wide, se_reduction)
        self.project = nn.Sequential(*convolution(wide, outputs, 1))
        self.out_act = nn.SiLU()
        self.skips = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        change = self.project(self.se(self.depthwise(self.expand(maps))))
        out: Tensor = self.out_act(maps + change if self.skips else change)
        return out


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, layer norm, two pointwise layers with GELU between, skip: `convnext`."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels * expansion),
            nn.GELU(),
            nn.Linear(channels * expansion, channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        change: Tensor = self.mlp(self.depthwise(maps).permute(0, 2, 3, 1))
        return maps + change.permute(0, 3, 1, 2)


def patches(inputs: int, outputs: int, side: int) -> nn.Conv2d:
    """A convolution over patches of `side` pixels that do not overlap."""
    return nn.Conv2d(inputs, outputs, side, side)
