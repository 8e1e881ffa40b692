"""A trained model as one graph, from the raw values of rows to probabilities, for other programs to run."""

import importlib.metadata
import io
import json
import logging
import re
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from project.encoder import Encoder
from project.models.base import TableModel, predictions
from project.schema import Category, Column, Date, Number, Schema
from project.table.cells import NUMBER, missing_texts, spellings
from project.table.files import free_name


class Pipeline(nn.Module):
    """Encoder, model, and the way from its outputs to probabilities or to numbers in the target's own unit.

    Args:
        models: A trained model; or several that take the same columns, of whose answers it gives the mean.
    """

    def __init__(self, *models: TableModel) -> None:
        super().__init__()
        self.schema, self.targets = models[0].schema, [model.schema.target for model in models]
        self.encoders = nn.ModuleList(Encoder(model.schema) for model in models)
        self.models = nn.ModuleList(models)
        marks = [text.replace(self.schema.decimal_point, ".") for text in self.schema.missing]
        self.marks = [float(mark) for mark in marks if re.match(NUMBER, mark)]
        self.are_numbers = [isinstance(c, Number) and not c.boolean for c in self.schema.columns]
        self.eval().requires_grad_(False)

    def forward(self, rows: Tensor) -> Tensor:
        """Predicts rows.

        Args:
            rows: As `Encoder` takes them, ``(batch, columns)``, float64.

        Returns:
            Probabilities, ``(batch, classes)``, or numbers, ``(batch,)``; float64.
        """
        for mark in self.marks:  # a number that means a missing value
            rows = torch.where((rows == mark) & torch.tensor(self.are_numbers), torch.nan, rows)
        parts = zip(self.models, self.encoders, self.targets, strict=True)
        found = [predictions(model(encoder(rows)).double(), target) for model, encoder, target in parts]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)


def trace(pipeline: Pipeline) -> ExportedProgram:
    """Traces a pipeline for batches of any size.

    Raises:
        ValueError: If the model does what no graph can say, such as to branch on a value.
    """
    rows = torch.zeros(2, len(pipeline.schema.columns), dtype=torch.float64)
    try:
        program = torch.export.export(pipeline, (rows,), dynamic_shapes=({0: Dim("batch")},))
    except Exception as error:  # it fails in many ways on a model that it cannot trace
        raise _refusal(pipeline, "torch.export", error) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program


