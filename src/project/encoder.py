"""A table's rows as one float tensor."""

import torch
from torch import Tensor, nn

from project.schema import Category, Date, Number, Schema


class Encoder(nn.Module):
    """Fills and scales raw rows as a schema says; it has no state but the schema's.

    Training encodes each split once with it, and whatever predicts later puts the same encoder in front of the net.

    Args:
        schema: What the training rows taught.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        facts = [(number.center, number.scale, number.fill) for number in schema.numbers]
        parts = torch.tensor(facts, dtype=torch.float64).reshape(-1, 3).T
        self.center, self.scale, self.fill = (nn.Buffer(part.clone(), persistent=False) for part in parts)
        places = [[i for i, c in enumerate(schema.columns) if type(c) is kind] for kind in (Number, Date, Category)]
        self.numbers, self.dates, self.categories = places
        lengths = [len(column.parts) for column in schema.columns if isinstance(column, Date)]
        self.parts = [6 * i + part for i, length in enumerate(lengths) for part in range(length)]
        self.indicators = [i for i, number in enumerate(schema.numbers) if number.indicator]

    def forward(self, rows: Tensor) -> Tensor:
        """Encodes rows in double precision.

        Args:
            rows: One value a column, ``(rows, columns)``, float64: a number, a date's days since 1970-01-01, or the
                index of a name, -1 if it is not known; NaN where a value is missing.

        Returns:
            Encoded rows, ``(rows, encoded)``, float32: scaled numbers, indicators of missing values, and the codes of
            names, which `project.models` look up.
        """
        values = rows if len(self.numbers) == rows.shape[1] else rows[:, self.numbers]
        if self.dates:
            values = torch.cat([values, date_parts(rows[:, self.dates])[:, self.parts]], dim=1)
        missing = values.isnan()
        scaled = ((torch.where(missing, self.fill, values) - self.center) / self.scale).float()
        if not self.indicators and not self.categories:
            return scaled
        codes = rows[:, self.categories]
        codes = torch.where(codes.isnan(), -2.0, codes)
        return torch.cat([scaled, missing[:, self.indicators].float(), codes.float()], dim=1)


def date_parts(days: Tensor) -> Tensor:
    """The parts of days since 1970-01-01, as `Date` has them.

    In arithmetic alone, which every device and export format has; the method is Howard Hinnant's ``civil_from_days``
    (https://howardhinnant.github.io/date_algorithms.html): years that begin in March, in eras of 400.

    Args:
        days: ``(rows, dates)``, float64.

    Returns:
        ``(rows, 6 * dates)``, float64; NaN where the days are.
    """
    whole = days.floor()
    shifted = whole + 719468  # days since 0000-03-01
    era = (shifted / 146097).floor()
    day = shifted - era * 146097
    year = ((day - (day / 1460).floor() + (day / 36524).floor() - (day / 146096).floor()) / 365).floor()
    day_of_year = day - (365 * year + (year / 4).floor() - (year / 100).floor())
    month = ((5 * day_of_year + 2) / 153).floor()
    month = torch.where(month < 10, month + 3, month - 9)
    year = year + era * 400 + (month <= 2)
    weekday = whole + 3 - ((whole + 3) / 7).floor() * 7
    turn = 2 * torch.pi * (days - whole)
    cosine = (turn + torch.pi / 2).sin()  # ONNX Runtime 1.20 has no cosine in double precision
    return torch.stack([year, month, weekday, days, turn.sin(), cosine], dim=2).flatten(1)
