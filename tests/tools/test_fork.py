"""Forks: their names and features, what is in them, what stops them, and that they work."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.fork import choose_features, main, read_features, without_sections

ROOT = Path(__file__).parents[2]
FEATURES = read_features((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEFAULT, BARE = None, ""
NAMES = {DEFAULT: "zzz_a_name_longer_than_that_of_the_template", BARE: "aaa"}  # imports and lines are in another order


def name_of(chosen: str | None) -> str:
    return NAMES.get(chosen, "churn")


def git(folder: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=Me", "-c", "user.email=me@localhost", *args]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def listed(folder: Path, *options: str) -> list[str]:
    return git(folder, "ls-files", "-z", *options).split("\0")[:-1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def texts(folder: Path) -> dict[str, str]:
    """All files but pictures."""
    return {name: (folder / name).read_text(encoding="utf-8") for name in listed(folder) if name[-4:] != ".png"}


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
def fork(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None], Path]:
    """Gives a fork in a folder with a space and a letter that is not ASCII in its path; it is made once."""
    made: dict[str | None, Path] = {}

    def fork_with(chosen: str | None) -> Path:
        if chosen not in made:
            folder = tmp_path_factory.mktemp("forks") / "eigene Gabelung ü"
            assert main([name_of(chosen), str(folder), *([] if chosen is None else ["--with", chosen])]) == 0
            metadata = folder / "src" / f"{name_of(chosen)}.egg-info"  # what an installation would leave
            metadata.mkdir()
            (metadata / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name_of(chosen)}\nVersion: 0.1.0\n")
            made[chosen] = folder
        return made[chosen]

    return fork_with


@pytest.mark.parametrize("chosen", [DEFAULT, BARE])
def test_no_trace_of_the_old_name_is_left(chosen: str | None, fork: Callable[[str | None], Path]) -> None:
    folder, name = fork(chosen), name_of(chosen)
    assert f"src/{name}/fit.py" in listed(folder)
    assert not [file for file in listed(folder) if re.search("(?i)(?<!py)project|fork", file)]
    for file, text in texts(folder).items():
        if file == "pyproject.toml":
            assert f'\nname = "{name}"\nversion = "0.1.0"\n' in text
            text = re.sub(r"(?m)^\[project(\.[a-z-]+)?\]$", "", text)
        assert not re.search("(?i)(?<!py)project", text), file
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n\n")
    assert (folder / ".ci" / "run").stat().st_mode & 0o100


@pytest.mark.parametrize("chosen", [DEFAULT, BARE, "export"])
def test_no_trace_of_other_features_is_left(chosen: str | None, fork: Callable[[str | None], Path]) -> None:
    folder, name = fork(chosen), name_of(chosen)
    wanted = choose_features(chosen, FEATURES)
    for feature in FEATURES:
        assert (folder / "src" / name / feature).is_dir() == (feature in wanted)
        assert (folder / "tests" / feature).is_dir() == (feature in wanted)
    left_out = "|".join(set(FEATURES) - wanted)
    traces = re.compile(
        rf"\b{name}[./]({left_out})\b|\b(tests|configs|docs)/({left_out})\b|^#+ `({left_out}|fork|bench)`"
    )
    for file, text in texts(folder).items():
        assert not traces.search(file)
        assert [line for line in text.splitlines() if traces.search(line)] == [], file
    assert not (folder / "tools").exists()
    assert not (folder / "tests" / "tools").exists()


def test_a_feature_brings_what_it_needs_and_its_packages(fork, capsys):
    folder = fork("export")
    capsys.readouterr()
    choose_features("export", FEATURES)
    told = capsys.readouterr().out.splitlines()
    assert told == [f"export needs {name}, which is in the fork, too" for name in ("table", "commands")]
    tables = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert tables["tool"]["features"] == {"commands": [], "table": [], "export": ["table", "commands"]}
    extras = tables["project"]["optional-dependencies"]
    assert set(extras) == {"table", "export", "all", "dev-table", "dev"}
    assert extras["all"] == ["churn[table,export]"]
    for file in ("constraints.txt", "constraints-lowest.txt"):
        pins, bare_pins = ((f / file).read_text(encoding="utf-8") for f in (folder, fork(BARE)))
        for package in ("onnx", "pyarrow", "pandas"):
            assert f"\n{package}==" in pins
            assert f"\n{package}==" not in bare_pins
        for package in ("optuna", "SQLAlchemy", "matplotlib", "contourpy"):  # of these, two are needed by the others
            assert f"\n{package}==" not in pins
        assert "\ntorch==" in bare_pins
        assert "\naiohttp==" in bare_pins  # for fsspec[http], for lightning
    assert "\npytz==" in (folder / "constraints-lowest.txt").read_text(encoding="utf-8")  # for pandas 2
    assert "\npytz==" not in (fork(BARE) / "constraints-lowest.txt").read_text(encoding="utf-8")
    assert "\nall = []\n" in (fork(BARE) / "pyproject.toml").read_text(encoding="utf-8")


CHOSEN = [
    (None, set(FEATURES) - {"examples", "compare"}),
    ("evaluate, many", {"evaluate", "predict", "table", "many", "commands"}),
    ("compare cross_validate", {"compare", "many", "runs", "cross_validate", "commands"}),
]


@pytest.mark.parametrize(("chosen", "wanted"), CHOSEN)
def test_features(chosen: str | None, wanted: set[str]) -> None:
    assert choose_features(chosen, FEATURES) == wanted


def test_sections() -> None:
    code = "```bash\n# `tune` is no heading\n```\n"
    text = f"# A\n{code}## `tune`: B\nb\n### C\n```\n## D\n```\n## E `tune`\n### `runs`\nr\n"
    assert without_sections(text, ["tune"]) == text.replace("## `tune`: B\nb\n### C\n```\n## D\n```\n", "")
    assert without_sections(text, ["runs"]) == text.replace("### `runs`\nr\n", "")
    assert without_sections(text, []) == text


@pytest.mark.parametrize("chosen", [DEFAULT, BARE])
def test_it_is_one_commit_in_good_style(chosen: str | None, fork: Callable[[str | None], Path]) -> None:
    folder, name = fork(chosen), name_of(chosen)
    assert git(folder, "log", "--format=%an <%ae> %s").startswith(f"{name} <{name}@localhost> Start {name} from")
    assert git(folder, "rev-list", "--count", "HEAD") == "1\n"
    assert git(folder, "status", "--porcelain") == ""
    run(folder, "ruff", "format", "--check", "--no-cache")
    run(folder, "ruff", "check", "--no-cache")


def run(folder: Path, module: str, *args: str) -> str:
    """What a command prints in a fork, in the environment of these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE"))}
    paths = [str(folder / "src"), str(Path(__file__).parent)]
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", module, *args]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_in_place_gives_the_same_files(template, fork, tmp_path, monkeypatch):
    git(tmp_path, "clone", "--quiet", str(template), "copy")
    folder = tmp_path / "copy"
    (folder / "src" / "project" / "__pycache__").mkdir()  # as Python leaves it
    (folder / "src" / "project" / "__pycache__" / "fit.pyc").touch()
    (folder / "logs" / "run").mkdir()
    (folder / ".git" / "info" / "exclude").write_text("private.csv\n")
    (folder / "tests" / "data" / "private.csv").touch()
    monkeypatch.setattr("tools.fork.ROOT", folder)
    assert main([NAMES[DEFAULT]]) == 0
    assert git(folder, "rev-parse", "HEAD^{tree}") == git(fork(DEFAULT), "rev-parse", "HEAD^{tree}")
    assert git(folder, "rev-list", "--count", "HEAD") == "2\n"
    assert git(folder, "status", "--porcelain") == ""
    assert names_in(folder / "src") == [NAMES[DEFAULT]]
    assert (folder / "logs" / "run").is_dir()
    assert (folder / "tests" / "data" / "private.csv").exists()


