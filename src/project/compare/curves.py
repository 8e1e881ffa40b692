"""Curves of several seeds as a median with a band around it: a picture, and runs for TensorBoard."""

import itertools
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from project.compare.summary import Row, seconds_at
from project.runs.curves import Curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
"""The palette of Okabe and Ito, which colour-blind people can tell apart too, without its yellow."""
LINES: list[dict[str, Any]] = [{"color": c, "linestyle": dashes} for dashes in ("-", "--", ":") for c in COLOURS]
Band = dict[str, NDArray[Any]]
"""The ``median`` of all seeds, the lowest (``low``) and highest (``high``) of them, at the ``steps`` that all have.

``seconds`` is the seeds' median time since the start of the training.
"""
CHARTS = ("loss/train", "loss/val")
"""The charts of the custom-scalars page, which shows the last one first."""
RATES = "loss against learning rate (large dot: chosen; cross: diverged or failed)"


def make_bands(runs: Sequence[Mapping[str, Curve]]) -> dict[str, Band]:
    """The bands of all tags that all runs have, which end with the shortest run; none if there is no run."""
    bands = {}
    for tag in sorted(set.intersection(*map(set, runs))) if runs else ():
        curves = [dict(zip(*run[tag], strict=True)) for run in runs]
        steps = sorted(set.intersection(*map(set, curves)))
        if steps:
            values = np.array([[curve[step] for step in steps] for curve in curves])
            seconds = np.median([seconds_at(run, steps) for run in runs], axis=0)
            bands[tag] = {"steps": np.array(steps), "seconds": seconds}
            bands[tag] |= {"median": np.median(values, axis=0), "low": values.min(axis=0), "high": values.max(axis=0)}
    return bands


def write_bands(bands: Mapping[str, Band], folder: Path) -> None:
    """Writes runs ``median``, ``low`` and ``high`` in an optimizer's folder, with the same tags as its runs.

    In ``median`` there are also ``band/<loss>/low`` and ``band/<loss>/high``: a chart on the custom-scalars page draws
    a band from tags of the same run. Those of an earlier call are replaced.

    Args:
        bands: The bands by tag; where there are none, nothing is written.
        folder: The optimizer's folder.

    Raises:
        OSError: If they cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    start = time.time() - max((band["seconds"][-1] for band in bands.values()), default=0.0)
    for name in ("median", "low", "high"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if not bands:
            continue
        with SummaryWriter(folder / name) as writer:
            for tag, band in bands.items():
                lines = {tag: band[name]}
                if name == "median" and tag in CHARTS:
                    lines |= {f"band/{tag}/low": band["low"], f"band/{tag}/high": band["high"]}
                for line, values in lines.items():
                    for step, seconds, value in zip(band["steps"], band["seconds"], values, strict=True):
                        writer.add_scalar(line, value, step, start + seconds)
            if name == "high":  # the page shows the layout of the run that comes first by its name at the top
                drawn = [tag for tag in CHARTS if tag in bands]
                charts = {tag: ["Margin", [tag, f"band/{tag}/low", f"band/{tag}/high"]] for tag in drawn}
                writer.add_custom_scalars({"median and range of the seeds": charts})


def draw(
    rows: Sequence[Row], bands: Mapping[str, Mapping[str, Band]], tried: Mapping[str, Mapping[float, float | None]]
) -> Figure:
    """Draws each loss against steps and seconds, and, where rates were tried, loss against learning rate.

    Args:
        rows: The optimizers; one that has no loss to compare has no curve.
        bands: The bands of each optimizer, by tag.
        tried: The median loss of each rate that an optimizer tried; None for one at which a seed diverged or failed.
    """
    lines = dict(zip([row["optimizer"] for row in rows], itertools.cycle(LINES), strict=False))
    losses = list(dict.fromkeys((rows[0]["loss_name"], "loss/train")))
    lows = [band["low"].min() for tags in bands.values() for tag, band in tags.items() if tag in losses]
    scale = "log" if min(lows, default=1.0) > 0 else "linear"
    height = len(losses) + any(tried.values())
    figure = Figure(figsize=(11, 3.6 * height), layout="constrained")
    for number, (tag, x) in enumerate(itertools.product(losses, ("steps", "seconds")), start=1):
        axes = figure.add_subplot(height, 2, number, title=f"{tag} against {x}", xlabel=x, yscale=scale)
        for label in [row["optimizer"] for row in rows if row["loss_median"] is not None]:
            band, line = bands[label][tag], lines[label]
            axes.plot(band[x], band["median"], marker=".", **line)
            axes.fill_between(band[x], band["low"], band["high"], color=line["color"], alpha=0.15, lw=0)
    if any(tried.values()):
        whole = (2 * height - 1, 2 * height)
        axes = figure.add_subplot(height, 2, whole, title=RATES, xlabel="learning rate", xscale="log", yscale=scale)
        for row in rows:
            rates, line = tried[row["optimizer"]], lines[row["optimizer"]]
            places, values = list(rates), np.array([*rates.values()], dtype=float)  # None becomes a gap in the line
            axes.plot(places, values, marker=".", **line)
            chosen = {rate: loss for rate, loss in rates.items() if rate == row["rate"] and loss is not None}
            axes.plot(list(chosen), list(chosen.values()), "o", color=line["color"])
            broken = [rate for rate, loss in rates.items() if loss is None]
            axes.plot(broken, [0.97] * len(broken), "x", color=line["color"], transform=axes.get_xaxis_transform())
    names = [label.replace("$", r"\$") for label in lines]  # a dollar would begin a formula
    figure.legend([Line2D([], [], **line) for line in lines.values()], names, loc="outside upper center", ncols=6)
    return figure
