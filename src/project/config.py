"""A run's configuration: YAML files and flags, laid one over the other, each checked as it is laid; and its objects."""

import inspect
import json
import os
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser, get_loader, set_loader
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ProgressBar
from lightning.pytorch.loggers import Logger
from torch.optim import Adam, Muon, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from project.classes import class_path, features, find_class
from project.data import TableData
from project.engine.checkpoints import AtomicCheckpointIO, BestCheckpoint, Resumable
from project.engine.lean import Lean, NoProfiler
from project.engine.muon import MuonWithAdamW
from project.engine.progress import RunBar, RunLogger
from project.engine.watch import LossWatch
from project.errors import UsageError, nearest
from project.models import TableModel
from project.optimizers import OPTIMIZER_MODULES, SCHEDULER_MODULES, build_optimizer, describe
from project.trust import refuse_strangers

ROOT = Path(__file__).parents[2]
"""The repository's folder, with its ``configs`` and ``logs``."""

COMMAND_LINE = "command line"
"""The source of flags, in messages."""

IN_MEMORY = "rows-in-memory.{}.parquet"
"""The file that stands for a table in memory, of a setting; whoever needs its rows again writes them there."""

OF_THE_RUN = ""
"""A logger's ``save_dir`` that is the run's folder, or the ``monitor`` of an early stopping that is the run's."""

Config = dict[str, Any]
"""``seed``, ``name`` and the like; ``trainer``; and for each section ``class_path`` and ``init_args``, or None."""


@dataclass
class Layer:
    """One file or flag: its content, and its name, for messages and for the paths that it holds."""

    content: dict[str, Any]
    source: str
    trusted: bool = True
    """Whether it may name any class: the user's own may, what a run has kept may not."""


def read_layer(path: str | Path, trusted: bool = True) -> Layer:
    """Reads a YAML file.

    Args:
        path: The file.
        trusted: See `Layer`.

    Raises:
        UsageError: If it is missing, is no YAML, or holds something else than names with values.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        names = [p.name for p in path.parent.glob("[!.]*.y*ml")] if path.parent.is_dir() else []
        hint = f"; in {path.parent} {nearest(path.name, names)}" if names else f"; you are in {Path.cwd()}"
        raise UsageError(f"there is no file {path}{hint}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = "is no valid YAML" if isinstance(error, yaml.YAMLError) else "cannot be read"
        raise UsageError(f"{path} {what}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold names with values, not a {type(content).__name__}")
    return Layer(content, str(path), trusted)


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """All settings by their names on the command line; a class goes by the name of its section."""
    if isinstance(value, dict):
        parts = [(inside(name, key), part) for key, part in value.items()]
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = [(f"{name}[{i}]", part) for i, part in enumerate(value)]
    else:
        return {name: value}
    return {key: setting for inner, part in parts for key, setting in flatten(part, inner).items()}


def differing(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configurations differ, by their names on the command line, with both values."""
    old, new = flatten(one), flatten(other)
    return {name: (old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)}


def inside(name: str, key: str) -> str:
    """The name on the command line of what a mapping of this name holds."""
    return name if key in ("class_path", "init_args") else f"{name}.{key}".lstrip(".")


@dataclass
class RunSettings:
    """The run's seed and name.

    Args:
        seed: Decides initial weights, dropout and the order of the batches.
        name: The run's folder; by default it is made of the model, the optimizer, its rate and momentum, the scheduler
            and the seed.
        experiment: The folder around it; by default the name of the data, or of their file.
        checkpoint_every: Steps between two checkpoints to resume from; by default there is one after each epoch. None
            is written less than two seconds after another, unless the run ends or is stopped.
        lean: Whether to run Lightning's loops with what `project.engine.lean` spares; the numbers are the same.
        monitor: The logged value that chooses the best weights and stops early, such as ``auroc/val`` or
            ``loss/train``; by default ``loss/val``. The lowest is the best, of a score such as ``auroc/val`` the
            highest, and so of a value of your own that has a dash before its name: ``-profit/val``.
    """

    seed: int = 0
    name: str | None = None
    experiment: str | None = None
    checkpoint_every: int | None = None
    lean: bool = True
    monitor: str | None = None


