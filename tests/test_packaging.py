"""What installs, checks and ships the package: versions, hooks, workflows, the image."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import METADATA, PYPROJECT, ROOT, environment

REQUIREMENTS = [
    requirement
    for line in [
        *PYPROJECT["build-system"]["requires"],
        *METADATA["dependencies"],
        # `make` does not install what others are measured with.
        *(line for name, extra in METADATA["optional-dependencies"].items() if name != "bench" for line in extra),
    ]
    if (requirement := Requirement(line)).name != METADATA["name"]
]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
DOCKERFILE = re.sub(r"\\\n\s*|^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def pins(path: Path) -> dict[str, Version]:
    found = re.findall(r"^([^#=\s]+)==(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_versions(requirement: Requirement) -> None:
    """Both sets of pins are within the range, and the lowest ones are where it begins."""
    name = canonicalize_name(requirement.name)
    (bound,) = [part.version for part in requirement.specifier if part.operator == ">="]
    assert pins(ROOT / "constraints-lowest.txt")[name] == Version(bound)
    assert pins(ROOT / "constraints.txt")[name] in requirement.specifier


def test_compromised_releases_are_refused() -> None:
    (lightning,) = [requirement for requirement in REQUIREMENTS if requirement.name == "lightning"]
    assert not {"2.6.2", "2.6.3"} & set(lightning.specifier.filter(["2.6.1", "2.6.2", "2.6.3", "2.6.4"]))
    for file in ("constraints.txt", "constraints-lowest.txt"):
        assert str(pins(ROOT / file)["pytorch-lightning"]) not in ("2.6.2", "2.6.3")


def test_workflows_cover_every_python_from_the_oldest() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))["jobs"]
    versions = [tuple(map(int, version.split("."))) for version in jobs["fast"]["strategy"]["matrix"]["python"]]
    assert METADATA["requires-python"] == ">={}.{}".format(*versions[0])
    assert versions == [(3, versions[0][1] + n) for n in range(len(versions))]


def make_commands() -> list[str]:
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]
    commands = [step.get("run", "") for job in jobs for step in job["steps"]]
    commands.append(json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())["postCreateCommand"])
    commands += (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    return sorted({command for command in commands if command.startswith("make ")})


@pytest.mark.parametrize("command", make_commands())
def test_make_command(command: str) -> None:
    """The targets exist, and every setting is one that the Makefile knows; the commands themselves take minutes."""
    words = shlex.split(command)
    subprocess.run([words[0], "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    for setting in [word.partition("=")[0] for word in words if "=" in word]:
        assert f"$({setting})" in (ROOT / "Makefile").read_text(encoding="utf-8")


BAD = {
    "ruff-format": ("src/bad.py", '"""Bad."""\nx  =  1\n'),
    "ruff-check": ("src/bad.py", '"""Bad."""\n\nimport os\n'),
    "mypy": ("src/bad.py", '"""Bad."""\n\nx: int = "1"\n'),
    "yaml": ("bad.yaml", "a: [1\n"),
}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hook_stops_a_bad_file_only(hook: dict[str, str], tmp_path: Path) -> None:
    """As pre-commit has it: a hook stops the commit by its exit status or by changing the file."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    name, bad = BAD[hook["id"]]
    good = '"""Good."""\n\nx = 1\n' if name.endswith(".py") else "a: [1]\n"
    for text, passes in ((good, True), (bad, False)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        files = [name] if hook.get("pass_filenames", True) else []
        done = subprocess.run([*shlex.split(hook["entry"]), *files], cwd=tmp_path, check=False, capture_output=True)
        unchanged = (tmp_path / name).read_text(encoding="utf-8") == text
        assert (done.returncode == 0 and unchanged) is passes, done.stdout.decode() + done.stderr.decode()


def test_image_and_dev_container_fit_together() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    build = container["build"]
    assert (ROOT / ".devcontainer" / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert build["target"] in re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)
    assert build["args"].items() <= dict(re.findall(r"^ARG (\w+)=(\S*)", DOCKERFILE, re.MULTILINE)).items()
    assert f"useradd --create-home --uid 1000 {container['remoteUser']} " in DOCKERFILE
    assert {f"WORKDIR {container['workspaceFolder']}"} == set(re.findall("^WORKDIR.*", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"--extra (\w+)", DOCKERFILE)) <= set(METADATA["optional-dependencies"])
    for stage in DOCKERFILE.split("FROM ")[1:]:
        assert re.findall(r"^USER (\d+)", stage, re.MULTILINE)[-1] == "1000"  # not root


@pytest.mark.slow
def test_image_has_all_that_training_needs(tmp_path: Path) -> None:
    """The steps of the last stage, from COPY on, in a folder with nothing but what .dockerignore lets through."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    skip = shutil.ignore_patterns(*(rule.removeprefix("**/") for rule in rules if rule.startswith("**/")))
    app = tmp_path / "app"
    for kept in (rule.removeprefix("!") for rule in rules if rule.startswith("!")):
        (app / kept).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / kept).is_dir():
            shutil.copytree(ROOT / kept, app / kept, ignore=skip)
        else:
            shutil.copy(ROOT / kept, app / kept)
    last = DOCKERFILE.rpartition("COPY --chown=1000 . .\n")[2]
    install, command = re.fullmatch(r"RUN (pip install .*) --editable \.\nCMD (.*)\n", last).groups()
    site = str(tmp_path / "site")  # instead of --editable, to leave the environment of the tests alone
    pip = [sys.executable, "-m", *shlex.split(install), "--quiet", "--target", site, "."]
    subprocess.run(pip, cwd=app, check=True, capture_output=True)
    train = [*json.loads(command), "--trainer.max_epochs", "1"]
    subprocess.run(train, cwd=app, env=environment(app), check=True)
    assert list(app.glob("logs/*/*/report.json"))


def small_package(folder: Path) -> None:
    """A package with a Makefile and pins of its own, and two wheels of all that the checks call.

    Their versions are high, because a new environment may bring a setuptools.
    """
    (folder / ".ci").mkdir()
    (folder / "wheels").mkdir()
    for file in ("Makefile", ".ci/update.py"):
        shutil.copy(ROOT / file, folder / file)
    tools = ("mypy", "pytest", "ruff", "setuptools")
    for name, version in [("app", "1.0"), *((tool, version) for tool in tools for version in ("1000.0", "2000.0"))]:
        with zipfile.ZipFile(folder / "wheels" / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            info = f"{name}-{version}.dist-info"
            needs = "Provides-Extra: dev\n" + "".join(f"Requires-Dist: {t}; extra == 'dev'\n" for t in tools)
            head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            wheel.writestr(f"{info}/METADATA", head + needs * (name == "app"))
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
            script = zipfile.ZipInfo(f"{name}-{version}.data/scripts/{name}")
            script.external_attr = 0o100755 << 16  # executable
            wheel.writestr(script, f"#!/bin/sh\nexit ${{{name}_{version[0]}:-0}}\n")
    (folder / "backend.py").write_text(
        "import pathlib, shutil\n"
        "def build_editable(folder, *_):\n"
        "    return pathlib.Path(shutil.copy('wheels/app-1.0-py3-none-any.whl', folder)).name\n"
    )
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n[tool.app]\n"
        'requires-python = ">={}.{}"\n'.format(*sys.version_info)
    )
    (folder / "constraints.txt").write_text("# These.\n" + "".join(f"{name}==1000.0\n" for name in ("gone", *tools)))


def renew(folder: Path, keep: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels", **env}
    command = ["make", f"PYTHON={sys.executable}", "update", f"KEEP={keep}"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_update(tmp_path: Path) -> None:
    """First the new version of a tool finds a fault; then it is held back, then it finds none."""
    small_package(tmp_path)
    file = tmp_path / "constraints.txt"
    before = file.read_text()
    done = renew(tmp_path, pytest_2="1")
    assert done.returncode > 0
    assert "`make check` failed with the newest versions, so constraints.txt stays as it was." in done.stderr
    assert file.read_text() == before
    done = renew(tmp_path, keep="PyTest", pytest_2="1")
    assert done.returncode == 0, done.stderr
    assert file.read_text() == "# These.\nmypy==2000.0\npytest==1000.0\nruff==2000.0\nsetuptools==2000.0\n"
    renewed = [(name, "1000.0", "2000.0") for name in ("mypy", "ruff", "setuptools")]
    changes = re.findall(r"^(\w+) +(\S+) -> (\S+)", done.stdout, re.MULTILINE)
    assert changes == [("gone", "1000.0", "-"), *renewed]
    assert "constraints.txt: 0 changes" in renew(tmp_path, keep="pytest").stdout
    assert not (tmp_path / ".venv-update").exists()


NO_UPDATES = [
    ("mypy torhc", "{}.{}".format(*sys.version_info), "constraints.txt has no pin of 'torhc' that could be kept."),
    ("mypy", "3.2", "The pins must suit Python 3.2 too: make update PYTHON=python3.2"),
]


@pytest.mark.parametrize(("keep", "oldest", "sentence"), NO_UPDATES)
def test_update_is_refused(keep: str, oldest: str, sentence: str, tmp_path: Path) -> None:
    small_package(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f'requires-python = ">={oldest}"\n')
    before = (tmp_path / "constraints.txt").read_text()
    done = renew(tmp_path, keep)
    assert done.returncode > 0
    assert done.stderr.splitlines()[0] == sentence
    assert (tmp_path / "constraints.txt").read_text() == before
    assert not (tmp_path / ".venv-update").exists()
