"""What every data module shares: splits, scaling, loaders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor

from project.data.loader import TensorLoader
from project.encoder import Encoder
from project.schema import Schema, learn_schema

EVALUATION_BATCH_SIZE = 4096


@dataclass(frozen=True)
class Table:
    """A data set in memory, before it is split.

    Attributes:
        x: Numbers, ``(rows, columns)``.
        y: Targets, ``(rows,)``: indices into ``classes``, or numbers.
        columns: The columns' names.
        target: The target's name.
        classes: The classes' names, or None if the target is a number.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    columns: Sequence[str]
    target: str = "target"
    classes: Sequence[str] | None = None


class Split(NamedTuple):
    """The encoded rows of one split.

    Attributes:
        x: Features, ``(rows, features)``, float32.
        y: Targets, ``(rows,)``: float32 0 or 1 for two classes, int64 class indices for more, float32 for a number.
    """

    x: Tensor
    y: Tensor


class TableData(LightningDataModule):
    """A table, split into training, validation and test rows and encoded once.

    A subclass says where the table comes from, in `read`.

    Args:
        val_fraction: The part of all rows to validate on after each epoch; 0 for none.
        test_fraction: The part of all rows to test on at the end; 0 for none.
        shuffle: Whether rows are drawn at random: for the splits, in which each class then has its share, and for
            the batches of every epoch. Otherwise both keep the order of the rows, the test rows last.
        seed: Decides the splits, and the data itself where it is made.
        scale: Whether to standardise the columns, and a target that is a number, to mean 0 and deviation 1, both
            taken from the training rows alone.
        batch_size: Rows in a training batch, or ``full`` for all of them.

    Raises:
        ValueError: If a fraction or the batch size is out of range.
    """

    def __init__(
        self,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        shuffle: bool = True,
        seed: int = 0,
        scale: bool = True,
        batch_size: int | Literal["full"] = 32,
    ) -> None:
        super().__init__()
        if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
            raise ValueError(
                f"val_fraction ({val_fraction}) and test_fraction ({test_fraction}) must be 0 or more "
                "and together below 1"
            )
        if batch_size != "full" and not (isinstance(batch_size, int) and batch_size >= 1):
            raise ValueError(f"batch_size must be 1 or more, or 'full', not {batch_size!r}")
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed must be between 0 and {2**32 - 1}, not {seed}")
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.shuffle = shuffle
        self.seed = seed
        self.scale = scale
        self.batch_size = batch_size
        self.order_seed = seed
        """Decides the order of the batches, together with the epoch; ``project.fit`` sets it to the run's seed."""
        self._schema: Schema | None = None
        self._splits: dict[str, Split] = {}

    def __str__(self) -> str:
        rows = ", ".join(f"{len(split.x):,} {name}" for name, split in self._splits.items()) or "not read yet"
        return f"{type(self).__name__} ({rows})"

    def read(self) -> Table:
        """Makes or reads the whole table; for a subclass to write."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Reads, splits and encodes the table, once."""
        num_val_rows = len(self.split("val").x)
        if self.trainer is not None and not num_val_rows:
            self.trainer.limit_val_batches = 0  # an empty loader would make it warn

    @property
    def schema(self) -> Schema:
        """What the training rows taught; reads the table if that has not happened yet.

        A schema that is set before encodes the rows in its place.
        """
        self._encode()
        assert self._schema is not None
        return self._schema

    @schema.setter
    def schema(self, schema: Schema) -> None:
        self._schema = schema

    def split(self, name: Literal["train", "val", "test"]) -> Split:
        """The encoded rows of a split, in the order of the table where rows are not shuffled."""
        self._encode()
        return self._splits[name]

    def _encode(self) -> None:
        if self._splits:
            return
        table = self.read()
        rows = self._split_rows(len(table.x), None if table.classes is None else table.y)
        x, train = np.asarray(table.x, dtype=np.float64), rows["train"]
        if self._schema is None:
            names = table.columns, table.target, table.classes
            self._schema = learn_schema(x[train], table.y[train], *names, scale=self.scale)
        encoder, target = Encoder(self._schema), self._schema.target
        y = torch.as_tensor(table.y)
        y = y.long() if target.kind == "multiclass" else ((y.double() - target.center) / target.scale).float()
        self._splits = {name: Split(encoder(torch.from_numpy(x[row])), y[row]) for name, row in rows.items()}

    @property
    def num_batch_rows(self) -> int:
        """Rows in a training batch, counted where ``batch_size`` says ``full``."""
        num_rows = len(self.split("train").x)
        return num_rows if self.batch_size == "full" else min(self.batch_size, num_rows)

    def train_dataloader(self) -> TensorLoader:
        """Batches of training rows, in an order of their own in each epoch."""
        x, y = self._on_device("train")
        # `overfit_batches` must see the same batches in every epoch.
        overfit = getattr(self.trainer, "overfit_batches", 0) > 0
        seed = self.order_seed if self.shuffle and not overfit else None
        return TensorLoader(x, y, self.num_batch_rows, seed)

    def val_dataloader(self) -> TensorLoader | list[Any]:
        """Large batches of validation rows in order; an empty list if there are none."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> TensorLoader | list[Any]:
        """Large batches of test rows in order; an empty list if there are none."""
        return self._evaluation_loader("test")

    def _evaluation_loader(self, name: Literal["val", "test"]) -> TensorLoader | list[Any]:
        x, y = self._on_device(name)
        return TensorLoader(x, y, EVALUATION_BATCH_SIZE) if len(x) else []

    def _on_device(self, name: Literal["train", "val", "test"]) -> Split:
        """A split on the trainer's device, moved there whole if it takes less than half of the free memory."""
        x, y = split = self.split(name)
        if self.trainer is None:
            return split
        if self.trainer.world_size > 1:  # each device would get all rows
            raise ValueError("the data modules feed one device: set trainer.devices to 1")
        device = self.trainer.strategy.root_device
        if device.type == "cuda" and 2 * x.nbytes > torch.cuda.mem_get_info(device)[0]:
            return split  # the trainer moves it batch by batch
        return Split(x.to(device), y.to(device))

    def _split_rows(self, num_rows: int, classes: NDArray[Any] | None) -> dict[str, NDArray[np.int64]]:
        """Row numbers of each split; ``classes``, one for each row, are shared out evenly."""
        num_val, num_test = round(num_rows * self.val_fraction), round(num_rows * self.test_fraction)
        for name, size in (("val_fraction", num_val), ("test_fraction", num_test)):
            if getattr(self, name) and not size:
                raise ValueError(f"{name} {getattr(self, name)} makes no row of {num_rows}; set it to 0 to have none")
        if num_val + num_test >= num_rows:
            raise ValueError(f"no row of {num_rows} is left to train on: lower val_fraction or test_fraction")
        train = np.arange(num_rows)
        if not self.shuffle:
            ends = [num_rows - num_test - num_val, num_rows - num_test]
            return dict(zip(("train", "val", "test"), np.split(train, ends), strict=True))
        from sklearn.model_selection import train_test_split  # slow to import, so not before it is needed

        splits = {}
        for name, size in (("test", num_test), ("val", num_val)):
            splits[name] = train[:0]
            if size:
                stratify = None if classes is None else classes[train]
                try:
                    train, splits[name] = train_test_split(
                        train, test_size=size, random_state=self.seed, stratify=stratify
                    )
                except ValueError as error:
                    raise ValueError(
                        f"{name}_fraction makes {size} of {num_rows} rows, which cannot give each class its share: "
                        f"{str(error)[:200]}"
                    ) from error
        return {"train": train, "val": splits["val"], "test": splits["test"]}
