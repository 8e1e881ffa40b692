"""What is to be compared: entries, seeds and rates, from files and flags."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from torch.optim import Optimizer

from project.classes import find_class
from project.config import COMMAND_LINE, ROOT, Config, Layer, Part, arguments, combine, lay_settings, read_layer, settle
from project.errors import UsageError, nearest

PLAN = "compare.yaml"
"""The file in a comparison's folder with all that it was asked to do."""
ENTRY = ("label", "class_path", "init_args", "scheduler", "callbacks")
"""What an entry may hold."""


@dataclass
class Settings:
    """How the optimizers are compared.

    Args:
        optimizers: What to compare: names of classes, files, or ``{label, class_path, init_args, scheduler,
            callbacks}``; the callbacks, such as one that averages weights, replace the trainer's.
        seeds: Fresh seeds with which each optimizer is trained at its chosen rate, and at its default one.
        rates: ``auto`` searches half decades around each optimizer's usual rate, a list just these rates;
            ``none`` takes every optimizer as it is given.
        tuning_seeds: Seeds for each rate that is tried.
        tuning_share: The length of those runs, as a share of the whole length.
        target_loss: The validation loss to reach; by default the highest that an optimizer ends with, of those that
            end within twice the lowest one.
    """

    optimizers: list[Any] = field(default_factory=list)
    seeds: int = 5
    rates: str | list[float] = "auto"
    tuning_seeds: int = 3
    tuning_share: float = 0.5
    target_loss: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("seeds", self.seeds), ("tuning_seeds", self.tuning_seeds)):
            if value < 1:
                raise UsageError(f"{name} must be 1 or more, not {value}")
        if not 0 < self.tuning_share <= 1:
            raise UsageError(f"tuning_share must be above 0 and at most 1, not {self.tuning_share}")
        if not self.rates or (isinstance(self.rates, str) and self.rates not in ("auto", "none")):
            raise UsageError(f"rates must be auto, none, or a list such as 0.1,0.01, not {self.rates!r}")
        if self.target_loss is not None and not math.isfinite(self.target_loss):
            raise UsageError(f"target_loss must be a number, not {self.target_loss}")
        if isinstance(self.rates, list):
            if wrong := [rate for rate in self.rates if not 0 < rate < math.inf]:
                raise UsageError(f"a rate must be above 0, not {wrong[0]:g}")
            self.rates = sorted(set(self.rates))


@dataclass(frozen=True)
class Entry:
    """An optimizer that is compared.

    Attributes:
        label: Its name in the comparison.
        config: The configuration of its runs.
        usual: The rate it is given with, or its default; None if it takes none.
        default: The default of its class.
    """

    label: str
    config: Config
    usual: float | None
    default: float | None

    def run(self, rate: float | None, seed: int, share: float = 1.0) -> Config:
        """The configuration of one run.

        Args:
            rate: The learning rate; None leaves it as it is.
            seed: The seed.
            share: How much of the run's length to train.
        """
        optimizer, trainer = self.config["optimizer"], dict(self.config["trainer"])
        if rate is not None:
            optimizer = {**optimizer, "init_args": {**optimizer["init_args"], "lr": rate}}
        for length in ("max_epochs", "max_steps"):
            if (value := trainer[length]) is not None and value > 0:
                trainer[length] = max(1, math.ceil(value * share))
        return {**self.config, "optimizer": optimizer, "trainer": trainer, "seed": seed}


