"""What was made of each column of a table, for a person to look at."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Column, Table
from torch import Tensor

from project.data import Split
from project.errors import printable
from project.report import print_table
from project.schema import Date, Number, Schema

MAX_SHOWN = 100
"""Columns that are shown one by one."""
MAX_ROWS = 5000
"""Rows from which it is found out whether a column tells the target."""
SURE = 0.98
"""The R², or for classes the Matthews correlation coefficient, from which on a column alone tells the target."""


POINTS = "points between thousands? 1.020 is read as 1.02 (1,020 where commas are points): take them out of the file"
"""Said of numbers such as 950 and 1.020."""
UNKNOWN = "the model knows none of the names in column '{}': is it written as in training?"
"""Said of other rows than those of training."""


class Finding(NamedTuple):
    """What was made of a column of the training rows.

    Attributes:
        name: Its name.
        kind: ``number``, ``boolean``, ``date`` or ``category``; or why it was left out: ``constant``, ``empty``,
            ``identifier``, ``dropped``.
        missing: How many values are missing.
        distinct: How many different values there are.
        warning: What to look at.
    """

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    warning: str = ""

    @property
    def left_out(self) -> bool:
        """Whether the model does not see the column."""
        return self.kind not in ("number", "boolean", "date", "category")


def but_for(others: Sequence[str]) -> str:
    """Words for what is no number, or date, among many."""
    return "".join(f", but for '{other}' (missing: --data.missing '{other}')" for other in others)


def doubts_of_dates(forms: list[tuple[str, str]]) -> str:
    """A warning, where dates may be meant otherwise than they are read."""
    order = forms[0][0][:2]
    words = f"read as {'month/day' if order == '%m' else 'day/month'}/year"
    years = "years read as 1969 to 2068" if "%y" in forms[0][0] else ""
    return words if any(other[:2] != order for other, _ in forms) else years


def print_findings(findings: Sequence[Finding], notes: Sequence[str], num_rows: int) -> None:
    """Prints what was made of each column of a table, from its training rows, and what else to know."""
    print(f"The columns, in {num_rows:,} training rows:")
    warns = any(finding.warning for finding in findings)
    counted = [Column(name, justify="right") for name in ("missing", "distinct")]
    table = Table("column", "taken as", *counted, *(["look at this"] if warns else []))
    shown = sorted(findings, key=lambda f: not f.warning)[:MAX_SHOWN] if len(findings) > MAX_SHOWN else findings
    for finding in shown:
        kind = f"left out: {finding.kind}" if finding.left_out else finding.kind
        counts = ["", ""] if finding.kind == "dropped" else [f"{finding.missing:,}", f"{finding.distinct:,}"]
        table.add_row(printable(finding.name), kind, *counts, *([finding.warning] if warns else []))
    print_table(table)
    if len(findings) > len(shown):
        print(f"... and {len(findings) - len(shown):,} more columns")
    for note in notes:
        print(f"Note: {printable(note)}")


def giveaways(split: Split, schema: Schema) -> set[str]:
    """Names of columns that give the target away: by themselves they say nearly all of it, as a real one seldom does.

    They are those from which alone a decision tree tells the target of rows that it has not seen.

    Args:
        split: Training rows.
        schema: What they taught.
    """
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x, y, classes = split.x.numpy(), split.y.numpy(), bool(schema.target.classes)
    rows = np.random.default_rng(0).permutation(len(y))[: max(200, min(MAX_ROWS, 20 * MAX_ROWS // x.shape[1]))]
    half = len(rows) // 2
    if half < 20 or not np.ptp(y[rows[half:]]):
        return set()
    tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(random_state=0)
    way = {"scoring": "matthews_corrcoef" if classes else "r2", "cv": [(rows[:half], rows[half:])]}
    names = enumerate(encoded_names(schema))
    return {name for i, name in names if cross_val_score(tree, x[:, i : i + 1], y, **way)[0] >= SURE}


def unknown_names(x: Tensor, schema: Schema) -> list[str]:
    """What to know of columns of which encoded rows have several names, all of them rare or unseen in training."""
    codes = x[:, x.shape[1] - len(schema.categories) :].T  # -2 where a name is missing, -1 where it is not known
    columns = zip(schema.categories, codes, strict=True)
    return [UNKNOWN.format(c.name) for c, own in columns if c.values and (own > -2).sum() > 1 and own.max() < 0]


def encoded_names(schema: Schema) -> list[str]:
    """The name of the column from which each column that `Encoder` gives is made."""
    names = [column.name for column in schema.columns if isinstance(column, Number)]
    names += [column.name for column in schema.columns if isinstance(column, Date) for _ in column.parts]
    indicators = [name for name, number in zip(names, schema.numbers, strict=True) if number.indicator]
    return [*names, *indicators, *(category.name for category in schema.categories)]
