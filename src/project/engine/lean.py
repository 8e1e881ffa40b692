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


STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""What Lightning calls in every step, on each callback and on the model; what is None there, it leaves out."""


class Lean(Callback):
    """Makes the steps of a fit lean, until the fit ends.

    Hooks of a step that a callback does not have are None. The model gets a subclass of its own class, in which its
    own ones are, too.
    """

    def __init__(self) -> None:
        self._class: type[LightningModule] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Changes what is called in a step."""
        if stage != "fit" or self._class is not None:
            return
        cls = self._class = type(pl_module)
        names: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        names |= dict.fromkeys(_missing(pl_module, LightningModule))
        pl_module.__class__ = type(cls.__name__, (_LeanModule, cls), names)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by its connectors
            vars(callback).update(dict.fromkeys(_missing(callback, Callback)))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Changes it back."""
        if self._class is not None:
            pl_module.__class__, self._class = self._class, None
            for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by its connectors
                for hook in [hook for hook in STEP_HOOKS if vars(callback).get(hook, hook) is None]:
                    del vars(callback)[hook]

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Changes it back."""
        self.teardown(trainer, pl_module, "fit")


def _missing(thing: Callback | LightningModule, base: type) -> list[str]:
    """The hooks of a step that do nothing in an object."""
    return [hook for hook in STEP_HOOKS if getattr(getattr(thing, hook), "__func__", None) is getattr(base, hook)]


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
        connector = self.trainer._logger_connector
        if (
            self._current_fx_name == "training_step"
            and connector._first_loop_iter is False
            and options.keys() - {"sync_dist"} == {"on_step", "on_epoch", "batch_size"}
            and not options["on_step"]
            and isinstance(value, Tensor)
            and value.ndim == 0
            and not args
        ):
            metric = self.trainer.fit_loop.epoch_loop._results.get(f"training_step.{name}")
            if metric is not None and metric.meta.is_mean_reduction:
                metric.update(value.detach(), options["batch_size"])
                metric.has_reset = False
                connector._current_fx = "training_step"
                return
        super().log(name, value, *args, **options)
