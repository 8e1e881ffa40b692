"""Imports run one way, bring what is declared, and change nothing."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import FEATURES, METADATA, SOURCE

TESTS = Path(__file__).parent
PLACES = ["the ground floor", *FEATURES]


def imported(path: Path) -> set[str]:
    """What a file imports, anywhere in it, with full names; ``from a import b`` is ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports are not used here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


IMPORTS = {path: imported(path) for top in (SOURCE, TESTS) for path in top.rglob("*.py")}
MODULES = {
    re.sub(r"/__init__$", "", str(p.relative_to(SOURCE).with_suffix(""))).replace("/", "."): p
    for p in IMPORTS
    if SOURCE in p.parents
}


def place_of(path: Path) -> str:
    """The feature in whose folder a file lies, or the ground floor."""
    folder = path.relative_to(SOURCE if SOURCE in path.parents else TESTS).parts[0]
    return folder if folder in FEATURES else PLACES[0]


def with_needs(feature: str) -> set[str]:
    """A feature and all that it needs, directly or not."""
    return {feature}.union(*map(with_needs, FEATURES.get(feature, [])))


def module_of(name: str) -> str | None:
    """The module of the package from which a name is imported, without the package's name."""
    parts = name.split(".")[1:] if name.startswith("project.") else []
    found = [".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in MODULES]
    return found[0] if found else None


GRAPH = {module: {name for name in map(module_of, IMPORTS[path]) if name} for module, path in MODULES.items()}


def reach(module: str) -> set[str]:
    """All of the package that comes along when a module is imported."""
    return {module}.union(*map(reach, GRAPH[module]))


def test_every_feature_has_its_folders() -> None:
    assert [name for name in FEATURES if not (SOURCE / name / "__init__.py").exists()] == []
    assert [name for name in FEATURES if not list((TESTS / name).glob("test_*.py"))] == []
    assert set().union(*map(with_needs, FEATURES)) <= set(FEATURES)


@pytest.mark.parametrize("place", PLACES)
def test_a_feature_imports_the_ground_floor_and_what_it_needs(place: str) -> None:
    """And the ground floor imports no feature; so it is with their tests."""
    assert "schema" in {module_of(name) for path in IMPORTS if place_of(path) == PLACES[0] for name in IMPORTS[path]}
    others = set(FEATURES) - with_needs(place)
    wrong = [
        f"{path}: {name}"
        for path, names in IMPORTS.items()
        if place_of(path) == place and not {"tools", "benchmarks"} & {*path.parts}
        for name in names
        if name.startswith(("project.", "tests.")) and name.split(".")[1] in others
    ]
    assert wrong == []


def test_there_is_no_circle() -> None:
    TopologicalSorter(GRAPH).prepare()  # raises CycleError


def test_data_and_models_know_each_other_through_the_schema_only() -> None:
    assert [name for name in reach("data.base") if name.startswith("models")] == []
    assert [name for name in reach("models.base") if name.startswith("data")] == []
    assert "schema" in reach("data.base") & reach("models.base")


def test_nothing_imports_a_command() -> None:
    assert {str(path): n for path in MODULES.values() for n in IMPORTS[path] if "__main__" in n} == {}


@cache
def requirements_of(name: str) -> list[Requirement]:
    return [Requirement(line) for line in importlib.metadata.requires(name) or []]


@cache
def homes() -> Mapping[str, list[str]]:
    """The packages from which each module is installed."""
    return importlib.metadata.packages_distributions()


def needed(lines: list[str]) -> set[str]:
    """The packages that requirements name and what these need, as installed here."""
    todo = [(part.name, extra) for part in map(Requirement, lines) for extra in ("", *part.extras)]
    found = set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) not in found:
            found.add((name, extra))
            for part in requirements_of(name):
                if part.marker is None or part.marker.evaluate({"extra": extra}):
                    todo += [(part.name, extra) for extra in ("", *part.extras)]
    return {canonicalize_name(name) for name, _ in found}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_imported_is_installed_with_it(place: str) -> None:
    """By the dependencies, for a feature also by its extra and those of the features that it needs."""
    extras = METADATA["optional-dependencies"]
    packages = needed(
        [*METADATA["dependencies"], *(line for name in with_needs(place) for line in extras.get(name, []))]
    )
    names = {name.split(".")[0] for path in MODULES.values() if place_of(path) == place for name in IMPORTS[path]}
    others = names - set(sys.stdlib_module_names) - {"project"}
    assert names
    assert [name for name in others if not packages & set(map(canonicalize_name, homes()[name]))] == []


def test_an_import_changes_nothing() -> None:
    """The modules are loaded a second time, for the libraries may change what they like when they are loaded."""
    program = """
import atexit, gc, importlib, json, os, signal, sys, warnings
import torch

def load():
    for name in NAMES:
        importlib.import_module(name)

def state():
    handlers = [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())]
    return [torch.get_num_threads(), gc.isenabled(), gc.get_freeze_count(), gc.get_threshold(), len(gc.callbacks),
            [str(entry) for entry in warnings.filters], handlers, atexit._ncallbacks(), dict(os.environ)]

load()
torch.set_num_threads(3)
gc.enable()
gc.unfreeze()
warnings.resetwarnings()
before = state()
for name in [name for name in sys.modules if name.split(".")[0] == "project"]:
    del sys.modules[name]
load()
print(json.dumps([before, state()]))
"""
    names = sorted(f"project.{module}" for module in MODULES if module != "__init__")
    program = program.replace("NAMES", repr(names))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert after == before
    assert before[0] == 3
