"""What a command beside ``project.fit`` is given: its arguments, and data that must be a table."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from project.cli import Request, read_flags
from project.config import Config, Layer, combine, make_data
from project.data import TableData
from project.errors import UsageError, nearest
from project.run_folder import read_report
from project.trust import content_of


class CommandParser(argparse.ArgumentParser):
    """Reads the arguments of a command that takes files rather than settings.

    Args:
        module: The command's module.
        description: What it does.
    """

    def __init__(self, module: str, description: str | None) -> None:
        super().__init__(f"python -m {module}", description=description, allow_abbrev=False)
        self.formatter_class = argparse.RawDescriptionHelpFormatter

    def add_run(self) -> None:
        """Adds the arguments that name a trained run."""
        what = "the folder of a run, or a checkpoint, or the folder of a cross-validation for the mean of its folds"
        self.add_argument("run", metavar="RUN", help=what)
        own = "a module with classes of your own that the run uses"
        self.add_argument("--import", metavar="MODULE", type=import_module, action="append", help=own)

    def add_csv(self, file: str, delimiter: str = "found out") -> None:
        """Adds the arguments that say how a CSV file is written."""
        self.add_argument("--delimiter", help=f"what stands between two cells of {file} [{delimiter}]")
        self.add_argument("--encoding", help=f"how {file} writes letters [as the training file]")

    def parse_run(self, args: Sequence[str]) -> tuple[argparse.Namespace, Request]:
        """Reads a command line that has flags of `project.fit` among this command's own; answers ``--data.help``.

        Raises:
            UsageError: If a flag is not known, or its value cannot be.
        """
        options, others = self.parse_known_args(args)
        for name, value in vars(options).items():
            if value == "" or (type(value) is int and value < 1):
                wrong = "needs a value" if value == "" else f"must be 1 or more, not {value}"
                raise UsageError(f"--{name.replace('_', '-')} {wrong}")
        return options, read_flags(others, [*self._option_string_actions])

    def error(self, message: str) -> NoReturn:
        """Raises a usage error instead of printing two lines and leaving."""
        _, _, unknown = message.partition("unrecognized arguments: ")
        if unknown.startswith("--"):
            flag = unknown.split()[0].partition("=")[0]
            raise UsageError(f"{flag} is not accepted; {nearest(flag, self._option_string_actions)}")
        raise UsageError(f"{message}; see {self.prog} --help")


def find_runs(run: str | Path) -> list[Path]:
    """The runs of a cross-validation's folds, from its folder; of anything else, itself.

    Raises:
        ValueError: If its report does not say which they are.
    """
    run = Path(run)
    report = None if not run.is_dir() or (run / "checkpoints").is_dir() else read_report(run)
    with content_of(run / "report.json"):
        return [run / fold["run"] for fold in (report or {}).get("folds", [])] or [run]


def make_table(config: Config) -> TableData:
    """Makes the data module of a command that needs a `TableData`.

    Raises:
        UsageError: If it is none, or the class does not take its settings.
    """
    data = make_data(config)
    if not isinstance(data, TableData):
        raise UsageError(f"data: {type(data).__name__} is no TableData: it has no columns, which this command needs")
    return data


def saved_config(checkpoint: dict[str, Any], run: str | Path) -> Config | None:
    """What made the data of the run that wrote a checkpoint, checked as a file's settings are; None if it was no run.

    Of the trainer's settings there are those that say on what it computes: callbacks are not needed again.

    Args:
        checkpoint: From `load_best`.
        run: What it was loaded from, for messages.

    Raises:
        ValueError: If it cannot be used, or names a class from elsewhere.
    """
    if (config := checkpoint.get("config")) is None:
        return None
    with content_of(run):
        trainer = {name: config["trainer"][name] for name in ("accelerator", "devices", "precision")}
        config = {**config, "trainer": trainer}
        return combine([Layer(config, str(run), trusted=False)])
