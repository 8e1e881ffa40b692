"""What every model shares: loss, metrics, optimizer, and what is logged."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.classes import class_path
from project.errors import Diverged
from project.metrics import class_metrics, number_metrics, two_columns
from project.models.loss_record import LossRecord
from project.models.outputs import make_class_weights, mean_loss, predictions
from project.optimizers import FULL_BATCH, Spec, build_optimizer, build_scheduler, describe
from project.schema import Schema

EVALUATION_BATCH_SIZE = 4096
"""Rows that are predicted together."""


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
        decay_biases: Whether weight decay shrinks biases and normalisation weights too, as PyTorch has it.
        log_grad_norm: Whether to log the length of the gradient as ``grad_norm``.
        class_weights: ``balanced`` lets every class count the same in the loss, however many rows it has; or a number
            for each class.
        label_smoothing: Takes so much of each training row's class and shares it out among all classes
            (Szegedy et al. 2016, arXiv:1512.00567); it costs log-loss.

    Raises:
        ValueError: If the target is of a kind that this model cannot predict, or the optimizer cannot be used.
    """

    target_kinds: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "number")
    class_weights: Tensor | None
    choices: ClassVar[Mapping[str, Collection[str]]] = {}
    """Names that a setting may have, for the command line to check."""

    def __init__(
        self,
        schema: Schema | dict[str, Any],
        optimizer: Spec = "Adam",
        scheduler: Spec | None = None,
        decay_biases: bool = True,
        log_grad_norm: bool = False,
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.schema = schema if isinstance(schema, Schema) else Schema.from_dict(schema)
        target = self.schema.target
        if target.kind not in self.target_kinds:
            wanted, found, other = "a number", "classes", "LogisticRegression"
            if target.kind == "number":
                wanted, found, other = "classes", "a number", "LinearRegression"
            raise ValueError(
                f"{type(self).__name__} predicts {wanted}, and the target '{target.name}' is {found}; "
                f"use {other} or FeedForward"
            )
        if not 0 <= label_smoothing < 1 or (label_smoothing and target.kind == "number"):
            raise ValueError(f"label_smoothing is for classes, 0 or more and below 1, not {label_smoothing}")
        self.register_buffer("class_weights", make_class_weights(class_weights, target), persistent=False)
        self.label_smoothing = label_smoothing
        self.save_hyperparameters(logger=False)
        # Plain values instead of objects: the checkpoint must load with weights_only=True.
        self.hparams["schema"] = self.schema.to_dict()
        self.hparams["optimizer"] = describe(optimizer, Optimizer)
        self.hparams["scheduler"] = describe(scheduler, LRScheduler) if scheduler else None
        self._losses = LossRecord(self._diverged)
        self._outputs: list[tuple[Tensor, Tensor]] = []  # outputs and targets of an evaluation
        self._epoch_start = 0.0
        self._log_interval = 1

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; Lightning notes the running hook in one of them, some 40 times a step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value  # `nn.Module` would look each time whether it is a parameter or a layer
        else:
            super().__setattr__(name, value)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch; see `mean_loss`.

        Args:
            outputs: What ``forward`` gave, ``(batch, outputs)``.
            y: Targets as the data module encodes them, ``(batch,)``.
        """
        smoothing = self.label_smoothing if self.training else 0.0
        return mean_loss(outputs, y, self.schema.target, self.class_weights, smoothing)

    @torch.no_grad()
    def metrics(self, outputs: Tensor, y: Tensor) -> dict[str, float]:
        """Scores outputs against targets, numbers in the target's own unit; arguments as for `loss`."""
        target = self.schema.target
        match target.kind:
            case "binary":
                return class_metrics(two_columns(outputs), y)
            case "multiclass":
                return class_metrics(outputs.log_softmax(1), y)
            case _:
                return number_metrics(outputs.squeeze(1), y, target.scale)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Returns the batch's loss and records it."""
        x, y = batch
        loss = self.loss(self(x), y)
        self._losses.add(batch_idx, loss, len(y))
        return loss

    def setup(self, stage: str) -> None:
        """Forgets what an earlier fit that was cut short left behind."""
        self._losses = LossRecord(self._diverged)
        self._outputs.clear()

    def on_train_start(self) -> None:
        """Refuses minibatches for an optimizer that needs the full batch."""
        self._epoch_start = time.perf_counter()
        self._log_interval = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by its connectors
        optimizer = self.trainer.optimizers[0]
        if isinstance(optimizer, FULL_BATCH) and self.trainer.num_training_batches > 1:
            name = type(optimizer).__name__
            raise ValueError(f"{name} wants all training rows in every step: set --data.batch_size full")

    def on_train_epoch_start(self) -> None:
        """Logs the rate of the steps to come."""
        self._epoch_start = time.perf_counter()
        self._log_now({"lr": self._lr})

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Reads the losses at the logger's interval and at the end of the epoch."""
        self._log_losses()

    def on_train_epoch_end(self) -> None:
        """Logs the mean training loss of the epoch's rows."""
        self._losses.mean("interval")
        self.log("loss/train", self._losses.mean("epoch") or 0.0)
        self.log("epoch_seconds", time.perf_counter() - self._epoch_start)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Logs the gradient's length at the logger's interval, if asked to."""
        if self.hparams["log_grad_norm"] and self._log_interval and self.global_step % self._log_interval == 0:
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            self._log_now({"grad_norm": float(torch.nn.utils.get_total_norm(gradients))})

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keeps the outputs; they are scored together at the end."""
        self._outputs.append((self(batch[0]), batch[1]))

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Logs the loss and metrics of all validation rows."""
        scores = self._score_outputs("val")
        if not math.isfinite(scores["loss/val"]) and not self.trainer.sanity_checking:
            raise self._diverged(scores["loss/val"], int(self.trainer.num_training_batches) - 1)
        self.log_dict(scores)

    def on_test_epoch_end(self) -> None:
        """Logs the loss and metrics of all test rows."""
        self.log_dict(self._score_outputs("test"))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and scheduler that the hyper-parameters name."""
        groups: list[dict[str, Any]] = [{"params": list(self.parameters())}]
        if not self.hparams["decay_biases"]:
            groups = [
                {"params": [p for p in self.parameters() if p.ndim > 1]},
                {"params": [p for p in self.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ]
        # With 16-bit gradients the trainer unscales them before the step, which fused optimizers do themselves.
        fused = self.device.type in ("cpu", "cuda") and self.trainer.precision != "16-mixed"
        optimizer = build_optimizer(self.hparams["optimizer"], groups, fused)
        if self.hparams["scheduler"] is None:
            return optimizer
        monitor = "loss/val" if self.trainer.enable_validation else "loss/train"
        scheduler = build_scheduler(self.hparams["scheduler"], optimizer, self.trainer, monitor)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}  # type: ignore[return-value]  # a plain dict will do

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the model's class and the losses of the unfinished epoch; a diverged model is not saved."""
        self._log_losses()  # a checkpoint at the end of a batch comes before `on_train_batch_end`
        checkpoint["model_class"] = class_path(type(self))
        checkpoint["losses"] = self._losses.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on with the losses of the unfinished epoch."""
        self._losses.load_state_dict(checkpoint["losses"])

    @property
    def num_parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def _lr(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0].get("lr", math.nan))

    def _log_now(self, values: dict[str, float]) -> None:
        """Sends values straight to the loggers; `log` would prepare for means over epochs and devices, at a cost."""
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=self.global_step)

    def _log_losses(self) -> None:
        """Logs the interval's mean loss if its last batch has come and it is not logged yet."""
        if self.trainer.is_last_batch:
            self._losses.read()
        elif self._log_interval and (self.trainer.fit_loop.batch_idx + 1) % self._log_interval == 0:
            loss = self._losses.mean("interval")
            if loss is not None:
                self._log_now({"loss/train_step": loss, "lr": self._lr})

    def _diverged(self, loss: float, batch_idx: int) -> Diverged:
        batches = self.trainer.accumulate_grad_batches
        step = self.current_epoch * math.ceil(self.trainer.num_training_batches / batches) + batch_idx // batches + 1
        optimizer = self.hparams["optimizer"]
        hints = [f"--optimizer.lr {optimizer['init_args'].get('lr', self._lr) / 10:g}"]
        if all(number.scale == 1 for number in self.schema.numbers):
            hints.append("--data.scale true")
        if not self.trainer.gradient_clip_val:
            hints.append("--trainer.gradient_clip_val 1")
        name = optimizer["class_path"].rpartition(".")[2]
        return Diverged(
            f"the loss diverged to {loss:g} at step {step} with {name} at a learning rate of {self._lr:g}; "
            f"try {', '.join(hints)}"
        )

    def _score_outputs(self, split: str) -> dict[str, float]:
        outputs, y = (torch.cat(parts) for parts in zip(*self._outputs, strict=True))
        self._outputs.clear()
        loss = float(self.loss(outputs.to(y.dtype) if y.is_floating_point() else outputs.float(), y))
        # In double precision fewer confident probabilities round to the same 1. Not every GPU has it.
        scores = {"loss": loss, **self.metrics(outputs.cpu().double(), y.cpu())}
        return {f"{name}/{split}": score for name, score in scores.items()}


@torch.inference_mode()
def predict_encoded(model: TableModel, x: Tensor, locate: Callable[[int], str] = "row {}".format) -> Tensor:
    """Predicts encoded rows: the one place where rows become outputs.

    Args:
        model: A trained model; it is put into evaluation mode.
        x: Encoded rows, ``(rows, encoded)``; see `Encoder`.
        locate: Says where a row is, for messages, from its index.

    Returns:
        Probabilities, ``(rows, classes)``, or numbers in the target's own unit, ``(rows,)``; float64, on the CPU.

    Raises:
        ValueError: If an output is not finite.
    """
    model.eval()
    batches = torch.split(x, EVALUATION_BATCH_SIZE)
    dtype: Any = model.dtype
    outputs = torch.cat([model(batch.to(model.device, dtype)).cpu().double() for batch in batches])
    bad = ~outputs.isfinite().all(1)
    if bad.any():
        row = locate(int(bad.int().argmax()))
        raise ValueError(f"{row}: its numbers are so far from those of training that the model's answer overflows")
    return predictions(outputs, model.schema.target)
