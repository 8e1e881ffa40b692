"""``python -m project.evaluate RUN``: tests a trained model again, on its test rows or on another file."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.baselines import baseline_scores
from project.cli import CommandParser, run_command
from project.config import Config, build_plain_trainer, make_table
from project.data import Split, TensorLoader
from project.data.base import EVALUATION_BATCH_SIZE
from project.data.splits import SPLITS
from project.engine.threads import set_threads
from project.models import TableModel
from project.models.outputs import predictions
from project.predict.thresholds import BEST_F1, best_f1_threshold, check_threshold, choose_classes, threshold_metrics
from project.report import COMPARED, COMPARED_IF_WEIGHTED, print_scores, write_report
from project.run_folder import load_best
from project.schema import Schema
from project.table import Table

DESCRIPTION = """\
Tests the best checkpoint of a run again, on its test rows or on another file, and prints its scores beside the
baselines'. A report and pictures go into the run's folder (evaluation/test or evaluation/FILE) and into TensorBoard.
"""


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
    def confusion(self) -> NDArray[np.int64]:
        """Numbers of rows, ``(classes, classes)``: true classes down, predicted ones across."""
        from sklearn.metrics import confusion_matrix

        predicted = choose_classes(self.predictions, self.threshold)
        return np.asarray(confusion_matrix(self.y, predicted, labels=range(self.predictions.shape[1])))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    parser = CommandParser("project.evaluate", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or a checkpoint")
    parser.add_argument("--data", metavar="FILE", type=Path, help="a CSV or Parquet file with the target to test on")
    parser.add_argument(
        "--threshold",
        metavar="T",
        help=f"probability from which on the second of two classes is predicted; {BEST_F1} finds the one with the "
        "highest F1 on the run's validation rows [the likelier class]",
    )
    options = parser.parse_args(args)
    tested = _evaluate(options.run, options.data, options.threshold)
    compared = COMPARED if tested.model.class_weights is None else COMPARED_IF_WEIGHTED
    if tested.threshold is not None:  # which the baselines do not have
        compared = tuple(name for name in compared if name == "log_loss")
    print_scores(type(tested.model).__name__, tested.metrics, tested.baselines, compared)
    for note in tested.notes:
        print(f"Note: {note}")
    if tested.threshold is not None:
        found = ", which has the best F1 on the validation rows" if options.threshold == BEST_F1 else ""
        name = tested.model.schema.target.classes[1]
        print(f"Threshold of '{name}', for project.predict too: --threshold {tested.threshold:.6g}{found}")
    if (run := _run_folder(options.run)) is not None:
        print(f"The report and the pictures are in {_write(tested, run, options.data, options.threshold)}")
    return 0


def evaluate(
    run: str | Path, data: str | Path | None = None, threshold: float | str | None = None
) -> tuple[str, dict[str, float], dict[str, dict[str, float]]]:
    """Tests a run's best checkpoint; writes nothing.

    Args:
        run: The run's folder, or a checkpoint.
        data: A CSV or Parquet file with the target; by default the run's test rows.
        threshold: The probability from which on the second of two classes is predicted, or ``best-f1`` for the one
            with the highest F1 on the run's validation rows. Accuracy, balanced accuracy and F1 depend on it.

    Returns:
        The model's name, its metrics, and the baselines' metrics by name.

    Raises:
        ValueError: If there is no such checkpoint, it was not written by ``project.fit``, there are no rows to test
            on, the file does not fit the model, or the threshold cannot be.
    """
    tested = _evaluate(run, None if data is None else Path(data), threshold)
    return type(tested.model).__name__, tested.metrics, tested.baselines


def _evaluate(run: str | Path, file: Path | None, threshold: float | str | None) -> Evaluation:
    model, checkpoint = load_best(run)
    config = checkpoint.get("config")
    if config is None:
        raise ValueError(f"{run} was not written by project.fit and does not say what to test on")
    threshold = check_threshold(threshold, model.schema.target, BEST_F1)
    torch.set_flush_denormal(True)
    data = make_table(config)
    data.schema = model.schema  # what the run learned, not what the data would teach today
    whole = {**config, "trainer": {**config["trainer"], "limit_test_batches": None}}
    notes: list[str] = []
    if file is None:
        data.setup()
        set_threads(model, data)
        rows = data.splits["test"]
        if not len(rows.x) or config["trainer"]["limit_test_batches"] == 0:
            raise ValueError(f"{run}: the run kept no rows to test on (data.test_fraction is 0)")
    else:
        table = _table(file, config, model.schema)
        config = whole
        rows, notes = table.read_test(file, model.schema)
        if isinstance(data, Table) and data.path.exists() and file.samefile(data.path):
            notes.append(f"{file} is what the run was trained on: these scores count its training rows too")
    if isinstance(threshold, str):
        try:
            data.setup()
            val = data.splits["val"]
        except (ValueError, OSError) as error:
            raise ValueError(f"--threshold {BEST_F1} needs the run's validation rows: {error}") from error
        if not len(val.x):
            raise ValueError(f"{run}: the run kept no validation rows to find a threshold on (data.val_fraction is 0)")
        _, y, predictions = _test(whole, model, val)
        threshold = best_f1_threshold(predictions[:, 1], y == 1)
    metrics, y, predictions = _test(config, model, rows)
    if threshold is not None:
        metrics |= threshold_metrics(choose_classes(predictions, threshold), y)
    try:
        data.setup()
        baselines = baseline_scores(data, rows)
    except (ValueError, OSError) as error:
        if file is None:
            raise
        baselines = {}
        notes.append(f"there are no baselines, which are trained on the run's own rows: {error}")
    return Evaluation(model, checkpoint["global_step"], metrics, baselines, y, predictions, threshold, notes)


def _table(file: Path, config: Config, schema: Schema) -> Table:
    """A file that is to be read as the run's own was."""
    settings = config["data"]["init_args"]
    return Table(
        file,
        schema.target.name,
        delimiter=settings.get("delimiter"),
        encoding=settings.get("encoding") or "utf-8",
        decimal_point=schema.decimal_point,
        missing=schema.missing,
    )


