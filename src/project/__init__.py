"""A starter for supervised learning on tables with PyTorch Lightning.

``from project import ...`` gives what `project.api` has (`train`, `load_run`, `Run`) and what the packages beside it
export, such as `Predictor` of `project.predict`. Each is imported when it is first asked for, so that
``import project`` stays light.
"""

import importlib
from pathlib import Path
from typing import Any


def __getattr__(name: str) -> Any:
    # The text says whether to import a file: jsonargparse asks for many names, and features take long to import.
    folder = Path(__file__).parent
    for file in [folder / "api.py", *sorted(folder.glob("*/__init__.py"))]:
        if f'"{name}"' in file.read_text(encoding="utf-8"):
            place = file.parent.name if file.stem == "__init__" else file.stem
            module = importlib.import_module(f"{__name__}.{place}")
            if name in getattr(module, "__all__", ()):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
