"""What comes from files that may be damaged, or the work of somebody else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import yaml

from project.errors import UsageError


@contextmanager
def content_of(file: object) -> Iterator[None]:
    """Names the file whose content is at work, if that is not what it should be.

    Raises:
        ValueError: If it is not.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{file} does not hold what it should: {words}") from error


def refuse_strangers(content: Any, file: object, key: object = "") -> None:
    """Refuses classes that nobody has vouched for: to import a module is to run it.

    Those of this package, torch and Lightning are known, and those of modules that are imported already.

    Args:
        content: What may name classes: a setting, or several; YAML within a text counts, too.
        file: The file that it comes from, for the message.
        key: What the content is called there. Below ``class_path`` all text names a class, elsewhere it may.

    Raises:
        UsageError: If it names another class.
    """
    with suppress(yaml.YAMLError, ValueError):
        content = yaml.safe_load(content) if isinstance(content, str) else content
    if isinstance(content, dict | list | tuple):
        for name, part in content.items() if isinstance(content, dict) else enumerate(content):
            refuse_strangers(part, file, key if key == "class_path" else name)
    elif isinstance(content, str) and "." in content:
        module, root = content.rpartition(".")[0], content.partition(".")[0]
        known = module in sys.modules and root not in sys.stdlib_module_names
        if known or root in (__package__, "torch", "lightning"):
            return
        if key == "class_path" or (all(map(str.isidentifier, content.split("."))) and find_spec(root)):
            words = f"if you trust it, say --import {module}, or import {module} in Python"
            raise UsageError(f"{file} names {content}, a class from elsewhere: {words}")
