"""What is searched: ranges that stand where a run's configuration has its settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from project.config import Config, Layer, combine, inside, parts_of
from project.errors import UsageError


@dataclass(frozen=True)
class Range:
    """All numbers from one to another, or all whole ones if both ends are whole.

    Attributes:
        low: The lowest one.
        high: The highest one.
        log: Whether each factor counts the same, rather than each difference.
        step: The distance from one number to the next; None for any.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def ends(self) -> list[Any]:
        """Both ends."""
        return [self.low, self.high]

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these numbers."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return False
        return self.low <= value <= self.high and (self.step is None or not rest_of_steps(value, self.low, self.step))


@dataclass(frozen=True)
class Choices:
    """Some values by their labels in the study; a class may have ranges of its own."""

    values: Mapping[Any, Any]

    @property
    def ends(self) -> list[Any]:
        """All labels."""
        return list(self.values)


Search = dict[str, Any]
"""A part of a configuration, with `Range` and `Choices` in the place of some values."""

Pick = Callable[[str, Range | Choices], Any]
"""Gives a number of a `Range`, or a label of `Choices`, from its name."""


def ranges(search: Any, name: str = "") -> dict[str, Range | Choices]:
    """All ranges by their names, which are those of the command line, or begin with the class that is chosen."""
    found: dict[str, Range | Choices] = {}
    if isinstance(search, Range | Choices):
        found[name] = search
        parts = [(str(label), value) for label, value in search.values.items()] if isinstance(search, Choices) else []
    else:
        parts = parts_of(search, name)
    for inner, part in parts:
        for key, value in ranges(part, inner).items():
            if key in found:
                raise UsageError(f"tune.search: two ranges are called {key}: give one of the classes another label")
            found[key] = value
    return found


def fill(search: Any, pick: Pick, name: str = "") -> Any:
    """Puts values in the places of all ranges."""
    if isinstance(search, Range):
        return pick(name, search)
    if isinstance(search, Choices):
        label = pick(name, search)
        return fill(search.values[label], pick, str(label))
    filled = [fill(part, pick, inner) for inner, part in parts_of(search, name)]
    if isinstance(search, dict):
        return dict(zip(search, filled, strict=True))
    return filled if isinstance(search, list) else search


def corners(search: Search) -> Iterator[Search]:
    """Each section by itself, as often as it takes for every end of a range and every choice to be there."""
    for section, node in search.items():
        for choice in node.values.values() if isinstance(node, Choices) else [node]:
            for i in range(max((len(found.ends) for found in ranges(choice).values()), default=1)):
                yield {section: fill(choice, partial(_end, i))}


def _end(number: int, _: str, found: Range | Choices) -> Any:
    return found.ends[min(number, len(found.ends) - 1)]


def configure(config: Config, sample: Config, source: str = "tune.search") -> Config:
    """Lays a search with its ranges filled over the untuned configuration of a run."""
    parts = {name: config[name] for name in sample}  # to check all the others each time would be slow
    combined = combine([Layer(parts, source), Layer(sample, source)], Layer({}, source))
    return config | {name: combined[name] for name in sample}


def untuned_values(search: Any, config: Any, name: str = "") -> dict[str, Any]:
    """The untuned configuration as a trial would have it: such of its values as lie in their ranges."""
    if isinstance(search, Range):
        return {name: config} if search.holds(config) else {}
    if isinstance(search, Choices):
        if equal := [label for label, choice in search.values.items() if choice == config]:
            return {name: equal[0]}
        same = {
            label: {name: label} | untuned_values(choice, config, str(label))
            for label, choice in search.values.items()
            if isinstance(choice, dict) and isinstance(config, dict) and short_class(choice) == short_class(config)
        }
        return max(same.values(), key=len, default={})
    if isinstance(search, list) and isinstance(config, list):
        parts = [
            untuned_values(part, value, f"{name}[{i}]")
            for i, (part, value) in enumerate(zip(search, config, strict=False))
        ]
    elif isinstance(search, dict) and isinstance(config, dict):
        parts = [untuned_values(part, config.get(key), inside(name, key)) for key, part in search.items()]
    else:
        return {}
    return {key: value for part in parts for key, value in part.items()}


def short_class(spec: dict[str, Any]) -> str:
    """The name of a class without its module."""
    return str(spec.get("class_path")).rpartition(".")[2]


def rest_of_steps(value: float, low: float, step: float) -> Decimal:
    """What is left where steps from the lowest number do not meet another one."""
    return (Decimal(str(value)) - Decimal(str(low))) % Decimal(str(step))