@dataclass(frozen=True)
class Section:
    """A part of the configuration that names a class.

    Attributes:
        base: What the class must be a subclass of.
        modules: Where short names are looked up first.
        given: Constructor arguments that are not settings: the program supplies them where a class takes them.
    """

    base: type
    modules: tuple[str, ...]
    given: frozenset[str] = frozenset()


SECTIONS = {
    "data": Section(LightningDataModule, ("project.data",)),
    "model": Section(LightningModule, ("project.models",), frozenset({"schema", "optimizer", "scheduler"})),
    "optimizer": Section(Optimizer, OPTIMIZER_MODULES, frozenset({"params", "hidden"})),
    "scheduler": Section(LRScheduler, SCHEDULER_MODULES, frozenset({"optimizer", "last_epoch"})),
}
NESTED = Section(object, ("lightning.pytorch.callbacks", "lightning.pytorch.loggers", "lightning.pytorch.profilers"))
"""A class within a setting, such as one of the trainer's callbacks."""


OWN_DEFAULTS = (
    (Trainer, "devices", 1),
    (Logger, "save_dir", OF_THE_RUN),
    (EarlyStopping, "monitor", OF_THE_RUN),
    (OneCycleLR, "max_lr", None),  # these two `build_scheduler` supplies
    (CosineAnnealingLR, "T_max", None),
)
"""Arguments that have another default here, in a class and its subclasses."""


@cache
def arguments(cls: type) -> tuple[ArgumentParser, dict[str, bool]]:
    """What a class's constructor takes, of which jsonargparse reads the types, the docstring and the base classes.

    Returns:
        A parser of the arguments that are settings, and their names: True for those that have no default.
    """
    set_loader("scalars", _scalar, (yaml.YAMLError,))
    parser = ArgumentParser(exit_on_error=False, add_help=False, parser_mode="scalars")
    given = {name for section in SECTIONS.values() if issubclass(cls, section.base) for name in section.given}
    parser.add_class_arguments(MuonWithAdamW if cls is Muon else cls, skip=given, instantiate=False)
    known = parser.get_defaults()
    own = {name: value for base, name, value in OWN_DEFAULTS if issubclass(cls, base) and name in known}
    names = {a.dest: a.required and a.dest not in own for a in parser._actions if a.dest in known}
    for action in parser._actions:
        action.required = False  # a value is checked by itself, and `settle` says what is missing
    parser.set_defaults(own)
    return parser, names


def _scalar(text: str) -> Any:
    """A number, a truth value, null, or what else YAML reads in a text; ``[red]``, ``#shop`` and ``~`` stay text."""
    return text if text.startswith(("[", "{", "~")) or "#" in text else get_loader("yaml")(text)


@dataclass(frozen=True)
class Part:
    """A class of the configuration, and what was said of its settings.

    Attributes:
        cls: The class; None where none is named.
        said: Settings by name, each with what was said last, and where.
    """

    cls: type | None = None
    said: dict[str, tuple[Any, Layer]] = field(default_factory=dict)


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
    parts = lay(layers, base)
    config = settle(parts[""], "") | {"trainer": settle(parts["trainer"], "trainer")}
    model: Any = parts["model"].cls
    for name in SECTIONS:
        part, sources = parts[name], [layer.source for layer in layers if name in layer.content]
        given = name in ("data", "model") or _takes(model, name)
        if given and part.cls is None and (part.said or name != "scheduler"):
            raise UsageError(f"{sources[-1]}: {name} must name a class, as --{name} NAME does")
        if sources and (part.cls or part.said) and not given:
            raise UsageError(f"{sources[0]}: {model.__name__} takes no {name}: leave {name} out")
        config[name] = _chosen(part, name) if given else None
    return config


