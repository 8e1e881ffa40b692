"""Several processes train to the weights of one, and end together."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
import torch
from at_a_rank import Fail, Stop
from fixture_types import Fit, Refused
from results import load_weights, read_curve, read_report

import project
from project.fit import main

NET = ["--model.hidden_sizes", "[16,16]", "--model.dropout", "0", "--model.input_dropout", "0"]
SHORT = [*NET, "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", "--trainer.log_every_n_steps", "7"]
DOUBLE = ["--trainer.precision", "64-true"]
PRESET = Path(__file__).parents[2] / "configs" / "presets" / "ddp.yaml"
COMMAND = [sys.executable, "-m", "project.fit"]


def start(logs: Path, *args: str, command: list[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    folders = [str(Path(project.__file__).parents[1]), str(Path(__file__).parent)]
    own = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")}
    own |= {"PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"}
    args = args if "--resume" in args else (*args, "--trainer.default_root_dir", str(logs))
    return subprocess.run([*command, *args], env=own, capture_output=True, text=True, timeout=100, check=False)


def run(logs: Path, *args: str, command: list[str] = COMMAND) -> Path:
    """Runs the command, and returns the run's folder."""
    done = start(logs, *args, command=command)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.count("Training") == done.stdout.count("The run is in") == 1
    (folder,) = logs.glob("*/*")
    return folder


def interrupted(logs: Path, status: int, *args: str) -> Path:
    """Runs the command, which does not come to its end, and returns the run's folder."""
    assert start(logs, *args).returncode == status
    (folder,) = logs.glob("*/*")
    return folder


def resume(folder: Path, *args: str) -> None:
    resumed = start(folder, "--import", "at_a_rank", "--resume", str(folder), *args)
    assert (resumed.returncode, resumed.stderr) == (0, "")


def at_a_rank(callback: type, **arguments: int) -> list[str]:
    spec = {"class_path": f"at_a_rank.{callback.__name__}", "init_args": arguments}
    return ["--trainer.callbacks", json.dumps([spec])]


def assert_same(one: Path, other: Path, tolerance: float) -> None:
    """The same weights, scores and curves, within a tolerance."""
    torch.testing.assert_close(load_weights(other), load_weights(one), rtol=0, atol=tolerance)
    scores, others = (read_report(folder)["metrics"] for folder in (one, other))
    assert others == pytest.approx(scores, abs=max(tolerance, 1e-6))  # logged in single precision
    for tag in ("loss/train", "loss/val"):
        curve, others = read_curve(one, tag), read_curve(other, tag)
        assert [step for step, _ in others] == [step for step, _ in curve]
        assert [y for _, y in others] == pytest.approx([y for _, y in curve], abs=max(tolerance, 1e-6))


def test_two_processes_train_to_the_weights_of_one(fit: Fit, tmp_path: Path) -> None:
    """Parts of 9 and 8 rows, and of 3 and 2 at the end of an epoch."""
    args = ["--data", "BreastCancer", "--data.batch_size", "17", *SHORT, *DOUBLE, "--model.class_weights", "[1.0,3.0]"]
    assert 398 % 17 == 7
    alone, several = fit(*args), run(tmp_path / "2", *args, "--config", str(PRESET))
    assert_same(alone, several, 1e-12)
    assert read_report(several)["baselines"] == read_report(alone)["baselines"]
    assert sorted(path.name for path in several.parent.iterdir()) == [several.name]


RUNS = [
    # 105 rows end with 2, which three processes share.
    "--data Iris --data.batch_size 103 --trainer.max_epochs 10",
    "--data Iris --data.shuffle false --data.batch_size 20 --trainer.accumulate_grad_batches 4",
    "--data BreastCancer --data.batch_size 18 --lean false --trainer.gradient_clip_val 0.1",
    "--data Wine --data.batch_size 9 --model TabM --model.dropout 0",
]


@pytest.mark.slow
@pytest.mark.parametrize("options", RUNS)
def test_so_do_three(options: str, fit: Fit, tmp_path: Path) -> None:
    own = SHORT if "TabM" not in options else SHORT[len(NET) :]
    args = [*own, *DOUBLE, *options.split()]
    several = run(tmp_path / "3", *args, "--trainer.devices", "3", "--trainer.strategy", "ddp")
    assert_same(fit(*args), several, 1e-12)


@pytest.mark.slow
def test_torchrun_starts_the_same_run(fit: Fit, tmp_path: Path) -> None:
    args = ["--data", "Wine", *SHORT, *DOUBLE]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "project.fit"]
    first = run(tmp_path / "1", *args, "--trainer.devices", "2", command=torchrun)
    assert_same(first, run(tmp_path / "2", *args, "--trainer.devices", "2"), 0.0)
    assert_same(first, fit(*args), 1e-12)
    one = start(tmp_path / "3", "--data", "Wine", *SHORT, command=torchrun)
    assert one.returncode != 0
    assert one.stderr.count("error: trainer: 2 processes were started, and devices make 1: set trainer.devices\n") == 1
    assert not list((tmp_path / "3").glob("*/*"))


