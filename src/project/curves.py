"""A run's curves, read back from its event file."""

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


def read_curves(run: str | Path) -> dict[str, Curve]:
    """All curves of a run, by their tags.

    Args:
        run: The run's folder.

    Raises:
        ValueError: If there is no event file.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(Path(run).glob("events.out.tfevents.*")):
        raise ValueError(f"{run} has no event file, and so no curves")
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})  # 0 keeps them all
    events.Reload()
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    return {tag: Curve([e.step for e in curve], [e.value for e in curve]) for tag, curve in scalars.items()}
