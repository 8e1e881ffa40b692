"""Tiny data sets on which a model's arithmetic can be followed by hand."""

from typing import Literal

import numpy as np

from project.data.base import RawTable, TableData


class _Reference(TableData):
    """A data set whose rows all are training rows, in order and unscaled, unless told otherwise."""

    def __init__(
        self,
        val_fraction: float = 0.0,
        test_fraction: float = 0.0,
        shuffle: bool = False,
        seed: int = 0,
        scale: bool = False,
        batch_size: int | Literal["auto", "full"] = "full",
    ) -> None:
        super().__init__(val_fraction, test_fraction, shuffle, seed, scale, batch_size)


class FiveRows(_Reference):
    """Five points drawn from a normal distribution in the plane, labelled 1, 1, 1, 0, 0."""

    def read(self) -> RawTable:
        """Draws the points."""
        x = np.random.default_rng(self.seed).standard_normal((5, 2))
        return RawTable(x, np.array([1, 1, 1, 0, 0]), ["x0", "x1"], "class", ["0", "1"])


class RandomLabels(_Reference):
    """1,000 rows of 16 uniform numbers with a label drawn by chance: there is nothing to learn but their share."""

    def read(self) -> RawTable:
        """Draws rows and labels."""
        rng = np.random.default_rng(self.seed)
        x, y = rng.random((1000, 16)), rng.integers(0, 2, 1000)
        return RawTable(x, y, [f"x{i}" for i in range(16)], "class", ["0", "1"])


class RandomNumbers(_Reference):
    """1,280 rows of 16 uniform numbers with a uniform number to predict: the best loss is its variance, 1/12."""

    def read(self) -> RawTable:
        """Draws rows and targets."""
        rng = np.random.default_rng(self.seed)
        return RawTable(rng.random((1280, 16)), rng.random(1280), [f"x{i}" for i in range(16)])


class HeightWeight(_Reference):
    """15 average heights of women, 58 to 72 inches, to predict from their weights in pounds: nearly a line."""

    def read(self) -> RawTable:
        """Gives the table."""
        weights = [115, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
        return RawTable(np.array(weights)[:, None], np.arange(58.0, 73.0), ["weight"], "height")


class ThreePoints(_Reference):
    """x = 11, 22, 33 and y = 21, 14, 64: unscaled, a rate of 0.01 makes a line through the origin diverge."""

    def read(self) -> RawTable:
        """Gives the table."""
        return RawTable(np.array([[11.0], [22.0], [33.0]]), np.array([21.0, 14.0, 64.0]), ["x"], "y")