BAD_NAMES = [
    *[([name], "small letters") for name in ("2churn", "Churn", "my-churn", "churn_", "größe", "../churn", "")],
    *[([name], "Python's own") for name in ("class", "match", "list")],
    *[([name], "standard library") for name in ("json", "antigravity")],
    *[([name], "installed") for name in ("torch", "scikit_learn", "project")],
    *[([name], "the template has") for name in ("configs", "np", "table")],
    (["class", "new"], "Python's own"),
    (["churn", "new", "--with", "runs tabel"], "no feature 'tabel'; there are commands, table, predict, "),
]


@pytest.mark.parametrize(("args", "words"), BAD_NAMES, ids=str)
def test_a_bad_name_is_refused(args, words, template, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    refused(main, args, words, status=1)
    assert list(tmp_path.iterdir()) == []
    assert git(template, "status", "--porcelain") == ""


@pytest.mark.parametrize(("file", "content"), [("README.md", "changed"), ("new.py", "")])
def test_uncommitted_changes_are_refused(file, content, tmp_path, monkeypatch, refused):
    git(tmp_path, "init", "--quiet", "template")
    folder = tmp_path / "template"
    (folder / "README.md").write_text("# Template")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Template")
    (folder / file).write_text(content)
    monkeypatch.setattr("tools.fork.ROOT", folder)
    for args in (["churn"], ["churn", tmp_path / "churn"]):
        refused(main, args, "changes without a commit, such as '", f"{file}'", status=1)
    assert names_in(tmp_path) == ["template"]
    monkeypatch.setattr("tools.fork.ROOT", tmp_path)
    refused(main, ["churn"], "no git repository", status=1)


def test_a_folder_that_cannot_be_taken_is_refused(template, fork, tmp_path, refused):
    (tmp_path / "file").touch()
    for folder, words in (
        (tmp_path, "is not empty"),
        (tmp_path / "file", "is not empty"),
        (fork(BARE), "is not empty"),  # the second time
        (template / "churn", "within the template"),
        (tmp_path / "none" / "churn", "there is no folder"),
    ):
        refused(main, ["churn", folder], words, status=1)
    assert names_in(tmp_path) == ["file"]
    assert git(fork(BARE), "status", "--porcelain") == ""


def test_an_empty_folder_is_taken_and_what_fails_leaves_it_empty(tmp_path, monkeypatch, refused):
    folder = tmp_path / "churn"
    folder.mkdir()
    monkeypatch.setenv("GIT_AUTHOR_DATE", "never")
    refused(main, ["churn", folder, "--with", ""], "error: git ", "commit", " failed ", "never", status=1)
    monkeypatch.delenv("GIT_AUTHOR_DATE")
    assert [list(path.iterdir()) for path in (tmp_path, folder)] == [[folder], []]
    assert main(["churn", str(folder), "--with", ""]) == 0
    assert (folder / "src" / "churn" / "fit.py").exists()


SETTINGS = [
    (["NAME=churn"], '"churn"'),
    (["NAME=churn", "DIR=../my churn", "WITH="], '"churn" "../my churn" --with ""'),
    (["NAME=churn", "WITH=table predict"], '"churn" --with "table predict"'),
]


@pytest.mark.parametrize(("settings", "arguments"), SETTINGS)
def test_make_fork(settings: list[str], arguments: str) -> None:
    environment = os.environ | {"NAME": "other", "DIR": "other", "WITH": "other"}  # as some systems have
    command = ["make", "--dry-run", "--no-print-directory", "fork", *settings]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert " ".join(done.stdout.splitlines()[-1].split()).endswith(f"tools/fork.py {arguments}")
    assert subprocess.run(command[:4], cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 2


@pytest.mark.slow
def test_a_bare_fork_passes_all_its_checks(fork: Callable[[str | None], Path]) -> None:
    folder = fork(BARE)
    run(folder, "mypy", "--cache-dir", str(ROOT / ".mypy_cache"))
    run(folder, "pytest", "--quiet", "-p", "no:cacheprovider")
    run(folder, "pytest", "--quiet", "-p", "no:cacheprovider", "-m", "slow", "tests/test_packaging.py", "-k", "image")
    assert "logistic regression" in run(folder, "aaa.fit")  # make train
    assert list((folder / "logs").glob("breast_cancer/*/report.json"))
    assert git(folder, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("feature", FEATURES)
def test_a_fork_with_one_feature_passes_its_tests(feature: str, fork: Callable[[str | None], Path]) -> None:
    """Those of the feature, each with one of its cases: whether a feature is missing does not depend on more."""
    folder = fork(feature)
    run(folder, "ruff", "format", "--check", "--no-cache")
    run(folder, "ruff", "check", "--no-cache")
    run(folder, "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "first_cases", f"tests/{feature}")
