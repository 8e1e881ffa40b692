"""A small convolutional net: the worked example of a model of your own."""

import math
from typing import Any

from torch import Tensor, nn

from project.models.base import TableModel
from project.schema import Schema


class ConvNet(TableModel):
    """Two convolutions and three linear layers, for rows that are square grey images (LeCun et al. 1998).

    Args:
        schema: A table with one column a pixel, row by row.
        image_size: Images are enlarged to this height and width, by repeating pixels, before the first layer.
        options: See `TableModel`.

    Raises:
        ValueError: If the columns do not make a square image that fits into ``image_size``.
    """

    def __init__(self, schema: Schema | dict[str, Any], image_size: int = 32, **options: Any) -> None:
        super().__init__(schema, **options)
        side = math.isqrt(self.schema.num_encoded)
        if side**2 != self.schema.num_encoded or self.schema.categories:
            raise ValueError(f"ConvNet takes square images, and {self.schema.num_encoded} columns make none")
        if image_size % side or image_size < 10:
            raise ValueError(f"image_size must be a multiple of {side} and at least 10, not {image_size}")
        size = ((image_size - 2) // 2 - 2) // 2  # each 3x3 convolution takes 2 pixels, each pooling halves
        self.net = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Upsample(scale_factor=image_size // side),
            nn.Conv2d(1, 6, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * size**2, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, self.schema.target.num_outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps pixels, ``(batch, side * side)``, to outputs, ``(batch, outputs)``."""
        outputs: Tensor = self.net(x)
        return outputs
