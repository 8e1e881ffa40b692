"""What a table is: the one thing that data modules and models know of each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

NUM_QUANTILES = 25
"""How many quantiles of a column of numbers are kept; every sixth is a quartile."""


@dataclass(frozen=True)
class Number:
    """A column of numbers, encoded as ``(value - center) / scale``.

    Attributes:
        name: The column's name.
        center: The training rows' mean, or 0.
        scale: Their standard deviation, or 1.
        fill: Their median, which a missing value counts as.
        indicator: Whether a second feature says, with 0 or 1, that the value is missing: if it was in a training row.
        boolean: Whether the column holds true (1) and false (0).
        quantiles: The training rows' 25 quantiles, from the least to the largest value: every sixth is a quartile.
    """

    name: str
    center: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    indicator: bool = False
    boolean: bool = False
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Date:
    """A column of dates or times, raw in days since 1970-01-01, encoded as four or six numbers.

    Attributes:
        name: The column's name.
        format: How text says a date, as for ``strptime``.
        parts: Year, month, day of the week (0 is Monday) and days; then the sine and the cosine of the time of the day
            as a part of a full turn, unless all training rows say midnight.
        zone: The time zone whose clock counts; empty if the times have none.
    """

    name: str
    format: str
    parts: tuple[Number, ...]
    zone: str = ""


@dataclass(frozen=True)
class Category:
    """A column of names, encoded as one feature for each of its slots.

    Attributes:
        name: The column's name.
        values: The names that have a slot each.
        rare: Whether rarer names, and with them all that training has not seen, share a slot; else they have none.
        missing: Whether missing values have a slot: if there was one in a training row.
    """

    name: str
    values: tuple[str, ...]
    rare: bool = False
    missing: bool = False

    @property
    def slots(self) -> list[int]:
        """The code of each feature: indices into ``values``, -1 for rare names, -2 for missing ones."""
        return [*range(len(self.values)), *([-1] if self.rare else []), *([-2] if self.missing else [])]


Column = Number | Date | Category


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: The column's name.
        kind: ``binary`` and ``multiclass`` targets are classes, ``number`` is a quantity.
        classes: The classes' names in the order of their indices; empty for a number.
        center: Subtracted from a number before training; 0 for classes.
        scale: A number is divided by it before training; 1 for classes.
        counts: Training rows of each class.
        label_type: What the classes' names were before they were text, as Arrow calls it.
    """

    name: str
    kind: Literal["binary", "multiclass", "number"]
    classes: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    counts: tuple[int, ...] = ()
    label_type: str = "string"

    @property
    def num_outputs(self) -> int:
        """How many values a model gives for a row: one logit a class, but a single one for two classes."""
        return len(self.classes) if self.kind == "multiclass" else 1


