"""What TensorBoard shows of a comparison, as it tells its own pages."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from in_process import run
from processes import start, wait_for
from pyarrow.csv import read_csv
from results import events

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


def test_bands_of_an_earlier_call_are_replaced(tmp_path: Path) -> None:
    first, second = ({"loss/train": Curve([1], [value])} for value in (1.0, 2.0))
    write_bands(make_bands([first]), tmp_path)
    write_bands(make_bands([second]), tmp_path)
    assert [read_curves(tmp_path / name)["loss/train"] for name in BANDS] == [Curve([1], [2.0])] * 3
    write_bands(make_bands([second, {}]), tmp_path)  # the second one failed before its first step
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def ask(comparison: Path) -> Iterator[Callable[..., Any]]:
    """Asks TensorBoard, as its own pages do, as soon as it shows all runs."""
    bands = {f"{label}/{name}" for label in OPTIMIZERS for name in BANDS}
    with start("tensorboard.main", "--logdir", str(comparison), "--port", "0") as server:
        try:
            lines = (line.replace("https://github", "") for line in server.stderr)
            address = next(match[0] for line in lines if (match := re.search(r"http://\S+/", line)))

            def asked(path: str, content: dict[str, Any] | None = None) -> Any:
                data = None if content is None else json.dumps(content).encode()
                request = urllib.request.Request(f"{address}data/{path}", data, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)

            wait_for(lambda: set(asked("runs")) == bands | set(results(comparison)))
            yield asked
        finally:
            server.terminate()


def test_the_custom_scalars_page_has_the_bands(comparison: Path, ask: Callable[..., Any]) -> None:
    """Both charts stand first on the page; a chart draws lines and bands from tags of one run, at the same steps."""
    charts = ask("plugin/custom_scalars/layout")["category"][0]["chart"]
    assert [chart["title"] for chart in charts] == ["loss/train", "loss/val"]
    for chart, label in product(charts, OPTIMIZERS):
        (series,) = chart["margin"]["series"]
        for part, name in {"value": "median", "lower": "low", "upper": "high"}.items():
            query = urlencode({"run": f"{label}/median", "tag": f"^{series[part]}$"})
            (points,) = ask(f"plugin/custom_scalars/scalars?{query}")["tag_to_events"].values()
            band = read_curves(comparison / label / name)[chart["title"]]
            assert [(step, value) for _, step, value in points] == list(zip(*band, strict=True))


def test_the_hparams_tab_lists_every_run(comparison: Path, ask: Callable[..., Any]) -> None:
    runs = results(comparison)
    assert {run["status"] for run in runs.values()} == {"done", "diverged"}
    statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    question = {"colParams": [], "allowedStatuses": statuses, "startIndex": 0, "sliceSize": 100}
    groups = ask("plugin/hparams/session_groups", question)["sessionGroups"]
    assert {group["name"] for group in groups} == set(runs)
    for group in groups:
        run, settings = runs[group["name"]], group["hparams"]
        expected = (run["optimizer"], run["rate"], run["seed"])
        assert (settings["optimizer"], settings["optimizer.lr"], settings["seed"]) == expected
        assert ("optimizer.momentum" in settings) == (run["optimizer"] != "Adam")
        losses = read_curves(comparison / run["folder"])["loss/val"].values if run["status"] == "done" else []
        scores = {"lowest_loss/val": min(losses), "accuracy/test": run["accuracy/test"]} if losses else {}
        values = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
        found = {tag: values[tag] for tag in values.keys() & {"lowest_loss/val", "accuracy/test"}}
        assert found == pytest.approx(scores)
