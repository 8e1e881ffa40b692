"""Data sets for tests: ready, and with as many rows and columns as a test wants."""

from typing import Any

import numpy as np

from project.data import RawTable, TableData


class Points(TableData):
    """Two classes in turn, whose normal clouds overlap."""

    def __init__(self, num_rows: int = 200, num_columns: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.size = num_rows, num_columns

    def read(self) -> RawTable:
        y = np.arange(self.size[0]) % 2
        x = np.random.default_rng(0).normal(y[:, None], 1.0, self.size)
        return RawTable(x, y, [f"x{i}" for i in range(self.size[1])], "class", ["0", "1"])


class FixedPoints(Points):
    """A data set that leaves nothing to set, and so cannot be cut into folds."""

    def __init__(self) -> None:
        super().__init__()


def set_up(data: TableData) -> TableData:
    data.setup()
    return data