@dataclass(frozen=True)
class Schema:
    """The columns and the target of a table, with the statistics of its training rows alone.

    Attributes:
        columns: What a row is made of.
        target: What is predicted.
        missing: Texts that mean a missing value, besides the usual ones.
        decimal_point: What stands before the decimals of a number written as text.
    """

    columns: tuple[Column, ...]
    target: Target
    missing: tuple[str, ...] = ()
    decimal_point: str = "."

    @property
    def numbers(self) -> list[Number]:
        """All that is encoded as a number: number columns, then the parts of dates."""
        dates = [part for column in self.columns if isinstance(column, Date) for part in column.parts]
        return [column for column in self.columns if isinstance(column, Number)] + dates

    @property
    def categories(self) -> list[Category]:
        """The columns of names."""
        return [column for column in self.columns if isinstance(column, Category)]

    @property
    def num_encoded(self) -> int:
        """The width of an encoded row."""
        return len(self.numbers) + sum(number.indicator for number in self.numbers) + len(self.categories)

    def is_like(self, other: "Schema") -> bool:
        """Whether both were learned from the same training rows; processors differ in the last digits."""
        facts, numbers = [], []
        for schema in (self, other):
            names = [(type(column), column.name) for column in schema.columns]
            facts.append((names, schema.categories, schema.target.classes, schema.target.counts, schema.num_encoded))
            numbers.append([(n.center, n.scale, n.fill) for n in schema.numbers])
            numbers[-1].append((schema.target.center, schema.target.scale, 0.0))
        return facts[0] == facts[1] and bool(np.allclose(numbers[0], numbers[1]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, so that a checkpoint that holds them loads with ``weights_only=True``."""
        columns = [{"kind": type(column).__name__, **asdict(column)} for column in self.columns]
        return {**asdict(self), "columns": columns}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Schema":
        """The inverse of `to_dict`.

        Raises:
            TypeError: If a value is not of its type.
            ValueError: If there is no such kind of column, or the target has not as many classes as it should.
        """
        schema: Schema = _built(cls, values)
        kind, count = schema.target.kind, len(schema.target.classes)
        if (kind == "number") != (count == 0) or (kind == "binary") > (count == 2):
            raise ValueError(f"a target that is {kind} cannot have {count} classes")
        return schema


def _built(hint: Any, value: Any) -> Any:
    """A value of a type from plain ones, among them lists for tuples and mappings for dataclasses."""
    if hint == Column:
        kinds = {cls.__name__: cls for cls in get_args(Column)}
        if (hint := kinds.get(value["kind"])) is None:
            raise ValueError(f"there is no kind of column '{value['kind']}'")
    if get_origin(hint) is tuple:
        return tuple(_built(get_args(hint)[0], part) for part in value)
    if hasattr(hint, "__dataclass_fields__"):
        return hint(**{name: _built(kind, value[name]) for name, kind in get_type_hints(hint).items()})
    if not isinstance(value, str if get_origin(hint) is Literal else (float, int) if hint is float else hint):
        raise TypeError(f"{value!r} is no {hint}")
    return value


def learn_number(
    name: str,
    values: NDArray[np.float64],
    scale: bool,
    boolean: bool = False,
    ordered: NDArray[np.float64] | None = None,
) -> Number:
    """Learns a column of numbers.

    Args:
        name: The column's name.
        values: Its training rows, ``(rows,)``; NaN where one is missing.
        scale: Whether to standardise it to mean 0 and deviation 1.
        boolean: Whether it holds true and false.
        ordered: The same in order, NaN at the end, if that is known.
    """
    missing = np.isnan(values)
    indicator = bool(missing.any())
    present = values[~missing] if indicator else values
    if not len(present):
        return Number(name, indicator=indicator, boolean=boolean)
    # In units of a power of two, which rounds nothing: squares of 1e-160 are 0, and those of 1e160 infinite.
    _, exponent = np.frexp(max(present.max(), -present.min()))
    exponent = exponent if abs(exponent) > 100 else 0  # then there is no need of a copy
    deviation = np.ldexp((np.ldexp(present, -exponent) if exponent else present).std(), exponent)
    center, deviation = (float(present.mean()), float(deviation)) if scale else (0.0, 1.0)
    if not deviation or present.min() == present.max():  # rounding can make its deviation tiny instead of 0
        deviation = 1.0
    ordered = np.sort(present) if ordered is None else ordered[: len(present)]
    places = np.linspace(0, len(ordered) - 1, NUM_QUANTILES)
    around = np.unique([np.floor(places), np.ceil(places)]).astype(int)
    quantiles = np.interp(places, around, ordered[around])
    median = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1].mean()
    return Number(name, center, deviation, float(median), indicator, boolean, tuple(quantiles.tolist()))


def learn_target(
    name: str,
    y: NDArray[Any],
    classes: Sequence[str] | None,
    scale: bool,
    kind: Literal["binary", "multiclass"] | None = None,
    label_type: str = "string",
) -> Target:
    """Learns a target from training rows.

    Args:
        name: The target's name.
        y: The training rows' targets, ``(rows,)``: indices into ``classes``, or numbers.
        classes: The classes' names, or None if the target is a number.
        scale: Whether a number is to be standardised.
        kind: How classes are modelled; by default two of them are ``binary``.
        label_type: See `Target`.
    """
    if classes is None:
        number = learn_number(name, y.astype(np.float64), scale)
        return Target(name, "number", (), number.center, number.scale)
    counts = tuple(np.bincount(y, minlength=len(classes)).tolist())
    kind = kind or ("binary" if len(classes) == 2 else "multiclass")
    return Target(name, kind, tuple(classes), counts=counts, label_type=label_type)
