"""The curves of a run, as TensorBoard reads them."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


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
