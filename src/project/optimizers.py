"""Optimizers and learning-rate schedulers, made from specifications of plain values."""

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from project.classes import class_path, find_class
from project.engine.muon import MuonWithAdamW

OPTIMIZER_MODULES = ("torch.optim",)
SCHEDULER_MODULES = ("torch.optim.lr_scheduler",)

Spec = str | type | partial[Any] | Mapping[str, Any]
"""A class by name, itself, with arguments (`functools.partial`), or as ``{"class_path": ..., "init_args": {...}}``."""

FULL_BATCH = (torch.optim.LBFGS, torch.optim.Rprop)
"""These compare one step's gradient with the last one's, so each must see the same rows."""

UNUSABLE = {
    "torch.optim.SparseAdam": "takes sparse gradients only and these models have dense ones; use Adam",
    **{
        f"torch.optim.lr_scheduler.{name}": "takes functions or other schedulers, which no file or checkpoint can hold"
        for name in ("LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler")
    },
}
"""Classes that are named in vain, and why."""


def describe(spec: Spec, base: type) -> dict[str, Any]:
    """Brings a specification of an optimizer or scheduler into its plain form, which a checkpoint can hold.

    Args:
        spec: A class in any of the forms of `Spec`.
        base: ``Optimizer`` or ``LRScheduler``.

    Returns:
        ``{"class_path": <import path>, "init_args": {<name>: <value>}}``.

    Raises:
        ValueError: If there is no such class or it cannot be used.
    """
    cls: Any = spec
    settings: Mapping[str, Any] = {}
    if isinstance(spec, Mapping):
        cls, settings = spec.get("class_path"), spec.get("init_args") or {}
    elif isinstance(spec, partial):
        cls, settings = spec.func, spec.keywords
    if not isinstance(cls, str | type):
        raise ValueError(f"a model makes its {base.__name__} from a class such as partial(SGD, lr=0.1), not {spec!r}")
    modules = OPTIMIZER_MODULES if base is Optimizer else SCHEDULER_MODULES
    path = class_path(find_class(cls, modules, base) if isinstance(cls, str) else cls)
    if path in UNUSABLE:
        raise ValueError(f"{path.rpartition('.')[2]} cannot be used: it {UNUSABLE[path]}")
    return {"class_path": path, "init_args": dict(settings)}


def build_optimizer(
    spec: Mapping[str, Any], params: list[nn.Parameter], fused: bool, hidden: Sequence[Tensor] = ()
) -> Optimizer:
    """Makes an optimizer.

    Args:
        spec: What `describe` returned.
        params: The parameters.
        fused: Whether to use the fused implementation where there is one and the settings name no other.
        hidden: The parameters that `MuonWithAdamW`, which stands in for ``torch.optim.Muon``, gives to Muon.

    Raises:
        ValueError: If the class does not take the settings.
    """
    cls: Any = find_class(spec["class_path"], OPTIMIZER_MODULES, Optimizer)
    settings = dict(spec["init_args"])
    if cls is torch.optim.Muon:
        cls, settings["hidden"] = MuonWithAdamW, hidden
    others = ("fused", "foreach", "capturable", "differentiable")
    if fused and "fused" in inspect.signature(cls).parameters and not any(settings.get(name) for name in others):
        settings["fused"] = settings.get("fused") is not False
    optimizer: Optimizer = _make(cls, params, settings)
    return optimizer


def build_scheduler(spec: Mapping[str, Any], optimizer: Optimizer, trainer: Trainer, monitor: str) -> dict[str, Any]:
    """Makes a scheduler and says when it is to step, in the form that ``configure_optimizers`` returns.

    ``OneCycleLR`` gets the run's number of steps, and the optimizer's rate as its highest one unless told otherwise;
    ``CosineAnnealingLR`` ends with the last epoch unless told otherwise. ``OneCycleLR``, ``CyclicLR`` and classes
    with the attribute ``interval = "step"`` move with every step, all others once an epoch.

    Args:
        spec: What `describe` returned.
        optimizer: Whose rate to schedule.
        trainer: The trainer that is about to fit.
        monitor: The value that ``ReduceLROnPlateau`` watches.

    Raises:
        ValueError: If the class does not take the settings, or needs the length of a run that has none.
    """
    cls: Any = find_class(spec["class_path"], SCHEDULER_MODULES, LRScheduler)
    settings = {name: value for name, value in spec["init_args"].items() if value is not None}
    if cls is OneCycleLR:
        settings.setdefault("max_lr", [group["lr"] for group in optimizer.param_groups])
        if not {"total_steps", "epochs"} & settings.keys():
            # Asking for the steps makes the trainer set up its loader, too early for a checkpoint to restore the
            # loader's place. A resumed run need not ask: the scheduler's own state brings the number.
            total = 2 if trainer.ckpt_path else trainer.estimated_stepping_batches
            if total == math.inf:
                raise ValueError("OneCycleLR needs total_steps where neither trainer.max_epochs nor max_steps is set")
            settings["total_steps"] = int(total)
    elif cls is CosineAnnealingLR and settings.setdefault("T_max", trainer.max_epochs or -1) < 1:
        raise ValueError("CosineAnnealingLR needs a T_max of 1 or more where trainer.max_epochs is not set")
    # A validation loss is there only after the epochs that validate.
    plateau = {"monitor": monitor, "frequency": trainer.check_val_every_n_epoch or 1}
    return {
        "scheduler": _make(cls, optimizer, settings),
        "interval": "step" if cls in (OneCycleLR, CyclicLR) else getattr(cls, "interval", "epoch"),
        **(plateau if cls is ReduceLROnPlateau else {}),
    }


def _make(cls: Any, first: Any, settings: Mapping[str, Any]) -> Any:
    try:
        return cls(first, **settings)
    except (TypeError, ValueError, KeyError) as error:
        missing = f"an optimizer without {error}" if isinstance(error, KeyError) else f"these settings: {error}"
        raise ValueError(f"{cls.__name__} does not take {missing}") from error
