"""What is expected of every model: tests that a class inherits."""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from quiet import trainer
from torch import Tensor

from project.data import BatchLoader
from project.encoder import Encoder
from project.models import TableModel
from project.run_folder import load_best
from project.schema import Category, Column, Number, Schema, Target

NUMBERS = tuple(Number(f"x{i}", center=0.5 * i, scale=2.0, fill=0.5 * i) for i in range(16))
NAMES = Category("colour", ("blue", "green", "red"), rare=True, missing=True)
TARGETS = {
    "binary": Target("y", "binary", ("no", "yes"), counts=(30, 10)),
    "multiclass": Target("y", "multiclass", ("a", "b", "c"), counts=(10, 20, 10)),
    "number": Target("y", "number", (), 150.0, 70.0),
}
NUM_OUTPUTS = {"binary": 1, "multiclass": 3, "number": 1}


def make_schema(kind: str = "binary", columns: tuple[Column, ...] = NUMBERS) -> Schema:
    return Schema(columns, TARGETS[kind])


def make_batch(schema: Schema, num_rows: int) -> tuple[Tensor, Tensor]:
    """Encoded rows by chance, some of their values missing, with targets that have nothing to do with them."""
    rng = np.random.default_rng(0)
    rows = [
        rng.integers(-1, len(column.values), num_rows)  # -1 is a name that is not known
        if isinstance(column, Category)
        else rng.normal(column.center, column.scale, num_rows)
        for column in schema.columns
    ]
    raw = np.stack(rows, axis=1).astype(np.float64)
    raw[rng.random(raw.shape) < 0.1] = np.nan
    x = Encoder(schema)(torch.from_numpy(raw))
    y, target = torch.arange(num_rows), schema.target
    if target.kind == "number":
        return x, torch.sin(y)
    return x, (y % len(target.classes)).to(torch.int64 if target.kind == "multiclass" else torch.float32)


class ModelSuite:
    """Tests of a model, for each kind of target that it can predict.

    A subclass named ``Test...`` sets the attributes:

    Attributes:
        model: The model's class.
        settings: Arguments for its constructor.
        columns: The table's columns: by default sixteen numbers and one column of names.
    """

    model: type[TableModel]
    settings: ClassVar[dict[str, Any]] = {}
    columns: tuple[Column, ...] = (*NUMBERS, NAMES)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", self.model.target_kinds)

    def make(self, kind: str) -> TableModel:
        adam = partial(torch.optim.Adam, lr=0.01)
        seed_everything(0, verbose=False)
        return self.model(make_schema(kind, self.columns), optimizer=adam, **self.settings)

    def train(self, kind: str) -> tuple[TableModel, Trainer]:
        """Trains for two epochs of three batches."""
        model = self.make(kind)
        run = trainer()
        x, y = make_batch(model.schema, 24)
        run.fit(model, BatchLoader(x, y, batch_size=8, seed=0), BatchLoader(x, y, batch_size=24))
        return model.eval(), run

    def test_gives_an_output_for_each_class_but_one_for_two_classes_or_a_number(self, kind):
        outputs = self.make(kind).eval()(make_batch(make_schema(kind, self.columns), 5)[0])
        assert (outputs.shape, outputs.dtype) == ((5, NUM_OUTPUTS[kind]), torch.float32)
        assert outputs.isfinite().all()

    def test_the_gradient_reaches_every_parameter(self, kind):
        model = self.make(kind)
        x, y = make_batch(model.schema, 64)
        model.loss(model(x), y).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []

    def test_learns_one_batch_by_heart(self, kind):
        model = self.make(kind)
        x, y = make_batch(model.schema, 8)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        before = model.eval().loss(model(x), y).item()
        model.train()
        for _ in range(200):
            optimizer.zero_grad()
            model.loss(model(x), y).backward()
            optimizer.step()
        assert model.eval().loss(model(x), y).item() < 0.1 * before

    def test_the_same_seed_gives_the_same_bits(self, kind):
        first, second = (self.train(kind)[0].state_dict() for _ in range(2))
        assert all(torch.equal(first[name], second[name]) for name in first)

    def test_a_checkpoint_brings_the_model_back(self, kind, tmp_path: Path):
        model, run = self.train(kind)
        run.save_checkpoint(tmp_path / "model.ckpt")
        loaded = load_best(tmp_path / "model.ckpt")[0]
        assert type(loaded) is self.model
        x, _ = make_batch(model.schema, 50)
        assert torch.equal(loaded(x), model(x))
