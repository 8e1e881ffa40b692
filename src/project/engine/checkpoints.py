"""Checkpoints that a crash cannot break, and runs that can be stopped and go on."""

import io
import signal
import threading
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from lightning.fabric.utilities.seed import _collect_rng_states, _set_rng_states
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from project.errors import Stopped, UsageError, nearest
from project.whole_files import write_whole

PAUSES = {"last.ckpt": 2.0, "best.ckpt": float("inf")}
"""Seconds since the last writing in which a run's own checkpoints wait: the best one for the last one after it."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and reads no damaged ones.

    Those of a run wait in memory, see `PAUSES`, but not after it ends or stops: a net may be better after each of many
    epochs that take no longer than a disk. So a crash costs two seconds more, and never leaves a ``last.ckpt`` that
    names a ``best.ckpt`` which was not written.
    """

    def __init__(self) -> None:
        self._waiting: dict[Path, memoryview] = {}
        self._written = float("-inf")

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Saves a checkpoint.

        Raises:
            OSError: If the folder cannot be written or the disk is full; the old checkpoint stays.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        self._waiting[path := Path(path)] = content.getbuffer()
        if time.monotonic() >= self._written + PAUSES.get(path.name, 0.0):
            self.teardown()

    def teardown(self) -> None:
        """Writes what waits; raises as `save_checkpoint`."""
        for path in sorted(self._waiting):  # best.ckpt goes before the last.ckpt that names it
            write_whole(path, self._waiting.pop(path))
        self._written = time.monotonic()

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint onto the CPU, from where Lightning moves it; see `read_whole`."""
        return read_whole(path, plain=bool(weights_only))


def read_whole(path: str | Path, plain: bool) -> dict[str, Any]:
    """Reads what ``torch.save`` wrote, onto the CPU.

    ``torch.load`` alone checks no CRC-32, and reads garbage where a bit of the file's directory is flipped; so it gets
    a fresh file, of the parts as they were found whole.

    Args:
        path: The file.
        plain: Whether it may hold plain values and tensors only; objects can run code.

    Raises:
        Exception: In many ways, if it is damaged.
    """
    with ZipFile(path) as file, ZipFile(content := io.BytesIO(), "w") as copy:
        for name in dict.fromkeys(file.namelist()):
            copy.writestr(name, file.read(name))
    content.seek(0)
    checkpoint: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=plain)
    return checkpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best weights of a run.

    A class of its own, for Lightning tells the saved states of callbacks apart by it: a configuration may have a
    ``ModelCheckpoint`` with the same ``monitor``.

    Args:
        folder: Where ``best.ckpt`` is written.
        asked: Whether ``monitor`` was asked for. One that was not may be logged by nothing: then the last weights stay.
        options: Further arguments of ``ModelCheckpoint``.
    """

    def __init__(self, folder: Path, asked: bool, **options: Any) -> None:
        super().__init__(folder, "best", enable_version_counter=False, **options)
        self.asked = asked

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        """Saves, if the weights are better than those before; refuses a value that nothing logs.

        Raises:
            UsageError: If that is so after a validation, or an epoch where there is none.
        """
        logged = trainer.callback_metrics
        known = trainer.fit_loop.epoch_loop.val_loop._has_run or not trainer.enable_validation
        if self.monitor in logged or not known:
            super()._save_topk_checkpoint(trainer, monitor_candidates)
        elif self.asked:
            raise UsageError(f"monitor: nothing is logged as '{self.monitor}'; {nearest(self.monitor, logged)}")
        else:
            self._save_none_monitor_checkpoint(trainer, monitor_candidates)


STATES: dict[str, type] = {"optimizer_states": list, "lr_schedulers": list, "between_epochs": bool, "folder": str}
STATES |= dict.fromkeys(("loops", "callbacks", "losses", "random_state", "metrics", "epoch_sums"), dict)
"""What a checkpoint holds from which a run goes on, and of what type."""
ASKED = 10
"""Steps after which several processes ask each other whether to stop."""


