"""What every data module shares: splits, scaling, loaders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from project.data.loader import EVALUATION_BATCH_SIZE, BatchLoader
from project.data.splits import Rows, fold_rows, split_rows
from project.encoder import Encoder
from project.schema import Schema, Target, learn_number, learn_target

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True)
class RawTable:
    """A data set in memory, before it is split.

    Attributes:
        x: Numbers, ``(rows, columns)``; NaN where one is missing. (`Table` has columns of other kinds, too.)
        y: Targets, ``(rows,)``: indices into ``classes``, or numbers.
        columns: The columns' names.
        target: The target's name.
        classes: The classes' names, or None if the target is a number.
        numbers: The number of each row in its source, counted from 1; None if no row was left out.
    """

    x: Any
    y: NDArray[Any]
    columns: Sequence[str]
    target: str = "target"
    classes: Sequence[str] | None = None
    numbers: NDArray[np.int64] | None = None


class Split(NamedTuple):
    """The encoded rows of one split.

    Attributes:
        x: Encoded rows, ``(rows, encoded)``, float32; see `Encoder`.
        y: Targets, ``(rows,)``: float32 0 or 1 for two classes, int64 class indices for more, float32 for a number.
    """

    x: Tensor
    y: Tensor


def encode_target(y: NDArray[Any], target: Target) -> Tensor:
    """Targets as a model is trained on them: see `Split`."""
    values = torch.tensor(y)
    return values.long() if target.kind == "multiclass" else ((values.double() - target.center) / target.scale).float()


class TableData(LightningDataModule):
    """A table, split into training, validation and test rows and encoded once.

    A subclass says where the table comes from, in `read`.

    Attributes:
        schema: What the training rows taught; set by `setup`. One that is set before, by a run that was trained on the
            same rows, encodes them in its place.

    Args:
        val_fraction: The part of all rows to validate on after each epoch; 0 for none.
        test_fraction: The part of all rows to test on at the end; 0 for none.
        shuffle: Whether rows are drawn at random: for the splits, in which each class then has its share, and for
            the batches of every epoch. Otherwise both keep the order of the rows, the test rows last.
        seed: Decides the splits, and the data itself where it is made.
        scale: Whether to standardise the columns, and a target that is a number, to mean 0 and deviation 1, both
            taken from the training rows alone.
        batch_size: Rows in a training batch; ``full`` for all of them; ``auto`` for a hundredth of them, but at least
            16 and at most 256.
        num_folds: Cuts the rows into so many folds, one of which is tested on in place of ``test_fraction``.
        fold: Which one, counted from 0.

    Raises:
        ValueError: If an argument is out of range.
    """

    schema: Schema

    def __init__(
        self,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        shuffle: bool = True,
        seed: int = 0,
        scale: bool = True,
        batch_size: int | Literal["auto", "full"] = "auto",
        num_folds: int | None = None,
        fold: int = 0,
    ) -> None:
        super().__init__()
        if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
            both = f"val_fraction ({val_fraction}) and test_fraction ({test_fraction})"
            raise ValueError(f"{both} must be 0 or more and together below 1")
        if batch_size not in ("auto", "full") and not (isinstance(batch_size, int) and batch_size >= 1):
            raise ValueError(f"batch_size must be 1 or more, 'auto' or 'full', not {batch_size!r}")
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed must be between 0 and {2**32 - 1}, not {seed}")
        if num_folds is not None and (num_folds < 2 or not 0 <= fold < num_folds):
            raise ValueError(f"num_folds ({num_folds}) must be 2 or more, and fold ({fold}) from 0 to one less")
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.shuffle = shuffle
        self.seed = seed
        self.scale = scale
        self.batch_size = batch_size
        self.num_folds = num_folds
        self.fold = fold
        self.order_seed = seed
        """Decides the order of the batches, together with the epoch; ``project.fit`` sets it to the run's seed."""
        self.splits: dict[str, Split] = {}
        """The encoded rows of each split, in the order of the table where rows are not shuffled; set by `setup`."""
        self.rows: dict[str, Rows] = {}
        """Row numbers of each split in the table; set by `setup`."""

    @property
    def title(self) -> str:
        """What the data are called in messages."""
        return type(self).__name__

    def describe(self) -> None:
        """Prints what was made of each column, where that is a guess."""

    def read(self) -> RawTable:
        """Makes or reads the whole table; for a subclass to write."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Reads the table, splits it, learns the schema from the training rows, and encodes the splits; once.

        Raises:
            ValueError: If the table cannot be used, or `schema` was set and the data are not those it was learned from.
        """
        if not self.splits:
            table = self.read()
            self.rows = self.draw_splits(table)
            learned, table = self.learn(table, self.rows["train"])
            known = getattr(self, "schema", learned)
            if not learned.is_like(known):
                raise ValueError("the data have changed since the run was trained: its test rows are not the same")
            self.schema = known
            y, target = table.y, self.schema.target
            x = self.encode(table, self.schema)
            self.splits = {n: Split(self.take(x, r), encode_target(y[r], target)) for n, r in self.rows.items()}
        if self.trainer is not None and not len(self.splits["val"].x):
            self.trainer.limit_val_batches = 0  # an empty loader would make it warn

    def draw_splits(self, table: RawTable) -> dict[str, Rows]:
        """Row numbers of each split."""
        rows, classes = np.arange(len(table.y)), None if table.classes is None else table.y
        seed = self.seed if self.shuffle else None
        fractions = {"val": self.val_fraction, "test": self.test_fraction}
        if self.num_folds is None:
            return split_rows(rows, fractions, seed, classes)
        rest, test = fold_rows(rows, self.num_folds, self.fold, seed, classes)
        return split_rows(rest, fractions | {"test": 0.0}, seed, classes) | {"test": test}

    def learn(self, table: RawTable, train: Rows) -> tuple[Schema, RawTable]:
        """Learns the schema from the training rows; the table may change into a form that is quicker to encode."""
        columns = zip(table.columns, np.asarray(table.x, dtype=np.float64)[train].T, strict=True)
        numbers = tuple(learn_number(name, values, self.scale) for name, values in columns)
        return Schema(numbers, learn_target(table.target, table.y[train], table.classes, self.scale)), table

    def raw(self, table: RawTable, schema: Schema) -> NDArray[np.float64]:
        """The rows as `Encoder` takes them, ``(rows, columns)``."""
        return np.asarray(table.x, dtype=np.float64)

    def encode(self, table: RawTable, schema: Schema) -> Tensor:
        """All rows, ``(rows, encoded)``."""
        encoded: Tensor = Encoder(schema)(torch.from_numpy(self.raw(table, schema)))
        return encoded

    def take(self, x: Tensor, rows: Rows) -> Tensor:
        """Some of the encoded rows."""
        return x.index_select(0, torch.from_numpy(rows))

    @property
    def num_batch_rows(self) -> int:
        """Rows in a training batch, counted where ``batch_size`` says ``auto`` or ``full``."""
        num_rows = len(self.splits["train"].x)
        match self.batch_size:
            case "full":
                return num_rows
            case "auto":
                return min(max(16, num_rows // 100), 256, num_rows)
            case size:
                return min(size, num_rows)

    def train_dataloader(self) -> BatchLoader:
        """Batches of training rows, in an order of their own in each epoch."""
        x, y = self._on_device("train")
        # `overfit_batches` must see the same batches in every epoch.
        overfit = getattr(self.trainer, "overfit_batches", 0) > 0
        return BatchLoader(x, y, self.num_batch_rows, self.order_seed if self.shuffle and not overfit else None)

    def val_dataloader(self) -> BatchLoader | list[Any]:
        """Large batches of validation rows in order; an empty list if there are none."""
        return self.loader("val")

    def test_dataloader(self) -> BatchLoader | list[Any]:
        """Large batches of test rows in order; an empty list if there are none."""
        return self.loader("test")

    predict_dataloader = test_dataloader
    """For ``Trainer.predict``."""

    def loader(self, name: SplitName) -> BatchLoader | list[Any]:
        """Large batches of a split's rows in order; an empty list if there are none."""
        x, y = self._on_device(name)
        return BatchLoader(x, y, EVALUATION_BATCH_SIZE) if len(x) else []

    def _on_device(self, name: SplitName) -> Split:
        """A split on the trainer's device, moved there whole if it takes less than half of the free memory."""
        x, y = split = self.splits[name]
        if self.trainer is None:
            return split
        # Without a strategy that cuts batches each of several devices would get all rows.
        if self.trainer.world_size > 1 and not hasattr(self.trainer.strategy, "cuts_batches"):
            raise ValueError("the data modules feed one device: set trainer.devices to 1")
        device = self.trainer.strategy.root_device
        if device.type == "cuda" and 2 * x.nbytes > torch.cuda.mem_get_info(device)[0]:
            return split  # the trainer moves it batch by batch
        return Split(x.to(device), y.to(device))
