"""``make fork NAME=churn WITH="table predict" DIR=../churn``: a repository of your own, made from this one.

A fork is the last commit of this repository with the features that are named, each of which is a folder in
``src/project``, and with no trace of the others; its package is called NAME in every file. The table of features in
pyproject.toml says what each of them needs. What lies in a folder ``tools`` or ``benchmarks`` belongs to this template
alone.
"""

import argparse
import ast
import builtins
import importlib.metadata
import importlib.util
import keyword
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NOT_BY_DEFAULT = ("examples", "compare")
"""Features that a fork has only if they are named."""

TOOLS = ("tools", "benchmarks", "fork", "bench")
"""What no fork has: folders of the first two names, and of the others the sections of README.md and the extras."""


def main(args: Sequence[str] | None = None) -> int:
    """Makes a fork and says so, or says in one sentence why it cannot be made."""
    parser = argparse.ArgumentParser("tools/fork.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="small letters, digits and underscores, such as churn")
    parser.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="a new or an empty folder; else it is here")
    parser.add_argument("--with", dest="chosen", metavar="FEATURES", help=f"else all but {', '.join(NOT_BY_DEFAULT)}")
    options = parser.parse_args(args)
    try:
        files = template_files()
        check_name(options.name, files)
        features = read_features((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = choose_features(options.chosen, features)
        if options.folder is None:
            fork_in_place(options.name, files, set(features) - wanted)
        else:
            fork_into(options.folder.resolve(), options.name, files, set(features) - wanted)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Features of {options.name}: {' '.join(sorted(wanted)) or 'none'}")
    if options.folder is None:
        print(f"This is {options.name} now, by one commit (undo it with: git reset --hard HEAD~1 && make clean); next:")
        print("  make clean   # removes the old installation; runs in logs/ have the old name and do not load any more")
    else:
        print(f"{options.name} is in {options.folder}, with a first commit; next:")
        print(f"  cd {shlex.quote(str(options.folder))}")
    print("  make train   # installs it into .venv, trains a net and tests it")
    print("  make check   # runs its tests")
    return 0


def read_features(text: str) -> dict[str, list[str]]:
    """The features in pyproject.toml, and those that each of them needs."""
    features: dict[str, list[str]] = tomllib.loads(text)["tool"]["features"]
    return features


def choose_features(chosen: str | None, features: dict[str, list[str]]) -> set[str]:
    """The features of a fork: those that are named, and what they need, which is said.

    Args:
        chosen: Names, with spaces or commas between them; without it all but ``NOT_BY_DEFAULT``.
        features: What each feature needs.

    Raises:
        ValueError: If there is no feature of a name.
    """
    named = set(features) - set(NOT_BY_DEFAULT) if chosen is None else set(re.findall(r"[^\s,]+", chosen))
    if unknown := sorted(named - set(features)):
        raise ValueError(f"there is no feature '{unknown[0]}'; there are {', '.join(features)}")
    wanted, todo = set(named), sorted(named)
    while todo:
        feature = todo.pop()
        for needed in [name for name in features[feature] if name not in wanted]:
            print(f"{feature} needs {needed}, which is in the fork, too")
            wanted.add(needed)
            todo.append(needed)
    return wanted


def template_files() -> list[Path]:
    """The files of the template's last commit, relative to its folder.

    Raises:
        ValueError: If it is not a repository of its own or has uncommitted changes.
    """
    if not (ROOT / ".git").exists():
        raise ValueError(f"{ROOT} is no git repository: clone the template, and call this from there")
    if changes := _git(ROOT, "status", "--porcelain"):
        change = changes.splitlines()[0].strip()
        raise ValueError(f"there are changes without a commit, such as '{change}': commit them, or git stash -u")
    return [Path(name) for name in _git(ROOT, "ls-files", "-z").split("\0") if name]


def check_name(name: str, files: Sequence[Path]) -> None:
    """Makes sure that a package can be called so.

    Raises:
        ValueError: If not.
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
    raise ValueError(f"'{name}' cannot be the name: {reason}")


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


def fork_into(folder: Path, name: str, files: Sequence[Path], left_out: set[str]) -> None:
    """Makes a fork in a new folder, all of it or nothing.

    Args:
        folder: Where; it does not exist yet, or is empty.
        name: The name of its package.
        files: What `template_files` returned.
        left_out: The features that it has not.

    Raises:
        ValueError: If there is something in the folder, or it cannot be made.
    """
    if folder.is_relative_to(ROOT):
        raise ValueError(f"{folder} lies within the template: name a folder outside")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty: name a new folder")
    if not folder.parent.is_dir():
        raise ValueError(f"there is no folder {folder.parent}")
    with TemporaryDirectory(prefix=".fork-", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        _write(new, name, files, left_out)
        _git(new, "init", "--quiet", "--initial-branch=main")
        _git(new, "add", "--all", "--force")
        commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", _message(name))
        _git(new, *_identity(new, name), *commit)
        new.replace(folder)


def fork_in_place(name: str, files: Sequence[Path], left_out: set[str]) -> None:
    """Makes the template a fork by one commit on its branch; git writes the files, all of them or none.

    Arguments as for `fork_into`.
    """
    with TemporaryDirectory() as temporary:
        new = Path(temporary).resolve() / "new"
        fork_into(new, name, files, left_out)
        _git(ROOT, "fetch", "--quiet", str(new), "HEAD")
        tree = ("commit-tree", "FETCH_HEAD^{tree}", "-p", "HEAD", "-m", _message(name))
        _git(ROOT, "merge", "--quiet", "--ff-only", _git(ROOT, *_identity(ROOT, name), *tree).strip())
    for left in ("src/*.egg-info", "**/__pycache__"):  # by pip and by Python
        for folder in list(ROOT.glob(left)):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in sorted((path for path in (ROOT / "src").rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _write(folder: Path, name: str, files: Sequence[Path], left_out: set[str]) -> None:
    """Writes the files of a fork."""
    paths = re.compile(rf"(^|/)({'|'.join([*left_out, *TOOLS[:2]])})(/|(_\w+)?\.\w+$)")
    gone = [file for file in files if paths.search(str(file))]
    sources = [(ROOT / file).read_text(encoding="utf-8") for file in gone if file.parts[0] == "src"]
    classes = re.findall(r"^class (\w+)", "\n".join(sources), re.MULTILINE)
    for file in files:
        content = (ROOT / file).read_bytes()
        text = "" if b"\0" in content else content.decode()  # a picture has no text
        settings = re.sub("#.*", "", text) if file.parts[0] == "configs" else ""
        if file in gone or set(classes) & set(re.findall(r"\w+", settings)):
            continue
        target = folder / _renamed(str(file), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target)  # with its mode
        if file.suffix == ".md":
            text = without_sections(text, [*left_out, *TOOLS])
        if file == Path("README.md"):
            text = re.sub("^# .*", f"# {name}", text)
        if file == Path("pyproject.toml"):
            text = re.sub(r'(?m)^version = ".*"$', 'version = "0.1.0"', without_features(text, {*left_out, *TOOLS}))
        if text:
            target.write_bytes(_renamed(text, name).encode())
    needed = needed_packages((folder / "pyproject.toml").read_text(encoding="utf-8"))
    for pins in folder.glob("constraints*.txt"):
        pins.write_text(without_pins(pins.read_text(encoding="utf-8"), needed), encoding="utf-8")
    # The order of imports and the breaks of lines depend on the name; a text that is too long now may be so.
    python = (sys.executable, "-B", "-m")
    for words in ("check --fix --exit-zero", "format", "check --select E501 --add-noqa"):
        _run(folder, *python, "ruff", *words.split(), "--quiet", "--no-cache", "--no-respect-gitignore", ".")


def without_sections(text: str, names: Iterable[str]) -> str:
    """A Markdown text without the sections whose headings begin with one of some names, such as ``### `tune`: ...``."""
    kept, hidden, in_code = [], 0, False
    for line in text.splitlines(keepends=True):
        in_code ^= line.startswith("```")
        heading = None if in_code else re.match(r"(#+) (?:`(\w+)`)?", line)
        if heading and (not hidden or len(heading[1]) <= hidden):
            hidden = len(heading[1]) if heading[2] in names else 0
        if not hidden:
            kept.append(line)
    return "".join(kept)


def without_features(text: str, left_out: set[str]) -> str:
    """pyproject.toml without the lines of some features, their needs and extras, and without them in other extras."""

    def kept(match: re.Match[str]) -> str:
        extras = [extra for extra in match[1].split(",") if extra.removeprefix("dev-") not in left_out]
        return f'"project[{",".join(extras)}]"' if extras else ""

    lines = rf"(?m)^(dev-)?({'|'.join(left_out)}) = .*\n"
    return re.sub(r'"project\[([\w,-]+)\]"', kept, re.sub(lines, "", text) if left_out else text)


def needed_packages(text: str) -> set[str]:
    """The packages that a pyproject.toml asks for and what they need, by what is installed here, on any system."""
    tables = tomllib.loads(text)
    (project,) = [table for table in tables.values() if "requires-python" in table]
    extras = project["optional-dependencies"].values()
    lines = [
        *tables["build-system"]["requires"],
        *project["dependencies"],
        *(line for extra in extras for line in extra),
    ]
    todo = [(part.name, extra) for part in map(Requirement, lines) for extra in ("", *part.extras)]
    found = set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in found or name == project["name"]:
            continue
        found.add((name, extra))
        try:
            needs = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        except importlib.metadata.PackageNotFoundError:  # on another system
            continue
        for part in needs:
            if "extra" not in str(part.marker) or (part.marker and part.marker.evaluate({"extra": extra})):
                todo += [(part.name, extra) for extra in ("", *part.extras)]
    return {canonicalize_name(name) for name, _ in found}


def without_pins(text: str, needed: set[str]) -> str:
    """Pins of those packages that are needed; ``# for NAME`` says for which one an old version was."""
    kept = []
    for line in text.splitlines(keepends=True):
        pin = re.match(r"([\w.-]+)==\S+(?: +# for ([\w.-]+))?", line)
        if pin is None or canonicalize_name(pin[2] or pin[1]) in needed:
            kept.append(line)
    return "".join(kept)


def _renamed(text: str, name: str) -> str:
    """Each word that is the package's name, but for the tables of pyproject.toml."""
    return re.sub(r"(?m)(?<!^\[)\bproject\b", name, text)


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
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        raise OSError(f"{shlex.join(command)} failed in {folder}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
