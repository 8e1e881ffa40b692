"""A run's configuration: YAML files and flags, laid one over the other, each checked as it is laid; and its objects."""

import inspect
import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from project.classes import class_path, find_class
from project.data import TableData
from project.engine.callbacks import NoProfiler, RunBar, RunLogger
from project.engine.checkpoints import AtomicCheckpointIO, Resumable
from project.errors import UsageError, nearest
from project.models import TableModel
from project.optimizers import OPTIMIZER_MODULES, SCHEDULER_MODULES, build_optimizer, describe

ROOT = Path(__file__).parents[2]
"""The repository's folder, with its ``configs`` and ``logs``."""

COMMAND_LINE = "command line"
"""The source of flags, in messages."""
PLACE = ("name", "experiment", "trainer.default_root_dir")
"""Settings that say where a run stands, not what it does."""

Config = dict[str, Any]
"""``seed``, ``name`` and the like; ``trainer``; and for each section ``class_path`` and ``init_args``, or None."""


@dataclass
class Layer:
    """One file or the command line: its content, and its name for messages."""

    content: dict[str, Any]
    source: str
    folder: Path = field(default_factory=Path)


def read_layer(path: str | Path) -> Layer:
    """Reads a YAML file.

    Raises:
        UsageError: If it is missing, is no YAML, or holds something else than names with values.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        hint = f"; in {path.parent} {nearest(path.name, names)}" if names else f"; you are in {Path.cwd()}"
        raise UsageError(f"there is no file {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold names with values, not a {type(content).__name__}")
    return Layer(content, str(path), path.parent)


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """All settings by their names on the command line; a class goes by the name of its section."""
    if not isinstance(value, dict) and not (isinstance(value, list) and any(isinstance(v, dict) for v in value)):
        return {name: value}
    return {key: setting for inner, part in parts_of(value, name) for key, setting in flatten(part, inner).items()}


def parts_of(value: Any, name: str) -> list[tuple[str, Any]]:
    """What a mapping or a list holds, with the names on the command line."""
    if isinstance(value, list):
        return [(f"{name}[{i}]", part) for i, part in enumerate(value)]
    return [(inside(name, key), part) for key, part in value.items()] if isinstance(value, dict) else []


def inside(name: str, key: str) -> str:
    """The name on the command line of what a mapping of this name holds."""
    return name if key in ("class_path", "init_args") else f"{name}.{key}".lstrip(".")


class RunSettings:
    """The run's seed and name.

    Args:
        seed: Decides initial weights, dropout and the order of the batches.
        name: The run's folder; by default it is made of the model, the optimizer, its rate and the seed.
        experiment: The folder around it; by default the name of the data, or of their file.
        checkpoint_every: Steps between two checkpoints to resume from; by default there is one after each epoch.
    """

    def __init__(
        self,
        seed: int = 0,
        name: str | None = None,
        experiment: str | None = None,
        checkpoint_every: int | None = None,
    ) -> None: ...


RUN_SETTINGS = tuple(inspect.signature(RunSettings).parameters)


@dataclass(frozen=True)
class Section:
    """A part of the configuration that names a class.

    Attributes:
        base: What the class must be a subclass of.
        modules: Where short names are looked up.
        given: Constructor arguments that are not settings: the program supplies them.
        deduced: Required constructor arguments that `build_scheduler` supplies for some classes.
    """

    base: type
    modules: tuple[str, ...]
    given: frozenset[str] = frozenset()
    deduced: frozenset[str] = frozenset()


SECTIONS = {
    "data": Section(TableData, ("project.data", "project.table", "project.examples")),
    "model": Section(
        TableModel, ("project.models", "project.examples"), frozenset({"schema", "optimizer", "scheduler"})
    ),
    "optimizer": Section(Optimizer, OPTIMIZER_MODULES, frozenset({"params"})),
    "scheduler": Section(
        LRScheduler, SCHEDULER_MODULES, frozenset({"optimizer", "last_epoch"}), frozenset({"max_lr", "T_max"})
    ),
}
NESTED_MODULES = ("lightning.pytorch.callbacks", "lightning.pytorch.loggers", "lightning.pytorch.profilers")


@cache
def arguments(cls: type, given: frozenset[str] = frozenset()) -> tuple[ArgumentParser, frozenset[str]]:
    """A parser of a class's constructor arguments without those given, and the names of the required ones."""
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_class_arguments(cls, skip=set(given), instantiate=False)
    if cls is Trainer:
        parser.set_defaults(devices=1)
    required = [action for action in parser._actions if action.required]
    for action in required:
        action.required = False  # a layer need not be complete; the whole configuration is looked at in the end
    return parser, frozenset(action.dest for action in required)


