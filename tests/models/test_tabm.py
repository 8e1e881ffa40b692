"""TabM: against its definition, written out in double precision, member by member."""

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from model_suite import NAMES, NUMBERS, ModelSuite, make_batch, make_schema
from points import set_up
from quiet import trainer
from torch.nn import functional

from project.data import Iris
from project.encoder import Encoder
from project.models import TabM
from project.models.tabm import SharedDropout
from project.schema import Category, Number, Schema, Target, learn_number


class TestTabM(ModelSuite):
    model = TabM
    settings: ClassVar = {"num_members": 3, "hidden_sizes": (16, 8), "dropout": 0.1}


RNG = np.random.default_rng(0)
COLUMNS = {
    "skewed": RNG.lognormal(3, 2, 500),
    "mostly zero": np.where(RNG.random(500) < 0.8, 0.0, RNG.normal(5, 1, 500)),
    "few": RNG.integers(0, 3, 500).astype(float),
    "missing": np.where(RNG.random(500) < 0.1, np.nan, RNG.normal(-1e6, 10, 500)),
    "constant": np.full(500, 7.0),
}
LEARNED = tuple(learn_number(name, values, scale=True) for name, values in COLUMNS.items())


def member_outputs(model: TabM, raw: np.ndarray) -> np.ndarray:
    """Each member's outputs, ``(members, rows, outputs)``, from raw numbers and the codes of one column of names."""
    w = {name: value.double().numpy() for name, value in model.state_dict().items()}
    vectors = []
    for i, number in enumerate(LEARNED):
        x = np.where(np.isnan(raw[:, i]), np.nanmedian(COLUMNS[number.name]), raw[:, i])
        present = COLUMNS[number.name][~np.isnan(COLUMNS[number.name])]
        low, middle, high = np.percentile(present, [25, 50, 75])
        scale = (high - low) or (present.max() - present.min()) / 2 or number.scale

        def clipped(v: Any, middle: float = middle, scale: float = scale) -> Any:
            z = (v - middle) / scale
            return z / np.sqrt(1 + z**2 / 9)

        z, edges = clipped(x), np.unique(clipped(np.percentile(present, np.linspace(0, 100, 25))))
        vector = z[:, None] * w["numbers.linear"][i] + w["numbers.bias"][i]
        for j, (start, end) in enumerate(pairwise(edges)):
            vector += np.clip((z - start) / (end - start), 0, 1)[:, None] * w["numbers.bins"][i, j]
        vectors.append(vector)
    indicator = np.isnan(raw[:, 3]) / np.sqrt(1 + np.isnan(raw[:, 3]) / 9)
    vectors.append(indicator[:, None] * w["numbers.linear"][5] + w["numbers.bias"][5])
    vectors.append(w["names.weight"][1:][raw[:, 5].astype(int)])  # of three names, the third for rare ones
    outputs = []
    for member, weights in enumerate(w["member_weights"]):
        hidden = w["first_bias"] + sum(
            weight * vector @ first for weight, vector, first in zip(weights, vectors, w["first"], strict=True)
        )
        hidden = np.maximum(hidden, 0) @ w["shared.2.weight"].T + w["shared.2.bias"]
        outputs.append(np.maximum(hidden, 0) @ w["heads"][member] + w["head_biases"][member])
    return np.stack(outputs)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "number"])
def test_is_its_definition(kind: str) -> None:
    schema = Schema((*LEARNED, Category("name", ("a", "b"), rare=True)), make_schema(kind).target)
    torch.manual_seed(0)
    model = TabM(schema, num_members=4, hidden_sizes=(8, 6), embedding_size=3, dropout=0)
    torch.nn.init.normal_(model.numbers.bins)  # they begin at 0
    raw = np.column_stack([*(RNG.permutation(values)[:50] for values in COLUMNS.values()), RNG.integers(0, 2, 50)])
    raw[:3, :5] = [[1e9] * 5, [-1e9] * 5, [np.nan] * 5]
    expected = member_outputs(model, raw)
    x = Encoder(schema)(torch.from_numpy(raw))
    np.testing.assert_allclose(model.train()(x).detach(), expected, atol=2e-4)
    outputs = model.eval()(x).detach().double()
    each = torch.from_numpy(expected)
    if kind == "number":
        np.testing.assert_allclose(outputs, each.mean(0), atol=1e-4)
    elif kind == "binary":
        np.testing.assert_allclose(outputs.sigmoid(), each.sigmoid().mean(0), atol=1e-4)
    else:
        np.testing.assert_allclose(outputs.softmax(1), each.softmax(2).mean(0), atol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "number"])
def test_the_training_loss_is_the_mean_of_the_members_losses(kind: str) -> None:
    schema = make_schema(kind)
    model = TabM(schema, num_members=3, dropout=0).train()
    x, y = make_batch(schema, 20)
    losses = {
        "binary": lambda outputs: functional.binary_cross_entropy_with_logits(outputs[:, 0], y),
        "multiclass": lambda outputs: functional.cross_entropy(outputs, y),
        "number": lambda outputs: functional.mse_loss(outputs[:, 0], y),
    }
    outputs = model(x)
    expected = sum(losses[kind](member) for member in outputs) / 3
    assert model.loss(outputs, y).item() == pytest.approx(expected.item(), rel=1e-6)
    one_by_one = losses[kind](model.eval()(x))  # of the mean prediction, which is better
    assert model.loss(model(x), y).item() == pytest.approx(one_by_one.item(), rel=1e-6)


@pytest.mark.parametrize("columns", [NUMBERS[:1], (NAMES,), (Number("constant"),)], ids=["number", "names", "constant"])
def test_takes_any_table(columns: tuple[Any, ...]) -> None:
    schema = Schema(columns, Target("y", "binary", ("no", "yes"), counts=(5, 5)))
    model = TabM(schema)
    x, y = make_batch(schema, 10)
    model.loss(model(x), y).backward()
    assert model.eval()(x).shape == (10, 1)
    assert model(x[:0]).shape == (0, 1)


@pytest.mark.parametrize(("counts", "p"), [((900, 1100), 0.3), ((900, 1101), 0.1), ((), 0.1)])
def test_dropout_is_higher_with_few_rows_of_classes(counts: tuple[int, ...], p: float) -> None:
    target = Target("y", "binary", ("no", "yes"), counts=counts) if counts else Target("y", "number")
    assert TabM(Schema(NUMBERS, target)).shared[1].p == p


def test_dropout_drops_a_unit_of_a_row_for_all_members_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout, x = SharedDropout(0.25), 1 + torch.rand(3, 200, 100)
    dropped = dropout(x)
    kept = dropped != 0
    assert kept.all(0).equal(kept.any(0))
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(dropped[kept], x[kept] / 0.75)
    assert dropout.eval()(x).equal(x)


@pytest.mark.parametrize("settings", [{"num_members": 0}, {"hidden_sizes": ()}, {"hidden_sizes": (8, 0)}])
def test_sizes_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        TabM(make_schema(), **settings)


def test_lbfgs_asks_for_no_setting_that_it_does_not_have() -> None:
    data = set_up(Iris(batch_size="full"))
    with pytest.raises(ValueError, match=r": set --model.dropout 0$"):
        trainer().fit(TabM(data.schema, optimizer="LBFGS"), data)
