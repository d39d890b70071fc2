"""The pointing classifiers: crops, landmarks of crops, and both. All give logits (N,)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pgc_data.models.blocks import (
    ChannelNorm,
    ConvNeXtBlock,
    InvertedResidual,
    SeparableBlock,
    convolution,
    feature,
    patches,
)
from pgc_data.models.colour import colour_stem
from pgc_data.models.heads import classifier, make_head, pooled
from pgc_data.models.options import (
    LANDMARK_FEATURES,
    BaselineOptions,
    ClassifierOptions,
    ConvNeXtOptions,
    CropLandmarkOptions,
    InvertedOptions,
    InvertedSEOptions,
    LandmarkOptions,
)


class CropClassifier(nn.Module):
    """Colour stem, stem, `features` (one entry a block) and head."""

    def __init__(self, options: ClassifierOptions, stem: nn.Module, features: nn.Module) -> None:
        super().__init__()
        self.colour, _ = colour_stem(options.colour)
        self.stem = stem
        self.features = features
        self.head = make_head(options)

    def forward(self, images: Tensor) -> Tensor:
        """RGB images (N, 3, H, W), 0 to 1 -> logits (N,)."""
        logits: Tensor = self.head(self.features(self.stem(self.colour(images))))
        return logits


def baseline(options: BaselineOptions) -> CropClassifier:
    """Depthwise separable convolutions with ReLU."""
    width = options.base_channels
    stem = nn.Sequential(*convolution(_seen(options.colour), width, 3, 2), nn.ReLU(inplace=True))
    blocks = [feature(SeparableBlock(inputs, outputs, stride)) for inputs, outputs, stride in _steps(options)]
    return CropClassifier(options, stem, nn.Sequential(*blocks))


def inverted_se(options: InvertedSEOptions) -> CropClassifier:
    """Inverted residuals with squeeze-and-excitation and SiLU: the published PGC models."""
    return CropClassifier(options, *_inverted_trunk(options))


def convnext(options: ConvNeXtOptions) -> CropClassifier:
    """ConvNeXt blocks after a stem of 4x4 patches."""
    width = options.base_channels
    stem = nn.Sequential(patches(_seen(options.colour), width, options.STEM_STRIDE), ChannelNorm(width))
    blocks = []
    for inputs, outputs, stride in _steps(options):
        halve = nn.Sequential(ChannelNorm(inputs), patches(inputs, outputs, 2)) if stride == 2 else None
        blocks.append(feature(ConvNeXtBlock(outputs, options.expansion), halve))
    return CropClassifier(options, stem, nn.Sequential(*blocks))


class Standardise(nn.Module):
    """Takes the mean from each feature and divides by its deviation: buffers, so that they travel with the model."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    @torch.no_grad()
    def fit(self, values: Tensor) -> None:
        """Learns mean and deviation of the training rows (rows, features); constant features are only centred."""
        deviation = values.std(0, correction=0)
        self.get_buffer("mean").copy_(values.mean(0))
        self.get_buffer("scale").copy_(torch.where(deviation < 1e-6, 1.0, 1 / deviation.clamp_min(1e-6)))

    def forward(self, values: Tensor) -> Tensor:
        """(N, features) -> the same shape."""
        return (values - self.get_buffer("mean")) * self.get_buffer("scale")


class LandmarkTrunk(nn.Module):
    """Standardised features of landmarks through hidden layers: (N, 78) -> (N, last width)."""

    def __init__(self, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(LANDMARK_FEATURES)
        layers: list[nn.Module] = []
        for inputs, outputs in zip((LANDMARK_FEATURES, *hidden), hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
            layers += [nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, landmarks: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.layers(self.standardise(landmarks))
        return out


class LandmarkClassifier(nn.Module):
    """`landmark_mlp`: the hand's shape alone."""

    def __init__(self, options: LandmarkOptions) -> None:
        super().__init__()
        self.trunk = LandmarkTrunk(options.hidden, options.dropout)
        self.logit = nn.Linear(options.hidden[-1], 1)

    def forward(self, landmarks: Tensor) -> Tensor:
        """Features (N, 78) of `landmark_features` -> logits (N,)."""
        logits: Tensor = self.logit(self.trunk(landmarks))
        return logits.squeeze(1)


class CropLandmarkClassifier(nn.Module):
    """`crop_landmark`: the pooled features of `inverted_se` beside those of `landmark_mlp`, one head."""

    def __init__(self, options: CropLandmarkOptions) -> None:
        super().__init__()
        self.colour, _ = colour_stem(options.colour)
        self.stem, self.features = _inverted_trunk(options)
        self.trunk = LandmarkTrunk(options.hidden, options.dropout)
        channels = options.channels[-1]
        self.head = classifier(2 * channels + options.hidden[-1], channels, options.dropout)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """RGB images (N, 3, H, W), 0 to 1, and features (N, 78) of their landmarks -> logits (N,)."""
        seen = pooled(self.features(self.stem(self.colour(images))))
        logits: Tensor = self.head(torch.cat([seen, self.trunk(landmarks)], dim=1))
        return logits.squeeze(1)


def _inverted_trunk(options: InvertedOptions) -> tuple[nn.Sequential, nn.Sequential]:
    """Stem (modules 0 to 5) and blocks."""
    width = options.base_channels
    stem = nn.Sequential(
        *convolution(_seen(options.colour), width, 3, 2),
        nn.SiLU(),
        *convolution(width, width, 3),
        nn.SiLU(),
    )
    blocks = [
        feature(InvertedResidual(inputs, outputs, stride, options.expansion, options.se_reduction))
        for inputs, outputs, stride in _steps(options)
    ]
    return stem, nn.Sequential(*blocks)


def _seen(colour: str) -> int:
    """Channels that the stem gets."""
    return colour_stem(colour)[1]


def _steps(options: ClassifierOptions | InvertedOptions) -> list[tuple[int, int, int]]:
    """Input channels, output channels and stride of each block."""
    outputs = options.channels
    inputs = (options.base_channels, *outputs)
    return [(inputs[block], outputs[block], options.stride(block)) for block in range(options.num_blocks)]
