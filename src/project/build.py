"""Objects from a configuration."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger

from project.config import SECTIONS, Config, arguments
from project.data import TableData
from project.engine.callbacks import NoProfiler, RunBar, RunLogger
from project.engine.checkpoints import AtomicCheckpointIO, Resumable
from project.layers import UsageError
from project.models import TableModel
from project.names import find_class
from project.optimizers import build_optimizer
from project.schema import Schema

THREADS = torch.get_num_threads()
SMALL = 2**24
"""Up to this many multiplications a step (parameters times rows) one thread does the work.

There a second one gains a third at most on an idle machine, and makes a step many times slower on a busy one.
"""


def build_data(config: Config) -> TableData:
    """Makes the data module, its batches in the order of the run's seed."""
    if not 0 <= config["seed"] < 2**32:
        raise UsageError(f"seed must be between 0 and {2**32 - 1}, not {config['seed']}")
    torch.set_num_threads(1)  # encoding is bound by memory; `set_threads` chooses for the training
    data: TableData = _build("data", config)
    data.order_seed = config["seed"]
    return data


def build_model(config: Config, schema: Schema) -> TableModel:
    """Makes the model; its initial weights are drawn from PyTorch's random numbers."""
    model: TableModel = _build(
        "model", config, schema=schema, optimizer=config["optimizer"], scheduler=config["scheduler"]
    )
    try:  # now rather than when the run has begun
        build_optimizer(model.hparams["optimizer"], [{"params": list(model.parameters())}], fused=False)
    except ValueError as error:
        raise UsageError(f"optimizer: {error}") from error
    return model


def set_threads(model: TableModel, data: TableData) -> None:
    """Chooses the number of threads, on which the last digits of a result depend, by the size of a step."""
    small = data.num_batch_rows * model.num_parameters <= SMALL
    torch.set_num_threads(1 if small else THREADS)


def build_trainer(config: Config, folder: Path, monitor: str | None, resume_step: int | None = None) -> Trainer:
    """Makes a trainer that logs and saves into a run's folder.

    Args:
        config: The run's configuration; its own callbacks, plugins and logger are respected.
        folder: The run's folder.
        monitor: The value by which the best checkpoint is chosen; None takes the last one.
        resume_step: The step from which a stopped run goes on; TensorBoard forgets what came after.
    """
    settings = _settings(Trainer, config["trainer"])
    callbacks: list[Callback] = [c for c in settings["callbacks"] or [] if monitor or not _watches_validation(c)]
    if settings["enable_checkpointing"] is not False:
        callbacks += [
            Resumable(folder / "checkpoints", config, config["checkpoint_every"]),
            ModelCheckpoint(
                folder / "checkpoints", "best", monitor, auto_insert_metric_name=False, enable_version_counter=False
            ),
        ]
    if settings["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
        callbacks.append(RunBar())
    logger: Logger | bool = settings["logger"]
    if logger in (None, True):
        logger = RunLogger(
            folder.parent.parent, folder.parent.name, folder.name, default_hp_metric=False, purge_step=resume_step
        )
    plugins = settings["plugins"] or []
    changed = {
        "callbacks": callbacks,
        "logger": logger,
        "plugins": [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()],
        "default_root_dir": folder,
        "profiler": settings["profiler"] or NoProfiler(),
        "enable_model_summary": bool(settings["enable_model_summary"]),
    }
    try:
        trainer = Trainer(**{**settings, **changed})
    except (ValueError, MisconfigurationException) as error:
        raise UsageError(f"trainer: {error}") from error
    if trainer.world_size > 1:
        raise UsageError("trainer: the data modules feed one device: leave devices and num_nodes at 1")
    return trainer


def _watches_validation(callback: Callback) -> bool:
    """Whether a callback stops early by a value that only a run with validation rows has."""
    return isinstance(callback, EarlyStopping) and callback.monitor.endswith("/val")


def build_plain_trainer(config: Config) -> Trainer:
    """Makes a trainer that writes nothing, for testing on the device and in the precision of the run."""
    names = ("accelerator", "devices", "precision", "limit_test_batches")
    settings = _settings(Trainer, {name: config["trainer"][name] for name in names})
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(**{**settings, **quiet})


def _build(name: str, config: Config, **given: Any) -> Any:
    section = SECTIONS[name]
    cls = find_class(config[name]["class_path"], section.modules, section.base)
    try:
        return cls(**_settings(cls, config[name]["init_args"], section.given), **given)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _settings(cls: type, settings: dict[str, Any], given: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Constructor arguments in their types, with the objects among them made."""
    parser, _ = arguments(cls, given)
    # A copy, because the parser turns dictionaries within into its own namespaces.
    return dict(vars(parser.instantiate(parser.parse_object(deepcopy(settings)))))
