"""Classes by name: a short name where it is known, an import path anywhere else."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from project.errors import nearest

GROUND_FLOOR = ("data", "models", "engine")
"""The packages here that are no features."""


def features(name: str = "") -> list[str]:
    """The packages of the features that are there, or of those that export a name; none of them is imported."""
    found = []
    for file in sorted(Path(__file__).parent.glob("*/__init__.py")):
        exports = not name or f'"{name}"' in file.read_text(encoding="utf-8")
        if exports and file.parent.name not in GROUND_FLOOR:
            found.append(f"{__package__}.{file.parent.name}")
    return found


def class_names(modules: Iterable[str], base: type) -> dict[str, type]:
    """The public subclasses of ``base`` in some modules, by their short names.

    A module without ``__all__`` has the classes that it defines. Of ``project.data`` and ``project.models`` all files
    count: a class in a new file is found by its name at once. The classes in a ``base.py`` are there to be subclassed.

    Raises:
        ValueError: If such a file cannot be imported, or a class in it has the name of another one.
    """
    found: dict[str, type] = {}
    for module in map(importlib.import_module, modules):
        for place in (module, *_files(module)):
            own = [name for name, member in vars(place).items() if getattr(member, "__module__", "") == place.__name__]
            for name in getattr(place, "__all__", own):
                member = getattr(place, name)
                if not inspect.isclass(member) or not issubclass(member, base) or member is base:
                    continue
                if name.startswith("_") or member.__module__.endswith(".base"):
                    continue
                if (first := found.setdefault(name, member)) is not member:
                    paths = f"{class_path(first)} and {class_path(member)}"
                    raise ValueError(f"two classes have the name {name}: {paths}; rename one")
    return found


def _files(module: ModuleType) -> Iterator[ModuleType]:
    """The modules in a package of the ground floor; nothing for any other module."""
    if module.__name__ in [f"{__package__}.{name}" for name in GROUND_FLOOR]:
        for file in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
            try:
                yield importlib.import_module(file.name)
            except Exception as error:  # whatever a new file does wrong
                raise ValueError(f"{file.name} cannot be imported: {type(error).__name__}: {error}") from error


def find_class(name: str, modules: Iterable[str], base: type) -> type:
    """Finds a class.

    Args:
        name: A short name in one of the modules or of what the features export, or an import path
            (``package.module.Class``).
        modules: Where short names are looked up first; a feature is imported only for a name that is in none of these.
        base: What it must be a subclass of.

    Raises:
        ValueError: If there is no such class, or it is of another kind.
    """
    names = class_names(modules, base)
    if name not in names and "." not in name:
        names = class_names([*modules, *(features(name) or features())], base)
    if name in names:
        return names[name]
    module_name, _, attribute = name.rpartition(".")
    if module_name and all(part.isidentifier() for part in name.split(".")):
        try:
            found = getattr(importlib.import_module(module_name), attribute, None)
        except ImportError as error:
            raise ValueError(f"'{name}' cannot be imported: {error}") from error
        if inspect.isclass(found):
            if issubclass(found, base):
                return found
            raise ValueError(f"'{name}' is no {base.__name__}")
        names = class_names([module_name], base)
    raise ValueError(f"there is no {base.__name__} named '{name}'; {nearest(attribute, names)}")


def class_path(cls: type) -> str:
    """The shortest import path of a class: ``torch.optim.Adam`` rather than ``torch.optim.adam.Adam``."""
    parts = cls.__module__.split(".")
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        if vars(importlib.import_module(module)).get(cls.__name__) is cls:
            return f"{module}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"
