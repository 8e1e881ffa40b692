"""Every model that there is can be exported."""

import io
from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from lightning.pytorch import seed_everything
from model_suite import NAMES, NUMBERS, make_schema

from project.classes import class_names, features, find_class
from project.encoder import Encoder
from project.export.__main__ import make_rows
from project.export.graph import Pipeline, describe, onnx_file, onnx_inputs, torch_file, trace
from project.models import TableModel
from project.models.base import predictions
from project.schema import Column

pytestmark = pytest.mark.lowest

MODELS = [
    find_class(path, (), TableModel) for path in class_names(("project.models", *features()), TableModel).values()
]


def make(model: type[TableModel], columns: Sequence[Column]) -> TableModel:
    seed_everything(0, verbose=False)
    return model(make_schema(model.target_kinds[0], tuple(columns))).eval()


def takes_names(model: type[TableModel]) -> bool:
    try:
        make(model, [*NUMBERS, NAMES])
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("model_class", MODELS)
def test_exported_files_give_the_same_predictions(model_class: type[TableModel]) -> None:
    """For one kind of target: what comes behind the model for the others is tested with the export itself."""
    model = make(model_class, [*NUMBERS, NAMES] if takes_names(model_class) else NUMBERS)
    pipeline, rows = Pipeline(model), make_rows(model.schema, 50)
    program, metadata = trace(pipeline), describe(model.schema)
    with torch.no_grad():
        outputs = model(Encoder(model.schema)(torch.from_numpy(rows)))
    expected = predictions(outputs.double(), model.schema.target)
    onnx = onnxruntime.InferenceSession(onnx_file(pipeline, program, metadata))
    program = torch.export.load(io.BytesIO(torch_file(program, metadata))).module()
    for exported in (onnx.run(None, onnx_inputs(model.schema, rows))[0], program(torch.from_numpy(rows)).numpy()):
        np.testing.assert_allclose(exported, expected, rtol=1e-5, atol=1e-5)


def test_a_model_of_names_is_among_them() -> None:
    assert [model.__name__ for model in MODELS if takes_names(model)] != []
