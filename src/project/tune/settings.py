"""How settings are to be tuned, from files and flags."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from project.config import COMMAND_LINE, ROOT, SECTIONS, Config, Layer, check, combine, inside, parts_of, read_layer
from project.errors import UsageError, nearest
from project.tune.search import (
    Choices,
    Range,
    Search,
    configure,
    corners,
    ranges,
    rest_of_steps,
    short_class,
)

PLACES = (*SECTIONS, "trainer")
"""The parts of a configuration in which ranges may stand."""

MEASURE = {"model": {"class_weights"}, "trainer": {"limit_val_batches"}}
"""Settings that decide what loss/val measures: where they differ, two losses cannot be compared."""
TUNABLE = {"batch_size", "categorical", "numeric", "drop", "min_count"}
"""Settings of the data that do not."""


class Settings:
    """How settings are tuned.

    Args:
        search: Ranges, in the places of the run's own settings.
        trials: How many configurations are tried.
        seeds: Runs of each of them; the median of their lowest ``loss/val`` counts.
        fresh_seeds: Runs of the best and of the untuned configuration at the end, with seeds that no trial has used.
        prune_after: Epochs after which a trial is stopped if its first run is worse than half of those before it were
            by then; null lets all of them end.
        storage: The study's place as an Optuna URL, such as ``postgresql://HOST/DATABASE`` for several machines; by
            default it is ``study.db`` in the tuning's folder.
    """

    def __init__(
        self,
        search: dict[str, Any],
        trials: int = 30,
        seeds: int = 3,
        fresh_seeds: int = 5,
        prune_after: int | None = 5,
        storage: str | None = None,
    ) -> None:
        counts = {"trials": trials, "seeds": seeds, "fresh_seeds": fresh_seeds, "prune_after": prune_after}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{name} must be 1 or more, not {value}")
        self.search = search
        self.trials = trials
        self.seeds = seeds
        self.fresh_seeds = fresh_seeds
        self.prune_after = prune_after
        self.storage = storage


def read_settings(layers: Sequence[Layer], flags: dict[str, Any]) -> tuple[Settings, Search, Config, list[Config]]:
    """Settings from files and flags.

    The ranges of ``configs/tune.yaml`` are for the classes that stand there: where the model or the scheduler is
    another, or an optimizer is named on the command line, theirs are left out.

    Args:
        layers: The files, in order, and the flags of the runs; ``tune`` in a file holds `Settings`.
        flags: Settings from the command line.

    Returns:
        The settings, the search, the untuned configuration, and configurations in which every end of a range and every
        choice is there at least once.

    Raises:
        UsageError: If a setting or a range cannot be.
    """
    base = read_layer(ROOT / "configs" / "tune.yaml")
    given: dict[str, Any] = {}
    search, source = None, base
    for layer in (base, *layers, Layer({"tune": flags}, COMMAND_LINE)):
        content = layer.content.pop("tune", None) or {}
        if isinstance(content, dict) and "search" in content:  # whose classes are no objects to be made
            search, source = content.pop("search") or {}, layer
        given |= check(Settings, content, "tune", layer)
    if not isinstance(search, dict):
        raise UsageError(f"{source.source}: tune.search must hold names with values, not {search!r}")
    config = combine(layers, base)
    flags_say = [layer.content.get("optimizer", {}) for layer in layers if layer.source == COMMAND_LINE]
    names_one = any(isinstance(value, str) or "class_path" in value for value in flags_say)
    if source is base:
        usual = combine([], base)
        other = [name for name in ("model", "scheduler") if _class(config, name) != _class(usual, name)]
        other += ["optimizer"] if names_one else []
        search = {name: value for name, value in search.items() if name not in other}
    if any(flags_say) and "optimizer" in search:
        raise UsageError(f"the optimizer is tuned: its choices and ranges stand in tune.search of {source.source}")
    where = f"{source.source}: tune.search"
    parsed = read_search(search, where, source.folder)
    settings = Settings(search, **given)
    return settings, parsed, config, [configure(config, corner, where) for corner in corners(parsed)]


def _class(config: Config, section: str) -> str | None:
    return None if config[section] is None else str(config[section]["class_path"])


def read_search(content: dict[str, Any], source: str, folder: Path = Path()) -> Search:
    """Finds the ranges in what a file says: ``low`` and ``high``, ``choices``, or a list of classes.

    Args:
        content: What stands below ``tune.search``.
        source: The file, for messages.
        folder: Its folder, from which the files of classes are named.

    Raises:
        UsageError: If a range cannot be, or there is none.
    """
    for name in content.keys() - PLACES:
        raise UsageError(f"{source}: '{name}' is not accepted; {nearest(name, PLACES)}")
    search = {name: _section(value, name, source, folder) for name, value in content.items()}
    if not ranges(search):
        raise UsageError(f"{source}: there is nothing to tune: no setting has a range")
    return search


def _section(value: Any, name: str, source: str, folder: Path) -> Any:
    fixed = MEASURE.get(name, set())
    if name == "data":
        if not isinstance(value, dict) or value.keys() != {"init_args"} or not isinstance(value["init_args"], dict):
            raise UsageError(f"{source}: data can have ranges in its init_args only: other rows have other losses")
        fixed = value["init_args"].keys() - TUNABLE
    if not isinstance(value, list):
        return _parse(value, name, source, fixed)
    choices = {}
    for item in value:
        item = read_layer(folder / item).content if str(item).endswith((".yaml", ".yml")) else item
        spec = dict(item) if isinstance(item, dict) else {"class_path": item}
        label = str(spec.pop("label", None) or (short_class(spec) if spec.get("class_path") else "none"))
        if label in choices:
            raise UsageError(f"{source}: {name} has two choices called '{label}': give one of them another label")
        choices[label] = _parse(spec if spec.get("class_path") else None, label, source, fixed)
    return Choices(choices)


def _parse(value: Any, name: str, source: str, fixed: set[str]) -> Any:
    if isinstance(value, list):
        return [_parse(part, inner, source, fixed) for inner, part in parts_of(value, name)]
    if not isinstance(value, dict):
        return value
    for key in value.keys() & fixed:
        raise UsageError(f"{source}: {inside(name, key)} decides what loss/val measures, so it cannot be tuned")
    if "choices" in value:
        return _choices(value, f"{source}: {name}")
    if value.keys() & {"low", "high"}:
        return _range(value, f"{source}: {name}")
    return {key: _parse(part, inside(name, key), source, fixed) for key, part in value.items()}


def _choices(value: dict[str, Any], where: str) -> Choices:
    _only(value, {"choices"}, where)
    choices = value["choices"]
    if not isinstance(choices, list) or not choices:
        raise UsageError(f"{where}: choices must be a list of values, not {choices!r}")
    labels = [v if isinstance(v, str | bool | int | float | None) else json.dumps(v, default=str) for v in choices]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"{where}: {label} is twice among the choices")
    return Choices(dict(zip(labels, choices, strict=True)))


def _range(value: dict[str, Any], where: str) -> Range:
    _only(value, {"low", "high", "log", "step"}, where)
    low, high = (_number(value.get(end), f"{where}: {end}") for end in ("low", "high"))
    log, step = value.get("log", False), value.get("step")
    if not low < high:
        raise UsageError(f"{where}: low must be below high, not {low} and {high}")
    if not isinstance(log, bool):
        raise UsageError(f"{where}: log must be true or false, not {log!r}")
    if log and (low <= 0 or step is not None):
        raise UsageError(f"{where}: where log is true, low must be above 0 and there is no step")
    if step is None:
        return Range(low, high, log)
    step = _number(step, f"{where}: step")
    if not step > 0 or rest_of_steps(high, low, step):
        raise UsageError(f"{where}: steps of {step} do not lead from {low} to {high}")
    return Range(low, high, step=step) if isinstance(step, int) else Range(float(low), float(high), step=step)


def _only(value: dict[str, Any], known: set[str], where: str) -> None:
    for key in value.keys() - known:
        raise UsageError(f"{where}: '{key}' is not accepted in a range; {nearest(key, known)}")


def _number(value: Any, where: str) -> Any:
    try:
        number = float(value) if isinstance(value, str) else value  # YAML takes 1e-4 for a text
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise UsageError(f"{where} must be a number, not {value!r}")
    return number
