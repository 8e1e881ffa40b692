"""Every model: shapes, losses, what it refuses, and its use without the command line."""

from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from model_suite import NUMBERS, ModelSuite, make_schema
from points import Points, set_up
from quiet import trainer
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional

from project.data import BreastCancer, Diabetes, Iris
from project.engine.lean import Lean
from project.metrics import make_metrics, scored
from project.models import FeedForward, LinearRegression, LogisticRegression, TableModel
from project.run_folder import load_best
from project.schema import Schema

NO_ACTIVATIONS = ["GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "Threshold"]
ACTIVATIONS = sorted({"Identity", *nn.modules.activation.__all__} - {*NO_ACTIVATIONS})


class TestLogisticRegression(ModelSuite):
    model = LogisticRegression
    columns = NUMBERS  # names go through the same layer as in FeedForward


class TestLinearRegression(ModelSuite):
    model = LinearRegression
    columns = NUMBERS  # names go through the same layer as in FeedForward


@pytest.mark.lowest
class TestFeedForward(ModelSuite):
    model = FeedForward
    settings: ClassVar = {"activation": "SiLU", "dropout": 0.1, "input_dropout": 0.1, "batch_norm": True}


TwoClasses = type("TwoClasses", (FeedForward,), {"target_kinds": ("binary",)})
MISFITS = [
    (LinearRegression, "binary", "a number, and the target 'y' is two classes", "LogisticRegression"),
    (TwoClasses, "multiclass", "two classes, and the target 'y' is several classes", "LogisticRegression"),
]


@pytest.mark.parametrize(("model_class", "kind", "message", "way_out"), MISFITS)
def test_a_wrong_kind_of_target_is_explained_with_a_model_that_fits(model_class, kind, message, way_out):
    with pytest.raises(
        ValueError, match=rf"{model_class.__name__} predicts {message}.*(try|use) .*({way_out}|FeedForward)"
    ):
        model_class(make_schema(kind))


@pytest.mark.parametrize(("kind", "probabilities"), [("number", []), ("binary", [0.15, 0.2])])
def test_dropout_is_for_classes_unless_it_is_set(kind, probabilities):
    net = FeedForward(make_schema(kind), hidden_sizes=[8], dropout="auto", input_dropout="auto")
    assert [part.p for part in net.modules() if isinstance(part, torch.nn.Dropout)] == probabilities


def test_no_hidden_layer_is_the_linear_model():
    net, linear = FeedForward(make_schema("multiclass"), hidden_sizes=()), LogisticRegression(make_schema("multiclass"))
    linear.linear.load_state_dict(net.net[0].state_dict())
    x = torch.randn(7, 16)
    assert torch.equal(net(x), linear(x))


@pytest.mark.lowest
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_by_name(name):
    model, x = FeedForward(make_schema(), hidden_sizes=(4,), activation=name).eval(), torch.randn(3, 16)
    hidden, _, output = model.net
    assert torch.equal(model(x), output(getattr(nn, name)().eval()(hidden(x))))


def test_batch_norm_normalises_before_the_activation():
    model = FeedForward(make_schema(), hidden_sizes=(8, 8), batch_norm=True)
    assert [type(layer).__name__ for layer in model.net] == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear"]


REFUSED = [
    ("hidden_sizes", (8, 0), "hidden_sizes"),
    ("dropout", 1.5, "1.5"),
    ("activation", "Relu", r"did you mean ReLU\?"),
    ("activation", "Linear", "Linear"),
    # What does not act on each unit alone, not when the first batch comes, in the words of a matrix product.
    *(("activation", name, f"no activation named '{name}'") for name in NO_ACTIVATIONS),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_a_setting_that_cannot_be_is_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        FeedForward(make_schema(), **{name: value})


NOTEBOOK = [
    partial(LogisticRegression),
    partial(FeedForward, hidden_sizes=(8,), batch_norm=True, dropout=0.1, init="xavier_normal_"),
]


@pytest.mark.lowest
@pytest.mark.parametrize("model_class", NOTEBOOK)
def test_in_a_notebook(model_class, tmp_path):
    """Made, trained and loaded in plain PyTorch Lightning, with a learning-rate schedule."""
    data = BreastCancer()
    scheduler = partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    model = model_class(set_up(data).schema, optimizer=partial(torch.optim.SGD, lr=0.1), scheduler=scheduler)
    run = trainer()
    run.fit(model, BreastCancer())
    path = tmp_path / "model.ckpt"
    run.save_checkpoint(path)
    assert torch.load(path, weights_only=True)["hyper_parameters"]["schema"] == set_up(data).schema.to_dict()
    x = set_up(data).splits["test"].x
    expected = model.eval()(x)
    loaded = type(model).load_from_checkpoint(path, weights_only=True)
    for other in (loaded.eval(), load_best(path)[0]):
        assert type(other) is type(model)
        assert torch.equal(other(x), expected)
        assert other.schema == set_up(data).schema
        assert other.hparams == model.hparams
    resumed = trainer(max_epochs=3)
    resumed.fit(loaded.train(), data, ckpt_path=path, weights_only=True)
    assert resumed.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4)  # after three epochs, once each


@pytest.mark.lowest
@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("settings", [{}, {"gradient_clip_val": 0.5}])
def test_the_last_step_of_accumulated_gradients_counts_as_its_batches_do(lean, settings):
    """Of ten batches it has two, and each of the others four: against steps by hand."""
    data = set_up(Points(50, shuffle=False, val_fraction=0, test_fraction=0, batch_size=5))
    model = LogisticRegression(data.schema, optimizer=partial(torch.optim.SGD, lr=0.1))
    model.linear.weight.data, model.linear.bias.data = torch.tensor([[0.5, -2.0]]), torch.tensor([3.0])
    callbacks = [Lean()] if lean else []
    trainer(max_epochs=2, accumulate_grad_batches=4, callbacks=callbacks, **settings).fit(model, data)

    x, y = (values.double() for values in data.splits["train"])
    weights = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    for batches in [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 2:
        rows = slice(5 * batches[0], 5 * batches[-1] + 5)  # the batches are equal, so the mean of means is the mean
        errors = (x[rows] @ weights[:2] + weights[2]).sigmoid() - y[rows]
        gradient = torch.cat([errors @ x[rows], errors.sum()[None]]) / len(errors)
        limit = settings.get("gradient_clip_val", torch.inf)
        weights = weights - 0.1 * gradient * min(1.0, limit / float(gradient.norm()))
    found = torch.cat([*model.linear.weight, model.linear.bias]).double()
    torch.testing.assert_close(found, weights, rtol=1e-5, atol=0)


@pytest.mark.lowest
@pytest.mark.parametrize(
    ("model_class", "data"),
    [(LogisticRegression, Iris()), (LinearRegression, Diabetes()), (FeedForward, Diabetes())],
    ids=["LogisticRegression", "LinearRegression", "FeedForward"],
)
def test_training_lowers_the_loss_and_validates_and_tests(model_class, data):
    torch.manual_seed(0)
    model, run = model_class(set_up(data).schema, optimizer=partial(torch.optim.Adam, lr=0.01)), trainer()

    @torch.no_grad()
    def scores(split: str) -> dict[str, float]:
        x, y = set_up(data).splits[split]
        outputs = model.eval()(x)
        metrics = make_metrics(model.schema.target)
        metrics.update(**scored(outputs, y, model.schema.target))
        return {"loss": model.loss(outputs, y).item(), **{name: float(v) for name, v in metrics.compute().items()}}

    before = scores("train")["loss"]
    run.fit(model.train(), data)
    assert scores("train")["loss"] < before
    val = {name: run.callback_metrics[f"{name}/val"].item() for name in scores("val")}
    assert val == pytest.approx(scores("val"), rel=1e-5)
    (test,) = run.test(model, data, verbose=False)
    assert test == pytest.approx({f"{name}/test": score for name, score in scores("test").items()}, rel=1e-5)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_batch_end"])
def test_fitting_again_counts_nothing_of_a_fit_that_was_cut_short(hook):
    """As when a cell of a notebook is interrupted and run again, with other batches, whose last is a smaller one.

    With a rate of 0 the model stays, and what is logged is the mean over the rows.
    """

    def interrupt(trainer, *args) -> None:
        if not trainer.sanity_checking and trainer.fit_loop.batch_idx >= 3:
            raise RuntimeError("interrupted")

    first, second = BreastCancer(batch_size=50), BreastCancer(batch_size=100, val_fraction=0.2)
    model = LogisticRegression(set_up(first).schema, optimizer=partial(torch.optim.SGD, lr=0.0))
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer(callbacks=[LambdaCallback(**{hook: interrupt})]).fit(model, first)
    run = trainer(max_epochs=1, num_sanity_val_steps=0)
    run.fit(model.train(), second)
    for split in ("train", "val"):
        x, y = set_up(second).splits[split]
        assert run.callback_metrics[f"loss/{split}"].item() == pytest.approx(model.loss(model(x), y).item(), rel=1e-5)


@pytest.mark.lowest
@pytest.mark.parametrize(
    ("optimizer_class", "settings"), [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {"weight_decay": 0.01})]
)
@pytest.mark.parametrize(("fused", "tolerance"), [(False, 0.0), (None, 1e-6)])
def test_training_equals_a_plain_pytorch_loop(optimizer_class, settings, fused, tolerance):
    """Weight for weight, to the bit, after two epochs; the fused optimizer, the default, to rounding."""
    torch.manual_seed(0)
    data = Points(200, 5, batch_size=16)
    optimizer = partial(optimizer_class, lr=0.01, **settings, **({} if fused is None else {"fused": fused}))
    model = FeedForward(set_up(data).schema, hidden_sizes=(12, 7), optimizer=optimizer)
    net = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 1))
    net.load_state_dict(model.net.state_dict())
    trainer().fit(model, data)

    plain, loader = optimizer_class(net.parameters(), lr=0.01, fused=False, **settings), data.train_dataloader()
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for x, y in loader:
            plain.zero_grad()
            functional.binary_cross_entropy_with_logits(net(x)[:, 0], y).backward()
            plain.step()
    for ours, expected in zip(model.net.parameters(), net.parameters(), strict=True):
        assert torch.allclose(ours, expected, rtol=0, atol=tolerance)


