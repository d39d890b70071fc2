"""Networks of the registry that look as if they had been trained, and what a checkpoint says of its data."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from pgc_data.models.registry import architecture
from pgc_data.training.checkpoints import Checkpoint, write_checkpoint

FACTS = {
    "classes": ["not_pointing", "pointing"], "positive": "pointing", "threshold": 0.5,
    "crop": {"rule": "landmark hull", "margin": 0.2, "align": "none", "mask": "none"}, "data_manifest_sha256": "0" * 64,
}  # fmt: skip


def trained(name, **values):
    """Architecture, options and a network: its weights drawn, its batch norms as after training, none of them plain."""
    found = architecture(name)
    options = found.configure(values)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = found.build(options)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return found, options, network.eval()


def save(path, name, facts=FACTS, **values):
    """Writes a checkpoint of `trained` and gives the network."""
    found, options, network = trained(name, **values)
    config = {"architecture": found.name, "options": options.as_dict()}
    write_checkpoint(path, Checkpoint(network.state_dict(), config, facts))
    return network
