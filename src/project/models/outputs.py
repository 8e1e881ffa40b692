"""What a model's outputs mean for each kind of target: loss and predictions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from project.schema import Target


def mean_loss(
    outputs: Tensor, y: Tensor, target: Target, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """The mean loss of rows: binary cross entropy, cross entropy or squared error, after the target's kind.

    Args:
        outputs: Logits or standardised numbers, ``(rows, outputs)``.
        y: Targets as the data module encodes them, ``(rows,)``.
        target: The target.
        class_weights: What a row of each class counts, ``(classes,)``.
        label_smoothing: See `TableModel`.
    """
    weights = None if class_weights is None else class_weights[y.long()].to(outputs.dtype)
    match target.kind:
        case "binary":
            y = y * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else y
            return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), y, weights)
        case "multiclass" if weights is not None:
            losses = functional.cross_entropy(outputs, y, reduction="none", label_smoothing=label_smoothing)
            return (losses * weights).mean()
        case "multiclass":
            return functional.cross_entropy(outputs, y, label_smoothing=label_smoothing)
        case _:
            return functional.mse_loss(outputs.squeeze(1), y)


def predictions(outputs: Tensor, target: Target) -> Tensor:
    """Probabilities, ``(rows, classes)``, or numbers in the target's own unit, ``(rows,)``, from a model's outputs."""
    match target.kind:
        case "binary":
            return torch.cat([-outputs, outputs], dim=1).sigmoid()
        case "multiclass":
            return outputs.softmax(1)
        case _:  # as tensors, because torch.onnx rounds plain numbers to 32 bits
            center, scale = (
                torch.tensor(v, dtype=outputs.dtype, device=outputs.device) for v in (target.center, target.scale)
            )
            return outputs.squeeze(1) * scale + center


def make_class_weights(wanted: Literal["balanced"] | Sequence[float] | None, target: Target) -> Tensor | None:
    """A weight for each class; balanced ones are those of scikit-learn, whose mean over the training rows is 1.

    Raises:
        ValueError: If the target has no such classes.
    """
    if wanted is None:
        return None
    num_classes = len(target.classes)
    if target.kind == "number":
        raise ValueError(f"class_weights are for classes, and the target '{target.name}' is a number")
    if wanted == "balanced":
        if not all(target.counts):
            raise ValueError("class_weights cannot be balanced: a class has no training row")
        return torch.tensor([sum(target.counts) / (num_classes * count) for count in target.counts])
    if len(wanted) != num_classes or not all(isinstance(w, int | float) and w >= 0 for w in wanted):
        raise ValueError(f"class_weights must be 'balanced' or {num_classes} numbers of 0 or more, not {wanted}")
    return torch.tensor(wanted, dtype=torch.float32)
