"""The weights of runs."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor


def load_weights(run: Path, name: str = "last") -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return state


def assert_same_weights(a: Path, b: Path, names: Sequence[str] = ("best", "last")) -> None:
    """The best and the last ones of two runs are equal to the bit."""
    for name in names:
        states = [load_weights(run, name) for run in (a, b)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
