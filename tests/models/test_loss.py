"""The loss of classes: their weights, and label smoothing."""

import numpy as np
import pytest
import torch
from model_suite import make_schema
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from project.models import FeedForward, LogisticRegression
from project.schema import Schema


def training_rows(schema: Schema) -> tuple[Tensor, Tensor]:
    """A row's outputs by chance, and the classes of the rows that the schema counts."""
    y = torch.arange(len(schema.target.classes)).repeat_interleave(torch.tensor(schema.target.counts))
    outputs = torch.randn(len(y), schema.target.num_outputs, generator=torch.Generator().manual_seed(0))
    return outputs, y if schema.target.kind == "multiclass" else y.float()


def logits(outputs: Tensor) -> Tensor:
    """One column a class, also for two of them."""
    return outputs.double() if outputs.shape[1] > 1 else torch.cat([torch.zeros_like(outputs), outputs], 1).double()


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_balanced_class_weights_are_those_of_scikit_learn(kind: str) -> None:
    schema = make_schema(kind)
    outputs, y = training_rows(schema)
    index = y.int().numpy()
    expected = compute_class_weight("balanced", classes=np.unique(index), y=index)
    model = LogisticRegression(schema, class_weights="balanced")
    np.testing.assert_allclose(model.class_weights, expected, rtol=1e-6)
    losses = -logits(outputs).log_softmax(1).numpy()[np.arange(len(y)), index]
    for training in (True, False):
        model.train(training)
        assert float(model.loss(outputs, y)) == pytest.approx((losses * expected[index]).mean(), rel=1e-6)
    assert float(LogisticRegression(schema).loss(outputs, y)) == pytest.approx(losses.mean(), rel=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_that_of_torch_and_for_training_alone(kind: str, smoothing: float) -> None:
    schema = make_schema(kind)
    outputs, y = training_rows(schema)
    model = FeedForward(schema, label_smoothing=smoothing)
    for training, expected in ((True, smoothing), (False, 0.0)):
        model.train(training)
        reference = torch.nn.CrossEntropyLoss(label_smoothing=expected)(logits(outputs), y.long())
        assert float(model.loss(outputs, y)) == pytest.approx(float(reference), rel=1e-6)