def combine(layers: Sequence[Layer], base: Layer | None = None) -> Config:
    """Lays configurations one over the other, later over earlier, and fills in the defaults.

    A layer that names a class replaces the whole section: no setting of an earlier layer survives. But a flag that
    names the model that is chosen already changes nothing.

    Args:
        layers: If the files among them do not name both data and model, the base is laid under them.
        base: ``configs/fit.yaml`` unless another is given.

    Raises:
        UsageError: If a name is not known, a value is not of the right type, or one is missing.
    """
    files = [layer.content for layer in layers if layer.source != COMMAND_LINE]
    if not all(any(section in file for file in files) for section in ("data", "model")):
        layers = [base or read_layer(ROOT / "configs" / "fit.yaml"), *layers]
    config: Config = {"trainer": {}, **dict.fromkeys(SECTIONS)}
    config["optimizer"] = {"class_path": "torch.optim.Adam", "init_args": {}}
    names = [*RUN_SETTINGS, *config]
    for layer in layers:
        for name, value in layer.content.items():
            if name in SECTIONS:
                config[name] = _lay_section(name, config[name], value, layer)
            elif name == "trainer":
                config[name] = config[name] | check(Trainer, value or {}, name, layer)
            elif name in names:
                config |= check(RunSettings, {name: value}, "", layer)
            elif name == "class_path":
                raise UsageError(f"{layer.source} is a file for --data, --model, --optimizer or --scheduler")
            else:
                raise UsageError(f"{layer.source}: '{name}' is not accepted; {nearest(name, names)}")
    return _fill_in(config)


def _fill_in(config: Config) -> Config:
    """Adds the defaults of everything that no layer sets, in plain values only."""
    top = {name: value for name, value in config.items() if name not in SECTIONS and name != "trainer"}
    filled = _plain(RunSettings, top) | {"trainer": _plain(Trainer, config["trainer"])}
    for name, section in SECTIONS.items():
        chosen = config[name]
        if chosen is not None:
            cls = find_class(chosen["class_path"], section.modules, section.base)
            required = arguments(cls, section.given)[1] - section.deduced
            if missing := sorted(required - chosen["init_args"].keys()):
                raise UsageError(f"{name}: {cls.__name__} needs --{name}.{missing[0]}")
            chosen = {**chosen, "init_args": _plain(cls, chosen["init_args"], section.given)}
        filled[name] = chosen
    return filled


def _plain(cls: type, settings: dict[str, Any], given: frozenset[str] = frozenset()) -> dict[str, Any]:
    parser, required = arguments(cls, given)
    # Through JSON, so that tuples, paths and enumerations become lists and strings.
    values = json.loads(json.dumps(parser.parse_object(settings).as_dict(), default=str))
    return {name: value for name, value in values.items() if name not in required or value is not None}


def _lay_section(name: str, current: Config | None, value: Any, layer: Layer) -> Config | None:
    section = SECTIONS[name]
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        layer = read_layer(layer.folder / value)
        value = layer.content
    if value is None or value == "null":
        if name == "scheduler":
            return None
        raise UsageError(f"{layer.source}: {name} must name a class")
    if isinstance(value, str):
        value = {"class_path": value}
    if not isinstance(value, dict) or value.keys() - {"class_path", "init_args"}:
        found = ", ".join(map(str, value)) if isinstance(value, dict) else value
        raise UsageError(
            f"{layer.source}: {name} must be the name of a class, or class_path and init_args, not {found} "
            "(a file for a whole run goes with --config)"
        )
    if "class_path" in value:
        if name == "data" and Path(str(value["class_path"])).suffix in (".csv", ".gz", ".parquet"):
            file = value["class_path"]
            raise UsageError(f"for a table of your own: --data Table --data.path {file} --data.target COLUMN")
        try:
            cls = find_class(str(value["class_path"]), section.modules, section.base)
            if section.base in (Optimizer, LRScheduler):
                describe(cls, section.base)
        except ValueError as error:
            raise UsageError(f"{layer.source}: {name}: {error}") from None
        again = current is not None and current["class_path"] == class_path(cls)
        if not (again and name == "model" and layer.source == COMMAND_LINE):
            current = {"class_path": class_path(cls), "init_args": {}}
    if current is None:
        raise UsageError(f"{layer.source}: {name} has settings but no class; name one with --{name} NAME")
    cls = find_class(current["class_path"], section.modules, section.base)
    settings = check(cls, value.get("init_args") or {}, name, layer)
    return {**current, "init_args": current["init_args"] | settings}


