"""Renews the pins in constraints.txt: the newest versions within pyproject.toml's ranges, if they pass `make check`.

Usage: python .ci/update.py [NAME ...], where each NAME is a package that keeps its version; `make update` runs it.
The versions are tried in a new virtual environment, .venv-update, which is left for a look where the checks fail.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "constraints.txt"
VENV = ROOT / ".venv-update"


def read_pins(text: str) -> dict[str, str]:
    """Versions by name; ``2.13.0+cpu``, a build for some machines, counts as ``2.13.0``."""
    return dict(re.findall(r"^([\w.-]+)==([^+\s]+)", text, re.MULTILINE))


def key(name: str) -> str:
    """The same for all ways to write a package's name: ``typing_extensions``, ``Typing-Extensions``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make(target: str) -> None:
    """Runs make in the new environment; raises OSError if it fails (what it printed says why)."""
    settings = [f"PYTHON={sys.executable}", f"VENV={VENV.name}", f"CONSTRAINTS={VENV.name}/kept.txt"]
    command = ["make", "--no-print-directory", target, *settings, "ARGS="]
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE")
    }  # such as `make -i update`
    if subprocess.run(command, cwd=ROOT, check=False, env=ours).returncode:
        raise OSError(f"`make {target}` failed with the newest versions, so constraints.txt stays as it was.")


def update(keep: list[str]) -> None:
    """Renews the pins of all but some packages.

    Raises:
        ValueError: If a package to keep has no pin, or this Python is not the oldest one that is supported.
        OSError: If the newest versions cannot be installed or fail the checks.
    """
    text = PINS.read_text(encoding="utf-8")
    old = read_pins(text)
    if others := [line for line in text.splitlines() if line.strip() and not re.fullmatch(r"#.*|[\w.-]+==\S+", line)]:
        raise ValueError(f"constraints.txt has a line that is no pin, and would be lost: {others[0]}")
    kept = {name: version for name, version in old.items() if key(name) in map(key, keep)}
    if missing := [name for name in keep if key(name) not in map(key, kept)]:
        raise ValueError(f"constraints.txt has no pin of '{missing[0]}' that could be kept.")
    # What the newest Python gets may not exist for the oldest.
    oldest = re.findall(
        r'^requires-python = ".*?(\d+\.\d+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M
    )[0]
    if ".".join(map(str, sys.version_info[:2])) != oldest:
        raise ValueError(f"The pins must suit Python {oldest} too: make update PYTHON=python{oldest}")

    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    (VENV / "kept.txt").write_text("".join(f"{name}=={version}\n" for name, version in kept.items()), encoding="utf-8")
    make("install")
    freeze = [VENV / "bin" / "python", "-m", "pip", "freeze", "--all", "--exclude", "pip", "--exclude-editable"]
    new = read_pins(subprocess.run(freeze, check=True, capture_output=True, text=True).stdout)

    changes = sorted((name for name in {*old, *new} if old.get(name) != new.get(name)), key=key)
    for name in changes:
        print(f"{name:30} {old.get(name, '-'):>15} -> {new.get(name, '-')}", flush=True)
    if changes:
        make("check")
        lines = re.findall("^#.*", text, re.M) + sorted((f"{name}=={new[name]}" for name in new), key=str.lower)
        renewed = VENV / "constraints.txt"
        renewed.write_text("\n".join(lines) + "\n", encoding="utf-8")
        renewed.replace(PINS)
    print(f"constraints.txt: {len(changes)} changes")
    shutil.rmtree(VENV)


if __name__ == "__main__":
    try:
        update(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(str(error))
