"""What runs leave: their reports, their weights, and their curves as TensorBoard reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor


def read_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def load_weights(run: Path, name: str = "last") -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return state


def assert_same_weights(a: Path, b: Path, names: Sequence[str] = ("best", "last")) -> None:
    """The best and the last ones of two runs are equal to the bit."""
    for name in names:
        states = [load_weights(run, name) for run in (a, b)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def read_curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """All points of one tag in the event files of a run's folder: step and value."""
    return [(point.step, point.value) for point in events(folder).Scalars(tag)]


def all_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of every tag but the seconds, which differ from run to run."""
    log = events(folder)
    tags = [tag for tag in log.Tags()["scalars"] if tag != "epoch_seconds"]
    # Sorted, because two files that one process begins in the same second are read in any order.
    return {tag: sorted((point.step, point.value) for point in log.Scalars(tag)) for tag in tags}
