"""One run of many: data that a process reads once, and a run whose failure is part of the outcome."""

import json
import shutil
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor

from project.commands.arguments import make_table
from project.config import Config, make_model, make_trainer
from project.data import TableData
from project.errors import Diverged, Stopped
from project.fit import fit
from project.report import finish_curves, write_report

NOTHING: dict[str, Any] = {"metrics": {}, "baselines": {}, "val_loss": None}
"""What the report of a run has that came to nothing."""


def load_data(config: Config, token: float) -> TableData:
    """The data of a run, which a process reads once, as long as nothing but the size of the batches changes.

    Args:
        config: The run's configuration.
        token: A later command has another one, and reads the data anew.
    """
    init_args = dict(config["data"]["init_args"])
    batch_size = init_args.pop("batch_size", None)
    data = _read(json.dumps({**config["data"], "init_args": init_args}), token)
    if batch_size is not None:
        data.batch_size = batch_size
    data.order_seed = config["seed"]
    return data


@lru_cache(maxsize=1)
def _read(section: str, token: float) -> TableData:  # noqa: ARG001  # a part of the key
    data: TableData = make_table({"data": json.loads(section), "seed": 0})
    data.setup()
    return data


def run_one(path: Path, config: Config, token: float, callbacks: Sequence[Callback] = ()) -> dict[str, Any]:
    """Trains and tests, and leaves a run's folder; a loss that diverges and an error become part of the outcome.

    Args:
        path: The run's folder; what is there already is replaced.
        config: Its configuration.
        token: See `load_data`.
        callbacks: What watches the run besides the configuration's own callbacks.

    Returns:
        ``status`` (``done``, ``diverged`` or ``failed``), ``message``, ``loss`` (the lowest ``loss/val``; without
        validation rows the last ``loss/train``), ``metrics`` of the test rows, ``steps``, and ``seconds`` of
        training. A run that is not done lacks what it never reached.
    """
    start = time.perf_counter()
    shutil.rmtree(path, ignore_errors=True)
    config = {**config, "experiment": None, "name": None}  # where they stand is no part of what they do
    hidden = {**config, "trainer": {**config["trainer"], "enable_progress_bar": False}}
    last: dict[str, Tensor] = {}  # a test forgets them
    losses: list[float] = []  # those of validation, whatever chooses the best weights
    note = LambdaCallback(
        on_validation_end=lambda trainer, _: losses.append(float(trainer.callback_metrics["loss/val"])),
        on_sanity_check_end=lambda *_: losses.clear(),
        on_train_end=lambda trainer, _: last.update(trainer.callback_metrics),
    )
    try:
        data = load_data(config, token)
        seed_everything(config["seed"], verbose=False)
        model = make_model(config, data)
        trainer = make_trainer(hidden, path, model, data, callbacks=[*callbacks, note])
        path.mkdir(parents=True)
        report = fit(data, model, trainer, path, baselines=False, config=config)
        if trainer.limit_val_batches != 0 and not losses:
            raise ValueError("the run ended before its first validation: make it longer")
        outcome: dict[str, Any] = {"status": "done", "loss": min(losses) if losses else float(last["loss/train"])}
        outcome |= {name: report[name] for name in ("metrics", "steps", "seconds")}
    except Stopped:
        raise
    except Exception as error:  # whatever is wrong with one run, the others go on
        outcome = {"status": "diverged" if isinstance(error, Diverged) else "failed", "message": said(error)}
        if path.exists():  # the HParams tab and `project.runs` list it, too
            write_report(path / "report.json", {"run": path.name, **outcome, **NOTHING})
            finish_curves(trainer, None, config)
        outcome["seconds"] = time.perf_counter() - start
    shutil.rmtree(path / "checkpoints", ignore_errors=True)
    return outcome


def said(error: Exception) -> str:
    """An error in one line, with its kind where it does not come from here."""
    kind = "" if isinstance(error, ValueError | Diverged) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())