def lay(layers: Sequence[Layer], base: Layer | None = None) -> dict[str, Part]:
    """Lays configurations one over the other, as `combine` does, and checks the names of the classes only.

    Returns:
        The parts: the sections, ``trainer``, and by an empty name `RunSettings`.
    """
    files = [layer.content for layer in layers if layer.source != COMMAND_LINE]
    complete = all(any(section in file for file in files) for section in ("data", "model"))
    under = [] if complete else [base or read_layer(ROOT / "configs" / "fit.yaml")]
    parts = {name: Part(Adam if name == "optimizer" else None) for name in SECTIONS}
    parts |= {"": Part(RunSettings), "trainer": Part(Trainer)}
    for layer in [*under, *layers]:
        for name, value in layer.content.items():
            if name in SECTIONS:
                parts[name] = _lay_class(parts[name], name, value, layer)
            elif name == "trainer":
                parts[name] = lay_settings(parts[name], name, value or {}, layer)
            else:
                parts[""] = lay_settings(parts[""], "", {str(name): value}, layer)
    return parts


def _takes(model: type, name: str) -> bool:
    """Whether a constructor takes an argument; a `TableModel` may pass it on in its ``**settings``."""
    parameters = inspect.signature(model).parameters
    passes_on = issubclass(model, TableModel) and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return name in parameters or passes_on


def lay_settings(part: Part, where: str, settings: Any, layer: Layer) -> Part:
    """Lays settings over what was said before.

    Raises:
        UsageError: If they are no mapping.
    """
    if not isinstance(settings, dict):
        raise UsageError(f"{layer.source}: {where} must hold names, as --{where}.KEY VALUE, not {settings!r}")
    return Part(part.cls, part.said | {name: (value, layer) for name, value in settings.items()})


def _lay_class(part: Part, where: str, value: Any, layer: Layer) -> Part:
    """Lays a class, given by its name, its file, or as ``class_path`` and ``init_args``, over what was said before."""
    value = parsed(f"--{where}", value)
    spec = value if isinstance(value, dict) else {"class_path": value}
    for name in spec.keys() - {"class_path", "init_args"}:
        words = "there are class_path and init_args, for the settings (a file for a whole run goes with --config)"
        raise UsageError(f"{layer.source}: '{where}.{name}' is not accepted; {words}")
    if str(spec.get("class_path")).endswith((".yaml", ".yml")):
        file = read_layer(Path(layer.source).parent / spec["class_path"], layer.trusted)
        part = _lay_class(part, where, file.content, file)
    elif "class_path" in spec:
        cls = _named(spec["class_path"], where, layer)
        if not (where == "model" and layer.source == COMMAND_LINE and cls is part.cls):
            part = Part(cls)
    return lay_settings(part, where, spec.get("init_args") or {}, layer)


def _named(name: Any, where: str, layer: Layer) -> type | None:
    """The class of a name; None where there need be none."""
    section = SECTIONS.get(where, NESTED)
    if name in (None, "null") and where in SECTIONS:
        return None
    refuse_strangers({} if layer.trusted else {"class_path": name}, layer.source)
    try:
        cls = find_class(str(name), section.modules, section.base)
        if where in ("optimizer", "scheduler"):
            describe(cls, section.base)  # which refuses what cannot be used
    except ValueError as error:
        table = str(name).endswith((".csv", ".csv.gz", ".parquet")) and features("Table")
        hint = f"; for a table: --data Table --data.path {name} --data.target COLUMN" if table else ""
        raise UsageError(f"{layer.source}: {where}: {error}{hint}") from None
    return cls


def _chosen(part: Part, where: str) -> Config | None:
    """A class with all of its arguments, as ``class_path`` and ``init_args``; None where there is none."""
    return None if part.cls is None else {"class_path": class_path(part.cls), "init_args": settle(part, where)}


