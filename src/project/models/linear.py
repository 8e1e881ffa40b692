"""Linear models: logistic and linear regression."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from project.models.base import TableModel
from project.models.initialize import FUNCTIONS, initialize
from project.models.input_layer import make_input_layer
from project.schema import Schema


class _Linear(TableModel):
    """One linear layer.

    Args:
        schema: The table's columns and target.
        bias: Whether to add a constant.
        init: Initial weights by the name of a function of ``torch.nn.init``, or ``bernoulli`` for random signs; None
            leaves PyTorch's own.
        init_settings: Further arguments of that function.
        options: See `TableModel`.
    """

    choices: ClassVar = {"init": FUNCTIONS}

    def __init__(
        self,
        schema: Schema | dict[str, Any],
        bias: bool = True,
        init: str | None = None,
        init_settings: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        self.linear = make_input_layer(self.schema, self.schema.target.num_outputs, bias)
        initialize(self, init, init_settings)

    def forward(self, x: Tensor) -> Tensor:
        """Maps encoded rows, ``(batch, encoded)``, to outputs, ``(batch, outputs)``."""
        outputs: Tensor = self.linear(x)
        return outputs


class LogisticRegression(_Linear):
    """Logistic regression for two classes, multinomial for more."""

    target_kinds = ("binary", "multiclass")


class LinearRegression(_Linear):
    """Least squares by gradient descent."""

    target_kinds = ("number",)
