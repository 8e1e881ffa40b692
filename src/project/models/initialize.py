"""Initial weights by name."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from project.errors import nearest


def _bernoulli(weight: nn.Parameter) -> None:
    with torch.no_grad():
        weight.bernoulli_(0.5).mul_(2).sub_(1).div_(weight[0].numel() ** 0.5)


FUNCTIONS: dict[str, Callable[..., object]] = {
    **{name: f for name, f in vars(nn.init).items() if name.endswith("_") and not name.startswith("_")},
    "bernoulli": _bernoulli,
}
"""What initial weights can be drawn by."""


def initialize(module: nn.Module, name: str | None, settings: Mapping[str, Any] | None = None) -> None:
    """Draws the weights of all linear and convolutional layers anew and sets their biases to 0.

    Args:
        module: Whose layers to initialize.
        name: A function of ``torch.nn.init``, such as ``xavier_uniform_``, or ``bernoulli``: signs drawn by a fair
            coin, times one over the square root of the number of inputs. None changes nothing.
        settings: Further arguments of that function.

    Raises:
        ValueError: If there is no such function.
        TypeError: If it does not take the settings.
    """
    if name is None:
        if settings:
            raise ValueError("init_settings are for the function that init names, and it names none")
        return
    if name not in FUNCTIONS:
        raise ValueError(f"there are no initial weights named '{name}'; {nearest(name, FUNCTIONS)}")
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.EmbeddingBag):
            FUNCTIONS[name](layer.weight, **(settings or {}))
            if isinstance(layer, nn.EmbeddingBag):
                with torch.no_grad():
                    layer.weight[layer.padding_idx] = 0
            elif layer.bias is not None:
                nn.init.zeros_(layer.bias)