def check(cls: type, settings: Any, where: str, layer: Layer) -> dict[str, Any]:
    """Checks constructor arguments, one by one, and brings them into their types."""
    if not isinstance(settings, dict):
        raise UsageError(f"{layer.source}: {where} must hold names with values, not {settings!r}")
    parser, _ = arguments(cls, SECTIONS[where].given if where in SECTIONS else frozenset())
    known = list(parser.get_defaults().keys())
    checked = {}
    for name, value in settings.items():
        path = f"{where}.{name}".lstrip(".")
        if name not in known:
            raise UsageError(f"{layer.source}: '{path}' is not accepted; {nearest(name, known)}")
        value = _check_nested(value, path, layer)
        try:
            checked[name] = parser.parse_object({name: value}, defaults=False)[name]
        except (ArgumentError, ValueError) as error:
            expected = _expected(str(error)) or f"see --{path.partition('.')[0]}.help"
            raise UsageError(f"{layer.source}: {path} cannot be {value!r}; {expected}") from None
        if isinstance(checked[name], Path):  # in a file it is meant from that file's folder
            checked[name] = (layer.folder / checked[name]).absolute()
        choices = getattr(cls, "choices", {}).get(name)
        if choices and checked[name] is not None and checked[name] not in choices:
            raise UsageError(f"{layer.source}: {path} cannot be {value!r}; {nearest(value, choices)}")
    return checked


def _check_nested(value: Any, path: str, layer: Layer) -> Any:
    """Checks classes within values, such as callbacks, and their arguments."""
    if path == "trainer.callbacks" and isinstance(value, str | dict):
        value = [value]
    if isinstance(value, str) and re.fullmatch(r"trainer\.callbacks\[\d+\]", path):
        value = {"class_path": value}
    if isinstance(value, list):
        return [_check_nested(item, f"{path}[{i}]", layer) for i, item in enumerate(value)]
    if isinstance(value, dict) and "class_path" in value:
        known = ("class_path", "init_args")
        for name in value.keys() - known:
            raise UsageError(f"{layer.source}: '{path}.{name}' is not accepted; {nearest(name, known)}")
        try:
            cls = find_class(str(value["class_path"]), NESTED_MODULES, object)
        except ValueError as error:
            raise UsageError(f"{layer.source}: {path}: {error}") from None
        settings = check(cls, value.get("init_args") or {}, path, layer)
        if missing := sorted(arguments(cls)[1] - settings.keys()):
            raise UsageError(f"{layer.source}: {path}: {cls.__name__} needs {missing[0]}")
        return {"class_path": class_path(cls), "init_args": settings}
    return value


_LIST = "a list such as [1, 2]"
_EXAMPLES = {"Sequence": _LIST, "Iterable": _LIST, "list": _LIST, "tuple": _LIST, "Mapping": "a mapping such as {a: 1}"}


def _expected(message: str) -> str:
    """What a message of jsonargparse says it expected, in a few words."""
    found = re.findall(r"Expected (?:an? )?(?:<class '([\w.]+)'>|(.+))", message)
    names = [re.sub(r"typing\.Literal\[(.*)\]", r"one of \1", a or b) for a, b in found]
    names = [_EXAMPLES.get(name.rpartition(".")[2], name) for name in names]
    names = [name for name in dict.fromkeys(names) if not re.search("NoneType|import path", name)]
    return f"expected {' or '.join(names)}" if names else ""


def make_data(config: Config) -> TableData:
    """Makes the data module, its batches in the order of the run's seed."""
    if not 0 <= config["seed"] < 2**32:
        raise UsageError(f"seed must be between 0 and {2**32 - 1}, not {config['seed']}")
    torch.get_num_threads()  # else this thread would take the number from those that encode, which is one
    data: TableData = _build("data", config)
    data.order_seed = config["seed"]
    return data


def make_model(config: Config, data: TableData) -> TableModel:
    """Makes the model; its initial weights are drawn from PyTorch's random numbers."""
    model: TableModel = _build(
        "model", config, schema=data.schema, optimizer=config["optimizer"], scheduler=config["scheduler"]
    )
    try:  # now rather than when the run has begun
        build_optimizer(model.hparams["optimizer"], [{"params": list(model.parameters())}], fused=False)
    except ValueError as error:
        raise UsageError(f"optimizer: {error}") from error
    return model


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
