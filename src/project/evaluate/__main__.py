"""Tests the best checkpoint of a run again, on its test rows or on another file, and prints its scores.

They stand beside the baselines'. A report and pictures go into the run's folder (evaluation/test or evaluation/FILE)
and into TensorBoard.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from project.cli import as_command
from project.commands.arguments import CommandParser
from project.data.splits import SPLITS
from project.engine.progress import name_file
from project.errors import printable
from project.evaluate.evaluation import BEST_F1, Evaluation, evaluate
from project.evaluate.figures import class_figures, number_figures
from project.report import COMPARED, print_scores, write_report
from project.whole_files import write_whole


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.evaluate", __doc__)
    parser.add_run()
    parser.add_argument("--data", metavar="FILE", type=Path, help="a CSV or Parquet file with the target to test on")
    parser.add_csv("FILE", "as for the training file")
    threshold = f"probability that the second of two classes needs; {BEST_F1} is that of the highest F1 in validation"
    parser.add_argument("--threshold", metavar="T", help=f"{threshold} [the likelier class]")
    options = parser.parse_args(args)
    way = {"delimiter": options.delimiter, "encoding": options.encoding}
    tested = evaluate(options.run, options.data, options.threshold, **way)
    compared = COMPARED[tested.model.class_weights is not None]
    if tested.threshold is not None:  # which the baselines do not have
        compared = tuple(name for name in compared if name == "log_loss")
    for note in tested.notes:
        print(f"Note: {printable(note)}")
    print_scores(type(tested.model).__name__, tested.metrics, tested.baselines, compared)
    if tested.threshold is not None:
        found = ", which has the best F1 on the validation rows" if options.threshold == BEST_F1 else ""
        name = tested.model.schema.target.classes[1]
        print(f"Threshold of '{name}', for project.predict too: --threshold {tested.threshold:.6g}{found}")
    path = Path(options.run)
    run = path.absolute().parent.parent if path.is_file() else path
    if (run / "config.yaml").is_file():  # else it is a checkpoint that stands elsewhere
        print(f"The report and the pictures are in {_write(tested, run, options.data, options.threshold)}")
    return 0


def _write(tested: Evaluation, run: Path, file: Path | None, threshold: str | None) -> Path:
    """Writes the report and the pictures, and both into TensorBoard; returns their folder."""
    from sklearn.metrics import confusion_matrix
    from torch.utils.tensorboard import SummaryWriter

    name = "test" if file is None else Path(file.resolve().name.removesuffix(".gz")).stem
    if file is not None and name in SPLITS:  # the run has a test of its own
        name += "_file"
    folder = run / "evaluation" / name
    report: dict[str, Any] = {"run": run.resolve().name, "experiment": run.resolve().parent.name}
    report |= {"file": None if file is None else str(file), "rows": len(tested.y)}
    report |= {"metrics": tested.metrics, "baselines": tested.baselines}
    if classes := tested.model.schema.target.classes:
        report |= {"threshold": tested.threshold, "threshold_from": threshold}  # None, a number or best-f1
        confusion = confusion_matrix(tested.y, tested.predicted, labels=range(len(classes)))
        report |= {"classes": classes, "confusion": confusion.tolist()}
        figures = class_figures(classes, tested.y, tested.predicted, tested.predictions)
    else:
        figures = number_figures(tested.y, tested.predictions)
    write_report(folder / "report.json", report)
    for old in folder.glob("*.png"):  # an earlier test may have had more of them
        old.unlink()
    with SummaryWriter(str(run)) as writer:
        name_file(writer)
        for picture, figure in figures.items():
            figure.savefig(content := io.BytesIO(), format="png")
            write_whole(folder / f"{picture}.png", content.getbuffer())
            writer.add_figure(f"{picture}/{name}", figure, tested.step)
        for metric, value in tested.metrics.items() if file is not None else ():
            writer.add_scalar(f"{metric}/{name}", value, tested.step)
    return folder


if __name__ == "__main__":
    sys.exit(main())
