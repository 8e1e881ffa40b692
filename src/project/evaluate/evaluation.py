"""Tests of a trained model, again or on another file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray

from project.baselines import baseline_scores
from project.commands.arguments import find_runs, make_table, saved_config
from project.config import Config
from project.data import BatchLoader, Split
from project.data.loader import EVALUATION_BATCH_SIZE
from project.engine.threads import set_threads
from project.metrics import class_metrics, number_metrics
from project.models import TableModel, predict_encoded
from project.predict.thresholds import check_threshold, choose_classes
from project.run_folder import load_best
from project.table import Table

BEST_F1 = "best-f1"
"""The threshold that is to be found on the validation rows."""


@dataclass
class Evaluation:
    """How good a model is on some rows.

    Attributes:
        model: The model, on the CPU.
        step: The optimizer steps that it was trained for.
        metrics: Its scores by name.
        baselines: Those of the baselines, by the baseline's name.
        y: Indices of the true classes, or true numbers, ``(rows,)``.
        predictions: The probability of each class, ``(rows, classes)``, or predicted numbers, ``(rows,)``.
        threshold: The probability from which on the second of two classes is predicted; None for the likelier one.
        notes: What else to know.
    """

    model: TableModel
    step: int
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    y: NDArray[Any]
    predictions: NDArray[np.float64]
    threshold: float | None
    notes: list[str]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Indices of the predicted classes, ``(rows,)``."""
        return choose_classes(self.predictions, self.threshold)


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    threshold: float | str | None = None,
    baselines: bool = True,
    **written: str | None,
) -> Evaluation:
    """Tests a run's best checkpoint; writes nothing.

    Args:
        run: The run's folder, or a checkpoint; or the folder of a cross-validation, for the mean of its folds, which
            has no baselines.
        data: A CSV or Parquet file with the target; by default the run's test rows.
        threshold: The probability from which on the second of two classes is predicted, or ``best-f1`` for the one
            with the highest F1 on the run's validation rows. Accuracy, balanced accuracy and F1 depend on it.
        baselines: Whether to train baselines on the run's training rows, to compare with.
        written: The ``delimiter`` and the ``encoding`` of a CSV file, if they are not those of the run's own.

    Raises:
        ValueError: If there is no such checkpoint, it was not written by ``project.fit``, there are no rows to test
            on, the file does not fit the model, or the threshold cannot be.
        OSError: If a file cannot be read.
    """
    if len(folds := find_runs(run)) > 1:
        if data is None or threshold == BEST_F1:
            words = f"name a file with --data, and {BEST_F1} is for a single run; report.json has each fold's scores"
            raise ValueError(f"{run} is a cross-validation, which keeps no rows from all of its folds: {words}")
        return _mean([evaluate(fold, data, threshold, baselines=False, **written) for fold in folds])
    model, checkpoint = load_best(run)
    config, target = saved_config(checkpoint, run), model.schema.target
    if config is None:
        raise ValueError(f"{run} was not written by project.fit and does not say what to test on")
    check_threshold(threshold, target, BEST_F1)
    torch.set_flush_denormal(True)
    own = make_table(config)
    own.schema = model.schema  # what the run learned, not what the data would teach today
    notes: list[str] = []
    try:
        if baselines or data is None or threshold == BEST_F1:
            own.setup()
    except (ValueError, OSError) as error:
        if threshold == BEST_F1:
            raise ValueError(f"--threshold {BEST_F1} needs the run's validation rows: {error}") from error
        if data is None:
            raise
        notes.append(f"there are no baselines, which are trained on the run's own rows: {error}")
    if data is not None:
        settings = config["data"]["init_args"]  # it is to be read as the run's own was, unless told otherwise
        way: dict[str, Any] = {"decimal_point": model.schema.decimal_point, "missing": model.schema.missing}
        way |= {n: said for n in ("delimiter", "encoding") if (said := written.get(n) or settings.get(n))}
        rows, left_out = Table(Path(data), target.name, **way).read_test(Path(data), model.schema)
        notes += left_out
        if isinstance(own, Table) and own.path.exists() and own.path.samefile(data):
            notes.append(f"{data} is what the run was trained on: these scores count its training rows too")
    elif not len((rows := own.splits["test"]).x):
        raise ValueError(f"{run}: the run kept no rows to test on (data.test_fraction is 0)")
    else:
        set_threads(model, own)
    if threshold == BEST_F1:
        val = own.splits["val"]
        if not len(val.x):
            raise ValueError(f"{run}: the run kept no validation rows to find a threshold on (data.val_fraction is 0)")
        threshold = best_f1_threshold(predict_encoded(model, val.x)[:, 1].numpy(), val.y.numpy() == 1)
    predictions = predict_encoded(model, rows.x, lambda row: f"tested row {row + 1}").numpy()
    metrics = test_scores(config, model, rows)
    y: NDArray[Any] = rows.y.double().numpy() * target.scale + target.center
    if target.classes:
        y = y.astype(np.int64)
    if threshold is not None:
        threshold = float(threshold)
        metrics |= threshold_metrics(choose_classes(predictions, threshold), y)
    others = baseline_scores(own, rows) if baselines and own.splits else {}
    return Evaluation(model, checkpoint["global_step"], metrics, others, y, predictions, threshold, notes)


