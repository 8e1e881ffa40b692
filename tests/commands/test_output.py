"""Files are written whole or not at all, and never over another one unasked."""

import subprocess
import sys
from pathlib import Path

import pytest

from project.commands.output import output_file


def write(path: Path, text: str, force: bool = False) -> None:
    with output_file(path, force) as temporary:
        temporary.write_text(text[:1])
        if len(text) > 1:
            raise ValueError("the rest cannot be made")


def test_a_file_is_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "a")
    with pytest.raises(OSError, match="exists: name another file, or replace it with --force"):
        write(path, "b")
    assert path.read_text() == "a"
    write(path, "b", force=True)
    assert path.read_text() == "b"
    (tmp_path / "new").touch()
    assert path.stat().st_mode == (tmp_path / "new").stat().st_mode  # others may read it, as any new file


def test_what_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError, match="the rest"):
        write(path, "new", force=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_two_processes_that_write_one_file_write_each_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = "import pathlib, sys; from project.whole_files import *; write_whole(pathlib.Path(sys.argv[1]), b'B')"
    with output_file(path, force=True) as temporary:
        temporary.write_text("A" * 1000)
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        assert path.read_text() == "B"
    assert path.read_text() == "A" * 1000
