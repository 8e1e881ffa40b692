"""The feed-forward net."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from project.errors import nearest
from project.models.base import TableModel
from project.models.initialize import FUNCTIONS, initialize
from project.models.input_layer import make_input_layer
from project.schema import Schema

# The others need arguments, or do not act on each unit by itself.
OTHERS = {"GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "Threshold"}
ACTIVATIONS = {name: getattr(nn, name) for name in {"Identity", *nn.modules.activation.__all__} - OTHERS}


class FeedForward(TableModel):
    """A feed-forward net for classes or a number; with no hidden layer, the linear model.

    Args:
        schema: The table's columns and target.
        hidden_sizes: Units of each hidden layer.
        activation: A class of ``torch.nn``: ``ReLU``, ``Tanh``, ``SiLU``, ``LeakyReLU``, ``ELU``, ``Identity``, ...
        dropout: Probability with which a hidden unit is dropped in training; ``auto`` is 0.2 for classes, and 0 for a
            number.
        input_dropout: Probability with which a number or name of a row is dropped in training; ``auto`` is 0.15 for
            classes on up to 1,000 training rows, less in proportion on more, and 0 for a number.
        batch_norm: Whether to normalise over the batch before each activation.
        init: Initial weights by the name of a function of ``torch.nn.init``, or ``bernoulli`` for random signs; None
            leaves PyTorch's own.
        init_settings: Further arguments of that function.
        options: See `TableModel`.

    Raises:
        ValueError: If an argument is out of range or no such activation or function exists.
    """

    choices: ClassVar = {"activation": ACTIVATIONS, "init": FUNCTIONS}

    def __init__(
        self,
        schema: Schema | dict[str, Any],
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "ReLU",
        dropout: float | Literal["auto"] = 0.0,
        input_dropout: float | Literal["auto"] = 0.0,
        batch_norm: bool = False,
        init: str | None = None,
        init_settings: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if min(hidden_sizes, default=1) < 1:
            raise ValueError(f"hidden_sizes must all be 1 or more, not {list(hidden_sizes)}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation named '{activation}'; {nearest(activation, ACTIVATIONS)}")
        if dropout == "auto":
            dropout = 0.2 if self.schema.target.classes else 0.0
        if input_dropout == "auto":
            few = min(1.0, 1000 / max(1, sum(self.schema.target.counts)))
            input_dropout = 0.15 * few if self.schema.target.classes else 0.0
        sizes = [*hidden_sizes, self.schema.target.num_outputs]
        layers = [make_input_layer(self.schema, sizes[0], dropout=input_dropout)]
        for hidden_size, next_size in pairwise(sizes):
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden_size))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            layers.append(nn.Linear(hidden_size, next_size))
        self.net = nn.Sequential(*layers)
        initialize(self, init, init_settings)

    def forward(self, x: Tensor) -> Tensor:
        """Maps encoded rows, ``(batch, encoded)``, to outputs, ``(batch, outputs)``."""
        outputs: Tensor = self.net(x)
        return outputs
