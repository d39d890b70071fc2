from __future__ import annotations

import re

import pytest
import torch

from pgc_data.errors import ConfigError
from pgc_data.models.registry import architecture


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("convnext", {"token_grid": (2, 3)}, "2x3 does not divide the feature map, 4x4 at image_size 32x32"),
        ("inverted_se", {"token_grid": (2, 2)}, "token_grid has no effect on the head avgmax_mlp"),
        ("baseline", {"token_layers": 3}, "token_layers has no effect on the head avg"),
        ("convnext", {"num_blocks": 9, "image_size": (32, 32)}, "too small for 9 blocks"),
        ("baseline", {"image_size": (4, 32)}, "image_size=4 is too small"),
        ("baseline", {"image_size": [32]}, "must be 2 numbers"),
        ("baseline", {"image_size": 32}, "must be 2 numbers"),
        ("baseline", {"base_channels": 18}, "not a multiple of 4"),
        ("baseline", {"base_channels": 4.0}, "must be of type int"),
        ("baseline", {"dropout": float("nan")}, "dropout=nan"),
        ("baseline", {"dropout": 1.0}, "too large"),
        ("baseline", {"num_blocks": 0}, "too small: the least is 1"),
        ("baseline", {"head": "avgmax"}, "did you mean 'avgmax_mlp'"),
        ("baseline", {"colour": "hsv"}, "known: lab, luv, rgb, y"),
        ("inverted_se", {"base_channels": 4, "expansion": 1, "se_reduction": 8}, "leaves nothing of 4 channels"),
        ("landmark_mlp", {"hidden": []}, "hidden is empty"),
        ("crop_landmark", {"hidden": ["64"]}, "must be of type int"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(name, values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        architecture(name).configure(values)


def test_a_refused_grid_names_those_that_divide_the_map_and_they_work():
    found = architecture("convnext")
    with pytest.raises(ConfigError) as caught:
        found.configure({"token_grid": (3, 2), "image_size": (32, 24)})
    grids = re.findall(r"\d+x\d+", str(caught.value).split("these do:")[1])
    assert grids == ["1x1", "1x3", "2x1", "2x3", "4x1", "4x3"]
    for grid in grids:
        rows, columns = map(int, grid.split("x"))
        options = found.configure({"token_grid": (rows, columns), "image_size": (32, 24), "base_channels": 4})
        assert found.build(options)(torch.zeros(2, 3, 32, 24)).shape == (2,)


@pytest.mark.parametrize("size", [(32, 32), (48, 32), (33, 47), (64, 96)])
@pytest.mark.parametrize("blocks", [1, 3, 6])
@pytest.mark.parametrize("name", ["baseline", "inverted_se", "convnext"])
def test_the_feature_map_is_as_large_as_the_options_say(name, blocks, size):
    found = architecture(name)
    options = found.configure({"num_blocks": blocks, "image_size": size, "base_channels": 4, "head": "avg"})
    network = found.build(options).eval()
    maps = network.features(network.stem(torch.zeros(1, 3, *size)))
    assert tuple(maps.shape[1:]) == (options.channels[-1], *options.feature_map)


def test_the_default_grid_divides_every_map():
    for size in ((32, 32), (48, 48), (28, 60), (36, 44)):
        options = architecture("convnext").configure({"image_size": size})
        rows, columns = options.resolved_grid
        height, width = options.feature_map
        assert (height % rows, width % columns) == (0, 0)
        assert max(rows, columns) <= 4
