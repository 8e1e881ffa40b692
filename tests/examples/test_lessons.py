"""Lessons in autograd: what the tutorials compute by hand, on the package's own modules."""

import math

import numpy as np
import pytest
import torch
from set_up import set_up

from project.examples.reference import FiveRows, HeightWeight, RandomLabels, ThreePoints
from project.models import FeedForward, LinearRegression, LogisticRegression
from project.schema import Number, Schema, Target

LINE = Schema((Number("x"),), Target("y", "number"))
CURVE = Schema((Number("x"),), Target("y", "binary", ("0", "1")))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def line_through_origin(schema: Schema = LINE) -> LinearRegression:
    """y = w · x, with w = 1."""
    return LinearRegression(schema, bias=False, init="ones_")


def test_l1_gradient_of_a_logarithm():
    x, w, b = (torch.tensor(v, requires_grad=v > 1) for v in (1.0, 2.0, 3.0))
    torch.log(x * w + b).backward()
    assert (w.grad.item(), b.grad.item()) == pytest.approx((0.2, 0.2))


def test_l2_one_step_of_gradient_descent():
    model = line_through_origin()
    loss = model.loss(model(torch.tensor([[1.0]])), torch.tensor([2.0]))
    loss.backward()
    assert (loss.item(), model.linear.weight.grad.item()) == (1.0, -2.0)
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    assert model.linear.weight.item() == pytest.approx(1.02)


def test_l3_gradient_of_a_polynomial():
    x = torch.full((4, 4), 12.5, requires_grad=True)
    (2 * x**2 + 5 * x + 6).sum().backward()
    assert x.grad.eq(55).all()


def test_l4_gradient_of_a_product():
    a, b = torch.tensor(3.0, requires_grad=True), torch.tensor(5.0, requires_grad=True)
    (a * b).backward()
    assert (a.grad.item(), b.grad.item()) == (5, 3)


def test_l5_two_ways_to_a_gradient():
    x = torch.linspace(0, 2 * math.pi, 25, requires_grad=True)
    (gradient,) = torch.autograd.grad(x.sin().sum(), x)
    assert x.grad is None
    x.sin().sum().backward()
    assert torch.equal(x.grad, gradient)
    np.testing.assert_allclose(gradient, np.cos(x.detach().numpy()), atol=1e-6)


def test_l6_r7_gradient_of_logistic_regression():
    data = FiveRows()
    model = LogisticRegression(set_up(data).schema).double()
    x, y = (t.double() for t in set_up(data).splits["train"])
    model.loss(model(x), y).backward()

    x, y = x.numpy(), y.numpy()
    w, b = (p.detach().numpy() for p in model.parameters())
    error = (sigmoid(x @ w[0] + b) - y) / len(y)
    np.testing.assert_allclose(model.linear.weight.grad[0], error @ x, atol=1e-10)
    np.testing.assert_allclose(model.linear.bias.grad, [error.sum()], atol=1e-10)


@pytest.mark.parametrize("lr", [1e-3, 1e-2])
def test_r7_updates_by_hand_equal_those_of_sgd(lr):
    data = FiveRows(batch_size=1)
    model = LogisticRegression(set_up(data).schema).double()
    sgd, losses = torch.optim.SGD(model.parameters(), lr), []
    w, b = (p.detach().numpy().copy() for p in model.parameters())
    for _ in range(10):
        losses.append(0.0)
        for x, y in data.train_dataloader():
            sgd.zero_grad()
            loss = model.loss(model(x.double()), y.double())
            loss.backward()
            sgd.step()
            losses[-1] += loss.item()

            row, label = x[0].double().numpy(), y.item()
            error = sigmoid(w[0] @ row + b) - label
            w, b = w - lr * error * row, b - lr * error
    np.testing.assert_allclose(model.linear.weight.detach(), w, atol=1e-10)
    np.testing.assert_allclose(model.linear.bias.detach(), b, atol=1e-10)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def two_layer_gradients(w1, b1, w2, b2, x, y) -> tuple[float, list[np.ndarray]]:
    """Loss and gradients of R8: sigmoid(W2 sigmoid(W1 x + b1) + b2) with binary cross entropy, by hand."""
    h = sigmoid(x @ w1.T + b1)
    p = sigmoid(h @ w2.T + b2)[:, 0]
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    d2 = ((p - y) / len(y))[:, None]
    d1 = (d2 @ w2) * h * (1 - h)
    return loss, [d1.T @ x, d1.sum(0), d2.T @ h, d2.sum(0)]