def settle(part: Part, where: str) -> Config:
    """All arguments of a constructor, in plain values: what was said, checked and in its type, and the defaults.

    Args:
        part: The class, and what was said of its settings.
        where: The name of these settings on the command line.

    Raises:
        UsageError: If a name is not known, a value is not of the right type, or one that has no default is missing.
    """
    cls: Any = part.cls
    parser, names = arguments(cls)
    settings = {}
    for name, (value, layer) in part.said.items():
        path = f"{where}.{name}".lstrip(".")
        if path == "class_path":
            raise UsageError(f"{layer.source} is a file for --data, --model, --optimizer or --scheduler")
        if name not in names:
            known = names if where else [*names, *SECTIONS, "trainer"]
            table = "for a table add --data Table" if path in ("data.path", "data.target") and features("Table") else ""
            raise UsageError(f"{layer.source}: '{path}' is not accepted; {table or nearest(name, known)}")
        hint = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}[name]
        # Text stands as it is, such as the name of a column, which may be [red]; max_time may be a mapping, too.
        text = hint is str or (get_args(hint)[:1] == (str,) and name != "max_time")
        if layer.source == COMMAND_LINE and not text:
            value = parsed(f"--{path}", value)
        if not layer.trusted and (cls is Trainer or not text):  # jsonargparse imports what may be a class or a function
            refuse_strangers(value, layer.source)
        value = _nested(value, path, layer)
        try:
            settings[name] = parser.parse_object({name: value}, defaults=False)[name]
        except (ArgumentError, ValueError) as error:
            expected = _expected(str(error)) or f"see --{path.partition('.')[0]}.help"
            raise UsageError(f"{layer.source}: {path} cannot be {value!r}; {expected}") from None
        if isinstance(settings[name], Path):  # in a file it is meant from that file's folder
            settings[name] = (Path(layer.source).parent / settings[name]).absolute()
        choices = getattr(cls, "choices", {}).get(name)  # names, of which a model has some
        if choices and settings[name] is not None and settings[name] not in choices:
            raise UsageError(f"{layer.source}: {path} cannot be {value!r}; {nearest(value, choices)}")
    for name, required in names.items():
        if required and name not in settings:
            raise UsageError(f"{where}: {cls.__name__} needs {f'--{where}.{name}' if where in SECTIONS else name}")
    # Through JSON, so that tuples, paths and enumerations become lists and strings.
    plain = parser.parse_object(settings).as_dict()  # a path among the defaults is meant from the current folder
    values: Config = json.loads(json.dumps(plain, default=lambda v: str(v.absolute() if isinstance(v, Path) else v)))
    return values


def parsed(flag: str, value: Any) -> Any:
    """A list or mapping from a flag's text; anything else is left to the type of the setting."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) and value.startswith(("[", "{")) else value
    except yaml.YAMLError:
        raise UsageError(f"{flag} {value} is no valid list or mapping") from None


def _nested(value: Any, path: str, layer: Layer) -> Any:
    """A setting's value, where the classes in it, such as callbacks, have all of their arguments."""
    if path in ("trainer.callbacks", "trainer.logger") and str(value).lower() not in ("none", "null", "true", "false"):
        items = value if isinstance(value, list) else [value]
        value = [{"class_path": item} if isinstance(item, str) else item for item in items]
    if isinstance(value, list):
        return [_nested(item, f"{path}[{i}]", layer) for i, item in enumerate(value)]
    if isinstance(value, dict) and "class_path" in value:
        return _chosen(_lay_class(Part(), path, value, layer), path)
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


def make_data(config: Config, **given: Any) -> LightningDataModule:
    """Makes the data module; the batches of a `TableData` are in the order of the run's seed.

    Args:
        config: The run's configuration.
        given: Constructor arguments that go over the configuration's, for it cannot hold them: tables in memory.

    Raises:
        UsageError: If the class does not take its settings.
    """
    if not 0 <= config["seed"] < 2**32:
        raise UsageError(f"seed must be between 0 and {2**32 - 1}, not {config['seed']}")
    torch.get_num_threads()  # else this thread would take the number from those that encode, which is one
    cls = find_class(config["data"]["class_path"], (), LightningDataModule)
    try:
        data: LightningDataModule = cls(**_objects(cls, config["data"]["init_args"]) | given)
    except (ValueError, TypeError) as error:
        raise UsageError(f"data: {error}") from error
    if isinstance(data, TableData):
        data.order_seed = config["seed"]
    return data


def make_model(config: Config, data: LightningDataModule) -> LightningModule:
    """Makes the model; its initial weights are drawn from PyTorch's random numbers.

    Args:
        config: The run's configuration.
        data: Its data; if the model takes a schema, they have been set up.

    Raises:
        UsageError: If the class does not take its settings, or needs a schema and the data have none.
    """
    cls = find_class(config["model"]["class_path"], (), LightningModule)
    given = {"schema": getattr(data, "schema", None), **{name: config[name] for name in ("optimizer", "scheduler")}}
    given = {name: value for name, value in given.items() if _takes(cls, name)}
    if "schema" in given and given["schema"] is None:
        raise UsageError(f"model: {cls.__name__} needs a table's schema, and {type(data).__name__} has none")
    try:
        model: LightningModule = cls(**_objects(cls, config["model"]["init_args"]), **given)
        if isinstance(model, TableModel):  # now rather than when the run has begun
            build_optimizer(model.hparams["optimizer"], list(model.parameters()), fused=False)
    except (ValueError, TypeError) as error:
        raise UsageError(f"model: {error}") from error
    return model