@pytest.mark.slow
def test_processes_stop_together_and_go_on_to_the_same_bits(tmp_path: Path) -> None:
    """Also with dropout, which each process draws for itself; the second one alone is asked to stop."""
    args = ["--data", "BreastCancer", "--data.batch_size", "18", *SHORT[len(NET) :], "--trainer.devices", "2"]
    whole = run(tmp_path / "whole", *args, *at_a_rank(Stop, rank=0, step=10**6))
    stopped = start(tmp_path / "stopped", *args, *at_a_rank(Stop, rank=1, step=33))
    (folder,) = (tmp_path / "stopped").glob("*/*")
    assert stopped.returncode == 143
    assert re.fullmatch(rf"stopped by SIGTERM; go on with: \S* -m project.fit --resume {folder}\n", stopped.stderr)
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 40  # they ask each other every ten steps
    resume(folder)
    assert_same(whole, folder, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 3])
def test_another_number_of_processes_goes_on_with_the_same_batches(devices: int, tmp_path: Path) -> None:
    """Without dropout the numbers are the same, too: only the sums of gradients are in another order."""
    args = ["--data", "BreastCancer", "--data.batch_size", "18", *SHORT, *DOUBLE, "--trainer.devices", "2"]
    whole = run(tmp_path / "whole", *args, *at_a_rank(Stop, rank=0, step=10**6))
    folder = interrupted(tmp_path / "stopped", 143, *args, *at_a_rank(Stop, rank=0, step=33))
    resume(folder, "--trainer.devices", str(devices))
    assert_same(whole, folder, 1e-12)


@pytest.mark.slow
def test_a_run_goes_on_with_a_batch_of_which_a_process_has_no_row(tmp_path: Path) -> None:
    """Two rows for three processes, with which the second epoch ends; it is stopped, and goes on, right before them."""
    args = ["--data", "BreastCancer", "--data.batch_size", "36", *SHORT, *DOUBLE, "--trainer.devices", "3"]
    args += ["--checkpoint_every", "23"]
    whole = run(tmp_path / "whole", *args, *at_a_rank(Fail, rank=0, step=10**6))
    folder = interrupted(tmp_path / "failed", 1, *args, *at_a_rank(Fail, rank=0, step=23))
    resume(folder)
    assert_same(whole, folder, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_process_ends_all(rank: int, tmp_path: Path) -> None:
    """The first process may say that another one has ended, before or after that one says why."""
    args = ["--data", "Iris", *SHORT, "--trainer.devices", "2", *at_a_rank(Fail, rank=rank, step=3)]
    done = start(tmp_path, *args)
    assert done.returncode != 0
    assert done.stderr.count(f"error: rank {rank} has no more rows\n") == 1
    assert "Traceback" not in done.stderr


ERRORS = [
    (["--data.batch_size", "1"], "a batch of 1 rows cannot be shared by 2 devices: choose another data.batch_size"),
    (["--optimizer", "SGD", "--optimizer.lr", "1e9"], "the loss diverged"),
]


@pytest.mark.parametrize(("args", "words"), ERRORS, ids=lambda value: value[0] if isinstance(value, list) else "")
@pytest.mark.slow
def test_an_error_is_told_once(args: list[str], words: str, tmp_path: Path) -> None:
    done = start(tmp_path, "--data", "Iris", *SHORT, "--trainer.devices", "2", *args)
    assert done.returncode in (1, 2)
    assert re.fullmatch("error: .*\n", done.stderr), done.stderr
    assert words in done.stderr


def test_other_places_and_strategies_are_refused(tmp_path: Path, refused: Refused) -> None:
    """Here the command is a function that Python calls, which no other process would do."""
    args = ["--data", "Iris", "--trainer.devices", "2", "--trainer.accelerator", "cpu"]
    args += ["--trainer.default_root_dir", str(tmp_path)]
    refused(main, args, "several devices are for python -m project.fit")
    spawn = ["--trainer.strategy", "ddp_spawn"]
    refused(main, [*args, *spawn], "trainer.strategy on several devices is ddp, not ddp_spawn")
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "kill", "status"), [(signal.SIGINT, os.killpg, 130), (signal.SIGKILL, os.kill, -9)])
def test_a_signal_while_the_second_process_starts_ends_both(signum, kill, status, tmp_path):
    args = ["--data", "Iris", "--trainer.accelerator", "cpu", "--trainer.devices", "2"]
    first = processes.start("project.fit", *args, "--trainer.default_root_dir", str(tmp_path))
    others = ["pgrep", "-P", str(first.pid)]
    processes.wait_for(lambda: subprocess.run(others, capture_output=True, check=False).stdout)
    time.sleep(1)  # Python itself takes a moment to start, in which Ctrl-C shows a traceback
    kill(first.pid, signum)
    _, err = first.communicate(timeout=60)  # which ends when the second one does, too, for it writes to the same pipe
    assert (first.returncode, err) == (status, "stopped\n" if status == 130 else "")
    assert status != 130 or not list(tmp_path.glob("*/*"))
