"""When checkpoints are written, and what is said of those that are damaged, or hold what they should not."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from project import train
from project.config import Layer, combine
from project.engine.checkpoints import PAUSES, AtomicCheckpointIO, read_whole
from project.errors import UsageError
from project.run_folder import load_best
from project.schema import Schema


def test_the_checkpoints_of_a_run_wait_for_each_other(tmp_path: Path) -> None:
    """The first is written at once, and what comes soon after it at the end, each as it was when it was saved last."""
    writer, (best, last) = AtomicCheckpointIO(), (tmp_path / f"{name}.ckpt" for name in ("best", "last"))
    weights = torch.zeros(1)
    for path in (last, best, last):
        writer.save_checkpoint({"weights": weights}, path)
        weights += 1
    assert read_whole(last, plain=True) == {"weights": 0}
    assert not best.exists()
    writer.teardown()
    assert [read_whole(path, plain=True) for path in (best, last)] == [{"weights": 1}, {"weights": 2}]


def test_the_best_one_is_written_with_the_last_one_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run of long epochs: a crash within the next one costs no more than that one."""
    writer, (best, last) = AtomicCheckpointIO(), (tmp_path / f"{name}.ckpt" for name in ("best", "last"))
    monkeypatch.setitem(PAUSES, "last.ckpt", 0.0)
    for epoch in (1, 2):
        writer.save_checkpoint({"epoch": epoch}, best)
        assert best.exists() == (epoch > 1)
        writer.save_checkpoint({"epoch": epoch}, last)
        assert [read_whole(path, plain=True)["epoch"] for path in (best, last)] == [epoch, epoch]


def test_a_checkpoint_of_another_name_is_written_at_once(tmp_path: Path) -> None:
    writer = AtomicCheckpointIO()
    for name in ("last.ckpt", "epoch=1.ckpt"):
        writer.save_checkpoint({"epoch": 1}, tmp_path / name)
        assert read_whole(tmp_path / name, plain=True) == {"epoch": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trainer = {"max_epochs": 1, "default_root_dir": tmp_path_factory.mktemp("logs")}
    run = train(data="Iris", model={"init_args": {"hidden_sizes": [3]}}, trainer=trainer, quiet=True)
    return run.folder / "checkpoints" / "best.ckpt"


def test_a_flipped_bit_is_noticed_or_changes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    content, whole = checkpoint.read_bytes(), load_best(checkpoint)[0]
    path, refused = tmp_path / "flipped.ckpt", 0
    for bit in np.random.default_rng(0).integers(8 * len(content), size=200).tolist():
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            model = load_best(path)[0]
        except ValueError:
            refused += 1
            continue
        assert model.schema == whole.schema
        torch.testing.assert_close(model.state_dict(), whole.state_dict(), rtol=0, atol=0)
    assert refused > 50  # the rest fell on padding and on dates of files


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_cut_file_is_named(part: float, checkpoint: Path, tmp_path: Path) -> None:
    content = checkpoint.read_bytes()
    (path := tmp_path / "cut.ckpt").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"cut\.ckpt is not a checkpoint of this package, or is damaged"):
        load_best(path)[0]


CONTENTS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "no schema": (("hyper_parameters", "schema"), None),
    "no columns": (("hyper_parameters", "schema", "columns"), 5),
    "an unknown kind of column": (("hyper_parameters", "schema", "columns", 0, "kind"), "Sound"),
    "a mean that is text": (("hyper_parameters", "schema", "columns", 0, "center"), "x"),
    "a scale that is a list": (("hyper_parameters", "schema", "columns", 0, "scale"), [1.0]),
    "a name that is a list": (("hyper_parameters", "schema", "columns", 0, "name"), ["x"]),
    "classes that are numbers": (("hyper_parameters", "schema", "target", "classes"), [1, 2, 3]),
    "a decimal point that is a number": (("hyper_parameters", "schema", "decimal_point"), 0.5),
    "another net": (("hyper_parameters", "hidden_sizes"), [4]),
    "no net": (("hyper_parameters", "hidden_sizes"), "wide"),
    "a class that is a number": (("model_class",), 5),
    "a class that is no model": (("model_class",), "torch.nn.Linear"),
    "no weights": (("state_dict",), {}),
}


@pytest.mark.parametrize(("place", "value"), CONTENTS.values(), ids=CONTENTS)
def test_wrong_content_is_one_sentence(place: tuple[Any, ...], value: Any, checkpoint: Path, tmp_path: Path) -> None:
    content = copy.deepcopy(torch.load(checkpoint, weights_only=True))
    inner = content
    for key in place[:-1]:
        inner[key] = list(inner[key]) if isinstance(inner[key], tuple) else inner[key]
        inner = inner[key]
    inner[place[-1]] = value
    torch.save(content, path := tmp_path / "wrong.ckpt")
    with pytest.raises(ValueError, match=r"wrong\.ckpt does not hold what it should: ") as error:
        load_best(path)[0]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "place", [("model_class",), ("hyper_parameters", "optimizer"), ("hyper_parameters", "scheduler")]
)
def test_a_class_from_elsewhere_is_not_imported(
    place: tuple[str, ...], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model takes its optimizer by name alone, too, and a configuration YAML within a text."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "stranger.py").write_text("raise SystemExit('it was run')\n")
    content = torch.load(checkpoint, weights_only=True)
    (content if len(place) == 1 else content[place[0]])[place[-1]] = "stranger.Thing"
    torch.save(content, path := tmp_path / "strange.ckpt")
    with pytest.raises(UsageError, match=r"names stranger\.Thing, a class from elsewhere: .*--import stranger"):
        load_best(path)
    hidden = "{class_path: stranger.Thing}"
    for named in ({"optimizer": hidden}, {"trainer": {**content["config"]["trainer"], "strategy": hidden}}):
        with pytest.raises(UsageError, match=r"names stranger\.Thing, a class from elsewhere: .*--import stranger"):
            combine([Layer(content["config"] | named, str(path), trusted=False)])


@pytest.mark.parametrize(("kind", "classes"), [("binary", ["no"]), ("binary", []), ("number", ["no", "yes"])])
def test_a_target_has_the_classes_of_its_kind(kind: str, classes: list[str]) -> None:
    """The weights of one output fit all of these."""
    target = {"name": "y", "kind": kind, "classes": classes, "center": 0.0, "scale": 1.0, "counts": []}
    values = {"columns": [], "target": target | {"label_type": "string"}, "missing": [], "decimal_point": "."}
    with pytest.raises(ValueError, match=f"a target that is {kind} cannot have {len(classes)} classes"):
        Schema.from_dict(values)
