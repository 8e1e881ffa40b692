"""The table that says what was made of each column."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from project.table.columns import KINDS, Finding

MAX_ROWS = 100
"""Columns that are shown one by one."""


def print_columns(findings: Sequence[Finding], notes: Sequence[str], num_rows: int) -> None:
    """Prints what was made of each column of a table, from its training rows, and what else to know."""
    print(f"The columns, in {num_rows:,} training rows:")
    warns = any(finding.warning for finding in findings)
    table = Table("column", "taken as", "missing", "distinct", *(["look at this"] if warns else []))
    for column in table.columns[2:4]:
        column.justify = "right"
    shown = sorted(findings, key=lambda f: not f.warning)[:MAX_ROWS] if len(findings) > MAX_ROWS else findings
    for finding in shown:
        kind = finding.kind if finding.kind in KINDS else f"left out: {finding.kind}"
        counts = ["", ""] if finding.kind == "dropped" else [f"{finding.missing:,}", f"{finding.distinct:,}"]
        cells = [escape(finding.name), kind, *counts]
        table.add_row(*cells, *([finding.warning] if warns else []))
    Console().print(table)
    if len(findings) > len(shown):
        print(f"... and {len(findings) - len(shown):,} more columns")
    for note in notes:
        print(f"Note: {note}")
