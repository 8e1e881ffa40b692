"""What a comparison writes for its readers: tables, pictures, words."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import imread
from torch.utils.tensorboard import SummaryWriter

from project.compare.__main__ import main
from project.compare.charts import curve_panels, curves_figure, draw_curves, rates_figure
from project.compare.console import print_summary
from project.compare.drawing import figure, line_style
from project.compare.protocol import Comparison
from project.compare.report import write_report
from project.compare.settings import Entry, Settings, read_settings
from project.compare.summary import Summary, summarize
from project.compare.table import number, tables
from project.compare.words import cautions, findings
from project.compare.worker import Result, Task, read_results
from project.config import read_layer

Made = tuple[Summary, Comparison]
Losses = Mapping[str, Sequence[Sequence[float]]]
RATES = (0.01, 0.1, 1.0)
FACTS = {"data": "3 rows & 2 columns", "model": "a <net>", "jobs": 2, "command": "python -m project.compare --seeds 2"}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Comparison, Path]:
    """A comparison by the command; at the highest rate SGD diverges."""
    root = tmp_path_factory.mktemp("real")
    plan = {
        "compare": {
            "optimizers": ["SGD", "Adam"],
            "seeds": 2,
            "tuning_seeds": 1,
            "rates": [0.01, 0.1, 30.0],
        },
        "data": "Diabetes",
        "model": "LinearRegression",
        "trainer": {"max_epochs": 2},
    }
    (root / "plan.yaml").write_text(yaml.safe_dump(plan))
    args = ["--config", str(root / "plan.yaml"), "--name", "real", "--jobs", "1"]
    assert main([*args, "--trainer.default_root_dir", str(root)]) == 0
    folder = root / "compare" / "real"
    settings, entries = read_settings([read_layer(root / "plan.yaml")], {})
    comparison = Comparison(entries, settings, read_results(folder / "runs.jsonl"))
    summary = summarize(comparison, folder)
    write_report(summary, comparison, folder, FACTS)
    return summary, comparison, folder


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """A comparison from the curves of its runs: for each label a list of losses for each seed.

    A run with a loss above 1e6 has diverged.
    """

    def run(curves: Losses, tag: str = "loss/val", metrics: Any = None, **settings: Any) -> Made:
        results = []
        for label, seeds in curves.items():
            for seed, losses in enumerate(seeds):
                task = Task(label, "final", None, seed)
                with SummaryWriter(str(tmp_path / task.folder)) as writer:
                    for epoch, loss in enumerate(losses):
                        for name, value in {tag: loss, "loss/train": loss, "epoch_seconds": 0.5}.items():
                            writer.add_scalar(name, value, 10 * epoch + 9)
                if max(losses) > 1e6:
                    results.append(Result(task, "diverged", "the loss diverged"))
                else:
                    length = {"steps": 10 * len(losses), "seconds": 0.5 * len(losses)}
                    results.append(Result(task, "done", "", min(losses), losses[-1], metrics, **length))
        config = {
            "seed": 0,
            "trainer": {"max_epochs": 3, "max_steps": -1},
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {}},
            "scheduler": None,
        }
        entries = [Entry(label, config, 0.1, 0.001) for label in curves]
        num_seeds = len(next(iter(curves.values())))
        comparison = Comparison(entries, Settings([], num_seeds, "none", **settings), results)
        return summarize(comparison, tmp_path), comparison

    return run


def constant(*losses: float) -> list[list[float]]:
    """A seed for each loss, which it has from the second epoch on."""
    return [[1.0, loss, loss] for loss in losses]


class Tables(HTMLParser):
    """Cells of all tables of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for row in cells]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def printed(summary: Summary, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_summary(summary)
    return capsys.readouterr().out


def test_figures_are_the_same_everywhere(
    real: tuple[Summary, Comparison, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, _, folder = real
    rows = Tables((folder / "report.html").read_text(encoding="utf-8")).rows
    assert rows == markdown_rows((folder / "report.md").read_text(encoding="utf-8"))
    assert rows[: 3 * 3] == [row for table in tables(summary) for row in (table.headings, *table.rows)]
    monkeypatch.setenv("COLUMNS", "200")
    lines = [re.split(r"\s{2,}", line.strip()) for line in printed(summary, capsys).splitlines()]
    for row in [row for table in tables(summary) for row in table.rows]:
        assert row in lines


def test_figures_are_those_of_the_runs(real: tuple[Summary, Comparison, Path]) -> None:
    """Recomputed from ``runs.csv``; what the tables show is rounded from ``results.csv``."""
    summary, _, folder = real
    runs = read_csv(folder / "runs.csv")
    assert len(runs) == 2 * 3 + 2 * 4  # optimizers times rates; optimizers times seeds, at two rates
    table = {row[0]: dict(zip(tables(summary)[0].headings, row, strict=True)) for row in tables(summary)[0].rows}
    speed = {row[0]: dict(zip(tables(summary)[2].headings, row, strict=True)) for row in tables(summary)[2].rows}
    for row in read_csv(folder / "results.csv"):
        label = row["optimizer"]
        own = [run for run in runs if run["optimizer"] == label]
        final = [run for run in own if run["stage"] == "final" and run["rate"] == row["rate"]]
        tuning = {run["rate"]: run["loss"] for run in own if run["stage"] == "tuning"}
        assert row["rate"] == min((rate for rate in tuning if tuning[rate]), key=lambda rate: float(tuning[rate]))
        for column, run_column in (("loss", "loss"), ("last_loss", "last_loss"), ("score", "rmse/test")):
            values = [float(run[run_column]) for run in final]
            assert float(row[f"{column}_median"]) == np.median(values)
            assert (float(row[f"{column}_low"]), float(row[f"{column}_high"])) == (min(values), max(values))
        assert row["score_name"] == "rmse"
        assert int(row["diverged"]) == sum(run["status"] == "diverged" for run in own) == (label == "SGD")
        assert speed[label]["diverged"] == f"{row['diverged']} of {len(own)}"
        assert int(row["runs"]) == len(own)
        assert float(table[label]["median"]) == pytest.approx(float(row["loss_median"]), rel=1e-3)
        assert float(table[label]["test rmse"]) == pytest.approx(float(row["score_median"]), rel=1e-3)
        assert float(table[label]["rate"]) == float(row["rate"])
        assert all((folder / run["folder"]).is_dir() for run in own)


def test_the_page_is_whole_and_loads_nothing(real: tuple[Summary, Comparison, Path]) -> None:
    _, _, folder = real
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>\n")
    root = ElementTree.fromstring(page.partition("\n")[2])  # it is well-formed XML, too
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert names.count("svg") >= 4 + 2  # the panels; samples of lines stand in the tables
    assert not {"script", "link", "img", "iframe", "image", "object", "base"} & set(names)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for key, value in element.attrib.items():
            assert "http" not in value
            if key.rpartition("}")[2] in ("href", "src"):
                assert value[0] == "#"
                assert value[1:] in ids
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert "@import" not in page
    for name in ("curves.png", "rates.png"):
        assert imread(folder / name).shape[1] > 1000
        assert f"({name})" in (folder / "report.md").read_text(encoding="utf-8")


def test_writing_twice_gives_the_same_bytes(real: tuple[Summary, Comparison, Path]) -> None:
    summary, comparison, folder = real

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    before = files()
    write_report(summary, comparison, folder, FACTS)
    assert files() == before
    # Nor does it matter which run ended first.
    other = Comparison(comparison.entries, comparison.settings, reversed(list(comparison.results.values())))
    write_report(summarize(other, folder), other, folder, FACTS)
    assert files() == before


@pytest.mark.parametrize("label", ["<b>&amp;$x$", "_a|b_", "[red]:smile:"])
def test_labels_stand_as_they_are(
    label: str, make: Callable[..., Made], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary, comparison = make({label: constant(0.5, 0.6), "$y$": constant(0.7, 0.9)})
    write_report(summary, comparison, tmp_path, {**FACTS, "command": label})
    page = Tables((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.rows[1][0] == label
    assert f"{label} has the lowest" in page.text
    assert f"Model: {FACTS['model']}" in page.text
    assert markdown_rows((tmp_path / "report.md").read_text(encoding="utf-8"))[1][0] == label
    assert label in printed(summary, capsys)
    texts = [text.get_text() for text in curves_figure(summary).axes[0].texts]
    assert label in texts
    root = ElementTree.fromstring((tmp_path / "report.html").read_text(encoding="utf-8").partition("\n")[2])
    drawn = ["".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert drawn.count(label) == 4  # once in each panel, and not as a formula


def test_diverged_and_failed_runs_are_rows(make: Callable[..., Made], tmp_path: Path) -> None:
    curves = {"good": constant(0.5, 0.6), "wild": [[1.0, 0.4, 0.4], [1.0, 1e9]], "broken": constant(0.5, 0.6)}
    summary, comparison = make(curves)
    for task in [task for task in comparison.results if task.label == "broken"]:
        comparison.results[task] = Result(task, "failed", "no such <thing>.")
    summary = summarize(comparison, tmp_path)
    write_report(summary, comparison, tmp_path, {})
    verdicts, _, speed = tables(summary)
    assert {row[0]: row[-1] for row in verdicts.rows} == {"good": "best", "wild": "diverged", "broken": "failed"}
    assert {row[0]: row[-2:] for row in speed.rows}["wild"] == ["1 of 2", "–"]
    assert {row[0]: row[-2:] for row in speed.rows}["broken"] == ["0 of 2", "2 of 2"]
    page = Tables((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "wild diverged with 1 of 2 fresh seeds, so it has no loss to compare." in page
    assert "broken: 2 of 2 runs failed, the first with: no such <thing>." in page
    runs = read_csv(tmp_path / "runs.csv")
    assert [run["status"] for run in runs] == ["done", "done", "done", "diverged", "failed", "failed"]
    assert runs[-1]["loss"] == ""
    assert runs[-1]["message"] == "no such <thing>."


def test_where_all_diverge_nothing_is_best(make: Callable[..., Made], tmp_path: Path) -> None:
    summary, comparison = make({"a": [[1.0, 1e9]] * 2, "b": [[1.0, 1e9]] * 2})
    write_report(summary, comparison, tmp_path, {})
    page = Tables((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert [row[-1] for row in page.rows[1:3]] == ["diverged", "diverged"]
    assert "lowest median" not in page.text
    assert "target" not in page.text


def test_the_target_is_reached_by_some_or_by_none(make: Callable[..., Made]) -> None:
    """Epochs have ten steps and last half a second each."""
    curves = {
        "all": [[1.0, 0.3, 0.2]] * 5,
        "most": [[1.0, 0.3, 0.2]] * 3 + [[1.0, 0.9, 0.8]] * 2,
        "few": [[1.0, 0.3, 0.2]] * 2 + [[1.0, 0.9, 0.8]] * 3,
        "none": [[1.0, 0.9, 0.8]] * 5,
    }
    summary, _ = make(curves, target_loss=0.25)
    speed = tables(summary)[2]
    assert speed.title.endswith("steps and seconds to a loss/val of 0.2500")
    start = speed.headings.index("steps")
    assert {row[0]: row[start + 1 : start + 3] for row in speed.rows} == {
        "all": ["1.5", "5 of 5"],
        "most": ["1.5", "3 of 5"],
        "few": ["–", "2 of 5"],
        "none": ["never", "0 of 5"],
    }


def test_one_seed_says_nothing(make: Callable[..., Made]) -> None:
    summary, comparison = make({"a": constant(0.5), "b": constant(0.7)})
    assert [row[-1] for row in tables(summary)[0].rows] == ["best", "one seed says nothing"]
    assert "range" not in tables(summary)[0].headings
    assert "One seed says nothing about the order" in findings(summary)[1]
    assert not any("interval" in sentence for sentence in cautions(summary, comparison, 1))


@pytest.mark.parametrize(
    ("metrics", "heading", "better"),
    [
        ({"accuracy": 0.25, "f1": 0.5}, "test accuracy", "higher is better"),
        ({"rmse": 0.25, "mae": 0.5}, "test rmse", "lower is better"),
        (None, None, None),
    ],
)
def test_the_test_score(
    metrics: dict[str, float] | None,
    heading: str | None,
    better: str | None,
    make: Callable[..., Made],
    tmp_path: Path,
) -> None:
    summary, comparison = make({"a": constant(0.5, 0.6), "b": constant(0.7, 0.9)}, metrics=metrics)
    write_report(summary, comparison, tmp_path, {})
    page = Tables((tmp_path / "report.html").read_text(encoding="utf-8"))
    if heading and better:
        assert page.rows[1][page.rows[0].index(heading)] == "0.2500"
        assert better in page.text
        assert f"the {heading} is the unbiased figure" in page.text
    else:
        assert not any(name.startswith("test") for name in page.rows[0])
        assert "unbiased" not in page.text


def test_without_validation_rows_the_training_loss_is_compared(make: Callable[..., Made], tmp_path: Path) -> None:
    summary, comparison = make({"a": constant(0.5), "b": constant(0.7)}, tag="loss/train")
    write_report(summary, comparison, tmp_path, {})
    assert tables(summary)[0].title.startswith("Last loss/train")
    assert len(curve_panels(summary)) == 2
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "loss/val" not in text
    assert "only the training loss is compared" in text
    assert not (tmp_path / "rates.png").exists()


def test_ties_and_what_is_behind(make: Callable[..., Made]) -> None:
    """Differences of the same size are behind, those of both signs a tie, those with one of the other sign
    unclear: such an interval's tail has 5 draws with that one at least 4 times, which are 0.7 %."""
    base = np.array([0.30, 0.31, 0.32, 0.33, 0.34])
    curves = {
        "best": constant(*base),
        "tie": constant(*np.add(base, [0.02, -0.03, 0.021, 0.02, -0.01])),
        "unclear": constant(*np.add(base, [-0.015, 0.03, 0.03, 0.03, 0.03])),
        "behind": constant(*np.add(base, [0.1, 0.11, 0.1, 0.12, 0.1])),
    }
    summary, comparison = make(curves)
    words = {row[0]: row[-1] for row in tables(summary)[0].rows}
    assert words == {
        "best": "best",
        "tie": "tie",
        "unclear": "behind on these seeds; too few to be sure",
        "behind": "behind",
    }
    sentences = findings(summary)
    assert sentences[0] == "best has the lowest median loss/val: 0.3200, at a learning rate of 0.1."
    assert sentences[1].endswith(": tie.")
    assert sentences[2].startswith("Behind it: behind by 0.11 (0.10 to 0.11")
    assert sentences[3].startswith("Behind it on these 5 seeds, which are too few to be sure: unclear by 0.021 (")
    text = " ".join(cautions(summary, comparison, 3))
    for part in (
        "this model",
        "no rank",
        "at the level that 4 optimizers demand together",
        "83 times in 100",
        "3 runs at the same time",
    ):
        assert part in text


def test_rates_on_the_edge_and_narrow_ranges_are_named(make: Callable[..., Made]) -> None:
    summary, comparison = make({"edge": constant(0.5), "narrow": constant(0.6), "wide": constant(0.7)})
    tried = {"edge": {0.1: 0.5, 0.2: 0.6}, "narrow": {0.01: 5.0, 0.1: 0.5, 1.0: 5.0}, "wide": dict.fromkeys(RATES, 0.5)}
    rows = [
        replace(row, tuning=tried[row.label], rate=0.1, good_rates=sum(loss < 1 for loss in tried[row.label].values()))
        for row in summary.rows
    ]
    sentences = cautions(replace(summary, rows=rows), comparison, 1)
    assert [sentence for sentence in sentences if "edge" in sentence] == [
        "The rate of edge, 0.1, lies on the edge of those that were tried: one beyond may be better."
    ]
    assert [sentence for sentence in sentences if "narrow" in sentence] == [
        "The good rates of narrow are a narrow range: 1 of 3 that were tried end within twice its lowest loss."
    ]


def test_the_console_cuts_nothing_off(
    make: Callable[..., Made], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    curves = {f"optimizer_{i:04}": constant(*(1.234e-5 * i + 1e-6 * np.arange(5))) for i in range(1, 4)}
    summary, _ = make(curves, metrics={"accuracy": 0.75})
    out = printed(summary, capsys)
    shown = out[: out.index("optimizer_0001 has")]
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in out
    for row in [row for table in tables(summary) for row in table.rows]:
        for word in " ".join(row).split():
            assert word in shown


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.3190, 4, "0.3190"),
        (12.346, 4, "12.35"),
        (54321.4, 4, "54321"),
        (0.00002345, 4, "2.345e-05"),
        (-0.00026, 2, "-0.00026"),
        (-0.000026, 2, "-2.6e-05"),
        (1234567.0, 2, "1.2e+06"),
        (0.0, 4, "0"),
        (None, 4, "–"),
    ],
)
def test_numbers_in_so_many_digits(value: float | None, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_bands_and_medians_are_those_of_the_seeds(make: Callable[..., Made]) -> None:
    """They end with the shortest run."""
    seeds = [[1.0, 0.5, 0.4], [2.0, 0.3, 0.2, 0.1], [3.0, 0.9, 0.9, 0.8]]
    summary, _ = make({"a": seeds})
    for panel, places in zip(curve_panels(summary)[:2], ([9, 19, 29], [0.5, 1.0, 1.5]), strict=True):
        axes = figure([panel]).axes[0]
        (line,) = [
            line for line in axes.lines if line.get_linewidth() == 1.8 and line.get_transform() == axes.transData
        ]
        x, y = line.get_data()
        assert np.asarray(x) == pytest.approx(places)
        assert np.asarray(y) == pytest.approx(np.median([seed[:3] for seed in seeds], axis=0))
        (band,) = [artist for artist in axes.collections if isinstance(artist, PolyCollection)]
        ends = band.get_paths()[0].get_extents()
        assert (ends.x0, ends.x1) == pytest.approx((places[0], places[-1]))
        assert (ends.y0, ends.y1) == pytest.approx((0.2, 3.0))


def test_a_single_seed_has_no_band_and_epochs_are_counted(make: Callable[..., Made]) -> None:
    summary, _ = make({"a": [[1.0, 0.5, 0.4]]})
    axes = Figure().subplots()
    draw_curves(axes, summary.rows, "loss/train", "epochs")
    assert not axes.collections
    assert np.asarray(axes.lines[0].get_xdata()) == pytest.approx([1, 2, 3])


@pytest.mark.parametrize(
    ("losses", "scale"), [([1.0, 0.5, 0.0], "log"), ([0.0, 0.0], "linear"), ([0.5, -0.5, -2.0], "linear")]
)
def test_losses_without_a_logarithm(losses: list[float], scale: str, make: Callable[..., Made]) -> None:
    summary, _ = make({"a": [losses] * 2, "b": [losses] * 2})
    picture = curves_figure(summary)
    picture.canvas.draw()
    assert {axes.get_yscale() for axes in picture.axes} == {scale}
    assert all(np.isfinite(axes.get_ylim()).all() for axes in picture.axes)


def test_sixteen_optimizers_can_be_told_apart(make: Callable[..., Made]) -> None:
    assert len({line_style(index) for index in range(16)}) == 16
    summary, _ = make({f"optimizer {i}": [[1.0, 0.5 + 0.001 * i]] for i in range(16)})
    axes = curves_figure(summary).axes[0]
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert len(heights) == 17  # with the target's
    assert min(above - below for below, above in pairwise(heights)) > 0.04
    assert heights[0] >= 0


def test_rates_that_diverged_have_a_cross(real: tuple[Summary, Comparison, Path]) -> None:
    summary, _, _ = real
    picture = rates_figure(summary)
    assert picture is not None
    rates, defaults = picture.axes
    crosses = [rate for line in rates.lines if line.get_marker() == "x" for rate in np.asarray(line.get_xdata())]
    assert crosses == [30.0]
    dots = [float(np.asarray(line.get_xdata())[0]) for line in rates.lines if line.get_markersize() == 9]
    assert dots == [row.rate for row in summary.rows]
    assert [label.get_text() for label in defaults.get_yticklabels()] == [row.label for row in summary.rows]


def test_the_target_is_a_median_that_half_of_the_runs_reach(make: Callable[..., Made]) -> None:
    summary, comparison = make({"a": [[1.0, 0.5], [1.0, 0.65]], "b": [[1.0, 0.2], [1.0, 0.4]]})
    assert summary.target_loss == pytest.approx((0.5 + 0.65) / 2)
    (a,) = [row for row in summary.rows if row.label == "a"]
    assert a.reached == 1
    assert a.steps is not None
    assert "highest median" in " ".join(cautions(summary, comparison, 1))


def test_where_all_diverge_nothing_is_said_of_an_order(make: Callable[..., Made]) -> None:
    summary, comparison = make({"a": [[1.0, 1e9]], "b": [[1e9]]})
    assert len(cautions(summary, comparison, 1)) == 1


def test_one_optimizer_has_no_lowest_loss(make: Callable[..., Made]) -> None:
    summary, _ = make({"a": [[1.0, 0.5], [1.0, 0.7]]})
    assert findings(summary)[0].startswith("a has the median loss/val: 0.6")


def test_lbfgs_counts_more_gradients_than_steps(make: Callable[..., Made]) -> None:
    summary, comparison = make({"SGD": [[1.0, 0.5]], "LBFGS": [[1.0, 0.4]]})
    entries = [
        replace(e, config={**e.config, "optimizer": {"class_path": f"torch.optim.{e.label}"}})
        for e in comparison.entries
    ]
    words = [" ".join(cautions(summary, Comparison(some, comparison.settings), 1)) for some in (entries[:1], entries)]
    assert ["LBFGS takes several gradients" in text for text in words] == [False, True]
