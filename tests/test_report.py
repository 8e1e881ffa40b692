"""Scores beside those of the baselines."""

import re
import sys
from pathlib import Path

import pytest
from fixture_types import Capture
from quiet import trainer

from project.data import BreastCancer
from project.fit import fit
from project.models import FeedForward
from project.report import print_scores


@pytest.mark.parametrize("terminal", [True, False])
def test_no_cell_of_a_table_is_cut_off(terminal: bool, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    names = ["a_metric_with_a_long_name_" + 30 * letter for letter in "xyz"]
    print_scores("Net[red]" + 20 * "N", dict.fromkeys(names, 0.123456789), {name: {name: 98765.4} for name in names})
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80 if terminal else len(lines) == 7  # four lines of the frame
    columns = zip(*(re.split("[│┃]", line)[1:-1] for line in lines if line[0] in "│┃"), strict=True)
    first, second, *_ = ["".join(cell.strip() for cell in column) for column in columns]
    assert first == "test metric" + "".join(names)
    assert second == "Net[red]" + 20 * "N" + 3 * "0.1235"


MAJORITY, LOGISTIC = "the majority class: accuracy", "scikit-learn's logistic regression: accuracy"


SCORES = [
    ((0.76656, 0.50004), {}, []),  # shown as 0.7666 and 0.5000
    ((0.7665, 0.4), {}, [f"{LOGISTIC} 0.7665 against 0.7666."]),
    (
        (0.5, 0.6),
        {},
        [f"{MAJORITY} 0.5000 against 0.6000.", f"{LOGISTIC} 0.5000 against 0.7666 and log_loss 0.6000 against 0.5000."],
    ),
    ((0.5, 0.4), {"compared": ["log_loss"]}, []),
]


@pytest.mark.parametrize(("ours", "compared", "words"), SCORES)
def test_every_baseline_that_is_better_as_far_as_a_reader_can_see_is_named(ours, compared, words, capsys):
    baselines = {"majority class": {"accuracy": 0.6}, "logistic regression": {"accuracy": 0.76664, "log_loss": 0.49996}}
    print_scores("Net", dict(zip(("accuracy", "log_loss"), ours, strict=True)), baselines, **compared)
    worse = [line for line in capsys.readouterr().out.splitlines() if "worse" in line]
    assert worse == [f"On these rows Net is worse than {end}" for end in words]


def test_a_folder_of_the_callers_stays_whatever_happens(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    data = BreastCancer()
    data.setup()
    with pytest.raises(ValueError, match="LBFGS"):
        fit(data, FeedForward(data.schema, optimizer="LBFGS"), trainer(max_epochs=1), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_tiny_score_is_no_zero(capsys: Capture) -> None:
    print_scores("Net", {"rmse": 2.5e-9}, {"mean": {"rmse": 1.25e-9}})
    assert "worse than the mean: rmse 2.5e-09 against 1.25e-09." in capsys.readouterr().out
