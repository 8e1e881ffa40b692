"""A stopped run goes on to the same bits and one unbroken curve."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from project.checkpoints import AtomicCheckpointIO, Resumable, Stopped
from project.data import Moons
from project.fit import main
from project.models import FeedForward

EPOCHS, BATCHES = 3, 6


class SignalAt(Callback):
    """Sends the signal with which an operating system stops a process, at the start of a step."""

    def __init__(self, step: int) -> None:
        self.steps_left = step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


class Recorder(Logger):
    """Keeps what is logged, by step and tag."""

    name, version = "recorder", 0

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[int | None, str], float] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.values |= {(step, tag): value for tag, value in metrics.items() if tag != "epoch_seconds"}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...


def train(
    folder: Path, recorder: Recorder, resume: bool = False, stop_at: int | None = None, **model: Any
) -> dict[str, torch.Tensor]:
    data = Moons(num_samples=160, batch_size=16)
    torch.manual_seed(0)
    net = FeedForward(data.schema, hidden_sizes=(8,), dropout=0.3, batch_norm=True, **model)
    best = ModelCheckpoint(folder, "best", "loss/val", enable_version_counter=False)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        logger=recorder,
        log_every_n_steps=2,
        callbacks=[Resumable(folder, {}), best, *([SignalAt(stop_at)] if stop_at else [])],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(net, data, ckpt_path=folder / "last.ckpt" if resume else None, weights_only=True)
    best_state = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    return {**net.state_dict(), **{f"best.{name}": value for name, value in best_state.items()}}


@pytest.mark.filterwarnings("ignore:Checkpoint directory")  # a resumed run goes on where it was
@pytest.mark.filterwarnings("ignore:The `srun` command")
@pytest.mark.parametrize(
    "model",
    [
        {"optimizer": "Adam"},
        {"optimizer": "Muon", "scheduler": {"class_path": "StepLR", "init_args": {"step_size": 1, "gamma": 0.5}}},
        {"optimizer": "AdamW", "scheduler": "OneCycleLR"},
        {
            "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.1, "momentum": 0.9}},
            "scheduler": {"class_path": "ReduceLROnPlateau", "init_args": {"patience": 0, "threshold": 0.5}},
        },
    ],
    ids=["adam", "muon-step", "adamw-one_cycle", "sgd-plateau"],
)
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(model: dict[str, Any], tmp_path: Path) -> None:
    whole_curve = Recorder()
    whole = train(tmp_path / "whole", whole_curve, **model)
    assert len(Moons(num_samples=160, batch_size=16).train_dataloader()) == BATCHES
    for step in range(1, EPOCHS * BATCHES):
        folder, curve = tmp_path / str(step), Recorder()
        with pytest.raises(Stopped) as stopped:
            train(folder, curve, stop_at=step, **model)
        assert stopped.value.signal == signal.SIGTERM
        assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == step
        resumed = train(folder, curve, resume=True, **model)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole), f"stopped at step {step}"
        assert curve.values == whole_curve.values, f"stopped at step {step}"


LONG = ("--data", "Blobs", "--data.num_samples", "10000", "--data.batch_size", "16", "--model.dropout", "0.2")


def start(logs: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "project.fit", *args]
    if "--resume" not in args:
        command += [*LONG, "--trainer.max_epochs", "6", "--trainer.default_root_dir", str(logs), "--name", "run"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(checkpoint: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if checkpoint.exists() and torch.load(checkpoint, weights_only=True)["global_step"] >= step:
            return
        time.sleep(0.02)
    raise TimeoutError(checkpoint)


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    log = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in log.Tags()["scalars"] if tag != "epoch_seconds"]
    return {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in tags}


@pytest.mark.parametrize(
    ("signum", "status", "every"),
    [
        (signal.SIGTERM, 143, ()),
        pytest.param(signal.SIGINT, 130, (), marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, ("--checkpoint_every", "100"), marks=pytest.mark.slow),
    ],
    ids=["SIGTERM", "SIGINT", "SIGKILL"],
)
def test_a_stopped_process_goes_on_in_its_own_folder(
    signum: int, status: int, every: tuple[str, ...], tmp_path: Path, fit: Callable[..., Path]
) -> None:
    process = start(tmp_path, *every)
    folder = tmp_path / "blobs" / "run"
    wait_for_step(folder / "checkpoints" / "last.ckpt", 400 if every else 375)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    if not every:
        assert f"--resume {folder}" in err
        assert err.count("\n") == 1
    assert not (folder / "report.json").exists()
    process = start(tmp_path, "--resume", str(folder))
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert (folder / "report.json").exists()

    whole = fit(*LONG, "--trainer.max_epochs", "6", *every)
    states = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (whole, folder)]
    assert states[0]["global_step"] == states[1]["global_step"] == 6 * 375
    assert all(torch.equal(value, states[1]["state_dict"][name]) for name, value in states[0]["state_dict"].items())
    assert curves(folder) == curves(whole)


def test_a_changed_configuration_is_refused_with_the_difference(
    fit: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit("--trainer.max_epochs", "1")
    (folder / "report.json").unlink()  # as if it had been stopped
    capsys.readouterr()
    assert main(["--resume", str(folder), "--optimizer.lr", "0.5", "--data", "Wine"]) == 2
    err = capsys.readouterr().err
    assert "optimizer.init_args.lr: 0.001, not 0.5" in err
    assert "data.class_path: project.data.BreastCancer, not project.data.Wine" in err


def test_a_finished_run_and_one_without_checkpoint_are_not_resumed(
    fit: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit("--trainer.max_epochs", "1")
    capsys.readouterr()
    assert main(["--resume", str(folder)]) == 2
    assert "finished" in capsys.readouterr().err
    (folder / "report.json").unlink()
    (folder / "checkpoints" / "last.ckpt").unlink()
    assert main(["--resume", str(folder)]) == 2
    assert "last.ckpt" in capsys.readouterr().err


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, path)
    with pytest.raises(Exception, match=r"pickle|local object"):
        io.save_checkpoint({"step": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    with pytest.raises(OSError, match="cannot be written"):
        io.save_checkpoint({"step": 2}, path / "below" / "a-file.ckpt")
