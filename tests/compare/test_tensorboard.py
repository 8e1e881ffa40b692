"""What TensorBoard shows of a comparison; the slow tests look at it in a browser."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, browser, tensorboard, wait
from curves import events
from in_process import run
from pyarrow.csv import read_csv

from project.compare.__main__ import main
from project.compare.curves import make_bands, write_bands
from project.runs.curves import Curve, read_curves

OPTIMIZERS = ("Adam", "SGD")
BANDS = ("median", "low", "high")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two optimizers at the rate 0.01: the other one diverges."""
    args = ["--optimizers", ",".join(OPTIMIZERS), "--rates", "0.01,1e30", "--tuning-seeds", "1", "--seeds", "3"]
    args += ["--data", "Iris", "--model.hidden_sizes", "[8]", "--trainer.max_epochs", "6", "--name", "small"]
    return run(main, tmp_path_factory.mktemp("logs"), *args, "--jobs", "1", where="compare/*")


def results(comparison: Path) -> dict[str, dict[str, Any]]:
    """What came of each run, by the name it has in TensorBoard."""
    return {run["folder"]: run for run in read_csv(comparison / "runs.csv").to_pylist()}


def seeds(comparison: Path, label: str) -> list[str]:
    """The runs with fresh seeds at the rate that was chosen, by their names in TensorBoard."""
    found = [name for name in results(comparison) if name.startswith(f"{label}/lr0.01-")]
    assert len(found) == 3
    return found


@pytest.mark.lowest
def test_bands_are_median_lowest_and_highest_of_the_seeds(comparison: Path) -> None:
    for label in OPTIMIZERS:
        curves = [read_curves(comparison / name) for name in seeds(comparison, label)]
        for name, function in zip(BANDS, (np.median, np.min, np.max), strict=True):
            band = read_curves(comparison / label / name)
            assert {tag for tag in band if not tag.startswith("band/")} == set(curves[0])
            for tag in ("loss/train", "loss/val", "accuracy/val", "accuracy/test"):
                assert band[tag].steps == curves[0][tag].steps
                assert band[tag].values == pytest.approx(function([curve[tag].values for curve in curves], axis=0))
    # A chart draws its bands from tags of one run.
    for end in ("low", "high"):
        band = read_curves(comparison / "SGD" / "median")
        assert band[f"band/loss/val/{end}"] == read_curves(comparison / "SGD" / end)["loss/val"]


def test_the_relative_axis_shows_the_seconds_of_the_training(comparison: Path) -> None:
    points = events(comparison / "Adam" / "median").Scalars("loss/val")
    seconds = [read_curves(comparison / name)["epoch_seconds"].values for name in seeds(comparison, "Adam")]
    ends = np.median(np.cumsum(seconds, axis=1), axis=0)
    assert [point.wall_time - points[0].wall_time for point in points] == pytest.approx(ends - ends[0], abs=1e-5)


def test_bands_end_with_the_shortest_run(tmp_path: Path) -> None:
    long = {"loss/val": Curve([1, 3, 5], [4.0, 2.0, 1.0]), "lr": Curve([0, 1], [0.1, 0.1])}
    short = {"loss/val": Curve([1, 3], [3.0, float("nan")]), "accuracy/val": Curve([1], [0.5])}
    write_bands(make_bands([long, short]), tmp_path)
    assert read_curves(tmp_path / "low")["loss/val"].values[0] == 3.0
    band = read_curves(tmp_path / "median")
    assert set(band) == {"loss/val", "band/loss/val/low", "band/loss/val/high"}
    assert band["loss/val"].steps == [1, 3]
    assert band["loss/val"].values[0] == 3.5
    assert np.isnan(band["loss/val"].values[1])


def test_bands_of_an_earlier_call_are_replaced(tmp_path: Path) -> None:
    first, second = ({"loss/train": Curve([1], [value])} for value in (1.0, 2.0))
    write_bands(make_bands([first]), tmp_path)
    write_bands(make_bands([second]), tmp_path)
    assert [read_curves(tmp_path / name)["loss/train"] for name in BANDS] == [Curve([1], [2.0])] * 3
    write_bands(make_bands([second, {}]), tmp_path)  # the second one failed before its first step
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def open_page() -> Iterator[Callable[[], Browser]]:
    """Opens a browser, the same one each time; a test that finds none fails with what to install."""
    with ExitStack() as stack:

        @cache
        def opened() -> Browser:
            try:
                return stack.enter_context(browser(1600, 1400))
            except FileNotFoundError as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None

        yield opened


