"""``python -m project.evaluate RUN``: tests a trained model again, from what its run saved and nothing else."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from project.build import build_data, build_plain_trainer, set_threads
from project.cli import run_command
from project.fit import score
from project.layers import UsageError
from project.models import load_checkpoint, load_model
from project.report import print_scores
from project.run_folder import find_checkpoint

USAGE = """\
usage: python -m project.evaluate RUN [--help]

Tests the best checkpoint of a run again, on the rows that were its test rows, and prints its scores beside the
baselines'. The checkpoint says everything: the weights, the data set, its split and its scaling.

  RUN    the folder of a run, or a checkpoint
"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    if {"-h", "--help"} & set(args):
        print(USAGE, end="")
        return 0
    if len(args) != 1 or args[0].startswith("-"):
        raise UsageError(f"evaluate takes one argument, the run to test, not: {' '.join(args) or 'none'}")
    name, metrics, baselines = evaluate(args[0])
    print_scores(name, metrics, baselines)
    return 0


def evaluate(run: str | Path) -> tuple[str, dict[str, float], dict[str, dict[str, float]]]:
    """Tests a run's best checkpoint on its test rows.

    Args:
        run: The run's folder, or a checkpoint.

    Returns:
        The model's name, its metrics, and the baselines' metrics by name.

    Raises:
        ValueError: If there is no such checkpoint, it was not written by ``project.fit``, or there are no test rows.
    """
    path = find_checkpoint(run, ("best.ckpt", "last.ckpt"))
    config = load_checkpoint(path).get("config")
    if config is None:
        raise ValueError(f"{path} was not written by project.fit and does not say what to test on")
    model, data = load_model(path), build_data(config)
    data.schema = model.schema  # what the run learned, not what the data would teach today
    torch.set_flush_denormal(True)
    set_threads(model, data)
    metrics, baselines = score(build_plain_trainer(config), model, data)
    if not metrics:
        raise ValueError(f"{path}: the run kept no rows to test on (data.test_fraction is 0)")
    return type(model).__name__, metrics, baselines


if __name__ == "__main__":
    sys.exit(main())