POINTS = set_up(Points(40))


def saved(model: TableModel, folder: Path) -> Path:
    """The checkpoint of a model that was trained for an epoch."""
    run = trainer(max_epochs=1)
    run.fit(model, POINTS)
    run.save_checkpoint(folder / "model.ckpt")
    return folder / "model.ckpt"


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path: Path):
    path = saved(LogisticRegression(POINTS.schema), tmp_path)
    checkpoint = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in checkpoint.items() if name != "format"}, path)
    with pytest.raises(ValueError, match=r"model\.ckpt was written by an earlier version .*; train it again"):
        load_best(path)[0]


def test_hyper_parameters_in_a_checkpoint_are_plain_values_whoever_made_the_model(tmp_path: Path):
    sgd = {"class_path": "SGD", "init_args": {"lr": np.float64(0.1)}}
    model = FeedForward(POINTS.schema, np.array([4, 3]), dropout=np.float32(0.5), batch_norm=np.True_, optimizer=sgd)
    loaded = load_best(saved(model, tmp_path))[0]
    assert loaded.hparams["optimizer"] == {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
    values = [loaded.hparams[name] for name in ("hidden_sizes", "dropout", "batch_norm")]
    assert values == [[4, 3], 0.5, True]
    assert [type(value) for value in values] == [list, float, bool]


def test_predict_gives_numbers_in_the_target_s_unit():
    data = set_up(Diabetes())
    model, target = LinearRegression(data.schema), data.schema.target
    predicted = torch.cat(trainer().predict(model, data))
    assert predicted.dtype == torch.float64
    (scores,) = trainer().test(model, data, verbose=False)
    true = data.splits["test"].y * target.scale + target.center
    assert scores["mae/test"] == pytest.approx(float((predicted - true).abs().mean()), rel=1e-5)


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
