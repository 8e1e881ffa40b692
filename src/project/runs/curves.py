"""A run's curves, read back from its event file."""

import logging
import os
from pathlib import Path
from typing import NamedTuple


class Curve(NamedTuple):
    """The values of a tag, such as ``loss/val``.

    Attributes:
        steps: Optimizer steps, in rising order.
        values: As many values, in the 32-bit precision of the event file.
    """

    steps: list[int]
    values: list[float]


def read_curves(run: str | os.PathLike[str]) -> dict[str, Curve]:
    """All curves of a run by their tags.

    Args:
        run: The run's folder, or what `train` gave.

    Raises:
        ValueError: If there is no event file.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # of steps that a run repeated when it was resumed
    folder = Path(run)
    if not any(folder.glob("events.out.tfevents.*")):
        raise ValueError(f"{folder} has no event file, and so no curves")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()  # 0 keeps them all
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    return {tag: Curve([e.step for e in curve], [e.value for e in curve]) for tag, curve in scalars.items()}
