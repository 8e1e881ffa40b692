"""What is searched: ranges that stand where a run's configuration has its settings."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

from project.commands.arguments import make_table
from project.config import SECTIONS, Config, Layer, combine, differing, inside, make_model
from project.errors import UsageError
from project.many.one_of_many import said

MEASURE = ("seed", "model.class_weights", "trainer.limit_val_batches")
"""Settings that decide what loss/val measures: where they differ, two losses cannot be compared."""
TUNABLE = ("data.batch_size", "data.categorical", "data.numeric", "data.drop", "data.min_count")
"""The settings of the data that do not."""

Range = CategoricalDistribution | FloatDistribution | IntDistribution
"""What Optuna draws from: numbers, or the labels of choices."""


def fill(search: Any, pick: Callable[[str, Range], Any], name: str = "") -> Any:
    """Puts values in the places of all ranges: of ``low`` and ``high``, ``choices``, and lists of classes.

    Args:
        search: A part of a configuration, with ranges in place of some values.
        pick: Gives a number of a range, or the label of a choice, from its name and itself.
        name: Its name on the command line; what is tuned in one of several classes is ``optimizer.Adam.lr``.

    Raises:
        UsageError: If a range cannot be.
    """
    if isinstance(search, list) and name in SECTIONS:
        search = {"choices": [{"class_path": spec} if isinstance(spec, str) else spec for spec in search]}
    if isinstance(search, dict) and search.keys() & {"low", "high", "choices"}:
        choices, found = _read(search, name)
        picked = pick(name, found)
        return fill(choices[picked], pick, f"{name}.{picked}") if choices else picked
    if isinstance(search, dict):
        return {key: fill(part, pick, inside(name, key)) for key, part in search.items()}
    if isinstance(search, list):
        return [fill(part, pick, f"{name}[{i}]") for i, part in enumerate(search)]
    return search


def _read(spec: dict[str, Any], name: str) -> tuple[dict[Any, Any], Range]:
    """The choices by their labels, if there are any, and what Optuna draws from."""
    try:
        if "choices" in spec:
            choices = {_label(choice): choice for choice in spec["choices"]}
            if not isinstance(spec["choices"], list) or len(choices) < len(spec["choices"]):
                raise ValueError(f"choices must be a list of different values, not {spec['choices']!r}")
            return choices, CategoricalDistribution(**{**spec, "choices": list(choices)})
        # YAML takes 1e-4 for a text.
        numbers: dict[str, Any] = {key: float(n) if isinstance(n, str) else n for key, n in spec.items()}
        whole = all(isinstance(number, int) for number in numbers.values())
        return {}, IntDistribution(**numbers) if whole else FloatDistribution(**numbers)
    except (TypeError, ValueError) as error:
        raise UsageError(f"tune.search: {name}: {error}") from error


def _label(choice: Any) -> Any:
    if isinstance(choice, dict) and "class_path" in choice:
        return str(choice["class_path"]).rpartition(".")[2]
    return choice if isinstance(choice, str | bool | int | float) else json.dumps(choice, default=str)


def suggest(trial: BaseTrial, name: str, found: Range) -> Any:
    """What a trial draws from a range, or has drawn."""
    if isinstance(found, CategoricalDistribution):
        return trial.suggest_categorical(name, found.choices)
    if isinstance(found, IntDistribution):
        return trial.suggest_int(name, found.low, found.high, step=found.step, log=found.log)
    return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)


def corners(search: Config) -> tuple[list[Config], list[str]]:
    """Samples in which every end of a range and every choice is there at least once, and the names of all ranges."""
    samples: list[Config] = []
    lengths: dict[str, int] = {}
    while len(samples) < 2 * max([1, *lengths.values()]):
        samples += [fill(search, partial(_corner, len(samples) // 2, end, lengths)) for end in ("low", "high")]
    return samples, list(lengths)


def _corner(number: int, end: str, lengths: dict[str, int], name: str, found: Range) -> Any:
    choices = found.choices if isinstance(found, CategoricalDistribution) else ()
    lengths[name] = len(choices)
    return choices[number % len(choices)] if choices else getattr(found, end)


def configure(config: Config, sample: Config) -> Config:
    """Lays a search with its ranges filled over the untuned configuration of a run.

    Raises:
        UsageError: If a setting cannot be, or makes losses that cannot be compared.
    """
    tuned = combine([Layer(config, "tune.search"), Layer(sample, "tune.search")])
    for name in differing(config, tuned):
        if name in MEASURE or (name.partition(".")[0] == "data" and name not in TUNABLE):
            raise UsageError(f"tune.search: {name} decides what loss/val measures, so it cannot be tuned")
    return tuned


def check(config: Config, search: Any) -> list[str]:
    """Reads the data, and makes all that the ends of the ranges lead to, before anything is trained or written.

    Returns:
        The names of all ranges.

    Raises:
        UsageError: If a range cannot be, or there is none.
    """
    data = make_table(config)
    data.setup()
    if not len(data.splits["val"].x) or config["trainer"]["limit_val_batches"] == 0:
        raise UsageError("tuning compares validation losses, and there are no validation rows: see data.val_fraction")
    samples, names = corners(search)
    for sample in ({}, *samples):
        try:
            corner = configure(config, sample)
            make_table(corner)
            make_model(corner, data)
        except Exception as error:  # a class of the user's may raise any
            raise UsageError(f"tune.search: {said(error).removeprefix('tune.search: ')}") from error
    if not names:
        raise UsageError("tune.search: there is nothing to tune: no setting has a range")
    return names
