"""Every command of the README runs, and what it shows is what comes."""

import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from project.evaluate.__main__ import main as evaluate
from project.fit import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.partition("   #")[0] for language, block in BLOCKS if language == "bash" for line in block.splitlines()
]
INLINE = re.findall(r"`(make [^`]+|python -m [^`]+)`", TEXT)
CHAPTER = TEXT.partition("## Your own data\n")[2].partition("\n##")[0]
OWN_DATA = [line for line in CHAPTER.splitlines() if line.startswith("python -m project.")]
MANY_RUNS = [command for command in COMMANDS if re.match(r"python -m project\.(compare|tune|runs)", command)]
SESSIONS = [block for _, block in BLOCKS if block.startswith("$ ")]


def fit_commands() -> list[object]:
    commands = [
        c for c in COMMANDS if c.startswith("python -m project.fit") and c not in OWN_DATA and "best.yaml" not in c
    ]
    return [pytest.param(c, marks=pytest.mark.slow) if "experiments" in c else c for c in commands]


@pytest.mark.parametrize("command", fit_commands())
def test_fit_command(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    args = shlex.split(command)[3:]
    assert main([*args, "--trainer.default_root_dir", str(tmp_path)]) == 0
    if not re.search("help|print_config", command):
        (report,) = tmp_path.rglob("report.json")
        assert evaluate([str(report.parent)]) == 0


@pytest.mark.parametrize("session", SESSIONS)
def test_session(
    session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    command, _, expected = session.partition("\n")
    assert main([*shlex.split(command)[4:], "--trainer.default_root_dir", str(tmp_path)]) > 0
    assert "".join(capsys.readouterr()) == expected


def test_no_command_is_left_out() -> None:
    known = ("python -m project.fit", "make ", "source .venv/bin/activate")
    others = [command for command in COMMANDS if command not in (*OWN_DATA, *MANY_RUNS)]
    assert [command for command in others if not command.startswith(known)] == []
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in [*COMMANDS, *INLINE]:
        if command.startswith("make "):
            assert command.split()[1] in targets


def test_python_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, as a reader would run it; Lightning's own hints go to standard error."""
    block = next(block for language, block in BLOCKS if language == "python" and "Trainer" in block)
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.ckpt").exists()


def test_from_a_csv_to_predictions_and_onnx_in_four_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All commands of the chapter "Your own data", and its lines of Python."""
    shutil.copytree(ROOT / "configs" / "data", tmp_path / "configs" / "data")
    monkeypatch.chdir(tmp_path)
    assert [re.findall(r"project\.(\w+)", command)[0] for command in OWN_DATA[:4]] == [
        *("fit", "evaluate", "predict", "export")
    ]
    for command in OWN_DATA:
        _, _, module, *args = shlex.split(command)
        if module in ("project.fit", "project.cross_validate"):
            args += ["--trainer.default_root_dir", "logs"]
        if module == "project.cross_validate":
            args += ["--trainer.max_epochs", "2"]
        assert importlib.import_module(module).main(args) == 0
    frame = pd.read_csv("predictions.csv")
    assert (frame["prediction"] == frame["class"]).mean() > 0.95
    assert Path("model.onnx").stat().st_size > 0
    (block,) = [block for language, block in BLOCKS if language == "python" and "predict_proba" in block]
    variables = {"frame": frame}
    exec(block.replace("predictor.predict(", "predicted = predictor.predict("), variables)
    assert variables["predicted"].tolist() == frame["prediction"].tolist()


@pytest.mark.parametrize("command", MANY_RUNS)
def test_command_for_many_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, _, module, *args = shlex.split(command)
    logs = ["--trainer.default_root_dir", str(tmp_path)]
    few = ["--seeds", "1", "--trainer.max_epochs", "1", "--jobs", "1", *logs]
    short = {
        "project.compare": ["--tuning-seeds", "1", *few],  # example: line
        "project.tune": ["--trials", "2", *few],
    }
    module = module if importlib.util.find_spec(module).submodule_search_locations is None else f"{module}.__main__"
    assert importlib.import_module(module).main([*args, *short.get(module.removesuffix(".__main__"), [])]) == 0
    if "project.tune" in module:  # the command that follows it in the README
        (best,) = tmp_path.glob("tune/Wine-FeedForward/best.yaml")
        assert f"project.fit --config logs/{best.relative_to(tmp_path)}" in TEXT
        assert main(["--config", str(best), *logs]) == 0


def test_links_lead_somewhere() -> None:
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", TEXT):
        assert (ROOT / path).exists()


def test_the_table_shown_is_the_one_that_comes(fit: Callable[..., Path]) -> None:
    report = json.loads((fit() / "report.json").read_text())
    shown = {
        cells[0]: [float(cell) for cell in cells[1:]]
        for cells in (line.strip("│ ").split() for line in TEXT.splitlines() if line.startswith("│"))
        for cells in [[cell for cell in cells if cell != "│"]]
    }
    assert shown.keys() == report["metrics"].keys() - {"loss"}
    for name, (model, majority, logistic) in shown.items():
        # Another processor rounds otherwise, and one test row of 114 is 0.009.
        assert model == pytest.approx(report["metrics"][name], abs=0.02)
        assert majority == pytest.approx(report["baselines"]["majority class"][name], abs=1e-4)
        assert logistic == pytest.approx(report["baselines"]["logistic regression"][name], abs=1e-3)


def make(*args: str, folder: Path) -> list[str]:
    """A ``make`` command in a copy of the repository that uses this environment instead of making its own."""
    environment = folder / ".venv"
    if not environment.exists():
        (environment / "bin").mkdir(parents=True)
        for name in ("python", "pytest", "ruff", "mypy", "tensorboard"):
            script = environment / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).parent / name}" "$@"\n')
            script.chmod(0o755)
        (environment / ".installed").touch()
    return ["make", "-C", str(folder), *args]


def environment(folder: Path) -> dict[str, str]:
    """This environment for a ``make`` in a folder, without what a ``make`` that runs the tests hands down."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "ARGS"}
    return {**kept, "PYTHONPATH": str(folder / "src")}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns(".git", ".venv", "logs", "__pycache__", ".*_cache", "*.egg-info")
    return Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=ignored))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["make train", 'make train ARGS="--optimizer SGD --optimizer.lr 0.1"', "make help"])
