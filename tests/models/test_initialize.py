"""Initial weights by name."""

import pytest
import torch
from torch import nn

from project.models import FeedForward
from project.models.initialize import initialize
from project.schema import Number, Schema, Target

SETTINGS = {"constant_": {"val": 0.3}, "sparse_": {"sparsity": 0.5}}
FUNCTIONS = [name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_")]
SCHEMA = Schema(tuple(Number(f"x{i}") for i in range(12)), Target("y", "binary", ("no", "yes")))


LINEAR = nn.Sequential(nn.Linear(12, 8), nn.Linear(8, 3))
CONVOLUTION = nn.Sequential(nn.Conv2d(2, 4, 3))
CASES = [*((LINEAR, name) for name in FUNCTIONS if name != "dirac_")]
CASES += [(CONVOLUTION, "dirac_"), (CONVOLUTION, "kaiming_normal_")]


@pytest.mark.parametrize(("layers", "name"), CASES)
def test_a_function_of_torch_gives_what_it_gives_when_called_directly(layers, name):
    torch.manual_seed(0)
    initialize(layers, name, SETTINGS.get(name))
    torch.manual_seed(0)
    for layer in layers:
        expected = torch.empty_like(layer.weight)
        getattr(nn.init, name)(expected, **SETTINGS.get(name, {}))
        assert torch.equal(layer.weight, expected)
        assert not layer.bias.any()


@pytest.mark.parametrize(("layer", "fan_in"), [(nn.Linear(16, 30), 16), (nn.Conv2d(4, 30, 3), 36)])
def test_bernoulli_draws_signs(layer, fan_in):
    torch.manual_seed(0)
    initialize(layer, "bernoulli")
    assert torch.allclose(layer.weight.abs(), torch.tensor(fan_in**-0.5))
    assert (layer.weight > 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    first = layer.weight.detach().clone()
    initialize(layer, "bernoulli")
    assert not torch.equal(layer.weight, first)


def test_other_layers_and_missing_biases_are_left_alone():
    layers = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4))
    initialize(layers, "ones_")
    assert layers[0].weight.eq(1).all()
    assert layers[0].bias is None
    assert layers[1].weight.eq(1).all()


REFUSED = [
    ("xavier_unifrm_", {}, r"xavier_unifrm_.*did you mean xavier_uniform_\?"),
    ("normal_", {"sigma": 1.0}, "sigma"),
    ("constant_", {}, "val"),
]


@pytest.mark.parametrize(("name", "settings", "message"), REFUSED)
def test_what_cannot_be_is_named(name, settings, message):
    with pytest.raises(ValueError if "mean" in message else TypeError, match=message):
        FeedForward(SCHEMA, init=name, init_settings=settings)
