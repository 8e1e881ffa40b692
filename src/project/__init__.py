"""A starter for supervised learning on tables with PyTorch Lightning.

``from project import ...`` gives what `project.api` has (`train`, `load_run`, `Run`) and what the packages beside it
export. Each is imported when it is first asked for, so that ``import project`` stays light.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    from project.classes import features

    for place in [f"{__name__}.api", *features(name)] if not name.startswith("_") else []:
        module = importlib.import_module(place)
        if name in getattr(module, "__all__", ()):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
