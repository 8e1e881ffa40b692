"""The comparison's table on the console."""

from rich.console import Console
from rich.table import Table

from project.compare.summary import Summary


def print_summary(summary: Summary) -> None:
    """Prints the rows."""
    table = Table("optimizer", "rate", summary.loss_name, "difference", "verdict")
    for row in summary.rows:
        table.add_row(row.label, f"{row.rate}", f"{row.loss}", f"{row.difference}", row.verdict)
    Console().print(table)
