"""Classes by name: a short name where it is known, an import path anywhere else."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from project.errors import nearest


def class_names(modules: Iterable[str], base: type) -> dict[str, str]:
    """Short names of the public subclasses of ``base`` in some modules, with their import paths.

    Of a package of ours, the classes in its files count too: a class in a new file is found by its name at once.

    Raises:
        ValueError: If such a file cannot be imported, or a class in it has the name of another one.
    """
    found: dict[str, type] = {}
    paths: dict[str, str] = {}
    for module in map(importlib.import_module, modules):
        files = list(_files(module))
        for place in (module, *files):
            for name, member in vars(place).items():
                public = not name.startswith("_") and inspect.isclass(member) and issubclass(member, base)
                # A module of ours also holds the classes it imports; `torch.optim` holds base classes.
                public = public and member is not base and name in getattr(place, "__all__", [name])
                if not public or (place in files and not member.__module__.startswith(f"{module.__name__}.")):
                    continue
                path = f"{place.__name__}.{name}"
                if found.setdefault(name, member) is not member and place in files:
                    raise ValueError(f"two classes have the name {name}: {paths[name]} and {path}; rename one of them")
                paths.setdefault(name, path)
    return paths


def _files(module: ModuleType) -> Iterator[ModuleType]:
    """The modules in a package of ours; nothing for any other module."""
    if module.__name__.startswith(f"{__package__}."):
        for file in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
            try:
                yield importlib.import_module(file.name)
            except Exception as error:  # whatever a new file does wrong
                raise ValueError(f"{file.name} cannot be imported: {type(error).__name__}: {error}") from error


def find_class(name: str, modules: Iterable[str], base: type) -> type:
    """Finds a class.

    Args:
        name: A short name in one of the modules, or an import path (``package.module.Class``).
        modules: Where short names are looked up.
        base: What it must be a subclass of.

    Raises:
        ValueError: If there is no such class.
    """
    names = class_names(modules, base)
    path = names.get(name, name)
    module_name, _, attribute = path.rpartition(".")
    if not module_name:
        raise ValueError(f"there is no {base.__name__} named '{name}'; {nearest(name, names)}")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, TypeError) as error:  # TypeError for what begins with a dot
        raise ValueError(f"'{name}' cannot be imported: {error}") from error
    found = getattr(module, attribute, None)
    if not (inspect.isclass(found) and issubclass(found, base)):
        others = class_names([module_name], base)
        raise ValueError(f"there is no {base.__name__} '{attribute}' in {module_name}; {nearest(attribute, others)}")
    return found


def class_path(cls: type) -> str:
    """The shortest import path of a class: ``torch.optim.Adam`` rather than ``torch.optim.adam.Adam``."""
    parts = cls.__module__.split(".")
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        if vars(importlib.import_module(module)).get(cls.__name__) is cls:
            return f"{module}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"
