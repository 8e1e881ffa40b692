"""The curves of a run, as TensorBoard reads them."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read_curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """All points of one tag in the event files of a run's folder: step and value."""
    return [(point.step, point.value) for point in EventAccumulator(str(folder)).Reload().Scalars(tag)]
