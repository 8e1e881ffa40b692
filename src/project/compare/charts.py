"""Pictures of a comparison: loss curves, loss against learning rate, tuned beside default."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.compare.drawing import DASHES, Line, Panel, figure, line_style, name_lines, set_scale, shortened
from project.compare.summary import Row, Run, Summary
from project.compare.table import number
from project.runs.curves import Curve


def curves_figure(summary: Summary) -> Figure:
    """Validation loss, if there is one, and training loss, each against steps and seconds."""
    return figure(curve_panels(summary))


def rates_figure(summary: Summary) -> Figure | None:
    """Loss against learning rate, and tuned beside default; None if no rates were tried."""
    panels = rate_panels(summary)
    return figure(panels) if panels else None


def curve_panels(summary: Summary) -> list[Panel]:
    """The panels of `curves_figure`."""
    tags = dict.fromkeys((summary.loss_name, "loss/train"))
    target = {summary.loss_name: summary.target_loss}
    return [
        partial(draw_curves, rows=summary.rows, tag=tag, x=x, target=target.get(tag))
        for tag in tags
        for x in ("steps", "seconds")
    ]


def rate_panels(summary: Summary) -> list[Panel]:
    """The panels of `rates_figure`."""
    if not any(row.tuning for row in summary.rows):
        return []
    return [partial(draw, rows=summary.rows, loss_name=summary.loss_name) for draw in (draw_rates, draw_defaults)]


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
    lines, losses = [], []
    for index, row in enumerate(rows):
        colour, dashes = line_style(index)
        seeds = [_points(run, tag, x) for run in row.chosen]
        drawn = [points for points in seeds if points]
        if not drawn:
            continue
        end = list(max(drawn, key=len).values())[-1]
        for points in drawn if len(seeds) > 1 else []:
            axes.plot(*zip(*points.values(), strict=True), color=colour, lw=0.6, alpha=0.4)
        if common := sorted(set.intersection(*map(set, seeds))):
            values = np.array([[points[step] for step in common] for points in seeds])  # (seeds, steps, 2)
            middle, median = np.median(values, axis=0).T
            if len(seeds) > 1:
                axes.fill_between(middle, *np.quantile(values[:, :, 1], [0, 1], axis=0), color=colour, alpha=0.15, lw=0)
            marker = "" if len(common) > 1 else "o"
            zorder = 3 - index / len(rows)  # the best one lies above the others
            axes.plot(middle, median, marker=marker, color=colour, dashes=dashes, lw=1.8, zorder=zorder)
            end = (middle[-1], median[-1])
        lines.append(Line(row.label, colour, dashes, end))
        done = [points for points, run in zip(seeds, row.chosen, strict=True) if run.result.loss is not None]
        losses += [loss for points in done for _, loss in points.values()]
    axes.margins(x=0.02)
    if target is not None:
        line = Line(f"target {number(target)}", "#555555", DASHES[2], (axes.get_xlim()[1], target))
        axes.axhline(target, color=line.colour, dashes=line.dashes, lw=1)
        lines.append(line)
        losses.append(target)
    set_scale(axes, "y", losses or [line.end[1] for line in lines])
    axes.set_title(f"{tag} against {x}")
    axes.set_xlabel("optimizer steps" if x == "steps" else x)
    name_lines(axes, lines, at_ends=x != "seconds")


def draw_rates(axes: Axes, rows: Sequence[Row], loss_name: str) -> None:
    """Draws the median loss of each rate that was tried; one at which a seed diverged has a cross at the top.

    Args:
        axes: Where to draw.
        rows: The optimizers.
        loss_name: What the loss is called.
    """
    set_scale(axes, "y", [loss for row in rows for loss in row.tuning.values() if loss is not None])
    set_scale(axes, "x", [rate for row in rows for rate in row.tuning])
    for index, row in enumerate(rows):
        colour, dashes = line_style(index)
        rates = sorted(row.tuning)
        losses = np.array([row.tuning[rate] for rate in rates], dtype=float)  # None is not a number: it breaks the line
        axes.plot(rates, losses, color=colour, dashes=dashes, marker="o", ms=3.5)
        if row.rate is not None and (chosen := row.tuning.get(row.rate)) is not None:
            axes.plot(row.rate, chosen, "o", color=colour, ms=9, mec="white", zorder=3)
        crosses = [rate for rate in rates if row.tuning[rate] is None]
        heights = [0.98 - 0.04 * index] * len(crosses)
        axes.plot(crosses, heights, "x", color=colour, mew=1.8, transform=axes.get_xaxis_transform())
    crossed = any(loss is None for row in rows for loss in row.tuning.values())
    axes.set_title(f"{loss_name} by rate (large dot: chosen{', ×: diverged or failed' if crossed else ''})")
    axes.set_xlabel("learning rate")
    name_lines(axes, [Line(row.label, *line_style(index)) for index, row in enumerate(rows)], at_ends=False)


def draw_defaults(axes: Axes, rows: Sequence[Row], loss_name: str) -> None:
    """Draws each optimizer's loss at its chosen rate beside that at its default one, with the range of all seeds.

    Args:
        axes: Where to draw.
        rows: The optimizers.
        loss_name: What the loss is called.
    """
    spreads = [(row.loss, row.default_loss if row.default else None) for row in rows]
    set_scale(axes, "x", [value for pair in spreads for s in pair if s for value in (s.median, s.low, s.high)])
    for index, (row, pair) in enumerate(zip(rows, spreads, strict=True)):
        colour, _ = line_style(index)
        heights = (index - 0.12, index + 0.12)
        if all(pair):
            axes.plot([s.median for s in pair if s], heights, color="#bbbbbb", lw=1, zorder=1)
        for spread, height, fill in zip(pair, heights, (colour, "white"), strict=True):
            if spread:
                axes.plot([spread.low, spread.high], [height] * 2, color=colour, lw=1.2)
                axes.plot(spread.median, height, "o", color=colour, mfc=fill, ms=7)
        if any(run.result.loss is None for run in row.default):
            axes.plot(0.99, heights[1], "x", color=colour, mew=1.8, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(rows)), [shortened(row.label) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(f"{loss_name} tuned (filled) and at the default rate (hollow)")
    axes.set_xlabel(loss_name)


def _points(run: Run, tag: str, x: str) -> dict[int, tuple[float, float]]:
    """The points of a curve, by their steps."""
    curve = run.curves.get(tag, Curve([], []))
    places = np.array(curve.steps, dtype=float)
    if x != "steps":
        ends, seconds = run.curves.get("epoch_seconds", Curve([], []))
        passed = np.cumsum(seconds) if x == "seconds" else np.arange(1, len(ends) + 1)
        places = np.interp(places, [-1, *ends], [0, *passed])  # steps are counted from 0
    return dict(zip(curve.steps, zip(places.tolist(), curve.values, strict=True), strict=True))
