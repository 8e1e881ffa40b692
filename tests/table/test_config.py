"""configs/table.yaml: the best net, with averaged weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from quiet import trainer
from sklearn.metrics import log_loss
from test_resume import AVERAGE, assert_same_run, callback, resume

from project.fit import main
from project.models import predict_encoded
from project.run_folder import load_best
from project.table import Table

ROOT = Path(__file__).parents[2]
TABLE = ["--config", str(ROOT / "configs" / "table.yaml"), "--data.target", "class"]
WINE = ROOT / "configs" / "data" / "wine.csv"


def test_the_averaged_weights_are_tested_and_kept(fit: Callable[..., Path]) -> None:
    folder = fit(*TABLE, "--data.path", str(WINE), "--trainer.max_epochs", "6")
    reported = json.loads((folder / "report.json").read_text())["metrics"]["log_loss"]
    data = Table(WINE, "class")
    data.setup()
    x, y = data.splits["test"]
    model = load_best(folder / "checkpoints" / "best.ckpt")[0]
    assert log_loss(y, predict_encoded(model, x)) == pytest.approx(reported, rel=1e-6)
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    model.load_state_dict(checkpoint["current_model_state"])  # those of the last step alone
    assert log_loss(y, predict_encoded(model, x)) != pytest.approx(reported, rel=1e-3)


def test_averages_of_names_go_on_to_the_same_bits_and_are_what_is_kept(
    fit: Callable[..., Path], tmp_path: Path
) -> None:
    """The run is stopped before its last batch, after which ``max_steps`` ends it without another validation."""
    rows = [f"{'abcdefgh'[i % 8]},n{i % 20},{'yes' if i % 8 % 2 + i % 20 % 3 > 1 else 'no'}\n" for i in range(500)]
    (tmp_path / "names.csv").write_text("".join(["letter,name,y\n", *rows]))
    flags = [*TABLE[:2], "--data.path", str(tmp_path / "names.csv"), "--data.target", "y", "--data.batch_size", "16"]
    flags += ["--trainer.max_epochs", "-1", "--trainer.max_steps", "128"]
    early = "{class_path: EarlyStopping, init_args: {patience: 16}}"
    whole = fit(*flags, *callback(0, AVERAGE, early))
    metrics = json.loads((whole / "report.json").read_text())["metrics"]
    assert metrics["accuracy"] == 1  # the names decide it
    assert (
        main([*flags, *callback(127, AVERAGE, early), "--trainer.default_root_dir", str(tmp_path / "stopped")]) == 143
    )
    (run,) = tmp_path.glob("stopped/*/*")
    assert resume(run) == 0
    assert_same_run(whole, run)
    model = load_best(run)[0]
    data = Table(str(tmp_path / "names.csv"), "y")  # a path as text will do
    (again,) = trainer().test(model, data, verbose=False)
    assert {name.removesuffix("/test"): value for name, value in again.items()} == metrics


def test_the_file_and_its_target_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for missing, flags in (("path", TABLE), ("target", [*TABLE[:2], "--data.path", str(WINE)])):
        assert main(flags) == 2
        assert capsys.readouterr().err == f"error: data: Table needs --data.{missing}\n"


def test_columns_can_have_brackets_in_their_names(fit: Callable[..., Path], tmp_path: Path) -> None:
    rows = "".join(f"{'no' if i % 2 else 'yes'},{i},{i % 7}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("[red],{0},x\n" + rows)
    flags = ["--data", "Table", "--data.path", str(tmp_path / "t.csv"), "--trainer.max_epochs", "1"]
    folder = fit(*flags, "--data.target", "[red]", "--data.drop", "['{0}']")
    schema = load_best(folder / "checkpoints" / "best.ckpt")[0].schema
    assert (schema.target.name, [column.name for column in schema.columns]) == ("[red]", ["x"])