def test_make_command(command: str, copy: Path) -> None:
    assert command in TEXT
    arguments = make(*shlex.split(command)[1:], folder=copy)
    done = subprocess.run(arguments, env=environment(copy), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if "train" in command:
        (report,) = (copy / "logs").rglob("report.json")
        assert ("sgd-lr0.1" if "SGD" in command else "adam-lr0.003") in report.parent.name


# example: begin
@pytest.mark.slow
def test_make_compare_ends_with_the_table_shown(copy: Path) -> None:
    """Each median may differ by a hundredth, for another processor rounds otherwise."""
    done = subprocess.run(
        make("compare", folder=copy), env=environment(copy), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    row = re.compile(r"^([a-z_]+) +([\d.]+) +([\d.]+) +[\d.]+–", re.MULTILINE)
    shown, came = (
        {label: (rate, float(loss)) for label, rate, loss in row.findall(text)} for text in (TEXT, done.stdout)
    )
    assert len(shown) == 6
    assert {label: rate for label, (rate, _) in came.items()} == {label: rate for label, (rate, _) in shown.items()}
    for label, (_, loss) in shown.items():
        assert came[label][1] == pytest.approx(loss, abs=0.01)


# example: end
@pytest.mark.slow
def test_make_curves_serves_the_runs(copy: Path) -> None:
    (copy / "logs").mkdir()
    with subprocess.Popen(
        make("curves", "ARGS=--port 0", folder=copy),
        env=environment(copy),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stderr is not None
        deadline = time.monotonic() + 60
        address = None
        while address is None and time.monotonic() < deadline:
            address = re.search(r"http://\S+", server.stderr.readline().replace("https://github", ""))
        try:
            assert address is not None
            with urllib.request.urlopen(address[0], timeout=30) as page:
                assert b"TensorBoard" in page.read()
        finally:
            os.killpg(server.pid, 15)
