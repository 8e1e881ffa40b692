"""Tables that are ready to train on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from table_files import write_table

from project.table import Table


def read_table(source: Any, **settings: Any) -> Table:
    """The data of a file, or of a frame, with the target ``y``."""
    table = Table(source, "y", **settings)
    table.setup()
    return table


def make_table(path: Path, columns: Mapping[str, Any], **settings: Any) -> Table:
    """The same of columns that are written into a file."""
    return read_table(write_table(path, columns), **settings)
