"""A data set before and after it is split and encoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from project.data.splits import Rows
from project.schema import Target


@dataclass(frozen=True)
class RawTable:
    """A data set in memory, before it is split.

    Attributes:
        x: Numbers, ``(rows, columns)``; NaN where one is missing. (`Table` has columns of other kinds, too.)
        y: Targets, ``(rows,)``: indices into ``classes``, or numbers.
        columns: The columns' names.
        target: The target's name.
        classes: The classes' names, or None if the target is a number.
        groups: A group for each row, none of which is to be in two splits; None if the rows are independent.
        order: Row numbers in the order in time, if the last ones are to be the test rows.
        fixed: Row numbers of the splits that are not to be drawn.
    """

    x: Any
    y: NDArray[Any]
    columns: Sequence[str]
    target: str = "target"
    classes: Sequence[str] | None = None
    groups: NDArray[Any] | None = None
    order: Rows | None = None
    fixed: Mapping[str, Rows] = field(default_factory=dict)


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
