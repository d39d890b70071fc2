"""The heads that turn feature maps (N, C, H, W) into logits (N,)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pgc_data.models.options import ClassifierOptions

_ATTENTION_HEADS = 4
_WIDEN = 2


def make_head(options: ClassifierOptions) -> nn.Module:
    """The head that `options` name, for the feature map of their last block."""
    channels, dropout = options.channels[-1], options.dropout
    kind = options.resolved_head
    if kind == "avg":
        return AvgHead(channels, dropout)
    if kind == "avgmax_mlp":
        return AvgMaxHead(channels, dropout)
    return TokenHead(kind, channels, options)


def classifier(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """Batch norm, a hidden layer and the logit: (N, inputs) -> (N, 1)."""
    return nn.Sequential(
        nn.BatchNorm1d(inputs),
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, 1),
    )


def pooled(maps: Tensor) -> Tensor:
    """The mean and the maximum of each channel: (N, C, H, W) -> (N, 2 C)."""
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


class AvgHead(nn.Module):
    """The mean of each channel, batch norm, the logit."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.BatchNorm1d(channels), nn.Dropout(dropout), nn.Linear(channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N,)."""
        logits: Tensor = self.mlp(maps.mean((2, 3)))
        return logits.squeeze(1)


class AvgMaxHead(nn.Module):
    """The mean and the maximum of each channel, batch norm, one hidden layer, the logit."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.mlp = classifier(2 * channels, channels, dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N,)."""
        logits: Tensor = self.mlp(pooled(maps))
        return logits.squeeze(1)


class TokenHead(nn.Module):
    """Cells of a grid as tokens, layers that mix them, their mean, layer norm, the logit."""

    def __init__(self, kind: str, channels: int, options: ClassifierOptions) -> None:
        super().__init__()
        (rows, columns), (height, width) = options.resolved_grid, options.feature_map
        tokens = rows * columns
        self.pool = nn.AvgPool2d((height // rows, width // columns))
        self.position = nn.Parameter(torch.zeros(1, tokens, channels))
        nn.init.trunc_normal_(self.position, std=0.02)
        mixers = (_mixer(kind, tokens, channels, options.dropout) for _ in range(options.resolved_layers))
        self.layers = nn.Sequential(*mixers)
        self.norm = nn.LayerNorm(channels)
        self.logit = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N,)."""
        tokens = self.pool(maps).flatten(2).transpose(1, 2) + self.position
        logits: Tensor = self.logit(self.norm(self.layers(tokens)).mean(1))
        return logits.squeeze(1)


def _mixer(kind: str, tokens: int, channels: int, dropout: float) -> nn.Module:
    if kind == "transformer":
        return _Layer(_Attention(channels), channels, dropout)
    return _Layer(_AcrossTokens(tokens, dropout), channels, dropout)


class _Layer(nn.Module):
    """Mixes tokens, then channels; layer norm before and a skip around each."""

    def __init__(self, across: nn.Module, channels: int, dropout: float) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.LayerNorm(channels), across, nn.Dropout(dropout))
        self.within = nn.Sequential(nn.LayerNorm(channels), _mlp(channels, dropout), nn.Dropout(dropout))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.across(tokens)
        out: Tensor = tokens + self.within(tokens)
        return out


def _mlp(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, _WIDEN * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(_WIDEN * width, width)
    )


class _AcrossTokens(nn.Module):
    """The MLP of an MLP-Mixer: the same for every channel."""

    def __init__(self, tokens: int, dropout: float) -> None:
        super().__init__()
        self.mlp = _mlp(tokens, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.mlp(tokens.transpose(1, 2))
        return out.transpose(1, 2)


class _Attention(nn.Module):
    """Self-attention of 4 heads.

    Written out, because `nn.TransformerEncoderLayer` takes a path in evaluation that ONNX export does not know.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        count, channels = tokens.shape[1:]
        split = self.query_key_value(tokens).reshape(
            -1, count, 3, _ATTENTION_HEADS, channels // _ATTENTION_HEADS
        )
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(-1, count, channels))
        return out
