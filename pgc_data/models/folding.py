"""Batch norms folded into the layers beside them, for evaluation and export."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import fusion

_Norm = nn.BatchNorm1d | nn.BatchNorm2d


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy of `model` in evaluation mode whose batch norms are folded into neighbouring layers.

    Within every `nn.Sequential`, a batch norm after a convolution or linear layer is folded into it, and one before a
    linear layer, dropout between allowed, into that one. Outputs are those of `model.eval()` up to float rounding.
    """
    folded = copy.deepcopy(model).eval()
    for part in list(folded.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return folded


def _fold(layers: nn.Sequential) -> None:
    for index, norm in enumerate(layers):
        if not isinstance(norm, _Norm):
            continue
        before = layers[index - 1] if index else None
        after = _next_linear(layers, index)
        if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[index - 1] = fusion.fuse_conv_bn_eval(before, norm)
        elif isinstance(before, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            layers[index - 1] = fusion.fuse_linear_bn_eval(before, norm)
        elif after is not None:
            layers[after] = _linear_after(norm, layers[after])
        else:
            continue
        layers[index] = nn.Identity()


def _next_linear(layers: nn.Sequential, index: int) -> int | None:
    """Where the linear layer after `index` is, if nothing but dropout is between."""
    for after in range(index + 1, len(layers)):
        if isinstance(layers[after], nn.Linear):
            return after
        if not isinstance(layers[after], nn.Dropout):
            return None
    return None


@torch.no_grad()
def _linear_after(norm: nn.Module, linear: nn.Module) -> nn.Linear:
    """The linear layer that does what `norm` and then `linear` do."""
    assert isinstance(norm, _Norm)
    assert isinstance(linear, nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    folded = copy.deepcopy(linear)
    folded.weight.copy_(linear.weight * scale)
    folded.bias.copy_(linear.bias + linear.weight @ shift)
    return folded
