"""Imports run one way."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import project

SOURCE = Path(project.__file__).parent
PARTS = sorted({path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in SOURCE.rglob("*.py")} - {"__init__"})

ALLOWED = {
    "schema": set(),
    "errors": set(),
    "classes": {"errors"},
    "metrics": set(),
    "encoder": {"schema"},
    "engine": {"errors"},
    "optimizers": {"classes", "engine"},
}
"""What the lower parts may import of the package; a part is a file or a folder in it."""


def imported(path: Path) -> set[str]:
    """Parts of the package that a file imports, anywhere in it."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports are not used here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("project.")}
    return parts


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


GRAPH: dict[str, set[str]] = {part: set() for part in PARTS}
for _path in SOURCE.rglob("*.py"):
    if part_of(_path) in GRAPH:
        GRAPH[part_of(_path)] |= imported(_path) - {part_of(_path)}


def reach(part: str) -> set[str]:
    """All that comes along when a part is imported."""
    return {part}.union(*map(reach, GRAPH[part]))


def test_every_import_names_a_part():
    """Or else the other tests here would look at nothing."""
    assert set().union(*GRAPH.values()) <= set(PARTS)
    assert "schema" in GRAPH["data"] & GRAPH["models"]


def test_there_is_no_circle():
    assert set(TopologicalSorter(GRAPH).static_order()) == set(PARTS)


@pytest.mark.parametrize("part", ALLOWED)
def test_lower_parts_import_lower_parts_only(part):
    assert GRAPH[part] <= ALLOWED[part]


def test_data_and_models_know_each_other_through_the_schema_only():
    assert "models" not in reach("data")
    assert "data" not in reach("models")


def test_nothing_but_a_command_imports_a_command():
    """But for `library`, which offers them to Python."""
    commands = {part_of(path) for path in SOURCE.rglob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    assert "fit" in commands
    assert {part for part in PARTS if GRAPH[part] & commands} <= commands | {"library"}