def test_l6_r8_gradient_of_a_two_layer_net_and_its_descent():
    """20 epochs of full-batch gradient descent, whose loss falls from about 0.70 to the entropy of the labels."""
    data = RandomLabels()
    settings = {"init": "uniform_", "init_settings": {"a": 0.0, "b": 1e-2}}
    torch.manual_seed(0)
    model = FeedForward(set_up(data).schema, hidden_sizes=(64,), activation="Sigmoid", **settings).double()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = (t.double() for t in set_up(data).splits["train"])
    by_hand, losses = [p.detach().numpy().copy() for p in model.parameters()], []
    assert not by_hand[1].any()
    assert not by_hand[3].any()
    for _ in range(20):
        sgd.zero_grad()
        model.loss(model(x), y).backward()
        loss, gradients = two_layer_gradients(*by_hand, x.numpy(), y.numpy())
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            np.testing.assert_allclose(parameter.grad, gradient, atol=1e-10)
        sgd.step()
        by_hand = [p - 0.1 * g for p, g in zip(by_hand, gradients, strict=True)]
        losses.append(loss)
    share = y.mean().item()
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert losses[0] == pytest.approx(0.70, abs=0.01)
    assert losses[-1] == pytest.approx(entropy, abs=1e-3)


def test_l6_r9_modular_backprop():
    """Forward and backward pairs, composed; they start from (ŷ − y) / (ŷ (1 − ŷ)) / N."""
    data = RandomLabels()
    model = FeedForward(set_up(data).schema, hidden_sizes=(100,)).double()
    x, y = (t.double() for t in set_up(data).splits["train"])
    model.loss(model(x), y).backward()

    w1, b1, w2, b2 = (p.detach().numpy() for p in model.parameters())
    chain = [
        (lambda x: x @ w1.T + b1, lambda gradient, x, y: gradient @ w1),
        (lambda x: np.maximum(x, 0), lambda gradient, x, y: gradient * (x > 0)),
        (lambda x: x @ w2.T + b2, lambda gradient, x, y: gradient @ w2),
        (sigmoid, lambda gradient, x, y: gradient * y * (1 - y)),
    ]
    values = [x.numpy()]
    for forward, _ in chain:
        values.append(forward(values[-1]))
    out = values[-1]
    gradients = [(out - y.numpy()[:, None]) / (out * (1 - out)) / len(y)]  # by each of the values
    for i, (_, backward) in reversed([*enumerate(chain)]):
        gradients.insert(0, backward(gradients[0], values[i], values[i + 1]))
    for i in (0, 2):
        np.testing.assert_allclose(model.net[i].weight.grad, gradients[i + 1].T @ values[i], atol=1e-10)
        np.testing.assert_allclose(model.net[i].bias.grad, gradients[i + 1].sum(0), atol=1e-10)


def test_l7_a_larger_weight_makes_a_steeper_curve():
    """The slope of sigmoid(w · x) at 0 is w / 4."""
    slopes, x = [], torch.tensor([[0.0]], requires_grad=True)
    for w in (-1.0, 1.0, 5.0):
        model = LogisticRegression(CURVE, bias=False, init="constant_", init_settings={"val": w})
        slopes.append(torch.autograd.grad(model(x).sigmoid().sum(), x)[0].item())
    assert slopes == pytest.approx([-0.25, 0.25, 1.25])


def test_r11_one_sweep_of_central_differences():
    """w is updated first, and then b with the new w."""
    data = HeightWeight()
    model = LinearRegression(set_up(data).schema, init="ones_")
    x, y = set_up(data).splits["train"]
    w, b, delta = model.linear.weight.data, model.linear.bias.data, 0.1

    def loss() -> torch.Tensor:
        with torch.no_grad():
            return model.loss(model(x), y)

    assert loss().item() == pytest.approx(5259.7334, abs=1e-4)
    for parameter in (w, b):
        start = parameter.clone()
        parameter.copy_(start + delta)
        above = loss()
        parameter.copy_(start - delta)
        gradient = (above - loss()) / (2 * delta)
        parameter.copy_(start - 1e-2 * gradient)
    assert b.item() == 544.0


def test_r12_a_line_that_diverges():
    """Row by row, as printed: gradients, and losses that explode."""
    data = ThreePoints(batch_size=1)
    model = line_through_origin(set_up(data).schema)
    sgd, gradients, losses = torch.optim.SGD(model.parameters(), lr=0.01), [], []
    for _ in range(2):
        for x, y in data.train_dataloader():
            sgd.zero_grad()
            loss = model.loss(model(x), y)
            loss.backward()
            sgd.step()
            gradients.append(model.linear.weight.grad.item())
            losses.append(loss.item())
    assert gradients[:3] == pytest.approx([-220, 2481.6001, -51303.6484], rel=1e-6)
    assert losses[:4] == pytest.approx([100, 3180.9602, 604238.8125, 28994192], rel=1e-6)
    assert losses[4:] == pytest.approx([2.33e8, 3.9481e10], rel=5e-3)
