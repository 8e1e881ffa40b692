"""Studies that are killed, go on, are shared, or cannot be used."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import optuna
import pytest
import small_tuning
import yaml
from fixture_types import Capture, Fit, Refused
from optuna.storages.journal import JournalFileBackend
from processes import start, wait_for
from small_tuning import SMALL, trials

from project.config import Layer, combine, read_layer
from project.errors import UsageError
from project.run_folder import alone
from project.tune.__main__ import main
from project.tune.tuning import Tuning, begin

SEARCH = {
    "model": {"init_args": {"dropout": {"low": 0.0, "high": 0.5}}},
    "optimizer": [{"class_path": "Adam", "init_args": {"lr": {"low": 1e-3, "high": 1.0, "log": True}}}, "Adagrad"],
}


def facts(folder: Path) -> list[dict[str, Any]]:
    """The trials without what differs each time."""
    return [{**row, "seconds": None, "trial": None} for row in trials(folder)]


def start_tuning(logs: Path, *args: str, num_trials: int) -> "subprocess.Popen[str]":
    logs.mkdir(exist_ok=True)
    file = logs / "search.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "tune": {**SMALL["tune"], "trials": num_trials, "search": SEARCH}}))
    own = ["--config", str(file), "--trainer.default_root_dir", str(logs), "--jobs", "1"]
    return start("project.tune", *own, *args)


def study(folder: Path) -> optuna.Study:
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.load_study(study_name="Iris-FeedForward", storage=storage)


@pytest.mark.slow
def test_a_tuning_that_was_stopped_ends_as_if_it_had_not(tune: Fit, tmp_path: Path) -> None:
    process = start_tuning(tmp_path / "stopped", num_trials=8)
    folder = tmp_path / "stopped" / "tune" / "Iris-FeedForward"
    wait_for((folder / "trial-4").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert f"-m project.tune --resume {folder}\n" in out
    assert (process.returncode, error) == (130, "stopped\n")
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    whole = tune(search=SEARCH, trials=8)
    assert facts(folder) == facts(whole)
    best = [read_layer(path / "best.yaml").content for path in (folder, whole)]
    for config in best:
        config["trainer"].pop("default_root_dir")
    assert best[0] == best[1]


@pytest.mark.slow
def test_processes_on_one_storage_share_a_study(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    optuna.create_study(study_name="other", storage=storage)  # two that make the tables at once are in each other's way
    args = ("--storage", storage, "--name", "shared")
    for process in [start_tuning(tmp_path / machine, *args, num_trials=12) for machine in "ab"]:
        out, error = process.communicate(timeout=300)
        assert (process.returncode, error) == (0, ""), out
    done = [t for t in optuna.load_study(study_name="shared", storage=storage).trials if t.state.name == "COMPLETE"]
    assert len(done) in (12, 13)  # both may be at the last one
    assert len({trial.params.get("model.dropout") for trial in done}) >= len(done) - 1  # two may be the untuned run
    assert all(len(list((tmp_path / machine / "tune/shared").glob("trial-*"))) < 12 for machine in "ab")


def test_a_trial_that_was_killed_is_made_again_and_more_follow(tune: Fit) -> None:
    folder = tune(search=SEARCH, trials=2)
    number = study(folder).ask().number  # and nothing comes of it
    assert main(["--resume", str(folder), "--trials", "4", "--jobs", "1"]) == 0
    assert facts(folder) == facts(tune(search=SEARCH, trials=4))
    assert [int(row["trial"]) for row in trials(folder)] == [i for i in range(5) if i != number]
    assert read_layer(folder / "tune.yaml").content["tune"]["trials"] == 4


def test_a_first_trial_that_was_killed_is_made_again(tune: Fit) -> None:
    folder = tune(search=SEARCH, trials=1)
    whole = facts(folder)
    settings = study(folder).user_attrs["settings"]
    (folder / "study.log").unlink()
    empty = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.log")))
    killed = optuna.create_study(study_name="Iris-FeedForward", storage=empty)
    killed.set_user_attr("settings", settings)
    killed.enqueue_trial({}, user_attrs={"untuned": True})
    killed.ask()
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    assert facts(folder) == whole


def test_a_tuning_under_way_is_left_alone(tune: Fit, capsys: Capture) -> None:
    folder = tune(search=SEARCH, trials=1)
    with alone(folder):
        assert main(["--resume", str(folder), "--trials", "3", "--jobs", "1"]) == 2
    assert "another process is at work in" in capsys.readouterr().err
    assert len(trials(folder)) == 1


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A storage, and two tunings that add to the same study in it."""
    logs = tmp_path_factory.mktemp("logs")
    storage = f"sqlite:///{logs / 'shared.db'}"
    first, second = (
        small_tuning.tune(logs, "--storage", storage, "--name", "shared", search=SEARCH, trials=count)
        for count in (2, 4)
    )
    return storage, first, second


