"""One run of a comparison."""

import contextlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from project.build import build_data
from project.callbacks import RunLogger
from project.checkpoints import Stopped
from project.config import Config
from project.data import TableData
from project.models import Diverged
from project.report import log_hparams, write_report
from project.run_folder import written_whole
from project.training import finish, fit_model, lowest_val_loss


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


NOTHING: dict[str, Any] = {"metrics": {}, "baselines": {}, "val_loss": None}
"""What the report of a run has that came to nothing."""


@lru_cache(maxsize=1)
def _data(section: str, token: float) -> TableData:  # noqa: ARG001  # the token makes a later comparison read anew
    """The data, which a process reads once in a comparison: they depend on no run's seed."""
    return build_data({"data": json.loads(section), "seed": 0})


def run(task: Task, config: Config, folder: Path, keep_checkpoints: bool, token: float) -> Result:
    """Trains and tests, and leaves a run's folder; a loss that diverges and an error become part of the result.

    Args:
        task: The run.
        config: Its configuration.
        folder: The comparison's folder.
        keep_checkpoints: Whether the checkpoints stay.
        token: Differs between comparisons.
    """
    called = time.perf_counter()
    path = folder / task.folder
    shutil.rmtree(path, ignore_errors=True)  # of a run that was killed
    config = {**config, "experiment": path.parent.name, "name": path.name}
    try:
        data = _data(json.dumps(config["data"]), token)
        data.order_seed = config["seed"]
        start = time.perf_counter()
        trainer, model, _ = fit_model(config, data, folder=path, quiet=True)
        last = trainer.callback_metrics
        if len(data.split("val").x) and trainer.limit_val_batches != 0 and "loss/val" not in last:
            raise ValueError("the run ended before its first validation: make it longer, or the tuning share larger")
        last_loss = float(last["loss/val"] if "loss/val" in last else last["loss/train"])
        loss, steps = lowest_val_loss(trainer), trainer.global_step
        trained = time.perf_counter() - start
        if loss is not None and isinstance(trainer.logger, RunLogger):
            trainer.logger.experiment.add_scalar("lowest_loss/val", loss, steps)  # for the HParams tab
        report = finish(trainer, model, data, path, config, {"command": "", "seconds": trained}, alone=False)
        losses = {"loss": last_loss if loss is None else loss, "last_loss": last_loss}
        result = Result(task, "done", "", **losses, metrics=report["metrics"], steps=steps, seconds=trained)
    except Stopped:
        raise
    except Exception as error:  # whatever is wrong with one optimizer, the others go on
        status = "diverged" if isinstance(error, Diverged) else "failed"
        kind = "" if isinstance(error, ValueError | Diverged) else f"{type(error).__name__}: "
        result = Result(task, status, kind + " ".join(str(error).split()), seconds=time.perf_counter() - called)
        if path.exists():  # the HParams tab and `project.runs` list it, too
            write_report(
                path / "report.json", {"run": path.name, "status": status, "message": result.message, **NOTHING}
            )
            logger = RunLogger(path.parent.parent, path.parent.name, path.name, default_hp_metric=False)
            log_hparams(logger, config)
            logger.experiment.close()
    if not keep_checkpoints:
        shutil.rmtree(path / "checkpoints", ignore_errors=True)
    overhead = time.perf_counter() - called - result.seconds
    return Result(**{**vars(result), "overhead": overhead})
