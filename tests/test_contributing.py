"""CONTRIBUTING.md: its recipes do what they promise, and what it says of the code is so."""

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from repository import ROOT, SOURCE, copy_repository, environment
from results import read_curve, read_report

from project.fit import main as fit

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    return text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


class Recipe(NamedTuple):
    files: dict[str, str]
    commands: list[str]


def read_recipes(text: str) -> dict[str, Recipe]:
    """The recipes by their titles: a code block below a path is a file, each line of a bash block a command."""
    recipes = {}
    for part in section(text, "## Adding things").split("\n### ")[1:]:
        title, _, body = part.partition("\n")
        files = dict(re.findall(r"`([^`]+)`:\n\n```\w+\n(.*?)^```", body, re.MULTILINE | re.DOTALL))
        bash = "".join(re.findall(r"^```bash\n(.*?)^```", body, re.MULTILINE | re.DOTALL))
        recipes[title] = Recipe(files, bash.splitlines())
    return recipes


RECIPES = read_recipes(TEXT)


class Followed(NamedTuple):
    """A copy of the repository with the files of all recipes in it."""

    folder: Path

    def run(self, command: str) -> str:
        """Runs a command there and returns what it prints; nothing must go to standard error."""
        words, env = shlex.split(command), environment(self.folder)
        done = subprocess.run(words, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def last_run(self, experiment: str) -> Path:
        return max((self.folder / "logs" / experiment).iterdir(), key=lambda run: run.stat().st_mtime)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """A copy in which all recipes have been followed up to their commands; the types of libraries are known there."""
    folder = copy_repository(tmp_path_factory.mktemp("recipes") / "copy")
    for recipe in RECIPES.values():
        for path, content in recipe.files.items():
            (folder / path).write_text(content, encoding="utf-8")
    return Followed(folder)


def goes_by_its_name(followed: Followed, printed: list[str]) -> None:
    assert "on 420 rows of Spirals" in printed[0]


def passes_the_inherited_tests(followed: Followed, printed: list[str]) -> None:
    assert re.search(r"\b\d\d passed", printed[0])
    assert "--model.depth VALUE" in printed[1]
    assert "Training ResidualNet" in printed[2]


def has_the_loss_and_the_metric(followed: Followed, printed: list[str]) -> None:
    """Of 42 test rows of the first class and 72 of the second, the two accuracies say how many are mistaken."""
    run = followed.last_run("breast_cancer")
    scores = read_report(run)["metrics"]
    assert scores["log_loss"] < scores["loss"] < 5 * scores["log_loss"]  # some of its terms count five times
    mistakes = 114 * (1 - scores["accuracy"])
    missed = (2 * (1 - scores["balanced_accuracy"]) - mistakes / 42) / (1 / 72 - 1 / 42)
    assert scores["cost"] == pytest.approx((5 * missed + mistakes - missed) / 114, abs=1e-6)
    assert re.findall(r"│ cost +│ +([\d.]+) │", printed[0]) == [f"{scores['cost']:.4f}"]
    assert len(read_curve(run, "cost/val")) == 5


def rises_and_falls(followed: Followed, printed: list[str]) -> None:
    lr = [value for _, value in read_curve(followed.last_run("breast_cancer"), "lr")]
    expected = [3e-4 * factor for factor in (1 / 2, 1, (2 / 3) ** 0.5, (2 / 4) ** 0.5, (2 / 5) ** 0.5, (2 / 6) ** 0.5)]
    assert list(dict.fromkeys(lr)) == pytest.approx(expected)
    assert "lion-lr0.0003" in printed[0]


def logs_a_curve(followed: Followed, printed: list[str]) -> None:
    assert len(read_curve(followed.last_run("breast_cancer"), "weight_length")) == 5


def prints_the_weights(followed: Followed, printed: list[str]) -> None:
    assert len(re.findall(r"^net[.\d]+(?:weight|bias) +[\d.]+$", printed[1], re.MULTILINE)) == 4


PROMISES: dict[str, Callable[[Followed, list[str]], None]] = {
    "A data set": goes_by_its_name,
    "A model": passes_the_inherited_tests,
    "A loss, and a metric": has_the_loss_and_the_metric,
    "An optimizer, and a scheduler": rises_and_falls,
    "A callback": logs_a_curve,
    "A command": prints_the_weights,
}
"""What is to be seen when the commands of a recipe have run; those of a feature's recipe need only run."""


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_is_short(title: str) -> None:
    assert title in PROMISES or title.startswith("`")
    kinds = [Path(path).suffix for path in RECIPES[title].files if not path.startswith("tests/")]
    assert sorted(kinds) in ([".py"], [".yaml"], [".py", ".yaml"])
    assert RECIPES[title].commands


@pytest.mark.slow
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_does_what_it_promises(title: str, followed: Followed) -> None:
    printed = [followed.run(command) for command in RECIPES[title].commands]
    if title in PROMISES:
        PROMISES[title](followed, printed)


@pytest.mark.slow
def test_the_files_of_the_recipes_pass_the_checks(followed: Followed) -> None:
    files = [path for recipe in RECIPES.values() for path in recipe.files if path.endswith(".py")]
    followed.run(f"ruff format --check {' '.join(files)}")
    followed.run(f"ruff check {' '.join(files)}")
    followed.run("mypy")
    names = re.findall(r"\w+", followed.run("python -m project.fit --help"))
    assert {"Spirals", "ResidualNet", "CostNet"} <= set(names)
    followed.run("pytest tests/test_imports.py -k 'not changes'")  # nothing else is to be changed


def first_calls(command: Callable[[Sequence[str]], int], args: Sequence[str]) -> list[str]:
    """The functions of the package that a command calls, in the order of their first calls."""
    names: dict[str, None] = {}

    def note(frame: Any, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(f"{SOURCE}{os.sep}"):
            module = ".".join(Path(file).relative_to(SOURCE).with_suffix("").parts)
            names.setdefault(f"{module}.{frame.f_code.co_qualname}")

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        assert command(args) == 0
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(names)


def test_the_life_of_a_run_is_as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function that the page names is called, and for the first time in the order of the page."""
    monkeypatch.chdir(ROOT)
    story = section(TEXT, "## How it works")
    names = re.findall(r"`([a-z_]+(?:\.\w+)+)`", story)
    told = [name for name in names if name.rpartition(".")[2] not in ("ckpt", "json", "toml", "yaml")]
    where = ["--name", "run", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(tmp_path)]
    called = first_calls(fit, where)
    assert len(told) > 10
    assert [name for name in called if name in told] == told


def test_the_commands_for_every_day_are_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = re.findall(r"`make (\w+)", TEXT)
    assert {"check", "test"} <= set(wanted) <= set(targets)
    for path in re.findall(r"`((?:tests|configs|src|\.ci)/[\w./]+)`", section(TEXT, "## Every day")):
        assert (ROOT / path).exists()
