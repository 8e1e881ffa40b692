"""What a cross-validation says at the end: scores over all folds, and the predictions of all tested rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from project.data import TableData
from project.models import TableModel
from project.models.outputs import predictions
from project.report import REGRESSIONS, compare
from project.schema import Target

Scores = Mapping[str, Mapping[str, float | None]]


class Truth(NamedTuple):
    """A table's targets.

    Attributes:
        row: The number of each row in the file or data set, counted from 1, ``(rows,)``.
        y: Indices of classes, or numbers, ``(rows,)``.
    """

    row: NDArray[np.int64]
    y: NDArray[Any]


class Tested(NamedTuple):
    """What the run of one fold gives.

    Attributes:
        repeat: Which repeat, counted from 1.
        fold: Which fold, counted from 1.
        rows: The tested rows, as indices in the table, ``(tested,)``.
        outputs: Their probabilities, ``(tested, classes)``, or numbers in the target's own unit, ``(tested,)``.
        target: The target.
        report: What the run's ``report.json`` says.
    """

    repeat: int
    fold: int
    rows: NDArray[np.int64]
    outputs: NDArray[np.float64]
    target: Target
    report: dict[str, Any]


@torch.no_grad()
def predict_test(model: TableModel, data: TableData) -> NDArray[np.float64]:
    """Predicts the test rows, as `Tested.outputs` has it."""
    model.eval()
    batches = [model(x.to(model.device).to(model.dtype)).cpu().double() for x, _ in data.evaluation_loader("test")]
    return np.asarray(predictions(torch.cat(batches), model.schema.target).numpy())


def predictions_table(results: Sequence[Tested], truth: Sequence[Truth]) -> pa.Table:
    """All tested rows with their predictions, in the order of the table.

    Args:
        results: What the folds gave.
        truth: The targets, for each repeat.
    """
    target = results[0].target
    columns: dict[str, Any] = {
        "row": np.concatenate([truth[r.repeat - 1].row[r.rows] for r in results]),
        "repeat": np.concatenate([np.full(len(r.rows), r.repeat) for r in results]),
        "fold": np.concatenate([np.full(len(r.rows), r.fold) for r in results]),
    }
    y = np.concatenate([truth[r.repeat - 1].y[r.rows] for r in results])
    outputs = np.concatenate([r.outputs for r in results])
    if target.classes:
        labels = pa.array(target.classes).cast(pa.type_for_alias(target.label_type))  # as they were given
        columns |= {"target": labels.take(pa.array(y)), "prediction": labels.take(pa.array(outputs.argmax(1)))}
        columns |= {f"probability_{name}": outputs[:, i] for i, name in enumerate(target.classes)}
    else:
        columns |= {"target": y, "prediction": outputs}
    return pa.table(columns).take(np.lexsort((columns["row"], columns["repeat"])))


def summarize(reports: Sequence[Mapping[str, Any]]) -> tuple[Scores, dict[str, Scores]]:
    """Mean and sample standard deviation of every metric over the folds that have it.

    Returns:
        Those of the model and, by name, of the baselines: ``{metric: {"mean": ..., "std": ...}}``.
    """
    names = dict.fromkeys(name for report in reports for name in report["baselines"])
    baselines = {name: [r["baselines"][name] for r in reports if name in r["baselines"]] for name in names}
    return _spread([r["metrics"] for r in reports]), {name: _spread(scores) for name, scores in baselines.items()}


def _spread(scores: Sequence[Mapping[str, float]]) -> Scores:
    names = dict.fromkeys(name for score in scores for name in score)
    values = {name: [score[name] for score in scores if name in score] for name in names}
    return {
        name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)) if len(v) > 1 else None}
        for name, v in values.items()
    }


def print_summary(model: str, num_folds: int, metrics: Scores, baselines: Mapping[str, Scores]) -> None:
    """Prints mean ± standard deviation of the test metrics beside those of the baselines."""
    table = Table("test metric", model, *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in metrics:
        if name != "loss":  # of the standardised target, or the log-loss once more
            table.add_row(name, *(_cell(scores.get(name)) for scores in (metrics, *baselines.values())))
    print(f"Mean ± standard deviation over {num_folds} tested folds:")
    Console().print(table)
    means, *others = (
        {name: score["mean"] or 0.0 for name, score in scores.items()} for scores in (metrics, *baselines.values())
    )
    for name, scores in zip(baselines, others, strict=True):
        if name in REGRESSIONS and (worse := compare(means, scores)):
            print(f"On these folds {model} is worse than scikit-learn's {name}: {worse}.")


def _cell(score: Mapping[str, float | None] | None) -> str:
    if score is None:
        return ""
    return f"{score['mean']:.4f}" if score["std"] is None else f"{score['mean']:.4f} ± {score['std']:.4f}"
