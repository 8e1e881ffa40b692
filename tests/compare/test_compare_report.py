"""What a comparison says: tables, verdicts, picture, page."""

import io
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import in_process
import numpy as np
import pytest
from fixture_types import Capture
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from pyarrow.csv import read_csv
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from project.compare.__main__ import main
from project.compare.curves import draw, make_bands
from project.compare.protocol import COLUMNS, Comparison, write_rows
from project.compare.report import print_tables, write_report
from project.compare.settings import Entry, Settings
from project.compare.summary import Row, summarize
from project.runs.curves import read_curves

Losses = Mapping[str, Sequence[Sequence[float]]]
Make = Callable[..., Comparison]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison by the command; at the highest rate SGD diverges."""
    args = ["--optimizers", "SGD,Adam", "--seeds", "2", "--tuning-seeds", "1", "--rates", "0.01,0.1,30", "--jobs", "1"]
    args += ["--data", "Diabetes", "--model", "LinearRegression", "--trainer.max_epochs", "2"]
    return in_process.run(main, tmp_path_factory.mktemp("real"), *args, where="compare/*")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A comparison from the curves of its runs: for each label a list of losses for each seed.

    Epochs have ten steps and last half a second each. A run with a loss above 1e6 has diverged.
    """

    def run(curves: Losses, tag: str = "loss/val", **settings: Any) -> Comparison:
        rows = []
        for label, seeds in curves.items():
            for seed, losses in enumerate(seeds):
                folder = f"{label}/own-settings-seed{seed}"
                with SummaryWriter(str(tmp_path / folder)) as writer:
                    for epoch, loss in enumerate(losses):
                        for name, value in {tag: loss, "loss/train": loss, "epoch_seconds": 0.5}.items():
                            writer.add_scalar(name, value, 10 * epoch + 9)
                row = dict.fromkeys(COLUMNS) | {"optimizer": label, "stage": "final", "seed": seed, "folder": folder}
                if max(losses) > 1e6:
                    rows.append(row | {"status": "diverged", "message": "the loss diverged", "seconds": 1.0})
                else:
                    length = {"steps": 10 * len(losses), "seconds": 0.5 * len(losses)}
                    score = {"accuracy/test": 0.75}
                    rows.append(row | {"status": "done", "loss": min(losses)} | length | score)
        write_rows(tmp_path / "runs.csv", rows)
        entries = [Entry(label, {"seed": 0}, 0.1, 0.001) for label in curves]
        num_seeds = len(next(iter(curves.values())))
        return Comparison(tmp_path, Settings([], num_seeds, "none", **settings), entries)

    return run


def constant(*losses: float) -> list[list[float]]:
    """A seed for each loss, which it has from the second epoch on."""
    return [[1.0, loss, loss] for loss in losses]


def rows_of(comparison: Comparison) -> list[Row]:
    return summarize(comparison, curves_of(comparison))


def curves_of(comparison: Comparison) -> Any:
    folders = {e.label: [comparison.folder / run["folder"] for run in comparison.judged(e)] for e in comparison.entries}
    return {label: [read_curves(run) for run in runs] for label, runs in folders.items()}


def picture(comparison: Comparison) -> Figure:
    bands = {label: make_bands(runs) for label, runs in curves_of(comparison).items()}
    return draw(rows_of(comparison), bands, {e.label: comparison.search(e) for e in comparison.entries})


@pytest.mark.lowest
def test_figures_are_those_of_the_runs(real: Path) -> None:
    """Recomputed from ``runs.csv``."""
    runs = read_csv(real / "runs.csv").to_pylist()
    assert len(runs) == 2 * 3 + 2 * 4  # optimizers times rates; optimizers times seeds, at two rates
    rows = read_csv(real / "results.csv").to_pylist()
    assert rows[0]["verdict"] == "best"
    chosen = []
    for row in rows:
        own = [run for run in runs if run["optimizer"] == row["optimizer"]]
        tuning = {run["rate"]: run["loss"] for run in own if run["stage"] == "tuning" and run["status"] == "done"}
        assert row["rate"] == min(tuning, key=lambda rate: tuning[rate])
        final = {rate: [r for r in own if (r["stage"], r["rate"]) == ("final", rate)] for rate in (row["rate"], 0.001)}
        for column, rate in (("loss", row["rate"]), ("default_loss", 0.001)):
            losses = [run["loss"] for run in final[rate]]
            found = [row[f"{column}_{part}"] for part in ("median", "low", "high")]
            assert found == [np.median(losses), min(losses), max(losses)]
        assert row["score_median"] == np.median([run["rmse/test"] for run in final[row["rate"]]])
        chosen.append([run["loss"] for run in final[row["rate"]]])
        assert row["diverged"] == sum(run["status"] == "diverged" for run in own) == (row["optimizer"] == "SGD")
        assert (row["runs"], row["seeds"], row["on_edge"]) == (7, 2, False)
        assert all((real / run["folder"]).is_dir() for run in own)
    behind = [b - a for a, b in zip(*chosen, strict=True)]
    assert rows[1]["difference_mean"] == pytest.approx(np.mean(behind))


