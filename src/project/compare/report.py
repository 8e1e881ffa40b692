"""The files of a comparison: ``report.html``, ``report.md``, ``results.csv``, ``runs.csv``, and the pictures."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from project.compare.charts import curve_panels, rate_panels
from project.compare.drawing import Panel, figure, line_style, png, svg
from project.compare.protocol import Comparison
from project.compare.settings import PLAN
from project.compare.summary import Summary
from project.compare.table import NOTHING, TextTable, rate, records, tables
from project.compare.words import cautions, explanations, findings, method
from project.run_folder import written_whole

STYLE = """
:root { color-scheme: light dark; --line: #d8d8d8; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
ul { padding-left: 1.2rem; max-width: 46rem; } li { margin: 0.2rem 0; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
.text { text-align: left; } td.text:last-child { white-space: normal; min-width: 16rem; }
td svg { vertical-align: middle; margin-right: 0.5rem; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: 0.9rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 0.8rem; }
.panels svg { width: 100%; height: auto; background: white; border-radius: 6px; }
pre { overflow-x: auto; padding: 0.6rem; border: 1px solid var(--line); border-radius: 6px; font-size: 0.85rem; }
@media print {
  @page { margin: 1.5cm; } body { max-width: none; padding: 0; font-size: 10pt; }
  .table { overflow: visible; } table { font-size: 8pt; } th, td { padding: 0.15rem 0.4rem; }
  .panels { grid-template-columns: 1fr 1fr; } h2 { break-after: avoid; } svg, table { break-inside: avoid; }
}
"""


class Pictures(NamedTuple):
    """Panels of a picture that has a file of its own, too.

    Attributes:
        name: The file's name without its ending.
        caption: What they show.
        panels: How to draw them.
    """

    name: str
    caption: str
    panels: list[Panel]


class Command(NamedTuple):
    """A command to be typed."""

    text: str


Block = str | list[str] | TextTable | Pictures | Command
"""A heading, sentences, or one of the others."""


def write_report(summary: Summary, comparison: Comparison, folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes all files, each whole; the same comparison gives the same bytes.

    Args:
        summary: What was found.
        comparison: How, with all its results.
        folder: The comparison's folder.
        facts: ``data`` and ``model``, a few words on each; ``jobs``, how many runs were made at the same time; and
            ``command``, the command line. Each may be missing.

    Raises:
        OSError: If a file cannot be written.
    """
    title = f"{len(summary.rows)} optimizers compared: {folder.name}"
    blocks = _blocks(summary, comparison, facts)
    for block in blocks:
        if isinstance(block, Pictures):
            _write(folder / f"{block.name}.png", png(figure(block.panels)))
    styles = {row.label: line_style(index) for index, row in enumerate(summary.rows)}
    _write(folder / "report.html", _html(title, blocks, styles).encode())
    _write(folder / "report.md", _markdown(title, blocks).encode())
    _write(folder / "results.csv", _csv(records(summary)))
    _write(folder / "runs.csv", _csv(_runs(comparison)))


def _blocks(summary: Summary, comparison: Comparison, facts: Mapping[str, Any]) -> list[Block]:
    verdicts, *others = tables(summary)
    caption = "A line is the median of the seeds, a band their range, and each thin line one seed."
    if comparison.settings.seeds == 1:
        caption = "Each line is one run."
    curves = Pictures("curves", caption, curve_panels(summary))
    blocks: list[Block] = [findings(summary), verdicts, "Curves", curves]
    blocks += ["All figures", *others, explanations(summary)]
    if panels := rate_panels(summary):
        caption = "By rate: the median of the seeds that tried it. Tuned and default: median and range of fresh seeds."
        blocks += ["Learning rates", Pictures("rates", caption, panels)]
    blocks += ["What may not be concluded", cautions(summary, comparison, facts.get("jobs", 1))]
    blocks += ["How it was done", method(comparison, facts), _tried(comparison)]
    commands = [f"{facts['command']}   # how it was called"] if facts.get("command") else []
    commands.append(f"python -m project.compare --config {PLAN}   # repeats it, in this folder")
    return [*blocks, Command("\n".join(commands))]


def _tried(comparison: Comparison) -> TextTable:
    rows = []
    for entry in comparison.entries:
        scheduler = entry.config["scheduler"]
        rates = ", ".join(map(rate, comparison.tuning_rates(entry))) or f"as given: {rate(entry.usual)}"
        classes = [spec["class_path"] if spec else NOTHING for spec in (entry.config["optimizer"], scheduler)]
        rows.append([entry.label, *classes, rates])
    return TextTable(f"What was tried; {PLAN} has all settings", ["optimizer", "class", "scheduler", "rates"], rows)


def _runs(comparison: Comparison) -> list[dict[str, Any]]:
    """All runs in a fixed order, whichever ended first."""
    labels = [entry.label for entry in comparison.entries]
    results = sorted(
        comparison.results.values(),
        key=lambda r: (labels.index(r.task.label), r.task.stage, r.task.rate or 0.0, r.task.seed),
    )
    metrics = list(dict.fromkeys(name for result in results for name in result.metrics or {}))
    return [
        {
            "optimizer": result.task.label,
            "stage": result.task.stage,
            "rate": result.task.rate,
            "seed": result.task.seed,
            "status": result.status,
            "message": result.message,
            "loss": result.loss,
            "last_loss": result.last_loss,
            **{f"{name}/test": (result.metrics or {}).get(name) for name in metrics},
            "steps": result.steps,
            "seconds": result.seconds,
            "folder": result.task.folder.as_posix(),
        }
        for result in results
    ]


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    with written_whole(path, force=True) as temporary:
        temporary.write_bytes(content)


def _html(title: str, blocks: Sequence[Block], styles: Mapping[str, tuple[str, tuple[float, ...]]]) -> str:
    parts = []
    for block in blocks:
        if isinstance(block, str):
            parts.append(f"<h2>{escape(block)}</h2>")
        elif isinstance(block, list):
            parts.append("<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in block) + "\n</ul>")
        elif isinstance(block, TextTable):
            parts.append(_html_table(block, styles))
        elif isinstance(block, Pictures):
            pictures = "\n".join(svg(figure([panel]), f"{block.name}{i}") for i, panel in enumerate(block.panels))
            caption = f"<figcaption>{escape(block.caption)}</figcaption>"
            parts.append(f'<figure>\n<div class="panels">\n{pictures}\n</div>\n{caption}\n</figure>')
        else:
            parts.append(f"<pre>{escape(block.text)}</pre>")
    head = (
        '<meta charset="utf-8"/>\n<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>"
    )
    body = "\n".join([f"<h1>{escape(title)}</h1>", *parts])
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _html_table(table: TextTable, styles: Mapping[str, tuple[str, tuple[float, ...]]]) -> str:
    words = ("optimizer", "verdict", "class", "scheduler", "rates")
    sides = [' class="text"' if heading in words else "" for heading in table.headings]
    lines = []
    for label, *cells in table.rows:
        colour, dashes = styles[label]
        dash = f' stroke-dasharray="{" ".join(map(str, dashes))}"' if dashes else ""
        sample = f'<path d="M0 4H22" stroke="{colour}" stroke-width="3"{dash}/>'
        first = f'<svg width="22" height="8" aria-hidden="true">{sample}</svg>{escape(label)}'
        cells = [f"<td{side}>{cell}</td>" for side, cell in zip(sides, [first, *map(escape, cells)], strict=True)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    headings = "".join(
        f'<th scope="col"{side}>{escape(heading)}</th>' for side, heading in zip(sides, table.headings, strict=True)
    )
    caption = f"<caption>{escape(table.title)}</caption>"
    body = "\n".join(lines)
    return (
        f'<div class="table"><table>\n{caption}\n<thead><tr>{headings}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _markdown(title: str, blocks: Sequence[Block]) -> str:
    parts = [f"# {_plain(title)}"]
    for block in blocks:
        if isinstance(block, str):
            parts.append(f"## {_plain(block)}")
        elif isinstance(block, list):
            parts.append("\n".join(f"- {_plain(sentence)}" for sentence in block))
        elif isinstance(block, TextTable):
            rule = ["---"] * len(block.headings)
            lines = [block.headings, rule, *([_plain(cell) for cell in row] for row in block.rows)]
            parts += [f"**{_plain(block.title)}**", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        elif isinstance(block, Pictures):
            parts += [f"![{block.name}]({block.name}.png)", _plain(block.caption)]
        else:
            parts.append(f"```\n{block.text}\n```")
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Text without meaning for Markdown: an underscore within a word has none anyway."""
    return re.sub(r"[\\`*\[\]<>|$~&#]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)
