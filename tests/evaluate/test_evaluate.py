"""A run can be tested again from its checkpoint alone, on its test rows or on a file."""

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from fixture_types import Capture, Fit, Refused
from folds import make_folds
from matplotlib.image import imread
from points import set_up
from results import events, read_curve, read_report
from sklearn import metrics as sk
from table_files import table_flags

from project import Predictor, train
from project.data import BreastCancer
from project.evaluate import evaluate
from project.evaluate.__main__ import main
from project.evaluate.evaluation import best_f1_threshold
from project.evaluate.figures import class_figures
from project.fit import main as fit

SHORT = ("--trainer.max_epochs", "2")


@pytest.mark.parametrize(
    "args",
    [
        ("--data", "Diabetes", "--model", "LinearRegression", "--data.scale", "false", "--optimizer.lr", "0.1"),
        ("--data", "Digits", "--optimizer", "Muon"),
    ],
    ids=lambda args: args[1],
)
def test_evaluate_gives_the_figures_of_the_run(args: tuple[str, ...], fit: Fit, tmp_path: Path) -> None:
    folder = fit(*args, *SHORT)
    report = read_report(folder)
    moved = shutil.move(folder / "checkpoints" / "best.ckpt", tmp_path)
    shutil.rmtree(folder)  # nothing but the checkpoint is left
    found = evaluate(moved)
    assert (found.metrics, found.baselines) == (report["metrics"], report["baselines"])


def make_rows(num_rows: int, seed: int, signal: float = 1.0) -> pd.DataFrame:
    """Two columns and an outcome that they tell in part; one row of four has it."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(3, 2, num_rows), rng.normal(-1, 0.5, num_rows)
    bought = signal * (a - 3) + 2 * (b + 1) + rng.normal(0, 1.5, num_rows) > 1.7
    return pd.DataFrame({"a": a, "b": b, "bought": np.where(bought, "yes", "no")})


def make_parts() -> pd.DataFrame:
    """Rows that say in which split they are."""
    return make_rows(900, seed=0).assign(part=["train", "val", "test"] * 300)


OF_PARTS = ("--data.split_column", "part", "--model", "LogisticRegression", "--trainer.max_epochs", "5")


def report_of(run: Path, *args: object, name: str = "test") -> dict[str, Any]:
    """The report that the command writes, which must succeed."""
    assert main([str(arg) for arg in (run, *args)]) == 0
    return read_report(run / "evaluation" / name)


def scores_of(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """By scikit-learn."""
    return {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "f1": sk.f1_score(y, predicted),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The folder of a run on a CSV file that says which row is in which split, and the file's rows."""
    folder = tmp_path_factory.mktemp("trained")
    rows = make_parts()
    rows.to_csv(folder / "shop.csv", index=False)
    args = [*table_flags(folder / "shop.csv", "bought"), *OF_PARTS, "--optimizer.lr", "0.05"]
    return in_process.run(fit, folder / "logs", *args), rows