def torch_file(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """A traced pipeline as a file for ``torch.export.load``, with the metadata as its extra file ``metadata.json``."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={"metadata.json": json.dumps(metadata, indent=2)})
    return content.getvalue()


def onnx_file(pipeline: Pipeline, program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """A traced pipeline as an ONNX file that takes every column by its name.

    Each input is ``(batch,)``: numbers, booleans (0 and 1) and dates (days since 1970-01-01) in float64, NaN where one
    is missing; names as strings, empty where one is missing. The output is ``probabilities`` or ``prediction``, with
    an underscore at its end if a column has that name.

    Args:
        pipeline: What was traced.
        program: Its graph.
        metadata: What the file says of itself, each entry as JSON.

    Raises:
        ValueError: If ONNX has no operator for what the model does, or a column has no name.
        ImportError: If onnx or onnxscript is missing.
    """
    import onnx
    from onnx import helper

    schema = pipeline.schema
    names = [column.name for column in schema.columns]
    if "" in names:
        raise ValueError("a column has no name, and an input of ONNX needs one: use --format torch")
    # No value of the graph may bear the name of a column.
    prefix = free_name("graph", {name.partition("/")[0] for name in names}) + "/"
    model = onnx.compose.add_prefix(_torch_to_onnx(pipeline, program), prefix)
    graph = model.graph
    axis = helper.make_tensor(f"{prefix}axis", onnx.TensorProto.INT64, [1], [1])
    inputs, front = _join_columns(schema, prefix, graph.input[0].name, axis.name)
    output = free_name("probabilities" if schema.target.classes else "prediction", names)
    shape: list[str | int | None] = ["batch", *([len(schema.target.classes)] if schema.target.classes else [])]
    outputs = [helper.make_tensor_value_info(output, onnx.TensorProto.DOUBLE, shape)]
    nodes = [*front, *graph.node, helper.make_node("Identity", [graph.output[0].name], [output])]
    for node in nodes:
        del node.metadata_props[:]  # the lines of code it came from
    graph.CopyFrom(helper.make_graph(nodes, "project", inputs, outputs, [*graph.initializer, axis]))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    opsets = {f"opset {opset.domain or 'ai.onnx'}": opset.version for opset in model.opset_import}
    metadata = {**metadata, "versions": {**metadata["versions"], "onnx": onnx.__version__, **opsets}}
    helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _torch_to_onnx(pipeline: Pipeline, program: ExportedProgram) -> Any:
    # It warns that torchvision is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    try:
        # Its optimizer takes a number below 1e-8 for a zero: the mean of a column or a target.
        exported = torch.onnx.export(program, dynamo=True, optimize=False, verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise _refusal(pipeline, "torch.onnx (--format torch may do)", error) from error
    assert exported is not None
    return exported.model_proto


def _join_columns(schema: Schema, prefix: str, rows: str, axis: str) -> tuple[list[Any], list[Any]]:
    """ONNX inputs and nodes that set the columns side by side, as `Encoder` takes them."""
    from onnx import TensorProto, helper

    inputs, nodes, parts = [], [], []
    for i, column in enumerate(schema.columns):
        values, code, part = column.name, f"{prefix}code{i}", f"{prefix}column{i}"
        unit = f" in days since 1970-01-01 {column.zone}".rstrip() if isinstance(column, Date) else ""
        kind, note = TensorProto.DOUBLE, f"{column_kind(column)}{unit}, NaN where missing"
        if isinstance(column, Category):
            kind, note = TensorProto.STRING, "category, empty where missing"
            codes = {s: np.nan for text in missing_texts(schema.missing) for s in spellings(text)}
            codes |= {s: c for c, value in enumerate(column.values) for s in spellings(value)}
            settings: Any = {"keys_strings": [*codes], "values_floats": [*codes.values()], "default_float": -1.0}
            nodes.append(helper.make_node("LabelEncoder", [values], [code], domain="ai.onnx.ml", **settings))
            values = f"{prefix}value{i}"
            nodes.append(helper.make_node("Cast", [code], [values], to=TensorProto.DOUBLE))
        inputs.append(helper.make_tensor_value_info(column.name, kind, ["batch"], note))
        nodes.append(helper.make_node("Unsqueeze", [values, axis], [part]))
        parts.append(part)
    return inputs, [*nodes, helper.make_node("Concat", parts, [rows], axis=1)]


def onnx_inputs(schema: Schema, rows: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """What an ONNX file takes for rows.

    Args:
        schema: The table's columns.
        rows: As `Encoder` takes them, ``(rows, columns)``.
    """
    inputs: dict[str, NDArray[Any]] = {}
    for column, values in zip(schema.columns, rows.T, strict=True):
        if isinstance(column, Category):
            unseen = free_name("unseen", [*column.values, *schema.missing])
            names = np.array([*column.values, "", unseen], dtype=object)  # code -1 is the last one
            values = names[np.where(np.isnan(values), len(column.values), values).astype(int)]
        inputs[column.name] = np.ascontiguousarray(values)
    return inputs


def describe(schema: Schema) -> dict[str, Any]:
    """What an exported file says of itself, in plain values.

    Returns:
        ``columns`` in the order of raw rows, each with its ``name`` and ``kind`` and, for a category, the ``values``
        whose indices are its codes, for times in a zone the ``zone``; the texts that mean a ``missing`` name;
        ``target`` with its ``name``, ``kind`` and ``label_type`` (see `Target`); ``classes`` in the order of the
        probabilities; and ``versions``.
    """
    columns = []
    for column in schema.columns:
        values: dict[str, Any] = {"values": list(column.values)} if isinstance(column, Category) else {}
        if isinstance(column, Date) and column.zone:
            values = {"zone": column.zone}
        columns.append({"name": column.name, "kind": column_kind(column), **values})
    target = {"name": schema.target.name, "kind": schema.target.kind, "label_type": schema.target.label_type}
    return {
        "columns": columns,
        "missing": missing_texts(schema.missing),
        "target": target,
        "classes": list(schema.target.classes),
        "versions": {"project": importlib.metadata.version("project"), "torch": torch.__version__},
    }


def column_kind(column: Column) -> str:
    """What a column is: ``number``, ``boolean``, ``date`` or ``category``."""
    return "boolean" if getattr(column, "boolean", False) else type(column).__name__.lower()


def _refusal(pipeline: Pipeline, tool: str, error: BaseException) -> ValueError:
    while error.__cause__ is not None:
        error = error.__cause__
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ValueError(f"{type(pipeline.models[0]).__name__} cannot be exported with {tool}: {reason}")
