"""Pictures of a comparison: loss curves, loss against learning rate, tuned beside default."""

import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from project.compare.summary import Row, Run, Summary
from project.compare.table import number
from project.curves import Curve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
"""The palette of Okabe and Ito, which colour-blind people can tell apart too, without its yellow."""
DASHES = ((), (5, 2), (1, 1.5))
"""Lengths of dashes and gaps: solid lines in all colours, then dashed ones, then dotted ones."""
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",  # text that can be searched, in the reader's own font
    "svg.hashsalt": "comparison",  # the same names in the file for the same picture
}

Panel = Callable[[Axes], None]
"""Draws into axes."""


def line_style(index: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes of the optimizer in this row of the table."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def curve_panels(summary: Summary) -> list[Panel]:
    """Validation loss, if there is one, and training loss, each against steps and seconds."""
    tags = dict.fromkeys((summary.loss_name, "loss/train"))
    target = {summary.loss_name: summary.target_loss}
    return [
        partial(draw_curves, rows=summary.rows, tag=tag, x=x, target=target.get(tag))
        for tag in tags
        for x in ("steps", "seconds")
    ]


def rate_panels(summary: Summary) -> list[Panel]:
    """Loss against learning rate, and tuned beside default; nothing if no rates were tried."""
    if not any(row.tuning for row in summary.rows):
        return []
    return [partial(draw, rows=summary.rows, loss_name=summary.loss_name) for draw in (draw_rates, draw_defaults)]


def figure(panels: Sequence[Panel], num_columns: int = 2) -> Figure:
    """A picture of several panels, row by row.

    Args:
        panels: What to draw.
        num_columns: How many stand side by side.
    """
    num_columns = min(num_columns, len(panels))
    num_rows = -(-len(panels) // num_columns)
    with mpl.rc_context(STYLE):
        picture = Figure(figsize=(5.4 * num_columns, 3.6 * num_rows), layout="constrained")
        for panel, axes in zip(panels, picture.subplots(num_rows, num_columns, squeeze=False).flat, strict=False):
            panel(axes)
    return picture


def svg(picture: Figure) -> str:
    """A picture as an ``svg`` element for a page; the same text for the same picture."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        picture.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Names that nothing refers to would stand in a page several times.
    return re.sub(r' id="([^"]+)"', lambda found: found[0] if f"#{found[1]}" in text else "", text)


def draw_curves(axes: Axes, rows: Sequence[Row], tag: str, x: str = "steps", target: float | None = None) -> None:
    """Draws the median of all seeds, their range as a band, and each seed as a thin line.

    Median and band end with the shortest run.

    Args:
        axes: Where to draw.
        rows: The optimizers.
        tag: Which curve.
        x: ``steps``, ``epochs`` or ``seconds``; for the band, the seconds are the seeds' median at each step.
        target: A loss that a dotted line marks.
    """
    losses, ends = [target] if target is not None else [], []
    for index, row in enumerate(rows):
        colour, dashes = line_style(index)
        seeds = [_points(run, tag, x) for run in row.chosen]
        last = [max(points.items()) for points in seeds if points]
        if not last:
            continue
        end = max(last)[1]
        common = sorted(set.intersection(*map(set, seeds)))
        if len(seeds) > 1:
            for points in seeds:
                axes.plot(*zip(*points.values(), strict=True), color=colour, linewidth=0.6, alpha=0.4)
        if common:
            values = np.array([[points[step] for step in common] for points in seeds])  # (seeds, steps, 2)
            middle, median = np.median(values, axis=0).T
            if len(seeds) > 1:
                low, high = values[:, :, 1].min(0), values[:, :, 1].max(0)
                axes.fill_between(middle, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(middle, median, color=colour, dashes=dashes, linewidth=1.8, marker="" if len(common) > 1 else "o")
            end = (middle[-1], median[-1])
        ends.append((*end, row.label, index))
        done = [points for points, run in zip(seeds, row.chosen, strict=True) if run.result.loss is not None]
        losses += [loss for points in done for _, loss in points.values()]
    _scale(axes, "y", losses or [y for _, y, _, _ in ends])
    axes.margins(x=0.02)
    if target is not None:
        axes.axhline(target, color="#555555", linestyle=":", linewidth=1)
        text = f"target {number(target)}"
        axes.annotate(text, (0, target), (3, -3), axes.get_yaxis_transform(), "offset points", va="top", color="#555555")
    axes.set_title(f"{tag} against {x}")
    axes.set_xlabel("optimizer steps" if x == "steps" else x)
    _label_ends(axes, ends)


def draw_rates(axes: Axes, rows: Sequence[Row], loss_name: str) -> None:
    """Draws the median loss of each rate that was tried; one at which a seed diverged has a cross at the top.

    Args:
        axes: Where to draw.
        rows: The optimizers.
        loss_name: What the loss is called.
    """
    ends = []
    _scale(axes, "y", [loss for row in rows for loss in row.tuning.values() if loss is not None])
    _scale(axes, "x", [rate for row in rows for rate in row.tuning])
    for index, row in enumerate(rows):
        colour, dashes = line_style(index)
        rates = sorted(row.tuning)
        losses = [np.nan if (loss := row.tuning[rate]) is None else loss for rate in rates]  # which breaks the line
        axes.plot(rates, losses, color=colour, dashes=dashes, marker="o", markersize=3.5)
        if row.rate in row.tuning:
            axes.plot(row.rate, row.tuning[row.rate], "o", markersize=9, color=colour, markeredgecolor="white", zorder=3)
        crosses = [rate for rate in rates if row.tuning[rate] is None]
        height = [0.98 - 0.04 * index] * len(crosses)
        axes.plot(crosses, height, "x", color=colour, transform=axes.get_xaxis_transform(), markeredgewidth=1.8)
        found = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if np.isfinite(loss)]
        ends += [(*found[-1], row.label, index)] if found else []
    axes.set_title(f"{loss_name} against learning rate; the large dot is chosen, × diverged")
    axes.set_xlabel("learning rate")
    _label_ends(axes, ends)


def draw_defaults(axes: Axes, rows: Sequence[Row], loss_name: str) -> None:
    """Draws each optimizer's loss at its chosen rate beside that at its default one, with the range of all seeds.

    Args:
        axes: Where to draw.
        rows: The optimizers.
        loss_name: What the loss is called.
    """
    spreads = [(row.loss, row.default_loss if row.default else None) for row in rows]
    _scale(axes, "x", [value for pair in spreads for s in pair if s for value in (s.median, s.low, s.high)])
    for index, (row, pair) in enumerate(zip(rows, spreads, strict=True)):
        colour, _ = line_style(index)
        if all(pair):
            axes.plot([s.median for s in pair if s], [index, index], color="#bbbbbb", linewidth=1, zorder=1)
        for spread, shift, fill in zip(pair, (-0.1, 0.1), (colour, "white"), strict=True):
            if spread:
                axes.plot([spread.low, spread.high], [index + shift] * 2, color=colour, linewidth=1.2)
                axes.plot(spread.median, index + shift, "o", color=colour, markerfacecolor=fill, markersize=7)
        if any(run.result.loss is None for run in row.default):
            axes.plot(0.99, index + 0.1, "x", color=colour, transform=axes.get_yaxis_transform(), markeredgewidth=1.8)
    axes.set_yticks(range(len(rows)), [_short(row.label) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(f"{loss_name}: tuned (filled) beside the default rate (hollow)")


def _points(run: Run, tag: str, x: str) -> dict[int, tuple[float, float]]:
    """The points of a curve, by their steps."""
    curve = run.curves.get(tag, Curve([], []))
    steps = np.array(curve.steps, dtype=float)
    if x != "steps":
        ends, seconds = run.curves.get("epoch_seconds", Curve([], []))
        passed = np.cumsum(seconds) if x == "seconds" else np.arange(1, len(ends) + 1)
        steps = np.interp(steps, [-1, *ends], [0, *passed])  # steps are counted from 0
    return dict(zip(curve.steps, zip(steps, curve.values, strict=True), strict=True))


def _scale(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis that holds these values, but for zeros; a linear one if some are negative."""
    positive = [value for value in values if value > 0]
    if not positive or min(values) < 0:
        return
    low, high = min(positive), max(positive)
    room = max((high / low) ** 0.05, 1.01)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low / room, high * room)})
    few = high / low < 5
    axis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, int]]) -> None:
    """Writes the name of each line to the right of where it ends, one below the other."""
    height = axes.get_position().height * axes.figure.get_figheight() * 72  # type: ignore[union-attr]  # no subfigures
    gap = 11.5 / height
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted(ends, key=lambda end: end[1])
    places: list[float] = []
    for x, y, _, _ in ends:
        place = float(np.clip(to_axes.transform((x, y))[1], 0, 1))
        places.append(max(place, places[-1] + gap) if places else place)
    top = 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], top)
        top = places[i] - gap
    for (x, y, label, index), place in zip(ends, places, strict=True):
        colour, dashes = line_style(index)
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.9, "linestyle": (0, dashes) if dashes else "-"}
        text = axes.annotate(_short(label), (x, y), (1.06, place), "data", "axes fraction", line, annotation_clip=False)
        text.set(parse_math=False, va="center")


def _short(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"
