"""A table's rows as one float tensor."""

import torch
from torch import Tensor, nn

from project.schema import Schema


class Encoder(nn.Module):
    """Fills and scales raw rows as a schema says; it has no state but the schema's.

    Training encodes each split once with it, and whatever predicts later puts the same encoder in front of the net.

    Args:
        schema: What the training rows taught.
    """

    center: Tensor
    scale: Tensor
    fill: Tensor

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        for name in ("center", "scale", "fill"):
            values = [getattr(column, name) for column in schema.columns]
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Encodes rows in double precision.

        Args:
            rows: Raw numbers, ``(rows, columns)``, float64; NaN where one is missing.

        Returns:
            Features, ``(rows, features)``, float32.
        """
        filled = torch.where(rows.isnan(), self.fill, rows)
        encoded: Tensor = ((filled - self.center) / self.scale).float()
        return encoded
