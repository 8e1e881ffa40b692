"""What a run on a table of one's own can be trusted in: no leaks, warnings, row numbers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from fixture_types import Capture, Fit, Refused
from quiet import trainer
from read_table import make_table, read_table
from results import assert_same_weights, read_report
from table_files import make_features, table_flags, write_table

from project.baselines import baseline_scores
from project.fit import main
from project.run_folder import load_best
from project.table import Table
from project.table.findings import giveaways


def mixed_columns(num_rows: int) -> dict[str, list[Any]]:
    return {**make_features(num_rows), "y": ["yes" if i % 3 else "no" for i in range(num_rows)]}


def fit_table(fit: Fit, path: Path, *args: str) -> Path:
    return fit(*table_flags(path), *args)


def test_validation_and_test_rows_teach_nothing(fit: Fit, tmp_path: Path) -> None:
    """Other numbers, names, dates and missing cells in them change neither the schema nor the weights."""
    columns = mixed_columns(300)
    before = make_table(tmp_path / "t.csv", columns)
    changed = {name: list(cells) for name, cells in columns.items()}
    for i in [*before.rows["val"].tolist(), *before.rows["test"].tolist()]:
        changed["amount"][i] = "" if i % 2 else "-1e6"
        changed["code"][i] = "" if i % 3 else "77.5"
        changed["plan"][i] = "" if i % 3 else "a new plan"
        changed["joined"][i] = "" if i % 3 else "1999-12-31"
        changed["member"][i] = ""
    after = make_table(tmp_path / "changed.csv", changed)
    assert after.schema == before.schema
    assert all((after.rows[split] == before.rows[split]).all() for split in before.rows)
    assert torch.equal(after.splits["train"].x, before.splits["train"].x)
    assert not torch.equal(after.splits["test"].x, before.splits["test"].x)
    short = ("--trainer.max_epochs", "2")
    assert_same_weights(*(fit_table(fit, tmp_path / name, *short) for name in ("t.csv", "changed.csv")), ["last"])
    columns["amount"][before.rows["train"][0]] = "-1e6"  # a training row does change the schema
    assert make_table(tmp_path / "t.csv", columns).schema != before.schema


def test_a_column_that_gives_the_target_away_is_warned_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    number, two, three = rng.normal(20, 5, 600), rng.choice(2, 600, p=[0.8, 0.2]), rng.choice(3, 600, p=[0.5, 0.3, 0.2])
    noise = {"noise": rng.normal(size=600)}
    for y in (two, three):
        columns = {
            "copy": y,
            "noisy copy": y + rng.normal(0, 0.1, 600),
            "relabelled": np.array(["north", "east", "west"])[y],
            "date of it": np.array(["2024-01-01", "2023-06-15", "2022-03-31"])[y],
            "honest": y + rng.normal(0, 0.5, 600),
            "honest name": np.where(rng.random(600) < 0.8, np.array(["a", "b", "c"])[y], "d"),
        }
        table = make_table(tmp_path / "t.csv", {**columns, **noise, "y": np.array(["no", "yes", "perhaps"])[y]})
        assert giveaways(table.splits["train"], table.schema) == {"copy", "noisy copy", "relabelled", "date of it"}
    columns = {
        "in other units": 1.8 * number + 32,
        "noisy copy": number + rng.normal(0, 0.1, 600),
        "reversed": -(number**3),
        "honest": number + rng.normal(0, 2, 600),
    }
    table = make_table(tmp_path / "t.csv", {**columns, **noise, "y": number})
    assert giveaways(table.splits["train"], table.schema) == {"in other units", "noisy copy", "reversed"}


def test_the_console_says_what_was_made_of_each_column(fit: Fit, tmp_path: Path, capsys: Capture) -> None:
    columns = mixed_columns(100)
    columns |= {"id": list(range(100)), "same": ["x"] * 100, "gone": [""] * 100, "leak": columns["y"]}
    columns["y"] = ["" if i == 50 else y for i, y in enumerate(columns["y"])]
    fit_table(fit, write_table(tmp_path / "t.csv", columns), "--trainer.max_epochs", "1", "--data.drop", "code")
    out, err = capsys.readouterr()
    kinds = {"amount": "number", "plan": "category", "joined": "date", "member": "boolean", "leak": "tells"}
    kinds |= {"id": "left out: identifier", "same": "left out: constant", "gone": "left out: empty"}
    for name, kind in {**kinds, "code": "left out: dropped"}.items():
        assert kind in next(line for line in out.splitlines() if f" {name} " in line)
    assert "1 of 100 rows have no target and are left out" in out
    assert "Warning" not in err


def test_a_schema_of_other_rows_is_refused(tmp_path: Path) -> None:
    """A file that was shuffled since would be tested on rows that trained the model."""
    columns = mixed_columns(200)
    learned = make_table(tmp_path / "t.csv", columns).schema
    same = Table(tmp_path / "t.csv", "y")
    same.schema = learned
    same.setup()
    assert len(same.splits["test"].x) == 40
    order = np.random.default_rng(0).permutation(200)
    shuffled = Table(write_table(tmp_path / "t.csv", {n: [c[i] for i in order] for n, c in columns.items()}), "y")
    shuffled.schema = learned
    with pytest.raises(ValueError, match="the data have changed"):
        shuffled.setup()


def test_a_flag_without_its_section(refused: Refused) -> None:
    refused(main, ["--path", "mine.csv"], "did you mean --data.path?")
    refused(main, ["--data", "mine.csv"], "--data Table --data.path mine.csv")


def test_boosting_takes_names_as_names(tmp_path: Path) -> None:
    """Classes that follow no order of the names: a tree that cuts their codes by size needs many cuts."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 200, 4000)
    labels = rng.permutation(200) < 100
    rows = "".join(f"name{cell},{rng.normal():.3f},{label}\n" for cell, label in zip(cells, labels[cells], strict=True))
    (tmp_path / "names.csv").write_text("name,noise,y\n" + rows)
    assert baseline_scores(read_table(tmp_path / "names.csv"))["gradient boosting"]["accuracy"] > 0.99