def read_settings(layers: Sequence[Layer], flags: dict[str, Any]) -> tuple[Settings, list[Entry]]:
    """Settings and entries from files and flags.

    Args:
        layers: The files, in order, and the flags of the runs; ``compare`` in a file holds `Settings`.
        flags: Settings from the command line.

    Raises:
        UsageError: If a setting cannot be, or two optimizers have the same label.
    """
    base = read_layer(ROOT / "configs" / "compare.yaml")
    part = Part(Settings)
    optimizers, source = [], base
    for layer in (base, *layers, Layer({"compare": flags}, COMMAND_LINE)):
        own = layer.content.pop("compare", None) or {}
        if isinstance(own, dict) and "optimizers" in own:  # each is checked as a section of a run's configuration
            own = dict(own)
            optimizers, source = own.pop("optimizers"), layer
        part = lay_settings(part, "compare", own, layer)
    for layer in layers:
        named = layer.content if layer.source == COMMAND_LINE else {}
        if "optimizer" in named:
            raise UsageError("a comparison takes several optimizers: name them with --optimizers NAME,NAME")
        if "experiment" in named:
            raise UsageError("a comparison stands in logs/compare: give it another name there with --name NAME")
    if not isinstance(optimizers, list) or not optimizers:
        raise UsageError(f"{source.source}: optimizers must be a list of one or more, not {optimizers!r}")
    entries = [_entry(value, layers, base, source) for value in optimizers]
    labels = [entry.label.casefold() for entry in entries]  # they name folders
    if twice := [entry.label for entry in entries if labels.count(entry.label.casefold()) > 1]:
        label_them = "a file can give labels, as configs/compare.yaml does"
        raise UsageError(f"{source.source}: two optimizers are called '{twice[0]}'; {label_them}")
    return Settings(**settle(part, "compare") | {"optimizers": optimizers}), entries


def _entry(value: Any, layers: Sequence[Layer], base: Layer, source: Layer) -> Entry:
    spec = dict(value) if isinstance(value, dict) else {"class_path": value}
    for name in spec.keys() - set(ENTRY):
        raise UsageError(f"{source.source}: '{name}' is not accepted in an entry; {nearest(name, ENTRY)}")
    if not spec.get("class_path"):
        raise UsageError(f"{source.source}: an entry of optimizers needs a class_path; this one has {', '.join(spec)}")
    path = str(spec["class_path"])
    label = Path(path).stem if path.endswith((".yaml", ".yml")) else path.rpartition(".")[2]
    label = str(spec.pop("label", label))
    content = {"scheduler": spec.pop("scheduler")} if "scheduler" in spec else {}
    if "callbacks" in spec:
        content["trainer"] = {"callbacks": spec.pop("callbacks")}
    content["optimizer"] = spec if "init_args" in spec else path
    if not re.fullmatch(r"[^/\\\0]+", label) or label[0] in ".-_" or label.endswith((".csv", ".html", ".yaml")):
        raise UsageError(f"{source.source}: label '{label}' names a folder: no slash, no dot first, no file's name")
    config = combine([*layers, Layer(content, source.source, source.trusted)], base)
    trainer = config["trainer"]
    for name in ("logger", "enable_checkpointing"):
        if trainer[name] not in (None, True):
            raise UsageError(f"trainer.{name} must not be set: the report is made of the curves and checkpoints")
    if trainer["max_time"] or ((trainer["max_epochs"] or -1) < 1 and trainer["max_steps"] < 1):
        raise UsageError("a comparison needs trainer.max_epochs or trainer.max_steps, 1 or more, and no max_time")
    default = arguments(find_class(config["optimizer"]["class_path"], (), Optimizer))[0].get_defaults().get("lr")
    usual = config["optimizer"]["init_args"].get("lr")
    if usual is not None and not usual > 0:
        raise UsageError(f"{source.source}: {label}: a rate must be above 0, not {usual:g}")
    return Entry(label, config, usual, default)


def write_plan(folder: Path, settings: Settings, entries: Sequence[Entry]) -> None:
    """Writes ``compare.yaml``, with which a comparison goes on or is repeated."""
    config = {key: entries[0].config[key] for key in entries[0].config if key not in ("optimizer", "scheduler", "name")}
    optimizers = [
        {"label": entry.label, **entry.config["optimizer"], "scheduler": entry.config["scheduler"]}
        | {"callbacks": entry.config["trainer"]["callbacks"]}
        for entry in entries
    ]
    plan = {"compare": {**vars(settings), "optimizers": optimizers}, **config}
    again = f"# Repeat this comparison with: python -m project.compare --config {PLAN}\n"
    (folder / PLAN).write_text(again + yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
