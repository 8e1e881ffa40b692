"""TabM: an ensemble of nets that share nearly all of their weights."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from project.models.base import TableModel
from project.models.input_layer import NameIndex
from project.schema import NUM_QUANTILES, Schema

FEW_ROWS = 2000
"""Up to this many training rows the dropout that ``auto`` stands for is the higher one."""


class TabM(TableModel):
    """Many nets in one: each weighs the columns in its own way, and then all go through the same layers.

    TabM-mini of Gorishniy et al. 2024 (arXiv:2410.24210). Each column becomes a vector (see `Numbers`; a name has one
    of its own), times a weight that every member has for that column. Each member learns by its own loss; the
    prediction is the mean of their probabilities, or numbers.

    Args:
        schema: The table's columns and target.
        num_members: Nets in the ensemble.
        hidden_sizes: Units of each hidden layer.
        embedding_size: Numbers in a column's vector.
        dropout: Probability with which a hidden unit is dropped in training; ``auto`` is 0.3 on up to 2,000 training
            rows of classes, else 0.1.
        options: See `TableModel`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        schema: Schema | dict[str, Any],
        num_members: int = 16,
        hidden_sizes: Sequence[int] = (128, 128),
        embedding_size: int = 8,
        dropout: float | Literal["auto"] = "auto",
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        if min(num_members, embedding_size, len(hidden_sizes), *hidden_sizes) < 1:
            raise ValueError("num_members, embedding_size and the hidden_sizes, at least one, must be 1 or more")
        if dropout == "auto":
            dropout = 0.3 if 0 < sum(self.schema.target.counts) <= FEW_ROWS else 0.1
        self.numbers = Numbers(self.schema, embedding_size)
        num_columns = self.numbers.num_columns + len(self.schema.categories)
        if self.schema.categories:
            self.index = NameIndex(self.schema)
            self.names = nn.Embedding(self.index.num_slots, embedding_size, padding_idx=0)
            with torch.no_grad():
                self.names.weight[1:] = _uniform(self.names.weight[1:].shape, embedding_size)
        num_inputs = num_columns * embedding_size
        self.member_weights = nn.Parameter(torch.randn(num_members, num_columns))
        self.first = nn.Parameter(_uniform((num_columns, embedding_size, hidden_sizes[0]), num_inputs))
        self.first_bias = nn.Parameter(_uniform((hidden_sizes[0],), num_inputs))
        layers: list[nn.Module] = [nn.ReLU(), SharedDropout(dropout)]
        for size, next_size in pairwise(hidden_sizes):
            layers += [nn.Linear(size, next_size), nn.ReLU(), SharedDropout(dropout)]
        self.shared = nn.Sequential(*layers)
        num_outputs = self.schema.target.num_outputs
        self.heads = nn.Parameter(_uniform((num_members, hidden_sizes[-1], num_outputs), hidden_sizes[-1]))
        self.head_biases = nn.Parameter(_uniform((num_members, 1, num_outputs), hidden_sizes[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """Maps encoded rows, ``(batch, encoded)``, to ``(batch, outputs)``; to each member's in training.

        Returns:
            In training ``(members, batch, outputs)``; else the mean number, or the logits of the mean probabilities.
        """
        vectors = self.numbers(x[:, : self.numbers.num_columns])
        if self.schema.categories:
            vectors = torch.cat([vectors, self.names(self.index(x[:, self.numbers.num_columns :])).transpose(0, 1)])
        # A member's weights come after the first layer, which is linear: so it is computed once, not for each member.
        columns = torch.bmm(vectors, self.first)
        hidden = (self.member_weights @ columns.flatten(1)).view(len(self.heads), *columns.shape[1:]) + self.first_bias
        outputs = torch.baddbmm(self.head_biases, self.shared(hidden), self.heads)
        return outputs if self.training else self._mean(outputs)

    def _mean(self, outputs: Tensor) -> Tensor:
        """One output a row, ``(batch, outputs)``, from those of the members, ``(members, batch, outputs)``."""
        match self.schema.target.kind:
            case "binary":
                yes, no = (functional.logsigmoid(sign * outputs).logsumexp(0) for sign in (1, -1))
                return yes - no
            case "multiclass":
                return outputs.log_softmax(2).logsumexp(0)
            case _:
                return outputs.mean(0)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean of the members' losses in training, else that of the mean prediction; see `TableModel.loss`."""
        if outputs.ndim == 3:
            outputs, y = outputs.flatten(0, 1), y.repeat(len(outputs))
        return super().loss(outputs, y)


class SharedDropout(nn.Dropout):
    """Drops the same units of a row for all members: random numbers for each took a third of a step on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(members, batch, units)`` to the same shape."""
        return x * super().forward(torch.ones_like(x[0])) if self.training and self.p else x


class Numbers(nn.Module):
    """A vector for each number of a row: linear in it, and in how far it has come through each bin.

    Numbers are first brought to a similar range, by their median and quartiles, and kept within -3 and 3, smoothly
    (Holzmüller et al. 2024, arXiv:2407.04491). Bins lie between quantiles of the training rows, and their weights
    begin at 0 (Gorishniy et al. 2022, arXiv:2203.05556).

    Args:
        schema: The table's columns.
        size: The length of a vector.

    Attributes:
        num_columns: Numbers in a row, with the indicators of missing ones.
    """

    def __init__(self, schema: Schema, size: int) -> None:
        super().__init__()
        self.num_columns = schema.num_encoded - len(schema.categories)
        center, scale = torch.zeros(self.num_columns), torch.ones(self.num_columns)
        edges = [torch.zeros(0) for _ in range(self.num_columns)]
        for i, number in enumerate(schema.numbers):
            if number.quantiles:
                raw = torch.tensor(number.quantiles, dtype=torch.float64)
                quantiles = ((raw - number.center) / number.scale).float()  # as the encoder gives them
                low, center[i], high = quantiles[[NUM_QUANTILES // 4, NUM_QUANTILES // 2, NUM_QUANTILES * 3 // 4]]
                scale[i] = next(s for s in (high - low, (quantiles[-1] - quantiles[0]) / 2, torch.tensor(1.0)) if s > 0)
                edges[i] = torch.unique_consecutive(_clip((quantiles - center[i]) / scale[i]))
        # Nothing comes into the bins that a column does not have.
        starts = pad_sequence([e[:-1] for e in edges] or [center], batch_first=True, padding_value=torch.inf)
        widths = pad_sequence([e.diff() for e in edges] or [center], batch_first=True, padding_value=1.0)
        buffers = center, scale, starts.unsqueeze(1), widths.unsqueeze(1)
        self.center, self.scale, self.starts, self.widths = (nn.Buffer(part, persistent=False) for part in buffers)
        num_bins = starts.shape[1]
        self.linear = nn.Parameter(_uniform((self.num_columns, 1, size), size))
        self.bias = nn.Parameter(_uniform((self.num_columns, 1, size), size))
        self.bins = nn.Parameter(torch.zeros(self.num_columns, num_bins, size)) if num_bins > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps numbers, ``(batch, columns)``, to vectors, ``(columns, batch, size)``."""
        z = _clip((x - self.center) / self.scale).T.unsqueeze(2)
        vectors = z * self.linear + self.bias
        if self.bins is None:
            return vectors
        return torch.baddbmm(vectors, ((z - self.starts) / self.widths).clamp(0, 1), self.bins)


def _clip(z: Tensor) -> Tensor:
    return z / torch.sqrt(1 + (z / 3) ** 2)


def _uniform(shape: Sequence[int], num_inputs: int) -> Tensor:
    """Initial weights as ``nn.Linear`` draws them."""
    bound = num_inputs**-0.5 if num_inputs else 0.0
    return torch.empty(*shape).uniform_(-bound, bound)
