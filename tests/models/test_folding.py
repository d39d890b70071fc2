from __future__ import annotations

import pytest
import torch
from networks import trained
from torch.nn.modules.batchnorm import _BatchNorm

from pgc_data.models.folding import fold_batch_norms
from pgc_data.training.export import drawn_inputs

MODELS = [
    *((name, {"head": head}) for name in ("baseline", "inverted_se", "convnext") for head in ("avg", "avgmax_mlp")),
    ("inverted_se", {"head": "transformer"}),
    ("landmark_mlp", {}),
    ("crop_landmark", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values"), MODELS)
def test_a_folded_network_says_the_same_without_batch_norms(name, values):
    _, options, network = trained(name, **values)
    folded = fold_batch_norms(network)
    inputs = [torch.from_numpy(rows) for rows in drawn_inputs(options.inputs, 8).values()]
    with torch.inference_mode():
        torch.testing.assert_close(folded(*inputs), network(*inputs), rtol=1e-5, atol=1e-5)
    assert not any(isinstance(module, _BatchNorm) for module in folded.modules())


def test_the_network_itself_is_left_as_it_was():
    _, _, network = trained("inverted_se")
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norms(network)
    assert network.training
    assert not folded.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
