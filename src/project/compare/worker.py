"""One run of a comparison."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from project.config import Config
from project.many.one_of_many import run_one
from project.run_folder import written_whole


@dataclass(frozen=True)
class Task:
    """A run that is to be made.

    Attributes:
        label: The optimizer's label.
        stage: ``tuning`` or ``final``.
        rate: The learning rate; None for an optimizer's own settings.
        seed: The seed.
    """

    label: str
    stage: str
    rate: float | None
    seed: int

    @property
    def folder(self) -> Path:
        """Where the run stands in the comparison's folder."""
        rate = "own-settings" if self.rate is None else f"lr{self.rate:g}"
        return Path(self.label, *(["tuning"] if self.stage == "tuning" else []), f"{rate}-seed{self.seed}")


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        task: The run.
        status: ``done``, ``diverged`` or ``failed``.
        message: Why it is not done.
        loss: What optimizers are compared by: the lowest ``loss/val``; without validation rows the last ``loss/train``.
        last_loss: The last ``loss/val``, or ``loss/train`` likewise.
        metrics: Test metrics, with the weights of the lowest loss.
        steps: Optimizer steps.
        seconds: How long the training took, validation included.
        overhead: Seconds before and after that: reading data, testing, writing files.
    """

    task: Task
    status: str
    message: str = ""
    loss: float | None = None
    last_loss: float | None = None
    metrics: dict[str, float] | None = None
    steps: int = 0
    seconds: float = 0.0
    overhead: float = 0.0

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Result":
        """What `to_json` wrote.

        Raises:
            ValueError: If the line is cut.
        """
        content = json.loads(line)
        return cls(**{**content, "task": Task(**content["task"])})


def read_results(file: Path) -> list[Result]:
    """The results in a file of `Result.to_json` lines, but for failed ones, and a last one that was cut by a kill."""
    results = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        with contextlib.suppress(ValueError):
            result = Result.from_json(line)
            results += [result] if result.status != "failed" else []  # what was wrong may be mended
    with written_whole(file, force=True) as path:  # new lines are added to it
        path.write_text("".join(f"{result.to_json()}\n" for result in results), encoding="utf-8")
    return results


def run(task: Task, config: Config, folder: Path, keep_checkpoints: bool, token: float) -> Result:
    """Makes a run; see `run_one`.

    Args:
        task: The run.
        config: Its configuration.
        folder: The comparison's folder.
        keep_checkpoints: Whether the checkpoints stay.
        token: Differs between comparisons.
    """
    return Result(task, **run_one(folder / task.folder, config, token, keep_checkpoints))
