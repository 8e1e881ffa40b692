"""When checkpoints are written."""

from pathlib import Path

import pytest
import torch

from project.engine.checkpoints import PAUSES, AtomicCheckpointIO, read_whole


def test_the_checkpoints_of_a_run_wait_for_each_other(tmp_path: Path) -> None:
    """The first is written at once, and what comes soon after it at the end, each as it was when it was saved last."""
    writer, (best, last) = AtomicCheckpointIO(), (tmp_path / f"{name}.ckpt" for name in ("best", "last"))
    weights = torch.zeros(1)
    for path in (last, best, last):
        writer.save_checkpoint({"weights": weights}, path)
        weights += 1
    assert read_whole(last, plain=True) == {"weights": 0}
    assert not best.exists()
    writer.teardown()
    assert [read_whole(path, plain=True) for path in (best, last)] == [{"weights": 1}, {"weights": 2}]


def test_the_best_one_is_written_with_the_last_one_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run of long epochs: a crash within the next one costs no more than that one."""
    writer, (best, last) = AtomicCheckpointIO(), (tmp_path / f"{name}.ckpt" for name in ("best", "last"))
    monkeypatch.setitem(PAUSES, "last.ckpt", 0.0)
    for epoch in (1, 2):
        writer.save_checkpoint({"epoch": epoch}, best)
        assert best.exists() == (epoch > 1)
        writer.save_checkpoint({"epoch": epoch}, last)
        assert [read_whole(path, plain=True)["epoch"] for path in (best, last)] == [epoch, epoch]


def test_a_checkpoint_of_another_name_is_written_at_once(tmp_path: Path) -> None:
    writer = AtomicCheckpointIO()
    for name in ("last.ckpt", "epoch=1.ckpt"):
        writer.save_checkpoint({"epoch": 1}, tmp_path / name)
        assert read_whole(tmp_path / name, plain=True) == {"epoch": 1}
