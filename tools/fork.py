"""``python -m project.fork NAME [DIR]``: a repository of your own, made from this one."""

import ast
import builtins
import fnmatch
import importlib.metadata
import importlib.util
import keyword
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from project.cli import CommandParser, run_command, shown
from project.config import ROOT
from project.errors import UsageError

DESCRIPTION = """\
Makes a repository of your own from the last commit of this one. Its package is called NAME: in every file, in the
names of files and folders, and in pyproject.toml. What belongs to this template alone is left out. In DIR it is a
new repository with one commit; without DIR this repository is changed, by one commit on its branch.
"""

TEMPLATE = ("src/project/fork.py", "tests/test_fork.py")
"""Files that no fork has. So it is with the lines from one with ``template: begin`` to one with ``template: end``,
and with each line that says ``template: line`` in a comment."""

EXAMPLES = (
    *("src/project/data/toy.py", "src/project/data/reference.py", "src/project/models/conv_net.py"),
    *("src/project/compare/*", "configs/compare*.yaml", "docs/*.png"),
    *("tests/data/test_toy.py", "tests/data/test_reference.py", "tests/models/test_conv_net.py"),
    *("tests/compare/*", "tests/benchmarks/*", "tests/test_lessons.py", "tests/test_reference_runs.py"),
)
"""Files that a bare fork lacks, besides configurations with a class of theirs; lines are marked with ``example``."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    parser = CommandParser("project.fork", DESCRIPTION)
    parser.add_argument("name", metavar="NAME", help="small letters, digits and underscores, such as churn")
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="a new or an empty folder")
    parser.add_argument(
        "--bare", action="store_true", help="leave out the examples: toy sets, reference runs, ConvNet, compare, bench"
    )
    options = parser.parse_args(args)
    files = template_files()
    check_name(options.name, files)
    if options.folder is None:
        fork_in_place(options.name, files, options.bare)
        print(f"This is {options.name} now, by one commit (undo it with: git reset --hard HEAD~1 && make clean); next:")
        print("  make clean   # removes the old installation; runs in logs/ have the old name and do not load any more")
    else:
        fork_into(options.folder.resolve(), options.name, files, options.bare)
        print(f"{options.name} is in {shown(options.folder.resolve())}, with a first commit; next:")
        print(f"  cd {shlex.quote(str(options.folder))}")
    print("  make train   # installs it into .venv, trains a net and tests it")
    print("  make check   # runs its tests")
    return 0


def template_files() -> list[Path]:
    """The files of the template's last commit, relative to its folder.

    Raises:
        ValueError: If it is not a repository of its own, has uncommitted changes, or a tool is missing.
    """
    if shutil.which("git") is None:
        raise ValueError("git is needed, and is not installed")
    if importlib.util.find_spec("ruff") is None:
        raise ValueError("ruff is needed, for the order of imports changes with their names: pip install ruff")
    if not (ROOT / ".git").exists():
        raise ValueError(f"{ROOT} is no git repository: clone the template, and call this from there")
    if changes := _git(ROOT, "status", "--porcelain"):
        change = changes.splitlines()[0].strip()
        raise ValueError(f"there are changes without a commit, such as '{change}': commit them, or git stash -u")
    return [Path(name) for name in _git(ROOT, "ls-files", "-z").split("\0") if name]


def check_name(name: str, files: Sequence[Path]) -> None:
    """Makes sure that a package can be called so.

    Raises:
        UsageError: If not.
    """
    taken = {part for file in files for part in (*file.parts[:-1], file.stem)}
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name):
        reason = "a package has small letters, digits and underscores, and a letter comes first"
    elif keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        reason = "it is a word of Python's own"
    elif name in sys.stdlib_module_names:
        reason = "it is a module of Python's standard library"
    elif _is_installed(name):
        reason = "a package of that name is installed"
    elif name in taken | _identifiers(files):
        reason = "the template has something else of that name"
    else:
        return
    raise UsageError(f"'{name}' cannot be the name: {reason}")


def _is_installed(name: str) -> bool:
    """Whether a module or a distribution has the name; a folder where one stands has no origin and does not count."""
    distributions = {str(found.name).lower().replace("-", "_") for found in importlib.metadata.distributions()}
    modules = importlib.metadata.packages_distributions()
    return name in distributions or name in modules or bool(getattr(importlib.util.find_spec(name), "origin", None))


def _identifiers(files: Sequence[Path]) -> set[str]:
    """What is called by a name in the template's code."""
    found: set[str | None] = set()
    for file in files:
        for node in ast.walk(ast.parse((ROOT / file).read_bytes())) if file.suffix == ".py" else ():
            found |= {getattr(node, kind, None) for kind in ("id", "arg", "asname", "name")}
    return {name for name in found if isinstance(name, str)}


