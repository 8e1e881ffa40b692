"""The comparison's tables on the console."""

from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from project.compare.summary import Summary
from project.compare.table import tables
from project.compare.words import findings


def print_summary(summary: Summary) -> None:
    """Prints the tables, which fit into 80 columns, and what was found.

    Args:
        summary: The comparison.
    """
    console = Console()
    for text in tables(summary):
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for heading, *cells in zip(text.headings, *text.rows, strict=True):
            words = [word for cell in (heading, *cells) for word in cell.split()]
            table.add_column(
                "\n".join(wrap(heading, max(map(len, [*cells, *heading.split()])))),
                justify="left" if heading in ("optimizer", "verdict") else "right",
                overflow="fold",  # a long label goes on in the next line
                min_width=max(map(len, words)),  # rather than break a number, break between words
            )
        for row in text.rows:
            table.add_row(*map(Text, row))
        console.print(Text(text.title, "bold"), table, "", sep="\n")
    for sentence in findings(summary):
        print(sentence)
