"""The weights of runs."""

from pathlib import Path

import torch


def assert_same_weights(a: Path, b: Path) -> None:
    """The best and the last ones of two runs are equal to the bit."""
    for name in ("best", "last"):
        states = [torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"] for run in (a, b)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
