"""Forks: their names, what is in them, what stops them, and that they work."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.fork import main

ROOT = Path(__file__).parents[1]
EXAMPLES = r"Blobs|Moons|Circles|FiveRows|RandomLabels|RandomNumbers|HeightWeight|ThreePoints|project\.compare"
NAMES = {False: "zzz_a_name_longer_than_that_of_the_template", True: "aaa"}  # imports and lines are in another order


def git(folder: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=Me", "-c", "user.email=me@localhost", *args]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def listed(folder: Path, *options: str) -> list[str]:
    return git(folder, "ls-files", "-z", *options).split("\0")[:-1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it stands here, in a repository of its own."""
    folder = tmp_path_factory.mktemp("template")
    for name in listed(ROOT, "--cached", "--others", "--exclude-standard"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Template")
    return folder


@pytest.fixture(autouse=True)
def _template(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that knows no user, as on a new machine."""
    monkeypatch.setattr("tools.fork.ROOT", template)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="module")
def fork(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Gives a fork in a folder with a space and a letter that is not ASCII in its path; it is made once."""
    folder = tmp_path_factory.mktemp("forks") / "eigene Gabelung ü"
    folder.mkdir()

    def made(bare: bool) -> Path:
        new = folder / NAMES[bare]
        if not new.exists():
            assert main([NAMES[bare], str(new), *["--bare"] * bare]) == 0
        return new

    return made


def test_every_mark_has_its_end(template: Path) -> None:
    for name in listed(template):
        content = (template / name).read_text(encoding="utf-8", errors="replace")
        marks = re.findall(r"(?m)^[^\w\n]*(template|example): (begin|end)\b", content)
        assert marks[1::2] == [(kind, "end") for kind, _ in marks[::2]], name
        assert {edge for _, edge in marks[::2]} <= {"begin"}, name


@pytest.mark.parametrize("bare", [False, True])
def test_no_trace_of_the_old_name_and_of_marks_is_left(bare: bool, fork: Callable[[bool], Path]) -> None:
    folder = fork(bare)
    names = listed(folder)
    assert f"src/{NAMES[bare]}/fit.py" in names
    assert not [name for name in names if re.search("(?i)(?<!py)project|fork", name)]
    for name in names:
        content = (folder / name).read_bytes()
        if not name.endswith(".png"):
            text = content.decode()
            if name == "pyproject.toml":
                assert f'\nname = "{NAMES[bare]}"\nversion = "0.1.0"\n' in text
                text = re.sub(r"(?m)^\[project(\.[a-z-]+)?\]$", "", text)
            assert not re.search("(?i)(?<!py)project|(template|example): (begin|end|line)", text), name
    assert (folder / "README.md").read_text().startswith(f"# {NAMES[bare]}\n\n")
    assert (folder / ".ci" / "run").stat().st_mode & 0o100


def test_a_bare_fork_has_no_examples_and_a_full_one_has_all(template: Path, fork: Callable[[bool], Path]) -> None:
    def mentions(folder: Path, pattern: str) -> list[str]:
        return [f for f in listed(folder) if f[-4:] != ".png" and re.search(pattern, (folder / f).read_text())]

    assert mentions(fork(True), rf"\b({EXAMPLES.replace('project', NAMES[True])})\b") == []
    there = {name.replace("project", NAMES[False]) for name in mentions(template, rf"\b({EXAMPLES})\b")}
    here = set(mentions(fork(False), rf"\b({EXAMPLES.replace('project', NAMES[False])})\b"))
    assert there - here == {"tests/test_fork.py"}
    for name in ("src/aaa/compare", "src/aaa/models/conv_net.py", "tests/compare", "tests/benchmarks", "docs"):
        assert not (fork(True) / name).exists()
        assert (fork(False) / name.replace("aaa", NAMES[False])).exists()


@pytest.mark.parametrize("bare", [False, True])
def test_it_is_one_commit_in_good_style(bare: bool, fork: Callable[[bool], Path]) -> None:
    folder, name = fork(bare), NAMES[bare]
    assert git(folder, "log", "--format=%an <%ae> %s").startswith(f"{name} <{name}@localhost> Start {name} from")
    assert git(folder, "rev-list", "--count", "HEAD") == "1\n"
    assert git(folder, "status", "--porcelain") == ""
    for words in (["format", "--check"], ["check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_bare_fork_s_modules_can_be_imported_and_its_experiments_read(fork: Callable[[bool], Path]) -> None:
    program = (
        "import importlib, pathlib, pkgutil\n"
        "import NAME\n"
        "from NAME.config import combine\n"
        "from NAME.layers import read_layer\n"
        "for module in pkgutil.walk_packages(NAME.__path__, 'NAME.'):\n"
        "    importlib.import_module(module.name)\n"
        "for path in pathlib.Path('configs/experiments').glob('*.yaml'):\n"
        "    assert combine([read_layer(path)])['data']['class_path'].startswith('NAME.data.')\n"
    )
    command = [sys.executable, "-B", "-c", program.replace("NAME", "aaa")]
    environment = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run(command, cwd=fork(True), env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_place_gives_the_same_files(
    template: Path, fork: Callable[[bool], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "clone", "--quiet", str(template), "copy")
    folder = tmp_path / "copy"
    (folder / "src" / "project" / "__pycache__").mkdir()  # as Python leaves it
    (folder / "src" / "project" / "__pycache__" / "fit.pyc").touch()
    (folder / "logs" / "run").mkdir()
    (folder / ".git" / "info" / "exclude").write_text("private.csv\n")
    (folder / "tests" / "data" / "private.csv").touch()
    monkeypatch.setattr("tools.fork.ROOT", folder)
    assert main([NAMES[False]]) == 0
    assert git(folder, "rev-parse", "HEAD^{tree}") == git(fork(False), "rev-parse", "HEAD^{tree}")
    assert git(folder, "rev-list", "--count", "HEAD") == "2\n"
    assert git(folder, "status", "--porcelain") == ""
    assert names_in(folder / "src") == [NAMES[False]]
    assert (folder / "logs" / "run").is_dir()
    assert (folder / "tests" / "data" / "private.csv").exists()


def refused(args: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"error: .*{words}.*\n", err), err


@pytest.mark.parametrize("place", [["new"], []], ids=["elsewhere", "in place"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        *[
            (name, "small letters")
            for name in ("2churn", "Churn", "my-churn", "churn_", "größe", "a b", "../churn", "")
        ],
        *[(name, "Python's own") for name in ("class", "match", "list")],
        *[(name, "standard library") for name in ("json", "antigravity")],
        *[(name, "installed") for name in ("torch", "sklearn", "scikit_learn", "pytest", "project")],
        *[(name, "the template has") for name in ("tests", "configs", "conv_net", "np", "folder")],
    ],
)
def test_a_bad_name_is_refused(
    name: str, words: str, place: list[str], template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([name, *(str(tmp_path / p) for p in place)], 2, words, capsys)
    assert list(tmp_path.iterdir()) == []
    assert git(template, "status", "--porcelain") == ""


@pytest.mark.parametrize(("file", "content"), [("README.md", "changed"), ("new.py", "")])
def test_uncommitted_changes_are_refused(
    file: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet", "template")
    folder = tmp_path / "template"
    (folder / "README.md").write_text("# Template")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Template")
    (folder / file).write_text(content)
    monkeypatch.setattr("tools.fork.ROOT", folder)
    refused(["churn"], 1, f"changes without a commit, such as '.*{file}'", capsys)
    refused(["churn", str(tmp_path / "churn")], 1, f"changes without a commit, such as '.*{file}'", capsys)
    assert names_in(tmp_path) == ["template"]
    assert (folder / file).read_text() == content
    monkeypatch.setattr("tools.fork.ROOT", tmp_path)
    refused(["churn"], 1, "no git repository", capsys)


def test_a_folder_that_cannot_be_taken_is_refused(
    template: Path, fork: Callable[[bool], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for folder, words in (
        (tmp_path, "is not empty"),
        (tmp_path / "file", "is not empty"),
        (fork(True), "is not empty"),  # the second time
        (template / "churn", "within the template"),
        (tmp_path / "none" / "churn", "there is no folder"),
    ):
        capsys.readouterr()
        refused(["churn", str(folder)], 2, words, capsys)
    assert names_in(tmp_path) == ["file"]
    assert git(fork(True), "status", "--porcelain") == ""


def test_an_empty_folder_is_taken_and_what_fails_leaves_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    monkeypatch.setenv("GIT_AUTHOR_DATE", "never")
    refused(["churn", str(folder)], 1, "git .*commit.* failed .*never", capsys)
    monkeypatch.delenv("GIT_AUTHOR_DATE")
    assert [list(path.iterdir()) for path in (tmp_path, folder)] == [[folder], []]
    assert main(["churn", str(folder)]) == 0
    assert (folder / "src" / "churn" / "fit.py").exists()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in ("NAME", "DIR", "--bare"))


@pytest.mark.slow
@pytest.mark.parametrize("bare", [True, False])
def test_a_fork_installs_and_passes_its_own_tests(bare: bool, fork: Callable[[bool], Path]) -> None:
    """In a new virtual environment of its own."""
    folder, ours = fork(bare), ("MAKE", "ARGS", "PYTEST", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for target in ("install", "check", "train"):
        command = ["make", target, f"PYTHON={sys.executable}"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert list((folder / "logs").glob("breast_cancer/*/report.json"))
    assert git(folder, "status", "--porcelain") == ""
