"""A run's curves, read back from its event file."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa


class Curve(NamedTuple):
    """The values of a tag, such as ``loss/val``.

    Attributes:
        steps: Optimizer steps, in rising order.
        values: As many values, in the 32-bit precision of the event file.
    """

    steps: list[int]
    values: list[float]


def read_curves(run: str | os.PathLike[str]) -> pa.Table:
    """All curves of a run as one table, which ``.to_pandas()`` makes a data frame.

    Args:
        run: The run's folder, or what `train` gave.

    Returns:
        A row for each value, with the columns ``tag`` (such as ``loss/val``), ``step`` (of the optimizer), ``value``
        and ``seconds`` (since the run began). A tag has one value a step: the last one that was logged.

    Raises:
        ValueError: If there is no event file.
    """
    events = _read_events(run)
    start = events.FirstEventTimestamp()
    tags = events.Tags()["scalars"]
    rows = {(tag, e.step): (e.value, e.wall_time - start) for tag in tags for e in events.Scalars(tag)}
    return pa.table(
        {
            "tag": pa.array([tag for tag, _ in rows], pa.string()),
            "step": pa.array([step for _, step in rows], pa.int64()),
            "value": pa.array([value for value, _ in rows.values()], pa.float32()),
            "seconds": pa.array([seconds for _, seconds in rows.values()], pa.float64()),
        }
    )


def curves_by_tag(run: str | os.PathLike[str]) -> dict[str, Curve]:
    """All curves of a run, by their tags; arguments and errors as for `read_curves`."""
    events = _read_events(run)
    scalars = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    return {tag: Curve([e.step for e in curve], [e.value for e in curve]) for tag, curve in scalars.items()}


def _read_events(run: str | os.PathLike[str]) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = Path(run)
    if not any(folder.glob("events.out.tfevents.*")):
        raise ValueError(f"{folder} has no event file, and so no curves")
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()  # 0 keeps them all
