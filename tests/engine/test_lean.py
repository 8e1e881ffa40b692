"""A lean run has the numbers of a plain one, to the bit, and leaves everything as it was."""

from contextlib import nullcontext

import pytest
import torch
from fixture_types import Fit
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import LambdaCallback
from points import Points, set_up
from quiet import trainer
from results import all_curves, assert_same_weights, read_report
from torch import nn

from project.engine.lean import STEP_HOOKS, Lean, NoProfiler
from project.models import LogisticRegression
from project.run_folder import load_best

pytestmark = pytest.mark.lowest


RUNS = [
    "--model.dropout 0.2 --model.log_grad_norm true --trainer.log_every_n_steps 3",
    "--data.batch_size 60 --trainer.accumulate_grad_batches 3 --trainer.val_check_interval 0.5",
    "--optimizer LBFGS --data.batch_size full --model.dropout 0 --model.input_dropout 0",
]


@pytest.mark.parametrize("args", RUNS)
def test_weights_curves_and_scores_are_the_same(args: str, fit: Fit) -> None:
    """The last batch is smaller than the others in the first two."""
    flags = ["--data", "Iris", "--trainer.max_epochs", "3", *args.split(), "--lean"]
    lean, plain = (fit(*flags, on) for on in ("true", "false"))
    assert_same_weights(lean, plain)
    assert type(load_best(lean)[0]) is type(load_best(plain)[0])
    assert all_curves(lean) == all_curves(plain)
    assert read_report(lean)["metrics"] == read_report(plain)["metrics"]


class Line(LightningModule):
    """A model of somebody else's, which logs in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1)

    def training_step(self, batch):  # without the batch's number
        x, y = batch
        loss = (self.line(x)[:, 0] - y).square().mean()
        options = {"on_step": False, "on_epoch": True, "batch_size": len(y)}
        self.log("mean", loss, **options)
        self.log("inferred", loss, on_step=False, on_epoch=True)
        self.log("highest", loss, reduce_fx="max", **options)
        self.log("vector", loss[None], **options)
        self.log("number", 2.5, **options)
        self.log("step", loss)
        self.log_dict({"first": loss, "second": 2 * loss}, **options)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def test_any_module_logs_the_same() -> None:
    data, results = set_up(Points(203, batch_size=20)), []
    for callbacks in ([], [Lean()]):
        torch.manual_seed(0)
        run, model = trainer(callbacks=callbacks, profiler=NoProfiler()), Line()
        run.fit(model, data.train_dataloader())
        assert type(model) is Line
        results.append({name: value.tolist() for name, value in run.callback_metrics.items()})
    assert results[0] == results[1]
    assert set(results[0]) >= {"mean", "inferred", "highest", "vector", "number", "step", "first", "second"}


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_called_and_all_is_given_back(fails: bool) -> None:
    called: list[str] = []

    class Own(Callback):
        def on_after_backward(self, trainer, pl_module):
            called.append("class")
            if fails:
                raise RuntimeError("stop")

    class Model(LogisticRegression):
        def on_before_backward(self, loss):
            called.append(type(self).__name__)

    data = set_up(Points(20, batch_size="full"))
    callbacks = [Lean(), Own(), LambdaCallback(on_train_batch_start=lambda *args: called.append("lambda"))]
    model, run = Model(data.schema), trainer(max_epochs=1, callbacks=callbacks)
    with pytest.raises(RuntimeError, match="stop") if fails else nullcontext():
        run.fit(model, data)
    assert called == ["lambda", "Model", "class"]
    assert type(model) is Model
    assert all(callable(getattr(callback, hook)) for callback in callbacks for hook in STEP_HOOKS)
    assert "_build_kwargs" not in vars(run.fit_loop.epoch_loop)
