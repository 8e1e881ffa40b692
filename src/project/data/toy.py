"""Data sets made on the spot, as large and as hard as you like."""

from typing import Any

import numpy as np

from project.data.base import RawTable, TableData


def _table(x: Any, y: Any) -> RawTable:
    columns = [f"x{i}" for i in range(x.shape[1])]
    return RawTable(x.astype(np.float32), y, columns, "class", [str(c) for c in range(int(y.max()) + 1)])


class Blobs(TableData):
    """Normal clouds of points, one a class (``make_blobs`` of scikit-learn).

    With the defaults the best possible accuracy is about 95 %, so that optimizers end at different losses. With
    ``cluster_std=10`` nearly every optimizer gets every row right.

    Args:
        num_samples: Rows in all.
        num_features: Columns.
        num_classes: Clouds.
        cluster_std: Standard deviation of each cloud, whose centres lie between -10 and 10.
        options: See `TableData`.
    """

    def __init__(
        self,
        num_samples: int = 5000,
        num_features: int = 64,
        num_classes: int = 2,
        cluster_std: float = 20.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if num_classes < 2:
            raise ValueError(f"num_classes must be 2 or more, not {num_classes}")
        self.num_samples = num_samples
        self.num_features = num_features
        self.num_classes = num_classes
        self.cluster_std = cluster_std

    def read(self) -> RawTable:
        """Draws the points."""
        from sklearn.datasets import make_blobs

        clouds = {"centers": self.num_classes, "cluster_std": self.cluster_std, "random_state": self.seed}
        return _table(*make_blobs(self.num_samples, self.num_features, **clouds))


class Moons(TableData):
    """Two interleaved half circles in the plane (``make_moons`` of scikit-learn).

    Args:
        num_samples: Rows in all.
        noise: Standard deviation of the normal noise added to every point.
        options: See `TableData`.
    """

    def __init__(self, num_samples: int = 1000, noise: float = 0.2, **options: Any) -> None:
        super().__init__(**options)
        self.num_samples = num_samples
        self.noise = noise

    def read(self) -> RawTable:
        """Draws the points."""
        from sklearn.datasets import make_moons

        return _table(*make_moons(self.num_samples, noise=self.noise, random_state=self.seed))


class Circles(Moons):
    """A small circle inside a large one (``make_circles`` of scikit-learn).

    Args:
        num_samples: Rows in all.
        noise: Standard deviation of the normal noise added to every point.
        factor: Radius of the inner circle; that of the outer one is 1.
        options: See `TableData`.
    """

    def __init__(self, num_samples: int = 1000, noise: float = 0.1, factor: float = 0.5, **options: Any) -> None:
        super().__init__(num_samples, noise, **options)
        self.factor = factor

    def read(self) -> RawTable:
        """Draws the points."""
        from sklearn.datasets import make_circles

        return _table(*make_circles(self.num_samples, noise=self.noise, factor=self.factor, random_state=self.seed))
