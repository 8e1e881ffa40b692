"""Classes are found by their names, wherever they stand."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import project.data
from project.classes import class_names, class_path, find_class
from project.data import Iris, TableData

OWN = "from project.data.bundled import Iris, Wine\n\n\nclass {name}(Wine):\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One more folder of data modules, as if its files stood in ``project/data``."""
    monkeypatch.setattr(project.data, "__path__", [*project.data.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("project.data.sales", None)
    vars(project.data).pop("sales", None)


def test_a_class_in_a_new_file_has_a_short_name(folder: Path) -> None:
    (folder / "sales.py").write_text(OWN.format(name="Sales"))
    found = find_class("Sales", ("project.data",), TableData)
    assert class_path(found) == class_names(("project.data",), TableData)["Sales"] == "project.data.sales.Sales"
    assert find_class("Iris", ("project.data",), TableData) is Iris
    assert class_path(Iris) == "project.data.Iris"


WRONG = [
    (OWN.format(name="Iris"), r"project\.data\.Iris and project\.data\.sales\.Iris"),
    ("import no_such_package", r"project\.data\.sales cannot be imported: ModuleNotFoundError.*no_such_package"),
    ("class Sales(\n", r"project\.data\.sales cannot be imported: SyntaxError.*sales\.py, line 1"),
]


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_what_is_wrong_with_a_new_file_is_told(content: str, words: str, folder: Path) -> None:
    (folder / "sales.py").write_text(content)
    with pytest.raises(ValueError, match=words):
        find_class("Wine", ("project.data",), TableData)


def test_classes_that_a_file_imports_from_elsewhere_do_not_count(folder: Path) -> None:
    (folder / "sales.py").write_text("from points import Points")
    assert "Points" not in class_names(("project.data",), TableData)
