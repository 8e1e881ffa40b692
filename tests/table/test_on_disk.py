"""Tests of a table that is kept in files: the same numbers as in memory, and nothing left behind."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fixture_types import Fit
from processes import start
from read_table import read_table
from results import assert_same_weights
from table_files import table_flags, write_table

from project.data.loader import Batches
from project.table import Table
from project.table.on_disk import BLOCK, BUFFER, BlockOrder, on_disk


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, as TMPDIR sets it for a new process."""
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return scratch


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers, names and dates of 20,000 rows, some of them missing; some rows have no target."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 3)), columns=["a", "b", "c"])
    frame["plan"] = rng.choice(["gold", "silver", "none"], len(frame))
    frame["since"] = pd.date_range("2020-01-01", periods=len(frame), freq="h").astype(str)
    frame["y"] = np.where(frame.a + rng.normal(size=len(frame)) > 0, "yes", "no")
    frame.loc[::9, "b"] = np.nan
    frame.loc[::50, "y"] = None
    return frame


@pytest.fixture(params=["rows.csv", "rows.parquet", "rows"])
def path(frame: pd.DataFrame, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The rows in a file, or in two."""
    return write_table(tmp_path / request.param, frame.astype(object).where(frame.notna(), None).to_dict("list"))


def equal(one: Table, other: Table) -> bool:
    """Whether two tables are encoded to the same bits, and left out the same rows."""
    pairs = [(a, b) for name, split in one.splits.items() for a, b in zip(split, other.splits[name], strict=True)]
    return one.schema == other.schema and one.notes == other.notes and all(torch.equal(a, b) for a, b in pairs)


def test_the_encoded_rows_are_those_of_memory(path: Path) -> None:
    memory, disk = (read_table(path, on_disk=where) for where in (False, True))
    assert len(disk.splits["train"].x) == 0.7 * 19_600
    assert equal(memory, disk)


def test_a_file_of_its_own_for_a_split_is_read_so_too(frame: pd.DataFrame, tmp_path: Path) -> None:
    rows, test = tmp_path / "rows.csv", tmp_path / "test.csv"
    frame[:15_000].to_csv(rows, index=False)
    frame[15_000:].to_csv(test, index=False)
    memory, disk = (read_table(rows, test_path=test, on_disk=where) for where in (False, True))
    assert len(disk.splits["test"].x) == 4_900
    assert equal(memory, disk)


@pytest.mark.parametrize("path", ["rows.csv"], indirect=True)
def test_a_run_has_the_weights_of_one_in_memory(path: Path, fit: Fit) -> None:
    args = [*table_flags(path), "--trainer.max_epochs", "1"]
    assert_same_weights(*(fit(*args, "--data.on_disk", where) for where in ("false", "true")))


@pytest.mark.parametrize("path", ["rows.csv"], indirect=True)
@pytest.mark.parametrize("step", [lambda path: read_table(path, on_disk=True), lambda _: on_disk(20_000, 8)])
def test_a_full_disk_is_named(path: Path, step: Callable[[Path], object], scratch: Path) -> None:
    """Here a limit on the size of files."""
    words = " has no room for the table: .* TMPDIR names another folder"
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, usual[1]))
    try:
        with pytest.raises(OSError, match=rf"^{scratch}.*{words}$"):
            step(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert not [file for file in scratch.rglob("*.*") if file.suffix != ".lock"]


@pytest.mark.parametrize("path", ["rows.csv", "rows"], indirect=True)
def test_encoded_rows_are_kept_until_something_changes(path: Path, scratch: Path) -> None:
    def encoded(**settings: Any) -> tuple[Table, Path]:
        table = read_table(path, on_disk=True, **settings)
        assert equal(table, read_table(path, on_disk=False, **settings))
        (kept,) = scratch.rglob("*.pt")  # one at a time
        return table, kept

    first, kept = encoded()
    written = kept.stat().st_mtime_ns
    again, same = encoded(batch_size=7)
    assert (same, same.stat().st_mtime_ns) == (kept, written)
    assert again.findings == first.findings
    assert all((again.rows[name] == rows).all() for name, rows in first.rows.items())
    for change in ({"seed": 1}, {"drop": "a"}, {"missing": "gold"}, {"num_folds": 3}):
        before, (_, same) = same, encoded(**change)
        assert same != before
    assert equal(first, read_table(path, on_disk=False))  # a table that is in use has its rows
    file = path if path.is_file() else min(path.iterdir())
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes().replace(b"gold", b"bold"))
    os.utime(file, ns=times)  # as where an archive is unpacked
    (same.parent / ".rows.pt.1.tmp").touch()  # of a process that was killed
    assert "bold" in encoded(num_folds=3)[0].schema.categories[0].values
    assert len(list(same.parent.iterdir())) == 2  # with the lock
    _, kept = encoded(num_folds=3)
    half = kept.read_bytes()[: kept.stat().st_size // 2]
    kept.unlink()  # or tables that are in use would lose their rows
    kept.write_bytes(half)
    assert encoded(num_folds=3)[1].stat().st_size > len(half)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["rows.csv"], indirect=True)
def test_processes_at_once_have_one_copy(path: Path, scratch: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    args = [*table_flags(path), "--trainer.max_epochs", "1", "--data.on_disk", "true"]
    runs = [start("project.fit", *args, "--trainer.default_root_dir", str(tmp_path / n)) for n in "12"]
    for process in runs:
        _, errors = process.communicate(timeout=100)
        assert (process.returncode, errors) == (0, "")
    one, other = (next((tmp_path / n).glob("*/*")) for n in "12")
    assert_same_weights(one, other)
    assert len(list(scratch.rglob("*.pt"))) == 1


def test_a_table_that_changes_while_it_is_read_is_refused(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.to_csv(path := tmp_path / "rows.csv", index=False)
    encode = Table.encode

    def while_it_changes(self: Table, *args: Any) -> torch.Tensor:
        frame[:-1].to_csv(path, index=False)
        return encode(self, *args)

    monkeypatch.setattr(Table, "encode", while_it_changes)
    with pytest.raises(ValueError, match=rf"^{path} has changed while it was read: start again$"):
        read_table(path, on_disk=True)


@pytest.mark.parametrize(("limit", "large"), [("4000", True), ("9000000000", False), ("max", False), (None, False)])
def test_a_container_may_have_less_memory_than_its_machine(
    limit: str | None, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "rows.csv").write_text("a,y\n" * 100)
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(f"{limit}\n")
    monkeypatch.setattr("project.table.on_disk.LIMITS", [file])
    assert Table(path, "y").on_disk == large
    assert not Table(path, "y", on_disk=False).on_disk


def test_blocks_of_rows_stay_near_each_other() -> None:
    """Each buffer holds the rows of whole blocks, in an order of their own, and each row comes once an epoch."""
    rows = torch.arange(3 * BUFFER + 5 * BLOCK + 7)
    order = BlockOrder(Batches(rows[:, None], rows, 1000), seed=0)
    first, again = (torch.cat(list(order)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first.sort().values, rows)
    for buffer in first.split(BUFFER)[:3]:
        blocks = (buffer // BLOCK).unique()
        assert len(blocks) <= BUFFER // BLOCK + 1  # the shorter block shifts those behind it
        assert (buffer.diff() == 1).float().mean() < 1e-4
    order.set_epoch(1)
    assert not torch.equal(torch.cat(list(order)), first)


@pytest.mark.parametrize("path", ["rows.csv"], indirect=True)
def test_rows_beyond_memory_are_shuffled_in_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_table(path, on_disk=True)
    assert not isinstance(table.train_dataloader().sampler, BlockOrder)
    monkeypatch.setattr("project.table.table.memory", lambda: table.splits["train"].x.nbytes)
    loader = table.train_dataloader()
    assert isinstance(loader.sampler, BlockOrder)
    sizes = [len(x) for x, _ in loader]
    assert (sum(sizes), max(sizes)) == (len(table.splits["train"].x), table.num_batch_rows)
