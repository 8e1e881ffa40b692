"""The first layer of a model: linear in the numbers of a row and in the one-hot vectors of its names."""

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from project.schema import Schema


def make_input_layer(schema: Schema, num_outputs: int, bias: bool = True, dropout: float = 0.0) -> nn.Module:
    """Makes a linear layer on encoded rows, ``(batch, encoded)``, with results ``(batch, num_outputs)``.

    Args:
        schema: The table's columns.
        num_outputs: How many values it gives for a row.
        bias: Whether to add a constant.
        dropout: Probability with which an input is dropped in training.
    """
    if schema.categories:
        return InputLayer(schema, num_outputs, bias, dropout)
    linear = nn.Linear(schema.num_encoded, num_outputs, bias)
    return nn.Sequential(nn.Dropout(dropout), linear) if dropout else linear


class NameIndex(nn.Module):
    """Where the weights of a row's names stand in one table for all columns of names.

    Args:
        schema: The table's columns, names among them.

    Attributes:
        num_slots: Rows of such a table; row 0 stands for what has no slot.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.num_slots, rows = 1, []
        for category in schema.categories:
            place = {code: self.num_slots + i for i, code in enumerate(category.slots)}
            rows.append((self.num_slots, place.get(-1, 0), place.get(-2, 0)))
            self.num_slots += len(place)
        parts = torch.tensor(rows).T
        self.start, self.rare, self.missing = (nn.Buffer(part.clone(), persistent=False) for part in parts)

    def forward(self, codes: Tensor) -> Tensor:
        """Maps the codes of names, ``(batch, columns of names)``, to rows of the table, in the same shape.

        Raises:
            ValueError: If they come in 16 bits, which do not hold the codes of many names.
        """
        if codes.element_size() < 4:
            raise ValueError("a table with names needs 32-bit rows: use trainer.precision 16-mixed or bf16-mixed")
        codes = codes.long()
        return torch.where(codes >= 0, codes + self.start, torch.where(codes == -1, self.rare, self.missing))


class InputLayer(nn.Module):
    """What ``nn.Linear`` is on numbers and one-hot vectors, but without the vectors, which are nearly all zeros.

    Of the weights of a one-hot vector one row counts, and it is looked up: so thousands of names cost little.

    Args:
        schema: The table's columns, names among them.
        num_outputs: How many values it gives for a row.
        bias: Whether to add a constant.
        dropout: Probability with which a number or a name is dropped in training.
    """

    def __init__(self, schema: Schema, num_outputs: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.num_numbers = schema.num_encoded - len(schema.categories)
        with warnings.catch_warnings():  # of weights that are none, in a table without numbers
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            self.numbers = nn.Linear(self.num_numbers, num_outputs, bias)
        self.index = NameIndex(schema)
        self.names = nn.EmbeddingBag(self.index.num_slots, num_outputs, mode="sum", padding_idx=0)
        bound = 1 / math.sqrt(schema.num_encoded)  # as many inputs are at work in each row
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)
            self.names.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Maps encoded rows, ``(batch, encoded)``, to ``(batch, outputs)``.

        Raises:
            ValueError: If the rows come in 16 bits; see `NameIndex`.
        """
        index = self.index(x[:, self.num_numbers :])
        if torch.compiler.is_exporting():  # to formats that know no bags
            bags = functional.embedding(index, self.names.weight).sum(1)
        else:
            kept = self.dropout(torch.ones_like(index, dtype=x.dtype)) if self.training and self.dropout.p else None
            bags = self.names(index, per_sample_weights=kept)
        outputs: Tensor = self.numbers(self.dropout(x[:, : self.num_numbers])) + bags
        return outputs
