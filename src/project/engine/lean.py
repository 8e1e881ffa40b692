"""What makes a step of a small net fast: Lightning without what it does at every step to no effect.

No number is decided here: with these classes and without them a run has the same weights, curves and scores to the bit.
The private parts of Lightning are those of version 2.6.6.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from torch import Tensor


class NoProfiler(PassThroughProfiler):
    """Measures nothing, as Lightning's default does, but without making a new context manager 40 times a step."""

    _nothing = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # a wider type
        """Returns a context in which nothing is measured."""
        return self._nothing


class Lean(Callback):
    """Lets the model of a fit log without detours, by a subclass of its own class that it has until the fit ends."""

    def __init__(self) -> None:
        self._class: type[LightningModule] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the model a lean class."""
        if stage == "fit" and self._class is None:
            self._class = type(pl_module)
            names = {"__module__": self._class.__module__, "__qualname__": self._class.__qualname__}
            pl_module.__class__ = type(self._class.__name__, (_LeanModule, self._class), names)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the model its own class back."""
        if self._class is not None:
            pl_module.__class__, self._class = self._class, None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the model its own class back."""
        self.teardown(trainer, pl_module, "fit")


class _LeanModule(LightningModule):
    """Methods that go before those of a model's class."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; Lightning notes the running hook in one of them, some 40 times a step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value  # `nn.Module` would look each time whether it is a parameter or a layer
        else:
            super().__setattr__(name, value)

    def log(self, name: str, value: Any, *args: Any, **options: Any) -> None:
        """Logs a value; the mean of an epoch's losses takes the next one without looking at all that was logged.

        The first batch of an epoch, and whatever else is logged, goes Lightning's way.
        """
        trainer = self.trainer
        connector = trainer._logger_connector
        if (
            self._current_fx_name == "training_step"
            and connector._first_loop_iter is False
            and options.keys() == {"on_step", "on_epoch", "batch_size"}
            and not options["on_step"]
            and isinstance(value, Tensor)
            and value.ndim == 0
            and not args
        ):
            metric = trainer.fit_loop.epoch_loop._results.get(f"training_step.{name}")
            if metric is not None and metric.meta.is_mean_reduction:
                metric.update(value.detach(), options["batch_size"])
                metric.has_reset = False
                connector._current_fx = "training_step"
                return
        super().log(name, value, *args, **options)
