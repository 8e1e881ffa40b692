"""Scores beside those of the baselines."""

import re
import sys

import pytest

from project.report import print_scores


def test_every_baseline_that_is_better_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    majority, regression = {"accuracy": 0.8, "log_loss": 0.5}, {"accuracy": 0.9, "log_loss": 0.3}
    baselines = {"majority class": majority, "logistic regression": regression}
    print_scores("Net", {"accuracy": 0.7, "log_loss": 0.4}, baselines)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "On these rows Net is worse than the majority class: accuracy 0.7000 against 0.8000.",
        "On these rows Net is worse than scikit-learn's logistic regression: "
        "accuracy 0.7000 against 0.9000 and log_loss 0.4000 against 0.3000.",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_no_cell_of_a_table_is_cut_off(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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


@pytest.mark.parametrize(
    ("ours", "compared", "words"),
    [
        ({"accuracy": 0.76656, "log_loss": 0.50004}, {}, None),  # shown as 0.7666 and 0.5000
        ({"accuracy": 0.7665, "log_loss": 0.4}, {}, "accuracy 0.7665 against 0.7666."),
        ({"accuracy": 0.5, "log_loss": 0.6}, {}, "accuracy 0.5000 against 0.7666 and log_loss 0.6000 against 0.5000."),
        ({"accuracy": 0.5, "log_loss": 0.4}, {"compared": ["log_loss"]}, None),
    ],
)
def test_worse_is_what_a_reader_can_see(
    ours: dict, compared: dict, words: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    baselines = {"majority": {"f1": 0.9}, "logistic regression": {"accuracy": 0.76664, "log_loss": 0.49996}}
    print_scores("Net", ours, baselines, **compared)
    out = capsys.readouterr().out
    if words is None:
        assert "worse" not in out
    else:
        assert f"Net is worse than scikit-learn's logistic regression: {words}" in out