@pytest.fixture(scope="module")
def address(comparison: Path) -> Iterator[str]:
    bands = {f"{label}/{name}" for label in OPTIMIZERS for name in BANDS}
    with tensorboard(comparison, bands | set(results(comparison))) as served:
        yield served


BAND_CHARTS = """
const within = (name, selector) => findAll(name).flatMap(element => findAll(selector, element.shadowRoot));
const colors = Object.fromEntries(within('tf-multi-checkbox', 'paper-checkbox').map(
  box => [box.id.replace('checkbox-', ''), getComputedStyle(box).getPropertyValue('--paper-checkbox-checked-color')]));
const paths = (card, kind, property) => Object.fromEntries(
  findAll(`path.${kind}`, card.shadowRoot).filter(path => path.getTotalLength() > 0)
    .map(path => [getComputedStyle(path)[property], path.getAttribute('d')]));
const charts = findAll('tf-custom-scalar-margin-chart-card').map(
  card => [card.title, paths(card, 'line', 'stroke'), paths(card, 'area', 'fill')]);
const outliers = within('tf-custom-scalar-dashboard', 'paper-checkbox').find(box => /outliers/.test(box.textContent));
if (outliers && outliers.checked) outliers.click();  // a band is not drawn where it leaves the chart
const bands = charts.flatMap(chart => Object.values(chart[2]));
return bands.length == arguments[0] && bands.every(band => band.split(',').length == arguments[1]) && [colors, charts];
"""


@pytest.mark.slow
def test_the_custom_scalars_page_draws_the_bands(comparison, address, open_page):
    page = open_page()
    page.open(f"{address}#custom_scalars&regexInput=median")
    colors, charts = wait(lambda: page.run(BAND_CHARTS, 4, 13), "there are not four bands of twelve points")
    assert set(colors) == {f"{label}/median" for label in OPTIMIZERS}
    assert {title for title, _, _ in charts} == {"loss/train", "loss/val"}
    for tag, lines, areas in charts:
        for label in OPTIMIZERS:
            median, low, high = (read_curves(comparison / label / name)[tag].values for name in BANDS)
            rgb = "rgb({}, {}, {})".format(*bytes.fromhex(colors[f"{label}/median"].strip(" #")))
            # A path is M1.5,20L3,21...: the band goes there above and back below. The axis is linear, and points down.
            heights = [float(y) for path in (lines[rgb], areas[rgb]) for y in re.findall(r",([-.\d]+)", path)]
            assert np.corrcoef(heights, [*median, *high, *reversed(low)])[0, 1] < -0.99999


HPARAMS = """
for (const box of findAll('tf-hparams-query-pane').flatMap(pane => findAll('paper-checkbox', pane.shadowRoot))) {
  const wanted = arguments[0].includes(box.textContent.trim());
  if (/hparam-|metric-/.test(box.className) && box.checked != wanted) box.click();
}
const rows = kind => findAll('vaadin-grid').slice(0, 1).flatMap(grid => [...grid.shadowRoot.querySelectorAll(kind)])
  .map(row => [...row.children].map(
    cell => cell.querySelector('slot').assignedNodes().map(node => node.textContent.trim()).join('')));
const [names, table] = [rows('thead tr')[0] || [], rows('tbody tr')];
return arguments[0].every(name => names.includes(name)) && table.length >= arguments[1]
  && table.map(row => Object.fromEntries(row.map((cell, i) => [names[i], cell])));
"""


@pytest.mark.slow
def test_the_hparams_tab_lists_every_run(comparison: Path, address: str, open_page: Callable[[], Browser]) -> None:
    page = open_page()
    runs = results(comparison)
    assert {run["status"] for run in runs.values()} == {"done", "diverged"}
    page.open(f"{address}#hparams")
    columns = ["optimizer", "optimizer.lr", "optimizer.momentum", "seed", "lowest_loss/val", "accuracy/test"]
    table: list[dict[str, Any]] = wait(lambda: page.run(HPARAMS, columns, len(runs)), "a run or column is missing")
    assert {row["Trial ID"] for row in table} == set(runs)
    for row in table:
        run = runs[row["Trial ID"]]
        assert row["optimizer"] == run["optimizer"]
        assert float(row["optimizer.lr"]) == run["rate"]
        assert float(row["seed"]) == run["seed"]
        assert (row["optimizer.momentum"] != "") == (run["optimizer"] != "Adam")
        losses = read_curves(comparison / run["folder"])["loss/val"].values if run["status"] == "done" else []
        scores = [min(losses), run["accuracy/test"]] if losses else []
        shown = [float(row[name]) for name in ("lowest_loss/val", "accuracy/test") if row[name]]
        assert shown == pytest.approx(scores, rel=1e-4)