def make_trainer(
    config: Config,
    folder: Path,
    model: LightningModule,
    data: LightningDataModule,
    resume_step: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    """Makes a trainer that logs and saves into a run's folder.

    The best checkpoint is chosen by the run's ``monitor``; without one by the lowest ``loss/val``, or, where nothing is
    logged as that, it is the last one.

    Args:
        config: The run's configuration; its own callbacks, plugins and loggers are respected.
        folder: The run's folder.
        model: What is to be trained.
        data: On what; they have been set up, if they are a `TableData`.
        resume_step: The step from which a stopped run goes on; TensorBoard forgets what came after.
        callbacks: What watches the run besides the configuration's own callbacks.

    Raises:
        UsageError: If the trainer does not take its settings.
    """
    plain = deepcopy(config["trainer"])
    asked, name = config["monitor"] is not None, config["monitor"] or "loss/val"
    score = dict(getattr(model, "val_metrics", {})).get(name)
    highest = name.startswith("-") or getattr(score, "higher_is_better", False)
    watched: dict[str, Any] = {"monitor": name.removeprefix("-"), "mode": "max" if highest else "min"}
    end = None if name.endswith("/val") else True  # an epoch's own loss is there only when it ends
    # Without validation rows there is no loss/val; and a wrong name `BestCheckpoint` refuses, if there is one.
    strict = asked and plain["enable_checkpointing"] is False
    loggers = plain["logger"] if isinstance(plain["logger"], list) else []
    for given in [spec["init_args"] for spec in [*loggers, *(plain["callbacks"] or [])]]:
        if given.get("save_dir") == OF_THE_RUN:
            given["save_dir"] = str(folder)
        if given.get("monitor") == OF_THE_RUN:
            given.update(watched, strict=strict, check_on_train_epoch_end=end)
    settings = _objects(Trainer, plain)
    everyone = [LossWatch(), *([Lean()] if config["lean"] else []), *callbacks, *(settings["callbacks"] or [])]
    if settings["enable_checkpointing"] is not False:
        checkpoints = folder / "checkpoints"
        everyone.append(Resumable(checkpoints, config, config["checkpoint_every"]))
        everyone.append(BestCheckpoint(checkpoints, asked, **watched, save_on_train_epoch_end=end))
    if settings["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in everyone):
        everyone.append(RunBar())
    if settings["logger"] in (None, True):
        place = folder.parent.parent, folder.parent.name, folder.name
        settings["logger"] = RunLogger(*place, default_hp_metric=False, purge_step=resume_step)
    plugins = settings["plugins"] or []
    settings["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    settings["profiler"] = settings["profiler"] or (NoProfiler() if config["lean"] else None)
    settings["enable_model_summary"] = bool(settings["enable_model_summary"])
    settings |= {"callbacks": everyone, "default_root_dir": folder}
    try:
        trainer = Trainer(**settings)
        if max(trainer.world_size, int(os.environ.get("WORLD_SIZE", 1))) > 1:
            if find_spec(f"{__package__}.ddp") is None:
                raise UsageError("a run trains on one device: leave devices and num_nodes at 1")
            ranks = import_module(f"{__package__}.ddp.ranks").strategy(trainer, settings["strategy"])
            own = {"strategy": ranks, "use_distributed_sampler": not isinstance(data, TableData)}
            trainer = Trainer(**settings | own)
    except (ValueError, MisconfigurationException) as error:
        raise UsageError(f"trainer: {error}") from error
    return trainer


def _objects(cls: type, settings: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments in their types, with the objects among them made."""
    parser = arguments(cls)[0]
    # A copy, because the parser turns dictionaries within into its own namespaces.
    made: dict[str, Any] = vars(parser.instantiate(parser.parse_object(deepcopy(settings))))
    return made
