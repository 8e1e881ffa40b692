"""A starter for supervised learning on tables with PyTorch Lightning.

From Python, ``from project import ...`` gives `train`, `load_run`, `Run`, `Predictor` and `read_curves`. Each is
imported when it is first asked for, so that ``import project`` stays light.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from project.curves import read_curves
    from project.library import Run, load_run, train
    from project.predictor import Predictor

__all__ = ["Predictor", "Run", "load_run", "read_curves", "train"]

_PLACES = {
    "Predictor": "predictor",
    "Run": "library",
    "load_run": "library",
    "read_curves": "curves",
    "train": "library",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
