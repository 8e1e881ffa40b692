"""A data set that cuts its rows in its own way, with text labels, and a row that was left out."""

from typing import Any

import numpy as np

from project.data import RawTable, TableData
from project.data.splits import Rows, split_rows

LABELS = ["no", "yes, all", "maybe"]
KEPT = np.delete(np.arange(120), 9)
SHOPS = np.arange(120) // 4


class Shops(TableData):
    """Thirty shops of four rows.

    Args:
        maybe: Rows with a third label.
        options: Those of every data set.
    """

    def __init__(self, maybe: list[int] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.maybe = maybe or []

    def read(self) -> RawTable:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(120, 2))
        y = (x[:, 0] + rng.normal(size=120) > 0).astype(np.int64)
        y[self.maybe] = 2
        classes = LABELS[: y.max() + 1]
        return RawTable(x[KEPT], y[KEPT], ["size", "age"], "sold", classes, numbers=KEPT + 1)

    def draw_splits(self, table: RawTable) -> dict[str, Rows]:
        """Keeps a shop's rows together, and refuses what nothing can be learned of."""
        tested = SHOPS[KEPT] % self.num_folds == self.fold
        rows = split_rows(np.flatnonzero(~tested), {"val": self.val_fraction}, self.seed)
        for label in set(table.y) - set(table.y[rows["train"]]):
            raise ValueError(f"class '{LABELS[label]}' has no row to train on")
        return rows | {"test": np.flatnonzero(tested)}
