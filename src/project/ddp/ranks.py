"""Several processes, each with a device and a part of every batch: PyTorch's distributed data parallel training.

A run on several devices has the weights, the losses and the scores of one on a single device, but for dropout, which
each process draws for itself, and batch norm, whose statistics are those of a process's part.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed
from torch.utils.data import Sampler

from project.config import Config
from project.data.loader import EVALUATION_BATCH_SIZE, Batches, BatchLoader
from project.errors import Stopped, UsageError
from project.fit import fit, prepare

FIRST = "FIRST_PROCESS"
"""The environment variable that tells the processes of a machine which one has started them."""

OF_EACH = ("random_state", "epoch_sums")
"""What a checkpoint holds of each process."""


class Share(Sampler[Tensor]):
    """Every so many rows of each batch: those of one of several processes.

    Args:
        order: The rows of each batch, or its number where rows are in order.
        batches: The batches.
        rank: The process, counted from 0.
        num_ranks: How many there are.
    """

    def __init__(self, order: Any, batches: Batches, rank: int, num_ranks: int) -> None:
        self.order = order
        self.batches = batches
        self.rank = rank
        self.num_ranks = num_ranks

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that is to be ordered."""
        if hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self.order:
            if isinstance(rows, int):
                start = rows * self.batches.batch_size
                rows = torch.arange(start, start + self.batches.sizes[rows], device=self.batches.x.device)
            own = rows[self.rank :: self.num_ranks]
            yield own if len(own) else rows[:1]  # a row that does not count, for no loss is the mean of none


class Ranks(DDPStrategy):
    """Lightning's strategy, but each process gets its part of the batches, and the gradient is that of the whole ones.

    DDP takes the mean of the processes' gradients. A process's mean loss counts by its rows, so that this is the
    gradient of the batch's mean loss, however unequal the parts are.
    """

    cuts_batches = True
    """What `TableData` asks of a strategy before it gives out all rows."""
    _sizes: list[int] | None = None

    def setup(self, trainer: Trainer) -> None:
        """Sets up training; each process draws its own dropout.

        Raises:
            UsageError: If the optimizer needs whole batches.
        """
        super().setup(trainer)
        if any(isinstance(optimizer, torch.optim.LBFGS) for optimizer in self.optimizers):
            raise UsageError("LBFGS compares losses of whole batches: set trainer.devices to 1")
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def process_dataloader(self, dataloader: object) -> object:
        """This process's part of the rows: of each batch to train on, else of all of them."""
        if not isinstance(dataloader, BatchLoader):
            return dataloader
        rank, num_ranks = self.global_rank, self.world_size
        x, y = dataloader.x, dataloader.y
        batches, module = cast(Batches, dataloader.dataset), cast(LightningModule, self.lightning_module)
        if not module.trainer.training:
            if len(x) < num_ranks:
                raise UsageError(f"{len(x)} rows to validate or test on cannot be shared by {num_ranks} devices")
            return BatchLoader(x[rank::num_ranks], y[rank::num_ranks], EVALUATION_BATCH_SIZE)
        if batches.batch_size < num_ranks:
            words = f"a batch of {batches.batch_size} rows cannot be shared by {num_ranks} devices"
            raise UsageError(f"{words}: choose another data.batch_size")
        self._sizes = batches.sizes
        order = Share(dataloader.sampler, batches, rank, num_ranks)
        return BatchLoader(x, y, batches.batch_size, dataset=batches, sampler=order)

    def reduce(self, tensor: Any, group: Any = None, reduce_op: Any = "mean") -> Any:
        """Reduces a tensor over all processes; Lightning 2.6 rounds the mean of integers, such as numbers of rows."""
        if isinstance(tensor, Tensor) and not tensor.is_floating_point():
            tensor = tensor.double()
        return super().reduce(tensor, group, reduce_op)

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """The loss of this process's part of a batch, times its share in the batch's."""
        if self._sizes is None:
            return super().training_step(*args, **kwargs)
        module: Any = self.lightning_module
        size, log = self._sizes[module.trainer.fit_loop.batch_idx], module.log
        num_rows = len(range(self.global_rank, size, self.world_size))
        if not num_rows:  # its row does not count, nor what is logged of it; but all processes take the same steps
            module.log = lambda *args, **options: log(*args, **options | {"batch_size": 0})
        output, share = super().training_step(*args, **kwargs), num_rows * self.world_size / size
        vars(module).pop("log", None)
        return {**output, "loss": output["loss"] * share} if isinstance(output, Mapping) else output * share

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint, with what differs from process to process."""
        own: list[Any] = [{}] * self.world_size
        distributed.all_gather_object(own, {name: checkpoint[name] for name in OF_EACH if name in checkpoint})
        if all(own):
            parts = [part["epoch_sums"] for part in own]
            sums = {key: tuple(sum(part[key][i] for part in parts) for i in (0, 1)) for key in parts[0]}
            checkpoint |= {"ranks": own, "epoch_sums": sums}
        super().save_checkpoint(checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint; what differs between processes is this one's, if there are as many as there were."""
        checkpoint: dict[str, Any] = super().load_checkpoint(checkpoint_path, weights_only)
        ranks = checkpoint.pop("ranks", [])
        if len(ranks) == self.world_size:
            checkpoint |= ranks[self.global_rank]
        elif self.global_rank:  # the first process has the sums of all, and draws as it did
            checkpoint |= {"epoch_sums": {}, "random_state": None}
        return checkpoint


def strategy(trainer: Trainer, chosen: object) -> Ranks:
    """The strategy of a run on several devices.

    Args:
        trainer: A trainer with the settings of the run.
        chosen: ``trainer.strategy`` as it was set.

    Raises:
        UsageError: If it is another one, or the processes cannot run the same command.
    """
    if (started := int(os.environ.get("WORLD_SIZE", 1))) > trainer.world_size:  # by torchrun
        words = f"{started} processes were started, and devices make {trainer.world_size}"
        raise UsageError(f"{words}: set trainer.devices")
    if chosen not in ("auto", "ddp"):
        raise UsageError(f"trainer.strategy on several devices is ddp, not {chosen}")
    spec, command = getattr(sys.modules["__main__"], "__spec__", None), f"{__name__.partition('.')[0]}.fit"
    if spec is None or spec.name != command:
        raise UsageError(f"several devices are for python -m {command}, which all processes run: set devices to 1")
    os.environ[FIRST] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # or Lightning shares all processors out
    # Metrics are reduced on the CPU, on which NCCL does not work.
    return Ranks(process_group_backend="cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def join(config: Config, resume: Path | None) -> int:
    """Trains as one of the processes of a run but the first, which writes and prints.

    Args:
        config: The run's configuration.
        resume: The folder of the stopped run to go on with, or None for a new run.

    Raises:
        Exception: As `fit`.
    """
    with TemporaryDirectory() as nowhere, Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        Thread(target=_end_with, args=(int(os.environ.get(FIRST, os.getppid())), nowhere), daemon=True).start()
        try:
            data, model, trainer, _, checkpoint = prepare(config, resume, Path(nowhere))
            fit(data, model, trainer, None, checkpoint, baselines=False, config=config)
        except Stopped:  # the first process says so
            pass
        except Exception:  # the first process may meet the same: then it tells it, and goes
            time.sleep(3)  # for so long it may take
            raise
    return 0


def _end_with(first: int, folder: str) -> None:
    """Ends this process when another one is gone, even while it waits for that one, when no signal reaches it."""
    while os.getppid() == first:
        time.sleep(0.5)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