def _test(config: Config, model: TableModel, rows: Split) -> tuple[dict[str, float], NDArray[Any], NDArray[np.float64]]:
    """Scores a model on the device and in the precision of its run.

    Returns:
        The metrics, and ``y`` and ``predictions`` as in `Evaluation`.
    """
    outputs: list[Tensor] = []

    def keep(_module: torch.nn.Module, _args: Any, output: Tensor) -> None:
        if not output.isfinite().all():
            raise ValueError("a row's numbers are so far from those of training that the model's answer overflows")
        outputs.append(output.cpu().double())

    target = model.schema.target
    hook = model.register_forward_hook(keep)
    loader = TensorLoader(*rows, EVALUATION_BATCH_SIZE)
    (scores,) = build_plain_trainer(config).test(model, loader, verbose=False)
    hook.remove()
    metrics = {name.removesuffix("/test"): value for name, value in scores.items()}
    output = torch.cat(outputs)
    y = rows.y[: len(output)].double().numpy() * target.scale + target.center
    y = y.astype(np.int64) if target.classes else y
    return metrics, y, predictions(output, target).numpy()


def _run_folder(run: str) -> Path | None:
    """The folder of a run, from itself or from a checkpoint in it; None for a checkpoint that stands elsewhere."""
    path = Path(run)
    folder = path.absolute().parent.parent if path.is_file() else path
    return folder if (folder / "config.yaml").is_file() else None


def _write(tested: Evaluation, run: Path, file: Path | None, threshold: str | None) -> Path:
    """Writes the report and the pictures, and both into TensorBoard; returns their folder."""
    from torch.utils.tensorboard import SummaryWriter

    from project.evaluate.figures import PICTURES, class_figures, number_figures

    name = "test" if file is None else Path(file.resolve().name.removesuffix(".gz")).stem
    if file is not None and name in SPLITS:  # the run has a test of its own
        name += "_file"
    folder = run / "evaluation" / name
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "run": run.resolve().name,
        "experiment": run.resolve().parent.name,
        "file": None if file is None else str(file),
        "rows": len(tested.y),
        "metrics": tested.metrics,
        "baselines": tested.baselines,
    }
    if classes := tested.model.schema.target.classes:
        report |= {"threshold": tested.threshold, "threshold_from": threshold}  # None, a number or best-f1
        report |= {"classes": classes, "confusion": tested.confusion.tolist()}
        figures = class_figures(classes, tested.y, tested.confusion, tested.predictions)
    else:
        figures = number_figures(tested.y, tested.predictions)
    write_report(folder / "report.json", report)
    for picture in PICTURES:
        (folder / f"{picture}.png").unlink(missing_ok=True)  # an earlier test may have had more of them
    with SummaryWriter(str(run)) as writer:
        for picture, figure in figures.items():
            figure.savefig(folder / f"{picture}.png")
            writer.add_figure(f"{picture}/{name}", figure, tested.step)
        for metric, value in tested.metrics.items() if file is not None else ():
            writer.add_scalar(f"{metric}/{name}", value, tested.step)
    return folder


if __name__ == "__main__":
    sys.exit(main())
