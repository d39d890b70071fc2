from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from pgc_data.errors import ConfigError
from pgc_data.models import registry
from pgc_data.models.registry import ARCHITECTURES, architecture, count_parameters, parameters_of

PUBLISHED = [
    ("inverted_se", {"preset": "P"}, 26_609),
    ("inverted_se", {"preset": "N"}, 40_769),
    ("inverted_se", {"preset": "T"}, 65_425),
    ("inverted_se", {"preset": "S"}, 118_321),
    ("inverted_se", {"preset": "C"}, 212_689),
    ("inverted_se", {"preset": "M"}, 416_785),
    ("inverted_se", {"num_blocks": 7}, 785_745),
    ("inverted_se", {"preset": "L"}, 1_587_153),
    ("inverted_se", {"head": "avg"}, 109_937),
    ("baseline", {}, 11_457),
    ("baseline", {"head": "avgmax_mlp"}, 19_841),
]


@pytest.mark.parametrize(("name", "values", "parameters"), PUBLISHED)
def test_parameters_are_those_of_the_published_models(name, values, parameters):
    found = architecture(name)
    options = found.configure(values)
    assert parameters_of(found, options) == parameters
    assert count_parameters(found.build(options)) == parameters


def test_presets_say_what_was_published():
    presets = [(found, preset) for found in ARCHITECTURES.values() for preset in found.presets]
    assert len(presets) == 8
    for found, preset in presets:
        assert parameters_of(found, found.configure(preset.options)) == preset.published


@pytest.mark.parametrize("head", ["avg", "avgmax_mlp", "transformer", "mlp_mixer"])
@pytest.mark.parametrize("name", ["baseline", "inverted_se", "convnext"])
def test_every_head_gives_a_logit_a_row_and_learns(name, head):
    found = architecture(name)
    network = found.build(found.configure({"head": head, "image_size": (32, 48), "base_channels": 8}))
    logits = network(torch.rand(3, 3, 32, 48))
    assert logits.shape == (3,)
    logits.sum().backward()
    still = [key for key, value in network.named_parameters() if value.grad is None]
    assert not still


@pytest.mark.parametrize(
    ("name", "head"),
    [("baseline", "avg"), ("inverted_se", "avgmax_mlp"), ("convnext", "transformer")],
)
def test_the_head_auto_suits_the_architecture(name, head):
    found = architecture(name)
    assert found.configure().resolved_head == head
    assert parameters_of(found, found.configure()) == parameters_of(found, found.configure({"head": head}))


def test_layers_are_called_as_in_the_published_models():
    found = architecture("inverted_se")
    network = found.build(found.configure())
    names = dict(network.named_modules())
    assert isinstance(names["stem.5"], nn.SiLU)
    assert isinstance(names["features.3.block.out_act"], nn.SiLU)
    assert "stem.6" not in names


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("baseline", {"se_reduction": 4}, "unknown option of baseline 'se_reduction'"),
        ("landmark_mlp", {"num_blocks": 4}, "unknown option of landmark_mlp 'num_blocks'"),
        ("inverted_se", {"expanson": 4}, "did you mean 'expansion'"),
        ("inverted_se", {"preset": "X"}, "unknown preset of inverted_se 'X'"),
        ("baseline", {"preset": "S"}, "unknown preset of baseline 'S'"),
    ],
)
def test_what_an_architecture_does_not_have_is_refused(name, values, message):
    with pytest.raises(ConfigError, match=message):
        architecture(name).configure(values)


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'convnext'"):
        architecture("convnet")


def test_a_preset_can_be_changed():
    options = architecture("inverted_se").configure({"preset": "L", "image_size": [48, 32], "dropout": 0})
    assert (options.num_blocks, options.image_size, options.dropout) == (8, (48, 32), 0.0)


def test_options_come_back_from_their_json():
    for found in ARCHITECTURES.values():
        options = found.configure()
        assert found.configure(json.loads(json.dumps(options.as_dict()))) == options


def test_without_torch_models_are_listed_and_building_one_says_what_to_install():
    code = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Hidden(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, *rest):\n"
        "        return None if name.split('.')[0] == 'torch' else super().find_spec(name, *rest)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden\n"
        "from pgc_data.errors import ConfigError\n"
        "from pgc_data.models.registry import architecture\n"
        "found = architecture('inverted_se')\n"
        "print(found.as_dict()['parameters'], found.as_dict()['presets'][3]['published'])\n"
        "try: found.build(found.configure())\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "None 118321",
        "the model inverted_se needs torch: pip install 'pgc-data[train]'",
    ], done.stderr


def test_the_command_lists_all_of_them(cli, monkeypatch):
    listed = json.loads(cli("models", "--json").output)
    assert [entry["name"] for entry in listed] == list(ARCHITECTURES)
    assert {"kind", "source", "inputs", "options", "parameters", "presets"} <= listed[0].keys()
    text = cli("models", "inverted_se").output
    assert "S: num_blocks 4; 118,321 parameters; published: 118,321" in text
    assert "images [batch, 3, 32, 32]" in text
    assert cli("models", "inverted").exit_code == 2
    monkeypatch.setattr(registry, "can_train", lambda: False)
    monkeypatch.setattr("pgc_data.cli.can_train", lambda: False)
    text = cli("models").output
    assert "S: num_blocks 4; published: 118,321" in text
    assert "pip install 'pgc-data[train]'" in text
