"""What files and flags say, before it is laid together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from project.names import nearest

COMMAND_LINE = "command line"
"""The source of flags, in messages."""
PLACE = ("name", "experiment", "trainer.default_root_dir")
"""Settings that say where a run stands, not what it does."""


class UsageError(ValueError):
    """A file or a flag says what cannot be; the message names it, where it stands, and what may be meant."""


@dataclass
class Layer:
    """One file or the command line: its content, and its name for messages."""

    content: dict[str, Any]
    source: str
    folder: Path = field(default_factory=Path)


def read_layer(path: str | Path) -> Layer:
    """Reads a YAML file.

    Raises:
        UsageError: If it is missing, is no YAML, or holds something else than names with values.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        names = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        hint = f"; in {path.parent} {nearest(path.name, names)}" if names else f"; you are in {Path.cwd()}"
        raise UsageError(f"there is no file {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold names with values, not a {type(content).__name__}")
    return Layer(content, str(path), path.parent)


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """All settings by their names on the command line; a class goes by the name of its section."""
    if not isinstance(value, dict) and not (isinstance(value, list) and any(isinstance(v, dict) for v in value)):
        return {name: value}
    return {key: setting for inner, part in parts_of(value, name) for key, setting in flatten(part, inner).items()}


def parts_of(value: Any, name: str) -> list[tuple[str, Any]]:
    """What a mapping or a list holds, with the names on the command line."""
    if isinstance(value, list):
        return [(f"{name}[{i}]", part) for i, part in enumerate(value)]
    return [(inside(name, key), part) for key, part in value.items()] if isinstance(value, dict) else []


def inside(name: str, key: str) -> str:
    """The name on the command line of what a mapping of this name holds."""
    return name if key in ("class_path", "init_args") else f"{name}.{key}".lstrip(".")