@pytest.mark.lowest
def test_a_second_tuning_adds_to_the_study_of_the_first(shared: tuple[str, Path, Path]) -> None:
    _, first, second = shared
    assert second.name == "shared-2"
    assert not (second / "study.log").exists()
    assert [row["losses"] for row in trials(second)[:2]] == [row["losses"] for row in trials(first)]
    assert len(facts(second)) == 4
    assert len(list(second.glob("trial-*"))) == 2


@pytest.mark.parametrize(("flag", "value"), [("data.batch_size", "8"), ("tune.seeds", "2")])
def test_a_study_for_other_settings_is_refused(flag, value, shared, refused):
    storage, first, second = shared
    logs = first.parents[1]
    args = ["--config", str(logs / "search.yaml"), "--storage", storage, "--name", "shared"]
    args += [f"--{flag.removeprefix('tune.')}", value, "--trainer.default_root_dir", str(logs)]
    refused(main, args, f"error: the study 'shared' was made for another {flag}: another --name makes a new one\n")
    assert set((logs / "tune").iterdir()) == {first, second}


def test_a_study_is_for_one_file_wherever_it_stands(tmp_path: Path) -> None:
    def opened(path: Path | int) -> optuna.Study:
        data = {"class_path": "small_tuning.File", "init_args": {"path": path if isinstance(path, int) else str(path)}}
        config = combine([Layer({"data": data, "name": "mine"}, "")])
        return begin(Tuning(config, tmp_path, f"sqlite:///{tmp_path / 'mine.db'}", {}, 1, 1, 1, None))

    opened(tmp_path / "here" / "t.csv")
    opened(tmp_path / "there" / "t.csv")
    with pytest.raises(UsageError, match=r"made for another data\.path"):
        opened(tmp_path / "here" / "other.csv")
    with pytest.raises(UsageError, match=r"made for another data\.path"):
        opened(1)  # a path that is none, of somebody's own class


def test_another_program_s_study_is_refused(tune: Fit, tmp_path: Path, capsys: Capture) -> None:
    storage = f"sqlite:///{tmp_path / 'mine.db'}"
    study = optuna.create_study(study_name="mine", storage=storage)
    study.tell(study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}), 1.0)
    with pytest.raises(AssertionError):
        tune("--storage", storage, "--name", "mine", search=SEARCH)
    assert "the study 'mine' was made for" in (error := capsys.readouterr().err)
    assert error.count("\n") == 1
    assert len(study.trials) == 1


UNREACHABLE = [
    ("sqlite:////no/such/folder/x.db", "unable to open database"),
    ("sqlite:///{}", "file is not a database"),
    ("redis://host", "RedisStorage is removed"),
]


@pytest.mark.parametrize(("storage", "message"), UNREACHABLE)
def test_a_storage_that_cannot_be_reached_is_told_in_one_sentence(storage, message, tmp_path, refused):
    text = tmp_path / "text.txt"
    text.write_text("no database\n" * 100)
    args = ["--data", "Iris", "--storage", storage.format(text), "--trainer.default_root_dir", tmp_path / "logs"]
    refused(main, args, "the storage cannot be reached: ", message, status=1)
    assert not (tmp_path / "logs").exists()


REFUSED = [
    (["--trials", "0"], "trials must be 1 or more, not 0"),
    (["--data.val_fraction", "0"], "there are no validation rows: see data.val_fraction"),
    (["--resume", "nowhere"], "there is no file nowhere/tune.yaml"),
    (["--resume", "nowhere", "--data", "Wine"], "a tuning goes on as it began"),
    (["--print_config"], "--print_config shows a single run"),
]


@pytest.mark.parametrize(("args", "message"), REFUSED)
def test_flags_that_cannot_be(args: list[str], message: str, tmp_path: Path, refused: Refused) -> None:
    logs = [] if "--resume" in args else ["--trainer.default_root_dir", tmp_path]
    refused(main, [*args, *logs], message)
    assert not list(tmp_path.iterdir())


def test_a_file_that_holds_no_settings_of_a_tuning(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "t.yaml").write_text("tune: 5")
    refused(main, ["--config", tmp_path / "t.yaml"], "t.yaml: tune must hold names")


@pytest.mark.parametrize("named", ["model: {class_path: stranger.Net}", "tune: {search: {model: {class_path: {}}}}"])
def test_a_tuning_that_goes_on_imports_no_class_from_elsewhere(named: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "tune.yaml").write_text(named.replace("{}", "{choices: [stranger.Net]}"))
    (tmp_path / "study.log").touch()
    refused(main, ["--resume", tmp_path], "names stranger.Net, a class from elsewhere: if you trust it, say --import")
