"""Curves with bands in TensorBoard: the median of an optimizer's seeds, and the lowest and highest of them."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from project.compare.summary import Run, Summary

Points = list[tuple[int, float, float, float, float]]
"""Step, seconds, and the median, lowest and highest value of all seeds."""

CHARTS = {"loss/train": "training loss", "loss/val": "validation loss"}
"""The charts of the custom-scalars page, which shows the last one first."""


def write_bands(summary: Summary, folder: Path) -> None:
    """Writes runs ``median``, ``low`` and ``high`` beside those of each optimizer, at the rate it is judged at.

    They have the same tags, and a point at each step that all seeds have; so an optimizer has none if one of its runs
    failed before the first one. In ``median`` there are also ``band/<loss>/low`` and ``band/<loss>/high``: a chart on
    the custom-scalars page draws a band from tags of the same run. Those of an earlier call are replaced.

    Args:
        summary: What the comparison found.
        folder: The comparison's folder.

    Raises:
        OSError: If they cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    now = time.time()
    for row in summary.rows:
        bands = {tag: _points(row.chosen, tag) for tag in _shared_tags(row.chosen)}
        start = now - max((points[-1][1] for points in bands.values()), default=0.0)
        for index, name in enumerate(("median", "low", "high")):
            path = folder / row.label / name
            if path.exists():
                shutil.rmtree(path)
            if not bands:
                continue
            with SummaryWriter(path) as writer:
                for tag, points in bands.items():
                    for step, seconds, *values in points:
                        writer.add_scalar(tag, values[index], step, start + seconds)
                        if name == "median" and tag in CHARTS:
                            writer.add_scalar(f"band/{tag}/low", values[1], step, start + seconds)
                            writer.add_scalar(f"band/{tag}/high", values[2], step, start + seconds)
                if name == "high":  # the page shows the layout of the run that comes first by its name at the top
                    charts = {
                        title: ["Margin", [tag, f"band/{tag}/low", f"band/{tag}/high"]]
                        for tag, title in CHARTS.items()
                        if tag in bands
                    }
                    writer.add_custom_scalars({"median and range of the seeds": charts})


def _shared_tags(runs: Sequence[Run]) -> list[str]:
    """The tags for which there is a step that all runs have."""
    tags = [tag for tag in (runs[0].curves if runs else {}) if all(tag in run.curves for run in runs)]
    return [tag for tag in tags if set.intersection(*(set(run.curves[tag].steps) for run in runs))]


def _points(runs: Sequence[Run], tag: str) -> Points:
    curves = [dict(zip(*run.curves[tag], strict=True)) for run in runs]
    steps = sorted(set.intersection(*map(set, curves)))
    clocks = [np.interp(steps, [0, *run.loss_curve.steps], [0.0, *run.seconds]) for run in runs]
    values = np.array([[curve[step] for step in steps] for curve in curves])
    columns = (np.median(clocks, 0), np.median(values, 0), values.min(0), values.max(0))
    return list(zip(steps, *(column.tolist() for column in columns), strict=True))
