from __future__ import annotations

import collections
import pickle

import numpy as np
import pytest
import torch
from networks import FACTS, save, trained

from pgc_data.errors import DataError
from pgc_data.training.checkpoints import Checkpoint, load_model, read_checkpoint, write_checkpoint


class _Evil:
    def __reduce__(self):
        return (print, ("code of a checkpoint was run",))


def test_a_model_comes_back_with_its_weights_options_and_facts(tmp_path):
    path = tmp_path / "deep" / "a.pt"
    network = save(path, "inverted_se", num_blocks=2, colour="lab")
    checkpoint = read_checkpoint(path)
    assert checkpoint.facts == FACTS
    again, found, options = load_model(checkpoint, path)
    assert (found.name, options.num_blocks, options.colour) == ("inverted_se", 2, "lab")
    assert not again.training
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again(images), network(images))
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]


def test_what_resuming_needs_comes_back(tmp_path):
    _, _, network = trained("landmark_mlp")
    optimiser = torch.optim.AdamW(network.parameters())
    network.train()(torch.randn(4, 78)).sum().backward()
    optimiser.step()
    training = {"optimiser": optimiser.state_dict(), "random": torch.get_rng_state(), "best": (3, 0.5)}
    path = tmp_path / "a.pt"
    write_checkpoint(
        path, Checkpoint(network.state_dict(), {"architecture": "landmark_mlp"}, FACTS, training)
    )
    read = read_checkpoint(path).training
    assert torch.equal(read["random"], training["random"])
    assert read["best"] == (3, 0.5)
    torch.optim.AdamW(network.parameters()).load_state_dict(read["optimiser"])


@pytest.mark.parametrize("value", [np.float64(1.0), {1, 2}, _Evil(), torch.nn.Linear(1, 1), lambda: 0])
def test_what_could_not_be_read_is_not_written(tmp_path, value):
    path = tmp_path / "a.pt"
    with pytest.raises(TypeError, match=r"training\.a\[0\] is a"):
        write_checkpoint(path, Checkpoint({}, {}, {}, {"a": [value]}))
    assert not path.exists()


def _truncated(path):
    save(path, "landmark_mlp")
    path.write_bytes(path.read_bytes()[:-2000])


def _flipped(path):
    save(path, "landmark_mlp")
    data = bytearray(path.read_bytes())
    data[60:400] = bytes(340)
    path.write_bytes(data)


HOSTILE = {
    "truncated": _truncated,
    "damaged": _flipped,
    "code": lambda path: path.write_bytes(pickle.dumps(_Evil())),
    "code in a torch file": lambda path: torch.save({"model": {}, "config": {}, "facts": _Evil()}, path),
    "html": lambda path: path.write_text("<!doctype html><html><body>Sign in</body></html>"),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
    "weights alone": lambda path: torch.save(collections.OrderedDict(a=torch.ones(1)), path),
    "a list": lambda path: torch.save([1, 2], path),
    "model is no dictionary": lambda path: torch.save({"model": 1, "config": {}}, path),
    "model holds no tensors": lambda path: torch.save({"model": {"a": 1}, "config": {}}, path),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_and_not_run(tmp_path, make, capsys):
    path = tmp_path / "a.pt"
    make(path)
    with pytest.raises(DataError, match=r"a\.pt") as caught:
        read_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1
    assert "code of a checkpoint" not in capsys.readouterr().out


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    save(path, "baseline", num_blocks=1, base_channels=4)
    data = path.read_bytes()
    for size in range(0, len(data) - 1, 211):
        path.write_bytes(data[:size])
        with pytest.raises(DataError):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "unknown architecture 'None'"),
        ({"architecture": "resnet"}, "unknown architecture 'resnet'"),
        ({"architecture": "baseline", "options": {"num_blocks": "4"}}, "must be of type int"),
        ({"architecture": "baseline", "options": {"base_channels": 10**9}}, "too large"),
        ({"architecture": "baseline", "options": [1]}, "must be a table"),
        ({"architecture": "baseline", "options": {"num_blocks": 3}}, "do not fit baseline"),
        ({"architecture": "convnext"}, "do not fit convnext"),
    ],
)
def test_weights_that_do_not_fit_their_options_are_refused(config, message):
    _, _, network = trained("baseline")
    with pytest.raises(DataError, match=message) as caught:
        load_model(Checkpoint(network.state_dict(), config), "a.pt")
    assert len(str(caught.value).splitlines()) == 1
