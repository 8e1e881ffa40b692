"""A stopped run goes on to the same bits and one unbroken curve."""

import io
import random
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from fixture_types import Capture, Fit, Refused
from lightning.fabric.utilities.seed import _set_rng_states
from processes import start, wait_for
from results import all_curves, assert_same_weights, read_report

from project import load_run
from project.cli import next_command
from project.engine.checkpoints import AtomicCheckpointIO, random_state
from project.fit import main

# Seven batches an epoch.
SMALL = [
    *("--data", "Iris", "--data.batch_size", "16", "--trainer.max_epochs", "3"),
    *("--model.hidden_sizes", "[8]", "--model.dropout", "0.3", "--model.batch_norm", "true"),
    *("--trainer.log_every_n_steps", "2"),
]


def callback(batch: int, *others: str) -> list[str]:
    stop = f"{{class_path: signals.SignalAt, init_args: {{batch: {batch}}}}}"
    return ["--trainer.callbacks", f"[{', '.join([stop, *others])}]"]


def stop(logs: Path, *args: str) -> Path:
    """Runs the command with a callback that stops it, and returns the run's folder."""
    assert main([*args, "--trainer.default_root_dir", str(logs)]) == 143
    (run,) = logs.glob("*/*")
    return run


def resume(run: Path) -> int:
    """Goes on a second later: of two files that begin in the same one TensorBoard may read the newer one first."""
    for file in run.glob("events.out.tfevents.*"):
        name, second, rest = re.fullmatch(r"(.*tfevents\.)(\d+)(\..*)", file.name).groups()
        file.rename(file.with_name(f"{name}{int(second) - 1}{rest}"))
    return main(["--resume", str(run)])


def assert_same_run(a: Path, b: Path) -> None:
    assert_same_weights(a, b)
    assert all_curves(a) == all_curves(b)
    assert read_report(a)["metrics"] == read_report(b)["metrics"]


RUNS = [
    pytest.param("--optimizer Adam", marks=pytest.mark.lowest),
    "--data.val_fraction 0 --checkpoint_every 3",
    "--model TabM --optimizer AdamW",
]
SLOW_RUNS = [
    "--optimizer Muon --scheduler StepLR --scheduler.step_size 1 --scheduler.gamma 0.5",
    "--optimizer AdamW --scheduler OneCycleLR",
    "--optimizer SGD --scheduler ReduceLROnPlateau --scheduler.patience 0 --scheduler.threshold 0.5",
    "--trainer.accumulate_grad_batches 4",
    "--trainer.val_check_interval 0.5",
    "--trainer.val_check_interval 4 --scheduler ReduceLROnPlateau --scheduler.patience 0 --scheduler.threshold 0.5",
    "--data.val_fraction 0.11",
    "--trainer.max_epochs -1 --trainer.max_steps 15",
    "--optimizer LBFGS --data.batch_size full --model.dropout 0 --model.input_dropout 0 --trainer.max_epochs 9",
]
ADDED = {
    RUNS[2]: "{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}",
    "--data.val_fraction 0.11": "{class_path: GradientAccumulationScheduler, init_args: {scheduling: {0: 2, 1: 3}}}",
}


@pytest.mark.parametrize("args", [*RUNS, *(pytest.param(args, marks=pytest.mark.slow) for args in SLOW_RUNS)])
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(args, tmp_path, fit, capsys):
    own = SMALL[:6] if "TabM" in args else SMALL
    others = [ADDED[args]] if args in ADDED else []
    whole = fit(*own, *args.split(), *callback(0, *others))
    resumed = 0
    for batch in (1, 4, 8, 12):
        logs = tmp_path / str(batch)
        flags = [*own, *args.split(), *callback(batch, *others), "--trainer.default_root_dir", str(logs)]
        status = main(flags)
        (run,) = logs.glob("*/*")
        if status == 143:
            resumed += 1
            assert f"--resume {run}\n" in capsys.readouterr().err
            assert not (run / "report.json").exists()
            assert resume(run) == 0
        assert_same_run(whole, run)
    assert resumed >= 3


def test_a_run_stopped_before_its_first_step_goes_on(tmp_path: Path, fit: Fit) -> None:
    run = stop(tmp_path / "stopped", *SMALL, *callback(-1))
    assert resume(run) == 0
    assert_same_run(fit(*SMALL, *callback(0)), run)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_makes_room_for_the_sentence_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    run = stop(tmp_path, *SMALL, *callback(4))
    *drawn, last = terminal.getvalue().split("\r")
    assert "step" in drawn[1]
    assert drawn[-1].isspace()
    assert last == f"stopped by SIGTERM; go on with: {next_command('project.fit --resume', run)}\n"