def test_boosting_takes_a_class_of_one_row(tmp_path: Path) -> None:
    """In as many rows as make scikit-learn stop early by itself, for which it draws rows of each class."""
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{'up' if x > 0 else 'down'},{'test' if x > 1 else 'train'}" for x in rng.normal(size=12_500)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,split", *lines, "9,once,train"]))
    table = read_table(tmp_path / "t.csv", split_column="split", val_fraction=0)
    assert table.schema.target.counts[1] == 1
    assert baseline_scores(table)["gradient boosting"]["accuracy"] == 1


def test_the_types_of_a_frame_count_beside_a_csv_file(tmp_path: Path) -> None:
    """What are numbers in the frame stay so, and digits in text stay names."""
    n = range(120)
    frame = pd.DataFrame({"n": [i * 7 % 31 for i in n], "c": [str(i % 9) for i in n], "y": [i * 3 % 25 for i in n]})
    frame.to_csv(tmp_path / "test.csv", index=False)
    tables = [read_table(frame, test_path=test) for test in (frame, tmp_path / "test.csv")]
    for table in tables:
        assert [finding.kind for finding in table.findings] == ["number", "category"]
        assert table.schema.target.kind == "number"
    torch.testing.assert_close(tables[1].splits["test"], tables[0].splits["test"], rtol=0, atol=0)


def test_a_text_for_what_is_missing_is_found_in_32_bits() -> None:
    frame = pd.DataFrame({"x": np.array([-999.9, 1.5, 2.5, 3.0] * 30, np.float32), "y": [*"abba"] * 30})
    (finding,) = read_table(frame, missing="-999.9", shuffle=False).findings
    assert finding.missing == 21  # of the 84 rows to train on


def test_a_zero_of_many_decimals_is_a_zero() -> None:
    zeros = pa.array([Decimal(i % 2) for i in range(120)], pa.decimal128(20, 8))
    table = read_table(pa.table({"x": [i % 7 + 0.5 for i in range(120)], "y": zeros}))
    assert table.schema.target.classes == ("0", "1")


def test_what_arrow_cannot_take_is_one_sentence() -> None:
    frame = pd.DataFrame({"x": pd.cut(np.arange(99.0), 4), "y": [*"abc"] * 33})
    with pytest.raises(ValueError, match=r"rows must come as a table .*interval"):
        read_table(frame)


BEST = ["--config", str(Path(__file__).parents[2] / "configs" / "table.yaml")]
"""The best net, with averaged weights."""


def test_averages_of_names_are_what_is_kept(fit: Fit, tmp_path: Path) -> None:
    """After its last validation ``max_steps`` ends the run."""
    rows = [f"{'abcdefgh'[i % 8]},n{i % 20},{'yes' if i % 8 % 2 + i % 20 % 3 > 1 else 'no'}\n" for i in range(500)]
    (tmp_path / "names.csv").write_text("".join(["letter,name,y\n", *rows]))
    flags = [*BEST, *table_flags(tmp_path / "names.csv"), "--data.batch_size", "16", "--trainer.max_epochs", "-1"]
    flags += ["--trainer.max_steps", "128"]
    early = "{class_path: EarlyStopping, init_args: {patience: 16}}"
    average = "{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}"
    run = fit(*flags, "--trainer.callbacks", f"[{average}, {early}]")
    metrics = read_report(run)["metrics"]
    assert metrics["accuracy"] == 1  # the names decide it
    model, data = load_best(run)[0], Table(str(tmp_path / "names.csv"), "y")  # a path as text will do

    def test() -> dict[str, float]:
        (tested,) = trainer().test(model, data, verbose=False)
        return {name.removesuffix("/test"): value for name, value in tested.items()}

    assert test() == metrics
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    model.load_state_dict(checkpoint["current_model_state"])  # those of the last step alone
    assert test()["log_loss"] != pytest.approx(metrics["log_loss"], rel=1e-3)


def test_the_file_and_its_target_are_asked_for(capsys: Capture) -> None:
    for missing, flag in (("path", "--data.target"), ("target", "--data.path")):
        assert main([*BEST, flag, "wine.csv"]) == 2
        assert capsys.readouterr().err == f"error: data: Table needs --data.{missing}\n"


def test_columns_can_have_brackets_in_their_names(fit: Fit, tmp_path: Path) -> None:
    rows = "".join(f"{'no' if i % 2 else 'yes'},{i},{i % 7}\n" for i in range(40))
    (tmp_path / "t.csv").write_text("[red],{0},x\n" + rows)
    flags = table_flags(tmp_path / "t.csv", "[red]")
    folder = fit(*flags, "--data.drop", "['{0}']", "--trainer.max_epochs", "1")
    schema = load_best(folder)[0].schema
    assert (schema.target.name, [column.name for column in schema.columns]) == ("[red]", ["x"])