def drawn(page: str) -> list[str]:
    """The texts of a page's picture."""
    picture = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    return ["".join(text.itertext()).strip() for text in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_the_page_is_whole_and_loads_nothing(real: Path) -> None:
    page = (real / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n")
    assert page.rstrip().endswith("</html>")
    for loading in ("<script", "<link", "<img", "<iframe", "<image", "@import", "url(http", 'href="http', "src="):
        assert loading not in page
    assert {"SGD", "Adam", "loss/val against steps", "loss/train against seconds"} <= set(drawn(page))
    assert unescape(page).count("A run's loss/val is the lowest mean of four in a row. Rates are searched by it") == 1
    assert "LinearRegression on 310 rows of Diabetes, with 44 validation rows" in page


def test_labels_stand_as_they_are(make: Make, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    label = "<b>&amp;$x$[red]:smile:"  # HTML, mathematics, and what colours a console
    monkeypatch.setenv("COLUMNS", "120")
    comparison = make({label: constant(0.5, 0.6), "$y$": constant(0.7, 0.9)})
    write_report(comparison, label, 2)
    assert capsys.readouterr().out.count(label) == 2
    page = (comparison.folder / "report.html").read_text(encoding="utf-8")
    assert unescape(page[: page.index("<svg")]).count(label) == 3  # in the heading and in both tables
    assert drawn(page).count(label) == 1  # as a line's name, and not as a formula
    write_report(comparison, label, 2)
    assert (comparison.folder / "report.html").read_text(encoding="utf-8") == page


def test_diverged_and_failed_runs_are_rows(make: Make, capsys: Capture) -> None:
    curves = {"good": constant(0.5, 0.6), "wild": [[1.0, 0.4, 0.4], [1.0, 1e9]], "broken": constant(0.5, 0.6)}
    comparison = make(curves)
    for run in comparison.runs:
        if run["optimizer"] == "broken":
            run |= {"status": "failed", "loss": None, "steps": None, "message": "no such <thing>."}
    rows = {row["optimizer"]: row for row in rows_of(comparison)}
    assert [rows[label]["verdict"] for label in curves] == ["best", "diverged", "failed"]
    assert [rows["wild"][name] for name in ("diverged", "failed", "runs", "loss_median")] == [1, 0, 2, None]
    write_report(comparison, "three", 1)
    assert "broken: 2 of 2 runs failed, the first with: no such <thing>." in capsys.readouterr().out
    axes = picture(comparison).axes[0]
    assert len(axes.lines) == 1  # who has no loss to compare has no curve


def test_where_all_diverge_nothing_is_best(make: Make) -> None:
    comparison = make({"a": [[1.0, 1e9]] * 2, "b": [[1.0, 1e9]] * 2})
    with pytest.raises(ValueError, match="no optimizer has a loss to compare; the report is in"):
        write_report(comparison, "two", 1)
    assert {row["verdict"] for row in rows_of(comparison)} == {"diverged"}
    assert (comparison.folder / "report.html").is_file()


def test_the_target_is_reached_by_some_or_by_none(make: Make) -> None:
    curves = {
        "all": [[1.0, 0.3, 0.2]] * 5,
        "most": [[1.0, 0.3, 0.2]] * 3 + [[1.0, 0.9, 0.8]] * 2,
        "few": [[1.0, 0.3, 0.2]] * 2 + [[1.0, 0.9, 0.8]] * 3,
        "none": [[1.0, 0.9, 0.8]] * 5,
    }
    found = {
        row["optimizer"]: (row["reached"], row["steps_to_target"], row["seconds_to_target"])
        for row in rows_of(make(curves, target_loss=0.25))
    }
    assert found == {"all": (5, 30, 1.5), "most": (3, 30, 1.5), "few": (2, None, None), "none": (0, None, None)}


def test_the_target_is_a_median_that_half_of_the_runs_reach(make: Make) -> None:
    rows = rows_of(make({"a": [[1.0, 0.5], [1.0, 0.65]], "b": [[1.0, 0.2], [1.0, 0.4]]}))
    assert rows[0]["target_loss"] == pytest.approx((0.5 + 0.65) / 2)
    assert (rows[1]["optimizer"], rows[1]["reached"], rows[1]["steps_to_target"]) == ("a", 1, 20)
    assert rows[1]["ms_per_step"] == 50


def test_ties_and_what_is_behind(make: Make) -> None:
    """Student's t of the differences is 0.4 for the tie, 4.2 for the unclear one, and 26.5 for the one behind.

    With four degrees of freedom 95 % want 2.8, and a sixth of 5 % for each of six pairs wants 4.8.
    """
    base = np.array([0.30, 0.31, 0.32, 0.33, 0.34])
    curves = {
        "best": constant(*base),
        "tie": constant(*np.add(base, [0.02, -0.03, 0.021, 0.02, -0.01])),
        "unclear": constant(*np.add(base, [0.01, 0.03, 0.05, 0.02, 0.04])),
        "behind": constant(*np.add(base, [0.1, 0.11, 0.1, 0.12, 0.1])),
    }
    rows = rows_of(make(curves))
    assert [row["verdict"] for row in rows] == [row["optimizer"] for row in rows] == list(curves)
    assert rows[3]["difference_mean"] == pytest.approx(0.106)
    one_seed = rows_of(make({"a": constant(0.5), "b": constant(0.7)}))
    assert [row["verdict"] for row in one_seed] == ["best", "one seed"]


def test_without_validation_rows_the_training_loss_is_compared(make: Make) -> None:
    comparison = make({"a": constant(0.5), "b": constant(0.7)}, tag="loss/train")
    assert rows_of(comparison)[0]["loss_name"] == "loss/train"
    titles = [axes.get_title() for axes in picture(comparison).axes]
    assert titles == ["loss/train against steps", "loss/train against seconds"]


def test_the_console_cuts_nothing_off(make: Make) -> None:
    curves = {f"optimizer_{i:04}": constant(*(1.234e-5 * i + 1e-6 * np.arange(5))) for i in range(1, 4)}
    rows = rows_of(make(curves))
    text = io.StringIO()
    print_tables(Console(file=text, width=80), rows, 1)
    assert max(map(len, text.getvalue().splitlines())) <= 80
    assert "…" not in text.getvalue()
    for word in ("1.434e-05", "1.234e-05", "1.634e-05", "0.7500"):
        assert word in text.getvalue()


def test_bands_and_medians_are_those_of_the_seeds(make: Make) -> None:
    """They end with the shortest run."""
    seeds = [[1.0, 0.5, 0.4], [2.0, 0.3, 0.2, 0.1], [3.0, 0.9, 0.9, 0.8]]
    for axes, places in zip(picture(make({"a": seeds})).axes, ([9, 19, 29], [0.5, 1.0, 1.5]), strict=False):
        x, y = axes.lines[0].get_data()
        assert np.asarray(x) == pytest.approx(places)
        assert np.asarray(y) == pytest.approx(np.median([seed[:3] for seed in seeds], axis=0))
        (band,) = [artist for artist in axes.collections if isinstance(artist, PolyCollection)]
        ends = band.get_paths()[0].get_extents()
        assert (ends.x0, ends.x1) == pytest.approx((places[0], places[-1]))
        assert (ends.y0, ends.y1) == pytest.approx((0.2, 3.0))


@pytest.mark.parametrize(("losses", "scale"), [([1.0, 0.5], "log"), ([0.7], "log"), ([1.0, 0.0], "linear")])
def test_losses_without_a_logarithm(losses: list[float], scale: str, make: Make) -> None:
    figure = picture(make({"a": [losses] * 2, "b": [losses] * 2}))
    figure.canvas.draw()
    assert {axes.get_yscale() for axes in figure.axes} == {scale}


def test_rates_that_diverged_have_a_cross() -> None:
    row = {"optimizer": "a", "loss_name": "loss/val", "loss_median": None, "rate": 0.1}
    axes = draw([row], {"a": {}}, {"a": {0.01: 0.5, 0.1: 0.4, 30.0: None}}).axes[-1]
    line, chosen, crosses = axes.lines
    assert np.asarray(line.get_xdata()) == pytest.approx([0.01, 0.1, 30])
    assert np.asarray(chosen.get_xdata()) == pytest.approx([0.1])
    assert (crosses.get_marker(), list(np.asarray(crosses.get_xdata()))) == ("x", [30.0])
