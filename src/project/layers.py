"""What files and flags say, before it is laid together."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from project.names import nearest

COMMAND_LINE = "command line"
"""The source of flags, in messages."""


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
