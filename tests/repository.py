"""The repository: its places, what pyproject.toml says, and copies of it in which commands run."""

import os
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "project"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
(METADATA,) = [table for table in PYPROJECT.values() if "requires-python" in table]
FEATURES: dict[str, list[str]] = PYPROJECT["tool"]["features"]


def copy_repository(folder: Path) -> Path:
    ignored = shutil.ignore_patterns(".git", ".venv*", "logs", "__pycache__", ".*_cache", "*.egg-info")
    return Path(shutil.copytree(ROOT, folder, ignore=ignored))


def environment(folder: Path) -> dict[str, str]:
    """This environment for a command in a copy, without what a ``make`` that runs the tests hands down."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PYTHONPATH": str(folder / "src"), "PATH": path}
