"""What the tutorials compute by hand, on the package's own modules."""

import numpy as np
import pytest
import torch
from points import set_up

from project.examples.reference import RandomLabels
from project.models import FeedForward, LinearRegression
from project.schema import Number, Schema, Target


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