@pytest.fixture
def run(trained: tuple[Path, pd.DataFrame], tmp_path: Path) -> Path:
    """A copy of that run's folder, to write into."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


def probabilities(run: Path, rows: pd.DataFrame) -> np.ndarray:
    """Probabilities of ``yes``, by hand, in double precision."""
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    weights = checkpoint["state_dict"]["linear.weight"].double().numpy()[0]
    z = float(checkpoint["state_dict"]["linear.bias"])
    for weight, column in zip(weights, checkpoint["hyper_parameters"]["schema"]["columns"], strict=True):
        z += weight * (rows[column["name"]].to_numpy() - column["center"]) / column["scale"]
    return 1 / (1 + np.exp(-z))


@pytest.mark.lowest
@pytest.mark.parametrize("kind", ["semicolons", "parquet"])
def test_scores_on_a_file_are_those_of_scikit_learn(kind: str, run: Path, tmp_path: Path, capsys: Capture) -> None:
    """More rows than a batch has, columns in another order, one that the model does not know, and two targets empty."""
    rows = make_rows(5000, seed=1, signal=0.5)[["bought", "b", "a"]].assign(other="x")
    file = tmp_path / {"semicolons": "new.csv.gz", "parquet": "new.parquet"}[kind]
    holes = rows.copy()
    holes.loc[[0, 4321], "bought"] = None
    if kind == "parquet":
        holes.to_parquet(file)
    else:
        holes.to_csv(file, index=False, sep=";")
    report = report_of(run, "--data", file, name="new")
    out = capsys.readouterr().out
    assert "2 of 5,000 rows have no target" in out
    known = rows.drop([0, 4321])
    p, y = probabilities(run, known), (known["bought"] == "yes").to_numpy()
    expected = {**scores_of(y, p > 0.5), "log_loss": sk.log_loss(y, p), "auroc": sk.roc_auc_score(y, p)}
    for name, value in expected.items():
        assert report["metrics"][name] == pytest.approx(value, abs=2e-5), name
        assert f"{report['metrics'][name]:.4f}" in out
    assert report["confusion"] == sk.confusion_matrix(y, p > 0.5).tolist()
    assert (report["classes"], report["rows"], report["threshold"]) == (["no", "yes"], 4998, None)
    assert report["file"] == str(file)
    assert report["baselines"]["majority class"]["accuracy"] == pytest.approx(1 - y.mean(), abs=1e-6)
    ((step, value),) = read_curve(run, "accuracy/new")
    assert value == pytest.approx(expected["accuracy"], abs=2e-5)
    assert step == torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["global_step"]


def test_a_file_of_the_test_rows_gives_the_figures_of_the_run(fit: Fit, tmp_path: Path) -> None:
    """Also for data that do not come from a file."""
    folder, data = fit(*SHORT), set_up(BreastCancer())
    table, test = data.read(), data.rows["test"]
    rows = pd.DataFrame(table.x[test], columns=list(table.columns))
    rows["class"] = np.array(table.classes)[table.y[test]]
    rows.to_csv(tmp_path / "some.csv", index=False)
    report = read_report(folder)
    found = evaluate(folder, tmp_path / "some.csv")
    assert found.metrics == pytest.approx(report["metrics"], abs=1e-6)
    for name, scores in report["baselines"].items():
        assert found.baselines[name] == pytest.approx(scores, abs=1e-6)


def test_a_file_is_read_as_the_run_s_own_was(fit: Fit, tmp_path: Path) -> None:
    """Its delimiter, letters, decimal commas and missing values; with names and dates among the columns."""
    rows = make_parts()
    rows["shop"] = np.where(rows["a"] > 4, "Café", np.where(rows["a"] > 2, "Bar", "?"))
    rows["day"] = pd.date_range("2024-01-01", periods=900).strftime("%d.%m.%Y")
    rows.loc[::7, "b"] = np.nan
    style = {"index": False, "sep": ";", "decimal": ",", "encoding": "cp1252", "na_rep": "?"}
    rows.to_csv(tmp_path / "own.csv", **style)
    rows.query("part == 'test'").to_csv(tmp_path / "other.csv", **style)
    args = [*table_flags(tmp_path / "own.csv", "bought"), "--data.split_column", "part", "--data.encoding", "cp1252"]
    run = fit(*args, "--data.delimiter", ";", "--data.decimal_point", ",", "--data.missing", "?", *SHORT)
    report = read_report(run)
    assert evaluate(run, tmp_path / "other.csv").metrics == pytest.approx(report["metrics"], abs=1e-6)
    rows.query("part == 'test'").to_csv(tmp_path / "tabs.csv", **style | {"sep": "\t", "encoding": "utf-8"})
    written = ["--delimiter", "\t", "--encoding", "utf-8"]
    other = report_of(run, "--data", tmp_path / "tabs.csv", *written, name="tabs")
    assert other["metrics"] == pytest.approx(report["metrics"], abs=1e-6)


def test_from_the_threshold_on_the_second_class_is_predicted(
    run: Path, trained: tuple[Path, pd.DataFrame], capsys: Capture
) -> None:
    rows = trained[1].query("part == 'test'")
    p, y = probabilities(run, rows), (rows["bought"] == "yes").to_numpy()
    usual, threshold = evaluate(run).metrics, 0.15
    report = report_of(run, "--threshold", threshold)
    predicted = p >= threshold
    assert (predicted != (p >= 0.5)).sum() > 10
    assert report["threshold"] == threshold
    assert report["confusion"] == sk.confusion_matrix(y, predicted).tolist()
    scores = report["metrics"]
    for name, value in scores_of(y, predicted).items():
        assert scores[name] == pytest.approx(value), name
    for name in ("loss", "log_loss", "auroc", "calibration_error"):
        assert scores[name] == usual[name]
    # It is not to blame for an accuracy below that of a baseline, which predicts the likelier class.
    assert scores["accuracy"] < report["baselines"]["logistic regression"]["accuracy"]
    assert not [line for line in capsys.readouterr().out.splitlines() if "is worse than" in line and "accuracy" in line]


def test_best_f1_is_found_on_the_validation_rows_alone(fit: Fit, tmp_path: Path, capsys: Capture) -> None:
    file, rows = tmp_path / "shop.csv", make_parts()
    rows.to_csv(file, index=False)
    run = fit(*table_flags(file, "bought"), *OF_PARTS)
    before = report_of(run, "--threshold", "best-f1")
    threshold = before["threshold"]
    assert before["threshold_from"] == "best-f1"
    assert f"{threshold:.6g}" in capsys.readouterr().out
    val, test = rows.query("part == 'val'"), rows.query("part == 'test'")
    p, y = probabilities(run, val), (val["bought"] == "yes").to_numpy()
    assert threshold == pytest.approx(best_f1_threshold(p, y), abs=1e-5)
    assert sk.f1_score(y, p >= threshold) > sk.f1_score(y, p >= 0.5)
    expected = sk.f1_score(test["bought"] == "yes", probabilities(run, test) >= threshold)
    assert before["metrics"]["f1"] == pytest.approx(expected)
    rows.loc[test.index, "bought"] = test["bought"].sample(frac=1, random_state=0).to_numpy()
    rows.to_csv(file, index=False)
    after = report_of(run, "--threshold", "best-f1")
    assert after["threshold"] == threshold
    assert after["metrics"]["f1"] < before["metrics"]["f1"] - 0.1
    make_rows(50, seed=3).to_csv(tmp_path / "new.csv", index=False)
    new = report_of(run, "--threshold", "best-f1", "--data", tmp_path / "new.csv", name="new")
    assert new["threshold"] == threshold


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_a_higher_f1(seed: int) -> None:
    """Against all that make a difference, on few probabilities, many equal, 0 and 1 and close neighbours among them."""
    rng = np.random.default_rng(seed)
    p = rng.choice([0.0, 1e-300, 0.2, np.nextafter(0.2, 1), 0.5, 0.9, np.nextafter(1, 0), 1.0], 12)
    y = rng.random(12) < p * 0.7 + 0.2
    y[0] = True
    threshold = best_f1_threshold(p, y)
    assert sk.f1_score(y, p >= threshold) == pytest.approx(max(sk.f1_score(y, p >= other) for other in p))


def test_the_threshold_lies_between_two_rows() -> None:
    p, y = np.array([0.1, 0.4, 0.3, 0.9]), np.array([False, True, False, True])
    assert best_f1_threshold(p, y) == pytest.approx(0.35)


PICTURES = {
    "binary": ["calibration", "confusion", "precision_recall", "roc"],
    "Wine": ["confusion"],
    "Diabetes": ["predictions"],
}


@pytest.mark.lowest
@pytest.mark.parametrize("data", PICTURES)
def test_pictures_are_in_the_folder_and_in_tensorboard(data: str, fit: Fit, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue("run") if data == "binary" else fit("--data", data, *SHORT)
    assert main([str(run)]) == 0
    folder = run / "evaluation" / "test"
    assert {path.name for path in folder.iterdir()} == {*(f"{name}.png" for name in PICTURES[data]), "report.json"}
    for name in PICTURES[data]:
        pixels = imread(folder / f"{name}.png")[:, :, :3]
        assert min(pixels.shape[:2]) >= 400
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20  # an empty one is white
    assert set(events(run).Tags()["images"]) >= {f"{name}/test" for name in PICTURES[data]}
    assert len(read_curve(run, "loss/test")) == 1  # the run's own


def test_the_curves_of_a_file_bear_its_name(run: Path, tmp_path: Path) -> None:
    """And a file with one class has none that need two."""
    for name in ("july.csv", "test.csv"):
        make_rows(60, seed=2).to_csv(tmp_path / name, index=False)
        assert main([str(run), "--data", str(tmp_path / name)]) == 0
    assert sorted(path.name for path in (run / "evaluation").iterdir()) == ["july", "test_file"]
    tags = events(run).Tags()
    assert {f"{name}/july" for name in PICTURES["binary"]} <= set(tags["images"])
    assert {"accuracy/july", "f1/july", "log_loss/july", "accuracy/test_file"} <= set(tags["scalars"])
    assert len(read_curve(run, "accuracy/test")) == 1
    make_rows(200, seed=2).query("bought == 'no'").to_csv(tmp_path / "july.csv", index=False)
    report = report_of(run, "--data", tmp_path / "july.csv", "--threshold", "0.999999", name="july")
    assert sorted(path.name for path in (run / "evaluation" / "july").iterdir()) == ["confusion.png", "report.json"]
    assert "auroc" not in report["metrics"]
    assert report["metrics"]["accuracy"] == 1


def test_a_checkpoint_finds_its_run_and_a_lone_one_only_prints(run: Path, tmp_path: Path, capsys: Capture) -> None:
    lone = shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([str(lone)]) == 0
    assert "log_loss" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    assert main([str(run / "checkpoints" / "best.ckpt")]) == 0
    assert (run / "evaluation" / "test" / "report.json").exists()


def test_without_the_run_s_own_file(fit: Fit, tmp_path: Path, refused: Refused, capfd: Capture) -> None:
    make_rows(200, seed=0).to_csv(tmp_path / "old.csv", index=False)
    make_rows(100, seed=1).to_csv(tmp_path / "new.csv", index=False)
    run = fit(*table_flags(tmp_path / "old.csv", "bought"), *SHORT)
    assert main([str(run), "--data", str(tmp_path / "old.csv")]) == 0
    assert "count its training rows" in capfd.readouterr().out
    (tmp_path / "old.csv").unlink()
    for args in ([], ["--threshold", "best-f1", "--data", tmp_path / "new.csv"]):
        refused(main, [run, *args], "there is no file", status=1)
    report = report_of(run, "--data", tmp_path / "new.csv", name="new")
    out = capfd.readouterr().out
    assert "there are no baselines" in out
    assert "logistic regression" not in out
    assert (report["rows"], report["baselines"]) == (100, {})


BAD = {  # a file, the arguments, and what is said of them
    "no target": ("a,b\n1,1\n", "--data bad.csv", 1, "bad.csv has no column 'bought'"),
    "label": ("a,b,bought\n1,1,no\n2,2,\n3,3,maybe\n", "--data bad.csv", 1, "row 3: the model knows no class 'maybe'"),
    "no rows": ("a,b,bought\n", "--data bad.csv", 1, "no rows"),
    "empty targets": ("a,b,bought\n1,1,\n", "--data bad.csv", 1, "empty in every row"),
    "overflow": ("a,b,bought\n1,1,no\n3e38,3e38,yes\n", "--data bad.csv", 1, "overflows"),
    "number": ("", "--threshold -0.5", 2, "between 0 and 1"),
    "word": ("", "--threshold best-f2", 2, "best-f1"),
}


@pytest.mark.parametrize(("content", "args", "status", "words"), BAD.values(), ids=BAD)
def test_bad_files_and_arguments(
    content: str, args: str, status: int, words: str, run: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(run.parent)
    Path("bad.csv").write_text(content)
    refused(main, [run, *args.split()], words, status=status)


@pytest.mark.parametrize(
    ("data", "threshold", "status", "words"),
    [
        (["--data", "Iris"], "best-f1", 2, "has 3 classes"),
        (["--data.val_fraction", "0"], "best-f1", 1, "no validation rows"),
        (["--data.test_fraction", "0"], "0.5", 1, "test_fraction"),
    ],
)
def test_runs_that_do_not_have_what_it_takes(
    data: list[str], threshold: str, status: int, words: str, fit: Fit, refused: Refused
) -> None:
    refused(main, [fit(*data, "--trainer.max_epochs", "1"), "--threshold", threshold], words, status=status)


@pytest.mark.parametrize("classes", [["$a^$", "x" * 300], [f"{'a' * 40}{i}" for i in range(2)], list("ab" * 50)])
def test_names_of_classes_do_not_spoil_the_pictures(classes: list[str]) -> None:
    """Dollars, which mean mathematics to matplotlib; long names, that begin alike; a hundred classes."""
    y = np.arange(len(classes))
    for figure in class_figures(classes, y, y, np.eye(len(classes))).values():
        figure.savefig(BytesIO())


def test_a_run_names_the_command_which_shows_the_same_table_and_is_quiet(
    fit: Fit, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fit("--trainer.max_epochs", "1")
    out = capsys.readouterr().out
    assert f"project.evaluate {folder}" in out
    monkeypatch.chdir(tmp_path)
    assert main([str(folder)]) == 0
    shown, err = capsys.readouterr()
    assert err == ""
    assert shown.partition("The report")[0].strip() in out


@pytest.mark.parametrize("target", ["class", "alcohol"])
def test_the_mean_of_folds_is_tested(target: str, tmp_path: Path, refused: Refused, capfd: Capture) -> None:
    """Against scikit-learn's scores of the mean of what each fold predicts."""
    own = shutil.copy(Path(__file__).parents[2] / "configs" / "data" / "wine.csv", tmp_path / "wine.csv")
    folder = make_folds(tmp_path, *table_flags(own, target))
    path = own.rename(tmp_path / "later.csv")  # so that the folds' own rows are gone, which nothing needs
    rows = pd.read_csv(path)
    single = [Predictor.from_run(folder / f"fold-{fold}") for fold in (1, 2, 3)]
    outputs = np.mean([predictor.outputs(pa.table(rows)) for predictor in single], axis=0)
    capfd.readouterr()
    report = report_of(folder, "--data", path, name="later")
    assert "Note" not in capfd.readouterr().out
    if target == "class":
        assert report["metrics"]["log_loss"] == pytest.approx(sk.log_loss(rows[target], outputs), rel=1e-9)
    else:
        assert report["metrics"]["rmse"] == pytest.approx(np.sqrt(((rows[target] - outputs) ** 2).mean()), rel=1e-6)
    assert report["baselines"] == {}
    refused(main, [folder], f"{folder} is a cross-validation", "--data", status=1)
    refused(main, [folder, "--data", path, "--threshold", "best-f1"], "best-f1", status=1)


def test_rows_from_memory_are_asked_for(tmp_path: Path, refused: Refused) -> None:
    frame = make_rows(90, seed=0)
    trainer = {"max_epochs": 3, "enable_progress_bar": False, "default_root_dir": str(tmp_path / "logs")}
    run = train(data=frame, target="bought", trainer=trainer, quiet=True)
    refused(main, [run.folder], "these rows came from memory", status=1)
    frame.to_parquet(tmp_path / "t.parquet")
    assert main([str(run.folder), "--data", str(tmp_path / "t.parquet")]) == 0
