"""The reference data sets, and what the tutorials compute by hand on them, on the package's own modules."""

import numpy as np
import pytest
import torch
from points import set_up

from project.data import TableData
from project.examples.reference import FiveRows, RandomLabels, RandomNumbers
from project.models import FeedForward, LinearRegression
from project.schema import Number, Schema, Target


def raw(data_module: TableData) -> tuple[np.ndarray, np.ndarray]:
    """All rows as training sees them: a reference set keeps them all, in order and unscaled."""
    x, y = set_up(data_module).splits["train"]
    assert len(set_up(data_module).splits["val"].x) == len(set_up(data_module).splits["test"].x) == 0
    (batch,) = data_module.train_dataloader()
    assert (batch[0] == x).all()
    assert (batch[1] == y).all()
    return x.numpy(), y.numpy()


def test_r7_has_five_rows():
    x, y = raw(FiveRows())
    assert x.shape == (5, 2)
    assert y.tolist() == [1, 1, 1, 0, 0]


def test_r8_has_uniform_numbers_and_labels_by_chance():
    x, y = raw(RandomLabels())
    assert x.shape == (1000, 16)
    assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1
    assert x.mean() == pytest.approx(0.5, abs=0.01)
    assert set(y.tolist()) == {0, 1}
    assert y.mean() == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.corrcoef(x.T, y)[-1, :-1]).max() < 0.15


def test_r10_has_uniform_numbers_and_targets():
    x, y = raw(RandomNumbers())
    assert (x.shape, y.shape) == ((1280, 16), (1280,))
    for values in (x, y):
        assert 0 <= values.min() < 0.01 < 0.99 < values.max() <= 1
        assert values.var() == pytest.approx(1 / 12, rel=0.05)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_l2_one_step_of_gradient_descent():
    """y = w · x, with w = 1."""
    model = LinearRegression(Schema((Number("x"),), Target("y", "number")), bias=False, init="ones_")
    loss = model.loss(model(torch.tensor([[1.0]])), torch.tensor([2.0]))
    loss.backward()
    assert (loss.item(), model.linear.weight.grad.item()) == (1.0, -2.0)
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    assert model.linear.weight.item() == pytest.approx(1.02)


def two_layer_gradients(w1, b1, w2, b2, x, y) -> list[np.ndarray]:
    """Gradients of R8: sigmoid(W2 sigmoid(W1 x + b1) + b2) with binary cross entropy, by hand."""
    h = sigmoid(x @ w1.T + b1)
    p = sigmoid(h @ w2.T + b2)[:, 0]
    d2 = ((p - y) / len(y))[:, None]
    d1 = (d2 @ w2) * h * (1 - h)
    return [d1.T @ x, d1.sum(0), d2.T @ h, d2.sum(0)]


def test_l6_r8_gradient_of_a_two_layer_net_on_its_descent():
    """20 epochs of full-batch gradient descent; what its loss comes to, `test_reference_runs` holds."""
    data = RandomLabels()
    settings = {"init": "uniform_", "init_settings": {"a": 0.0, "b": 1e-2}}
    torch.manual_seed(0)
    model = FeedForward(set_up(data).schema, hidden_sizes=(64,), activation="Sigmoid", **settings).double()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = (t.double() for t in set_up(data).splits["train"])
    by_hand = [p.detach().numpy().copy() for p in model.parameters()]
    assert not by_hand[1].any()
    assert not by_hand[3].any()
    for _ in range(20):
        sgd.zero_grad()
        model.loss(model(x), y).backward()
        gradients = two_layer_gradients(*by_hand, x.numpy(), y.numpy())
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            np.testing.assert_allclose(parameter.grad, gradient, atol=1e-10)
        sgd.step()
        by_hand = [p - 0.1 * g for p, g in zip(by_hand, gradients, strict=True)]