def fork_into(folder: Path, name: str, files: Sequence[Path], bare: bool = False) -> None:
    """Makes a fork in a new folder, all of it or nothing.

    Args:
        folder: Where; it does not exist yet, or is empty.
        name: The name of its package.
        files: What `template_files` returned.
        bare: Whether to leave out the examples.

    Raises:
        UsageError: If there is something in the folder, or it cannot be made.
    """
    if folder.is_relative_to(ROOT):
        raise UsageError(f"{folder} lies within the template: name a folder outside")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name a new folder")
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}")
    with TemporaryDirectory(prefix=".fork-", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        _write(new, name, files, bare)
        _git(new, "init", "--quiet", "--initial-branch=main")
        _git(new, "add", "--all", "--force")
        commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", _message(name))
        _git(new, *_identity(new, name), *commit)
        new.replace(folder)


def fork_in_place(name: str, files: Sequence[Path], bare: bool = False) -> None:
    """Makes the template a fork by one commit on its branch; git writes the files, all of them or none.

    Arguments as for `fork_into`.
    """
    with TemporaryDirectory() as temporary:
        new = Path(temporary).resolve() / "new"
        fork_into(new, name, files, bare)
        _git(ROOT, "fetch", "--quiet", str(new), "HEAD")
        tree = ("commit-tree", "FETCH_HEAD^{tree}", "-p", "HEAD", "-m", _message(name))
        _git(ROOT, "merge", "--quiet", "--ff-only", _git(ROOT, *_identity(ROOT, name), *tree).strip())
    for left in ("src/*.egg-info", "src/**/__pycache__", "tests/**/__pycache__"):  # by pip and by Python
        for folder in list(ROOT.glob(left)):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in sorted((path for path in (ROOT / "src").rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _write(folder: Path, name: str, files: Sequence[Path], bare: bool) -> None:
    left_out = [f for f in files if any(fnmatch.fnmatch(str(f), p) for p in TEMPLATE + EXAMPLES * bare)]
    sources = [(ROOT / file).read_text(encoding="utf-8") for file in left_out if file.parts[0] == "src"]
    names = "|".join(re.findall(r"^class (\w+)", "\n".join(sources), re.MULTILINE))
    classes = re.compile(rf"\bclass_path: ({names})\b")
    for file in files:
        content = (ROOT / file).read_bytes()
        if file in left_out or (bare and file.parts[0] == "configs" and classes.search(content.decode())):
            continue
        target = folder / _renamed(str(file), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target)  # with its mode
        try:
            text = _cut(content.decode(), bare)
        except UnicodeDecodeError:  # a picture
            continue
        if file.name == "pyproject.toml":
            text = re.sub(r'(?m)^version = ".*"$', 'version = "0.1.0"', text)
        if file == Path("README.md"):
            text = f"# {name}\n\n{text.lstrip()}"
        target.write_bytes(_renamed(text, name).encode())
    # The order of imports and the breaks of lines depend on the name; a text that is too long now may be so.
    python = (sys.executable, "-B", "-m")
    for words in ("check --fix --exit-zero", "format", "check --select E501 --add-noqa"):
        _run(folder, *python, "ruff", *words.split(), "--quiet", "--no-cache", "--no-respect-gitignore", ".")


def _renamed(text: str, name: str) -> str:
    """Each word that is the package's name, but for the tables of pyproject.toml."""
    return re.sub(r"(?m)(?<!^\[)\bproject\b", name, text)


def _cut(text: str, bare: bool) -> str:
    """A text without its marks, and without what they mark if a fork lacks it."""
    for kind in ["template", "example"][: 1 + bare]:
        text = re.sub(rf"(?ms)^[^\w\n]*{kind}: begin\b[^\n]*\n.*?^[^\w\n]*{kind}: end\b[^\n]*\n", "", text)
        text = re.sub(rf"(?m)^.*[#-] {kind}: line\b.*\n", "", text)
    text = re.sub(r"(?m)^[^\w\n]*(template|example): (begin|end)\b.*\n", "", text)
    return re.sub(r"[ \t]*(#|<!--) (template|example): line( -->)?", "", text)


def _message(name: str) -> str:
    return f"Start {name} from the template at {_git(ROOT, 'rev-parse', '--short', 'HEAD').strip()}"


def _identity(folder: Path, name: str) -> list[str]:
    """Options that name somebody as the author where git does not know one."""
    known = re.findall(r"(?m)^[\w.]+(?==)", _git(folder, "config", "--list"))
    missing = {"user.name": name, "user.email": f"{name}@localhost"}
    return [word for key, value in missing.items() if key not in known for word in ("-c", f"{key}={value}")]


def _git(folder: Path, *args: str) -> str:
    return _run(folder, "git", *args)


def _run(folder: Path, *command: str) -> str:
    """What a command prints.

    Raises:
        OSError: If it fails.
    """
    elsewhere = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")  # set in a hook of another repository
    environment = {key: value for key, value in os.environ.items() if key not in elsewhere}
    environment["PYTHONPATH"] = str(folder / "src")
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise OSError(f"{shlex.join(command)} failed in {folder}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
