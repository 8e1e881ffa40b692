"""What every model shares: loss, metrics, optimizer, and what its outputs mean."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import LBFGS, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.classes import class_path
from project.engine.averaging import average_weights_alone
from project.metrics import defined, make_metrics, scored
from project.optimizers import FULL_BATCH, Spec, build_optimizer, build_scheduler, describe
from project.schema import Schema, Target

FORMAT = 6
"""The version of what a checkpoint holds."""


class TableModel(LightningModule):
    """A model of a table's target.

    A subclass is a constructor, which makes the layers, and a ``forward`` from encoded rows, ``(batch, encoded)``, to
    ``(batch, outputs)``: logits of classes (a single one for two classes), or a standardised number. Its first layer
    comes from `make_input_layer`, so that it takes names as well as numbers.

    Args:
        schema: The table's columns and target, as `TableData.schema` gives it.
        optimizer: A class of ``torch.optim`` or another: by name, itself, with arguments (`functools.partial`), or as
            ``{"class_path": ..., "init_args": {...}}``.
        scheduler: A class of ``torch.optim.lr_scheduler`` in the same forms, or None.
        log_grad_norm: Whether to log the length of the gradient as ``grad_norm``.
        class_weights: ``balanced`` lets every class count the same in the loss, however many rows it has; or a number
            for each class.

    Raises:
        ValueError: If the target is of a kind that this model cannot predict, or the optimizer cannot be used.
    """

    target_kinds: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "number")
    class_weights: Tensor | None

    def __init__(
        self,
        schema: Schema | dict[str, Any],
        optimizer: Spec = "Adam",
        scheduler: Spec | None = None,
        log_grad_norm: bool = False,
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema if isinstance(schema, Schema) else Schema.from_dict(schema)
        target = self.schema.target
        if target.kind not in self.target_kinds:
            words = {"binary": "two classes", "multiclass": "several classes", "number": "a number"}
            wanted = " or ".join(words[kind] for kind in self.target_kinds)
            other = "LinearRegression" if target.kind == "number" else "LogisticRegression"
            told = f"the target '{target.name}' is {words[target.kind]}"
            raise ValueError(f"{type(self).__name__} predicts {wanted}, and {told}; use {other} or FeedForward")
        self.register_buffer("class_weights", make_class_weights(class_weights, target), persistent=False)
        self.val_metrics = make_metrics(target, "/val")
        self.test_metrics = make_metrics(target, "/test")
        self.save_hyperparameters(logger=False)
        # Plain values instead of objects: the checkpoint must load with weights_only=True.
        self.hparams["schema"] = self.schema.to_dict()
        self.hparams["optimizer"] = describe(optimizer, Optimizer)
        self.hparams["scheduler"] = describe(scheduler, LRScheduler) if scheduler else None
        self.hparams.update(_plain(dict(self.hparams)))
        self._class_path = class_path(type(self))  # now, for while it is trained another class may stand in for it

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: binary cross entropy, cross entropy or squared error, after the target's kind.

        Args:
            outputs: What ``forward`` gave, ``(batch, outputs)``.
            y: Targets as the data module encodes them, ``(batch,)``.
        """
        weights = None if self.class_weights is None else self.class_weights[y.long()].to(outputs.dtype)
        match self.schema.target.kind:
            case "binary":
                return functional.binary_cross_entropy_with_logits(outputs.squeeze(1), y, weights)
            case "multiclass" if weights is not None:
                return (functional.cross_entropy(outputs, y, reduction="none") * weights).mean()
            case "multiclass":
                return functional.cross_entropy(outputs, y)
            case _:
                return functional.mse_loss(outputs.squeeze(1), y)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Computes and logs the loss of a batch."""
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("loss/train", loss, on_step=False, on_epoch=True, batch_size=len(y), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the loss of a batch, and adds it to the metrics."""
        x, y = batch
        outputs = self(x)
        self.log("loss/val", self.loss(outputs, y), batch_size=len(y), sync_dist=True)
        self.val_metrics.update(**scored(outputs, y, self.schema.target))

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of all validation rows."""
        self.log_dict(defined(self.val_metrics.compute()), sync_dist=True)
        self.val_metrics.reset()

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the loss of a batch, and adds it to the metrics."""
        x, y = batch
        outputs = self(x)
        self.log("loss/test", self.loss(outputs, y), batch_size=len(y), sync_dist=True)
        self.test_metrics.update(**scored(outputs, y, self.schema.target))

    def on_test_epoch_end(self) -> None:
        """Logs the metrics of all test rows."""
        # They stay, for `project.report.remarks` to look at.
        self.log_dict(defined(self.test_metrics.compute()), sync_dist=True)

    def predict_step(self, batch: tuple[Tensor, Tensor] | Tensor, batch_idx: int) -> Tensor:
        """Predicts a batch of encoded rows, with targets beside them or without; see `predictions`."""
        return predictions(self(batch if isinstance(batch, Tensor) else batch[0]).cpu().double(), self.schema.target)

    def setup(self, stage: str) -> None:
        """Forgets what an evaluation that was cut short left behind."""
        self.val_metrics.reset()
        self.test_metrics.reset()

    def on_train_start(self) -> None:
        """Refuses what an optimizer cannot do with, such as dropout for LBFGS, which evaluates a step anew."""
        optimizer = self.trainer.optimizers[0]
        average_weights_alone(self.trainer, optimizer)
        if isinstance(optimizer, LBFGS) and any(isinstance(part, nn.Dropout) and part.p for part in self.modules()):
            settings = [f"--model.{name} 0" for name in ("dropout", "input_dropout") if name in self.hparams]
            words = "LBFGS compares losses of the same step, for each of which dropout would drop others"
            raise ValueError(f"{words}: set {' '.join(settings) or 'it to 0'}")
        num_batches = max(self.trainer.num_training_batches, self.trainer.accumulate_grad_batches)
        if isinstance(optimizer, FULL_BATCH) and num_batches > 1:
            wanted = "all training rows in every step: --data.batch_size full, --trainer.accumulate_grad_batches 1"
            raise ValueError(f"{type(optimizer).__name__} wants {wanted}")

    def on_train_epoch_start(self) -> None:
        """Lets the optimizer train; those of Schedule-Free learn with other weights than they answer with."""
        self._set_optimizer("train")

    def on_validation_epoch_start(self) -> None:
        """Gives the model the weights to validate."""
        self._set_optimizer("eval")

    def on_validation_end(self) -> None:
        """Lets the optimizer go on, once the best weights are saved."""
        self._set_optimizer("train")

    def on_train_epoch_end(self) -> None:
        """Gives the model the weights to keep."""
        self._set_optimizer("eval")

    def _set_optimizer(self, mode: Literal["train", "eval"]) -> None:
        """Calls what Schedule-Free optimizers have (Defazio et al. 2024, arXiv:2405.15682), and no others."""
        for optimizer in self.trainer.optimizers if self.trainer.state.fn == "fit" else []:
            getattr(optimizer, mode, lambda: None)()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Weighs an epoch's last step, and logs the gradient's length, if asked to.

        Lightning 2.6 divides every loss by ``accumulate_grad_batches``, in the last step of an epoch, too, which may
        have fewer batches: its gradient would count for less than theirs.
        """
        window = self.trainer.accumulate_grad_batches
        batches = (self.trainer.fit_loop.batch_idx + 1) % window
        if batches and self.trainer.is_last_batch:
            for parameter in self.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(window / batches)
        if self.hparams["log_grad_norm"]:
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            self.log("grad_norm", torch.nn.utils.get_total_norm(gradients))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and scheduler that the hyper-parameters name."""
        # In mixed precision the trainer clips no gradients of fused optimizers, which may unscale them themselves.
        fused = self.device.type in ("cpu", "cuda") and not str(self.trainer.precision).endswith("-mixed")
        optimizer = build_optimizer(self.hparams["optimizer"], list(self.parameters()), fused, self.hidden_matrices())
        if self.hparams["scheduler"] is None:
            return optimizer
        monitor = "loss/val" if self.trainer.enable_validation else "loss/train"
        scheduler = build_scheduler(self.hparams["scheduler"], optimizer, self.trainer, monitor)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}  # type: ignore[return-value]  # a plain dict will do

    def hidden_matrices(self) -> list[Tensor]:
        """The weights of linear layers, without those of the last one if it gives the outputs, or with a side of 1.

        Only they are for Muon: a row of an embedding, or an output, is a thing of its own, which it would mix with the
        others, and of a matrix with a side of 1 it keeps no more than the direction.
        """
        layers = [module for module in self.modules() if isinstance(module, nn.Linear)]
        if layers and layers[-1].out_features == self.schema.target.num_outputs:
            layers.pop()
        return [layer.weight for layer in layers if min(layer.weight.shape) > 1]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what `load_best` needs: the model's class, and the version of the format."""
        checkpoint["model_class"] = self._class_path
        checkpoint["format"] = FORMAT


