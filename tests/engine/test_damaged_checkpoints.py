"""Checkpoints that are damaged, or hold what they should not."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from project import train
from project.run_folder import load_best


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


CONTENTS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "no schema": (("hyper_parameters", "schema"), None),
    "an unknown kind of column": (("hyper_parameters", "schema", "columns", 0, "kind"), "Sound"),
    "classes that are numbers": (("hyper_parameters", "schema", "target", "classes"), [1, 2, 3]),
    "a decimal point that is a number": (("hyper_parameters", "schema", "decimal_point"), 0.5),
    "another net": (("hyper_parameters", "hidden_sizes"), [4]),
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