class Resumable(Callback):
    """Keeps ``last.ckpt``, from which a run goes on to the same bits, and stops the run when asked to.

    Saves at the start of every epoch, every ``every_n_steps`` steps, at the end, and when SIGTERM or Ctrl-C asks to
    stop: after the step that is under way. A second Ctrl-C does not wait. What it saves beside the trainer's own
    state is the state of the random number generators, the unfinished epoch's sums of what the model logs, and the
    run's configuration. The private parts of Lightning are those of version 2.6.6.

    Args:
        folder: Where ``last.ckpt`` is written.
        config: The run's configuration, in plain values.
        every_n_steps: Steps between two checkpoints within an epoch; None for none.
    """

    def __init__(self, folder: Path, config: dict[str, Any], every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"checkpoint_every must be 1 or more, not {every_n_steps}")
        self.path = folder.resolve() / "last.ckpt"
        self.config = config
        self.every_n_steps = every_n_steps
        self._signal: int | None = None
        self._handlers: dict[int, Any] = {}
        self._step = 0  # the last one seen to its end
        self._due = False
        self._between_epochs = False
        self._resumes: dict[str, Any] | None = None
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restores the random state, and listens to signals, after Lightning has set its own handlers."""
        self._step = trainer.global_step
        if self._resumes is not None:
            if self._resumes["random_state"]:
                _set_rng_states(self._resumes["random_state"])
            # What Lightning sets at the start of an epoch, or computes in a validation, and does not save.
            trainer.accumulate_grad_batches = self._resumes.get("accumulated", trainer.accumulate_grad_batches)
            trainer._logger_connector._callback_metrics.update(self._resumes["metrics"])
            self._sums = self._resumes["epoch_sums"]
            if self._resumes["between_epochs"]:
                # With `max_steps` Lightning 2.6 always takes a resumed run to be within an epoch.
                trainer.fit_loop._restarting = False
                trainer.fit_loop.epoch_loop.restarting = False
            self._resumes = None
        if trainer.received_sigterm:
            self._signal = signal.SIGTERM
        if threading.current_thread() is threading.main_thread():
            self._handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}

    def _on_signal(self, signum: int, frame: Any) -> None:
        if self._signal is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = signum

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves between two epochs: all that belongs to the last one, its validation too, is done."""
        self._between_epochs = True
        self._save(trainer)
        self._between_epochs = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Marks a resumed epoch as an ordinary one; else the trainer would skip the step of ReduceLROnPlateau."""
        trainer.fit_loop._restarting = False
        self._sums = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves within an epoch, if it is due or a signal has come.

        Not while gradients accumulate, which no checkpoint holds, nor before a validation, which a trainer that
        resumes there would skip: then it waits for a later batch or the end of the epoch.
        """
        if self._sums:
            self._add_sums(trainer)
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        self._due |= self.every_n_steps is not None and self._step % self.every_n_steps == 0
        batches = 1 + (batch_idx if trainer.check_val_every_n_epoch else trainer.fit_loop.total_batch_idx)
        validates = trainer.val_check_batch is not None and batches % trainer.val_check_batch == 0
        ends = trainer.is_last_batch or self._step == trainer.max_steps
        asks = trainer.world_size == 1 or self._step % ASKED == 0
        if (self._due or (asks and self._stops(trainer))) and not validates and not ends:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the final state; a signal that comes so late does not stop the test."""
        self._signal = None
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        self._due = False
        for logger in trainer.loggers:
            logger.save()  # the curves must reach as far as the checkpoint
        trainer.save_checkpoint(self.path)
        if self._stops(trainer):
            raise Stopped(self._signal or signal.SIGTERM)

    def _stops(self, trainer: Trainer) -> bool:
        """Whether to stop: of several processes all, if one is asked to."""
        return bool(trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the configuration and the random state."""
        if self._between_epochs:
            # Lightning has already counted the coming epoch as ready, and would not begin it when it resumes; nor
            # is the loader, which gave out all batches of the last epoch, to go on from there.
            loop = checkpoint["loops"]["fit_loop"]
            for count in ("total", "current"):
                loop["epoch_progress"][count]["ready"] -= 1
            loop["state_dict"] = {}
        checkpoint["between_epochs"] = self._between_epochs
        checkpoint["config"] = self.config
        checkpoint["folder"] = str(self.path.parent)
        checkpoint["random_state"] = random_state()
        checkpoint["accumulated"] = trainer.accumulate_grad_batches
        checkpoint["metrics"] = dict(trainer.callback_metrics)
        checkpoint["epoch_sums"] = self._sums | {
            key: (metric.value.cpu(), metric.cumulated_batch_size.cpu())
            for key, metric in trainer.fit_loop.epoch_loop._results.items()
            if metric.is_tensor and metric.meta.is_mean_reduction and metric.meta.on_epoch and not metric.has_reset
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Takes what is to be restored when training starts; a run may have been moved since it was stopped."""
        here = str(self.path.parent)
        checkpoint["callbacks"] = _moved(checkpoint["callbacks"], checkpoint["folder"], here)
        self._resumes = checkpoint

    def _add_sums(self, trainer: Trainer) -> None:
        """Adds what the epoch's batches before the resumed ones had logged, once the same is logged again."""
        results = trainer.fit_loop.epoch_loop._results
        for key in self._sums.keys() & results.keys():
            metric, (value, batch_size) = results[key], self._sums.pop(key)
            metric.value = metric.value + value.to(metric.value.device)
            metric.cumulated_batch_size = metric.cumulated_batch_size + batch_size.to(metric.value.device)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the signals back to whoever had them."""
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        self._handlers = {}


def _moved(value: Any, old: str, new: str) -> Any:
    """What callbacks have saved, with paths in a new folder; Lightning would forget the best checkpoint."""
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(part, old, new) for key, part in value.items()}
    return new + value.removeprefix(old) if isinstance(value, str) and value.startswith(old) else value


def random_state() -> dict[str, Any]:
    """The state of PyTorch's random numbers on CPU and CUDA, and of NumPy's and Python's, in plain values."""
    state = _collect_rng_states()
    name, keys, *rest = state["numpy"]
    state["numpy"] = (name, keys.tolist(), *rest)
    return state