def predictions(outputs: Tensor, target: Target) -> Tensor:
    """Probabilities, ``(rows, classes)``, or numbers in the target's own unit, ``(rows,)``, from a model's outputs."""
    match target.kind:
        case "binary":
            return torch.cat([-outputs, outputs], dim=1).sigmoid()
        case "multiclass":
            return outputs.softmax(1)
        case _:  # as tensors, because torch.onnx rounds plain numbers to 32 bits
            return outputs.squeeze(1) * outputs.new_tensor(target.scale) + outputs.new_tensor(target.center)


@torch.inference_mode()
def predict_encoded(
    model: TableModel, x: Tensor, locate: Callable[[int], str] = lambda row: f"row {row + 1}"
) -> Tensor:
    """Predicts encoded rows in batches, on the model's device; it is left ready to predict.

    Args:
        model: The model.
        x: Encoded rows, ``(rows, encoded)``.
        locate: Names a row, counted from 0, in a message.

    Returns:
        What `predictions` gives, on the CPU in double precision.

    Raises:
        ValueError: If an output is not finite.
    """
    model.eval()
    # So many rows at a time that memory is no matter.
    batches = [model(batch.to(model.device).to(model.dtype)).cpu() for batch in torch.split(x, 4096)]
    outputs = torch.cat(batches).double()
    bad = ~outputs.isfinite().all(1)
    if bad.any():
        row = locate(int(bad.int().argmax()))
        raise ValueError(f"{row}: its numbers are so far from those of training that the model's answer overflows")
    return predictions(outputs, model.schema.target)


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


def _plain(value: Any) -> Any:
    """A setting in plain values, where NumPy's stand in it."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    return value.tolist() if hasattr(value, "tolist") else value
