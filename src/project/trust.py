"""What comes from files that may be damaged, or the work of somebody else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from project.errors import UsageError

MAYBE = ("trainer", "data", "model", "optimizer", "scheduler", "optimizers", "choices")
"""What may hold the name of a class, beside those that hold nothing else."""


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
        content: What a checkpoint or a run's configuration holds.
        file: Its name, for the message.
        key: What the content is called there. Any text among the trainer's settings, or
            where a class can stand, may be meant as one.

    Raises:
        UsageError: If it names another class.
    """
    if isinstance(content, dict | list):
        for name, part in content.items() if isinstance(content, dict) else enumerate(content):
            refuse_strangers(part, file, key if key in ("trainer", "class_path") or isinstance(content, list) else name)
    elif key in ("model_class", "class_path", *MAYBE) and isinstance(content, str) and "." in content:
        module, root = content.rpartition(".")[0], content.partition(".")[0]
        known = module in sys.modules and root not in sys.stdlib_module_names
        known = known or (key in MAYBE and not (all(map(str.isidentifier, content.split("."))) and find_spec(root)))
        if not known and root not in (__package__, "torch", "lightning"):
            words = f"if you trust it, say --import {module}, or import {module} in Python"
            raise UsageError(f"{file} names {content}, a class from elsewhere: {words}")
