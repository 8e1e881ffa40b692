"""What a cross-validation says at the end: mean scores over all folds, and the predictions of all tested rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from project.config import Config
from project.data import TableData
from project.models import TableModel, predictions
from project.report import Spread
from project.schema import Target


class Fold(NamedTuple):
    """What is to be trained and tested.

    Attributes:
        repeat: Which repeat, counted from 1.
        number: Which fold, counted from 1.
        name: Its name among all folds.
        config: The configuration of its run.
        rows: The numbers of the tested rows in the file or data set, counted from 1, ``(tested,)``.
        y: Their targets, ``(tested,)``: indices of classes, or numbers.
    """

    repeat: int
    number: int
    name: str
    config: Config
    rows: NDArray[np.int64]
    y: NDArray[Any]


class Tested(NamedTuple):
    """What the run of one fold gives.

    Attributes:
        outputs: The tested rows' probabilities, ``(tested, classes)``, or numbers in the target's unit, ``(tested,)``.
        target: The target.
        report: What the run's ``report.json`` says.
    """

    outputs: NDArray[np.float64]
    target: Target
    report: dict[str, Any]


@torch.no_grad()
def predict_test(model: TableModel, data: TableData) -> NDArray[np.float64]:
    """Predicts the test rows, as `Tested.outputs` has it."""
    model.eval()
    batches = [model(x.to(model.device).to(model.dtype)).cpu().double() for x, _ in data.loader("test")]
    return np.asarray(predictions(torch.cat(batches), model.schema.target).numpy())


def predictions_table(folds: Sequence[Fold], results: Sequence[Tested]) -> pa.Table:
    """All tested rows with their predictions, in the order of the table.

    Args:
        folds: The folds.
        results: What each of them gave.
    """
    target = results[0].target
    columns: dict[str, Any] = {
        "row": np.concatenate([fold.rows for fold in folds]),
        "repeat": np.concatenate([np.full(len(fold.rows), fold.repeat) for fold in folds]),
        "fold": np.concatenate([np.full(len(fold.rows), fold.number) for fold in folds]),
    }
    y = np.concatenate([fold.y for fold in folds])
    outputs = np.concatenate([result.outputs for result in results])
    if target.classes:
        labels = pa.array(target.classes).cast(pa.type_for_alias(target.label_type))  # as they were given
        columns |= {"target": labels.take(pa.array(y)), "prediction": labels.take(pa.array(outputs.argmax(1)))}
        columns |= {f"probability_{name}": outputs[:, i] for i, name in enumerate(target.classes)}
    else:
        columns |= {"target": y, "prediction": outputs}
    return pa.table(columns).take(np.lexsort((columns["row"], columns["repeat"])))


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Every metric over the folds that have it."""
    names = dict.fromkeys(name for score in scores for name in score)
    values = {name: [score[name] for score in scores if name in score] for name in names}
    return {
        name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)) if len(v) > 1 else None}
        for name, v in values.items()
    }