LONG = ("--data", "Digits", "--data.batch_size", "3", "--model.dropout", "0.2", "--trainer.max_epochs", "15")
"""419 batches an epoch."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "status", "every"),
    [(signal.SIGINT, 130, ()), (signal.SIGKILL, -9, ("--checkpoint_every", "100"))],
    ids=["SIGINT", "SIGKILL"],
)
def test_a_stopped_process_goes_on_in_its_own_folder(signum, status, every, tmp_path, fit, capsys):
    logs = ("--trainer.default_root_dir", str(tmp_path), "--name", "run")
    process = start("project.fit", *LONG, *every, *logs)
    folder = tmp_path / "digits" / "run"
    last, step = folder / "checkpoints" / "last.ckpt", 400 if every else 0  # written every two seconds
    wait_for(lambda: last.exists() and torch.load(last, weights_only=True)["global_step"] >= step)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    if not every:
        assert f"--resume {folder}" in err
        assert err.count("\n") == 1
    assert not (folder / "report.json").exists()
    assert resume(folder) == 0
    assert capsys.readouterr().err == ""
    assert (folder / "report.json").exists()

    assert_same_run(fit(*LONG, *every), folder)


def test_a_changed_configuration_is_refused_with_the_difference(fit: Fit, capsys: Capture) -> None:
    folder = fit("--trainer.max_epochs", "1")
    (folder / "report.json").unlink()  # as if it had been stopped
    capsys.readouterr()
    assert main(["--resume", str(folder), "--optimizer.lr", "0.5", "--data", "Wine"]) == 2
    err = capsys.readouterr().err
    assert "optimizer.lr: 0.003, not 0.5" in err
    assert "data: project.data.BreastCancer, not project.data.Wine" in err
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.003", "lr: 0.5"))
    assert main(["--resume", str(folder)]) == 2
    assert "optimizer.lr: 0.003, not 0.5" in capsys.readouterr().err


def test_a_finished_run_and_one_without_checkpoint_are_not_resumed(fit: Fit, refused: Refused) -> None:
    folder = fit("--trainer.max_epochs", "1")
    refused(main, ["--resume", folder], "finished")
    (folder / "report.json").unlink()
    (folder / "checkpoints" / "last.ckpt").unlink()
    refused(main, ["--resume", folder], "last.ckpt")


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run whose best epoch is the first, for it climbs the loss, and which was stopped in the third."""
    climb = ("--optimizer", "SGD", "--optimizer.lr", "0.01", "--optimizer.maximize", "true")
    return stop(tmp_path / "logs", *climb, *SMALL, *callback(17))


def test_a_run_that_was_moved_keeps_its_best_checkpoint(stopped: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(stopped, moved)
    for run in (stopped, moved):
        assert main(["--resume", str(run)]) == 0
    assert_same_run(stopped, moved)
    losses = [loss for _, loss in all_curves(moved)["loss/val"]]
    assert losses == sorted(losses)
    assert read_report(moved)["val_loss"] == pytest.approx(losses[0])


def test_a_best_checkpoint_that_is_cut_or_gone_is_told_before_the_run_goes_on(stopped: Path, refused: Refused) -> None:
    best = stopped / "checkpoints" / "best.ckpt"
    best.write_bytes(best.read_bytes()[:-100])
    refused(main, ["--resume", stopped], "best.ckpt", status=1)
    best.unlink()
    refused(main, ["--resume", stopped], "best.ckpt")
    with pytest.raises(ValueError, match=r"has no checkpoints/best\.ckpt"):
        load_run(stopped)  # else its last weights would be taken for the best ones
    last = torch.load(path := best.with_name("last.ckpt"), weights_only=True)
    for state in [state for state in last["callbacks"].values() if "best_model_path" in state]:
        state |= {"best_k_models": {}, "kth_best_model_path": "", "best_model_path": str(best.with_name("mybest.ckpt"))}
    torch.save(last, path)  # as if a checkpoint of one's own were the only one by then
    assert load_run(stopped).folder == stopped


OF_A_RUN = ["callbacks", "epoch_sums", "global_step", "loops", "lr_schedulers", "optimizer_states", "random_state"]


def test_a_checkpoint_that_lacks_what_a_run_goes_on_from_is_named(stopped: Path, refused: Refused) -> None:
    last = stopped / "checkpoints" / "last.ckpt"
    whole = torch.load(last, weights_only=True)
    for name in [*OF_A_RUN, "losses", "metrics", "pytorch-lightning_version"]:
        torch.save({key: value for key, value in whole.items() if key != name}, last)
        refused(main, ["--resume", stopped], str(last), status=1)
        torch.save(whole | {name: "text"}, last)
        if name != "pytorch-lightning_version":
            refused(main, ["--resume", stopped], str(last), status=1)


def test_a_run_under_way_is_not_resumed_a_second_time(stopped: Path, refused: Refused) -> None:
    with FileLock(stopped / ".lock"):
        refused(main, ["--resume", stopped], f"error: another process is at work in {stopped}")
    assert main(["--resume", str(stopped)]) == 0


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"step": 1}, path)
    with pytest.raises(Exception, match=r"pickle|local object"):
        io.save_checkpoint({"step": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    with pytest.raises(OSError, match="cannot be written"):
        io.save_checkpoint({"step": 2}, path / "below" / "a-file.ckpt")


def test_all_random_numbers_are_drawn_again(tmp_path: Path) -> None:
    def draw() -> list[float]:
        return [random.random(), np.random.random(), float(torch.rand(()))]  # noqa: NPY002  # as an own class may

    torch.save(random_state(), tmp_path / "state")
    drawn = draw()
    assert draw() != drawn
    _set_rng_states(torch.load(tmp_path / "state", weights_only=True))
    assert draw() == drawn
