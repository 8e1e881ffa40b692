"""What a comparison's pictures have in common: colours, panels, axes, names beside lines."""

import io
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
"""The palette of Okabe and Ito, which colour-blind people can tell apart too, without its yellow."""
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5))
"""Lengths of dashes and gaps: solid lines in all colours, then dashed ones, then dotted ones."""
STYLE: Any = {
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
    "text.parse_math": False,  # a label may hold a dollar
    "svg.fonttype": "none",  # text that can be searched, in the reader's own font
}

Panel = Callable[[Axes], None]
"""Draws into axes."""


class Line(NamedTuple):
    """A line that is to be named.

    Attributes:
        label: Its name.
        colour: Its colour.
        dashes: Its dashes and gaps.
        end: The point where it ends.
    """

    label: str
    colour: str
    dashes: tuple[float, ...]
    end: tuple[float, float] = (0.0, 0.0)


def line_style(index: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes of the optimizer in this row of the table."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


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


def png(picture: Figure) -> bytes:
    """A picture as the content of a PNG file."""
    return _saved(picture, "png", dpi=120)


def svg(picture: Figure, name: str) -> str:
    """A picture as an ``svg`` element for a page; the same text for the same picture.

    Args:
        picture: The picture.
        name: A name of its own in the page.
    """
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}):  # from which the names in the picture are made
        text = _saved(picture, "svg", metadata=nothing).decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Names that nothing refers to would stand in a page several times.
    return re.sub(r' id="([^"]+)"', lambda found: found[0] if f"#{found[1]}" in text else "", text)


def set_scale(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """Makes an axis logarithmic, so that it holds these values but for zeros; linear if some are negative."""
    positive = [value for value in values if value > 0]
    if not positive or min(values) < 0:
        return
    low, high = min(positive), max(positive)
    room = max((high / low) ** 0.05, 1.01)
    axis = axes.xaxis if which == "x" else axes.yaxis
    # The limits first, for a change of the scale looks for some by itself, and warns if there is one value.
    axes.set(**{f"{which}lim": (low / room, high * room), f"{which}scale": "log"})
    few = high / low < 5
    axis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=(1, 2, 5) if high / low < 500 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def name_lines(axes: Axes, lines: Sequence[Line], at_ends: bool) -> None:
    """Writes the lines' names to the right of the axes: beside where they end, or as a list."""
    gap = 11.5 / (72 * axes.get_position().height * axes.figure.get_figheight())  # type: ignore[union-attr]  # it has one
    places = [1 - gap * (i + 0.5) for i in range(len(lines))]
    if at_ends:
        lines = sorted(lines, key=lambda line: -line.end[1])
        to_axes = axes.transData + axes.transAxes.inverted()
        ends = [np.clip(to_axes.transform(line.end), 0, 1) for line in lines]
        places = _apart([float(y) for _, y in ends], gap)
        for (x, y), place in zip(ends, places, strict=True):
            axes.plot([x, 1.02], [y, place], color="#bbbbbb", lw=0.6, clip_on=False, transform=axes.transAxes, zorder=1)
    for line, place in zip(lines, places, strict=True):
        sample = [1.02, 1.08], [place, place]
        axes.plot(*sample, color=line.colour, dashes=line.dashes, lw=1.8, clip_on=False, transform=axes.transAxes)
        axes.text(1.1, place, shortened(line.label), transform=axes.transAxes, va="center")


def shortened(label: str) -> str:
    """A label that is not too long for a picture."""
    return label if len(label) <= 24 else f"{label[:23]}…"


def _saved(picture: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        picture.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Falling numbers, moved by as little as may be so that no two are closer than the gap, nor far outside 0 to 1."""

    def down(places: Sequence[float], top: float) -> list[float]:
        return list(accumulate(places, lambda above, place: min(place, above - gap), initial=top + gap))[1:]

    def up(places: Sequence[float], bottom: float) -> list[float]:
        return list(accumulate(places[::-1], lambda below, place: max(place, below + gap), initial=bottom - gap))[:0:-1]

    middle = [(a + b) / 2 for a, b in zip(down(places, np.inf), up(places, -np.inf), strict=True)]
    return up(down(middle, 1), 0)
