"""CONTRIBUTING.md: its recipes do what they promise, and what it says of the code is so."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from curves import read_curve

from project.fit import main as fit
from project.predict.__main__ import main as predict

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "project"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    return text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]


class Recipe(NamedTuple):
    num_steps: int
    files: dict[str, str]
    commands: list[str]


def read_recipes(text: str) -> dict[str, Recipe]:
    """The recipes by their titles: each code block below a path is a file, each line of a bash block a command."""
    recipes = {}
    for part in section(text, "## Adding things").split("\n### ")[1:]:
        title, _, body = part.partition("\n")
        files = dict(re.findall(r"^`([^`]+)`:\n\n```\w+\n(.*?)^```", body, re.MULTILINE | re.DOTALL))
        bash = "".join(re.findall(r"^```bash\n(.*?)^```", body, re.MULTILINE | re.DOTALL))
        recipes[title] = Recipe(len(re.findall(r"^\d\. ", body, re.MULTILINE)), files, bash.splitlines())
    return recipes


RECIPES = read_recipes(TEXT)


class Followed(NamedTuple):
    """A repository with the files of all recipes in it, its package's name, and its own words for the recipes."""

    folder: Path
    package: str
    recipes: dict[str, Recipe]

    def run(self, command: str) -> str:
        """Runs a command there and returns what it prints; nothing must go to standard error."""
        bin_folder, path = Path(sys.executable).parent, os.environ["PATH"]
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src"), "PATH": f"{bin_folder}{os.pathsep}{path}"}
        done = subprocess.run(
            shlex.split(command), cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def last_run(self, experiment: str) -> Path:
        return max((self.folder / "logs" / experiment).iterdir(), key=lambda run: run.stat().st_mtime)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """A copy in which all recipes have been followed up to their commands."""
    ignored = shutil.ignore_patterns(".git", ".venv*", "logs", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
    folder, package = tmp_path_factory.mktemp("recipes") / "copy", "project"
    shutil.copytree(ROOT, folder, ignore=ignored)
    if (ROOT / ".mypy_cache").exists():  # it knows the libraries
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    recipes = read_recipes((folder / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    for recipe in recipes.values():
        for path, content in recipe.files.items():
            (folder / path).write_text(content, encoding="utf-8")
    rows = [f"{i % 30},{'basic' if i % 3 else 'gold'},{'yes' if i % 30 < 12 else 'no'}\n" for i in range(120)]
    (folder / "configs" / "data" / "churn.csv").write_text("months,plan,left\n" + "".join(rows), encoding="utf-8")
    (folder / "logs").mkdir(exist_ok=True)
    # What an installation would leave: an exported file names the package's version.
    metadata = folder / "src" / f"{package}.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    return Followed(folder, package, recipes)


def test_the_convolutional_net_is_the_one_in_the_package() -> None:
    for path, content in RECIPES["A model"].files.items():
        assert (ROOT / path).read_text(encoding="utf-8") == content


def says_the_columns(followed: Followed, printed: list[str]) -> None:
    assert re.search(r"months +│ number", printed[0])
    assert re.search(r"plan +│ category", printed[0])


def has_its_settings_as_flags(followed: Followed, printed: list[str]) -> None:
    assert "--data.noise VALUE" in printed[0]
    assert "on 420 rows of Spirals" in printed[1]


def passes_the_inherited_tests(followed: Followed, printed: list[str]) -> None:
    assert re.search(r"\b\d\d passed", printed[0])
    assert "Training ConvNet" in printed[1]


def trains_on_the_loss(followed: Followed, printed: list[str]) -> None:
    """Nowhere is the Huber loss above half the squared error, or above delta times the error: so not on the mean."""
    run = followed.last_run("diabetes")
    scores = json.loads((run / "report.json").read_text())["metrics"]
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    scale = checkpoint["hyper_parameters"]["schema"]["target"]["scale"]
    assert 0 < scores["loss"] < min((scores["rmse"] / scale) ** 2 / 2, 0.5 * scores["mae"] / scale)


def shows_the_metric(followed: Followed, printed: list[str]) -> None:
    """Of 42 test rows of the first class and 72 of the second, the two accuracies say how many are mistaken."""
    run = followed.last_run("breast_cancer")
    scores = json.loads((run / "report.json").read_text())["metrics"]
    mistakes = 114 * (1 - scores["accuracy"])
    missed = (2 * (1 - scores["balanced_accuracy"]) - mistakes / 42) / (1 / 72 - 1 / 42)
    assert scores["cost"] == pytest.approx((5 * missed + mistakes - missed) / 114)
    assert re.findall(r"│ cost +│ +([\d.]+) │", printed[0]) == [f"{scores['cost']:.4f}"]
    assert len(read_curve(run, "cost/val")) == 5


def takes_the_settings(followed: Followed, printed: list[str]) -> None:
    assert re.search(r"\b[1-9] passed", printed[0])
    assert "lion-lr0.001" in printed[1]


def rises_and_falls(followed: Followed, printed: list[str]) -> None:
    lr = [value for _, value in read_curve(followed.last_run("breast_cancer"), "lr")]
    expected = [0.003 * factor for factor in (1 / 2, 1, (2 / 3) ** 0.5, (2 / 4) ** 0.5, (2 / 5) ** 0.5, (2 / 6) ** 0.5)]
    assert list(dict.fromkeys(lr)) == pytest.approx(expected)


def logs_a_curve(followed: Followed, printed: list[str]) -> None:
    assert len(read_curve(followed.last_run("breast_cancer"), "weight_length")) == 5


def prints_the_weights(followed: Followed, printed: list[str]) -> None:
    assert len(re.findall(r"^net[.\d]+(?:weight|bias) +[\d.]+$", printed[1], re.MULTILINE)) == 4


PROMISES: dict[str, Callable[[Followed, list[str]], None]] = {
    "A data set from a file": says_the_columns,
    "A data set from a function": has_its_settings_as_flags,
    "A model": passes_the_inherited_tests,
    "A loss": trains_on_the_loss,
    "A metric": shows_the_metric,
    "An optimizer": takes_the_settings,
    "A scheduler": rises_and_falls,
    "A callback": logs_a_curve,
    "A command": prints_the_weights,
}


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_is_short(title: str) -> None:
    assert title in PROMISES
    recipe = RECIPES[title]
    assert 1 <= recipe.num_steps <= 6
    kinds = [Path(path).suffix for path in recipe.files if not path.startswith("tests/")]
    assert sorted(kinds) in ([".py"], [".yaml"], [".py", ".yaml"])
    assert recipe.commands


@pytest.mark.slow
@pytest.mark.parametrize("title", PROMISES)
def test_a_recipe_does_what_it_promises(title: str, followed: Followed) -> None:
    PROMISES[title](followed, [followed.run(command) for command in followed.recipes[title].commands])


@pytest.mark.slow
def test_new_classes_are_in_the_help(followed: Followed) -> None:
    assert {"Spirals", "ConvNet", "HuberNet", "CostNet"} <= set(
        re.findall(r"\w+", followed.run(f"python -m {followed.package}.fit --help"))
    )


@pytest.mark.slow
def test_the_files_of_the_recipes_pass_the_checks(followed: Followed) -> None:
    files = [path for recipe in followed.recipes.values() for path in recipe.files if path.endswith(".py")]
    followed.run(f"ruff format --check {' '.join(files)}")
    followed.run(f"ruff check {' '.join(files)}")
    followed.run("mypy")


@pytest.mark.slow
def test_nothing_else_is_to_be_changed(followed: Followed) -> None:
    """The tests that look at all files pass, with the schema for editors written anew."""
    followed.run(f"python -m {followed.package}.json_schema")
    followed.run(
        "pytest tests/test_imports.py tests/test_json_schema.py tests/test_names.py tests/test_contributing.py"
    )


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
    story = section(TEXT, "### The life of a run")
    commands = re.findall(r"^`python -m project\.\w+ ([^`]+)` passes", story, re.MULTILINE)
    chapters = re.split(r"^`python -m .*\n", story, flags=re.MULTILINE)[1:]
    told = [re.findall(r"`(?!project\.)([a-z_]+(?:\.\w+)+)`(?<!\.json`)(?<!\.yaml`)", chapter) for chapter in chapters]
    where = ["--name", "run", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(tmp_path)]
    calls = [
        first_calls(fit, [*shlex.split(commands[0]), *where]),
        first_calls(predict, [str(tmp_path / "wine" / "run"), "configs/data/wine.csv", "-o", str(tmp_path / "p.csv")]),
    ]
    assert [len(names) > 5 for names in told] == [True, True]
    for called, names in zip(calls, told, strict=True):
        assert [name for name in called if name in names] == names


def files_on_the_map() -> list[Path]:
    lines = re.findall(r"^- (.*?): ", section(TEXT, "### The files"), re.MULTILINE)
    names = [name for line in lines for name in re.findall(r"`([^`]+)`", line)]
    return [SOURCE / name if name.endswith(".py") else ROOT / name for name in names]


def test_the_files_on_the_map_are_there() -> None:
    assert [path for path in files_on_the_map() if not path.exists()] == []
    assert len(files_on_the_map()) > 30


def test_the_commands_for_every_day_are_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = re.findall(r"`make (\w+)", TEXT)
    assert {"check", "test"} <= set(wanted) <= set(targets)
    for path in re.findall(r"`(?:pytest )?((?:tests|configs|src|\.ci)/[\w./]+)", section(TEXT, "## Every day")):
        assert (ROOT / path).exists()