def _mean(tested: list[Evaluation]) -> Evaluation:
    """The test of the mean of several models; each has read the file with what its own rows taught."""
    first, target = tested[0], tested[0].model.schema.target
    predictions = np.mean([one.predictions for one in tested], axis=0)
    y = torch.from_numpy(first.y)
    if target.classes:
        metrics = class_metrics(torch.from_numpy(predictions).log(), y)
    else:
        predicted, true = ((torch.as_tensor(v) - target.center) / target.scale for v in (predictions, y))
        metrics = number_metrics(predicted, true, target.scale)
    if first.threshold is not None:
        metrics |= threshold_metrics(choose_classes(predictions, first.threshold), first.y)
    return replace(first, metrics=metrics, predictions=predictions)


def test_scores(config: Config, model: TableModel, rows: Split) -> dict[str, float]:
    """The metrics of a model, on the device and in the precision of its run."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    settings = {name: config["trainer"][name] for name in ("accelerator", "precision")}
    trainer = Trainer(**{**settings, **quiet}, devices=1)
    (scores,) = trainer.test(model, BatchLoader(*rows, EVALUATION_BATCH_SIZE), verbose=False)
    return {name.removesuffix("/test"): value for name, value in scores.items()}


def best_f1_threshold(probabilities: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1; it lies half way between two neighbouring probabilities.

    Args:
        probabilities: Of the second class, ``(rows,)``.
        y: Whether a row is of the second class, ``(rows,)``.

    Raises:
        ValueError: If no row is of the second class.
    """
    if not y.any():
        raise ValueError("no validation row is of the second class, so that no threshold has an F1")
    from sklearn.metrics import precision_recall_curve

    precision, recall, values = precision_recall_curve(y, probabilities)
    best = int((precision * recall / (precision + recall).clip(1e-300))[:-1].argmax())
    below = values[best - 1] if best else 0.0
    middle = float(below + values[best]) / 2
    return middle if middle > below else float(values[best])  # there may be no number between them


def threshold_metrics(predicted: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, float]:
    """The metrics that depend on a threshold: those that look at the predicted class alone.

    Args:
        predicted: Indices of the predicted classes, 0 or 1, ``(rows,)``.
        y: Indices of the true classes, ``(rows,)``.
    """
    sure = torch.nn.functional.one_hot(torch.from_numpy(predicted), 2).double().log()
    scores = class_metrics(sure, torch.from_numpy(y))
    return {name: scores[name] for name in ("accuracy", "balanced_accuracy", "f1")}
