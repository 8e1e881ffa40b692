"""The schema by which editors check the files in configs/ says what the program says of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from project.config import SECTIONS, arguments, combine
from project.json_schema import main, make_schema
from project.layers import COMMAND_LINE, Layer, UsageError
from project.names import class_names, find_class
from project.optimizers import UNUSABLE

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))
Validate = Callable[[Any], Any]


@pytest.fixture(scope="module")
def validate() -> Validate:
    return fastjsonschema.compile(json.loads((CONFIGS / "schema.json").read_text(encoding="utf-8")))


def test_the_file_is_current() -> None:
    """With other versions of PyTorch and Lightning, what is ours in it."""
    there, here = (
        json.loads((CONFIGS / "schema.json").read_text(encoding="utf-8")),
        json.loads(json.dumps(make_schema())),
    )
    if there["$comment"] != here["$comment"]:
        for schema in (there, here):
            theirs = [path for path in schema["definitions"] if path.startswith(("torch.", "lightning."))]
            for path in (*theirs, "Optimizer", "LRScheduler", "Callback", "Profiler"):
                del schema["definitions"][path]
            del schema["$comment"], schema["then"], schema["else"]["properties"]["trainer"]
    assert there == here, "run make schema"


def test_the_command_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("project.json_schema.ROOT", tmp_path)
    (tmp_path / "configs").mkdir()
    assert main([]) == 0
    assert json.loads((tmp_path / "configs" / "schema.json").read_text()) == json.loads(json.dumps(make_schema()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_the_schema_and_is_valid(path: Path, validate: Validate) -> None:
    text = path.read_text(encoding="utf-8")
    start, _, schema = text.partition("\n")[0].partition("=")
    assert start == "# yaml-language-server: $schema"
    assert (path.parent / schema).samefile(CONFIGS / "schema.json")
    validate(yaml.safe_load(text))


def classes(section: str) -> list[str]:
    """Those that can be used without any setting."""
    part = SECTIONS[section]
    return [
        name
        for name, path in class_names(part.modules, part.base).items()
        if path not in UNUSABLE and not arguments(find_class(path, (), part.base), part.given)[1] - part.deduced
    ]


@pytest.mark.parametrize(("section", "name"), [(section, name) for section in SECTIONS for name in classes(section)])
def test_a_run_s_config_is_valid(section: str, name: str, validate: Validate) -> None:
    """With every default written out, and every class by its import path, as in a run's config.yaml."""
    validate(combine([Layer({section: name}, "file")]))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "scheduler: null",
        "model: {init_args: {dropout: 0.1}}",
        "optimizer: optimizers/muon.yaml",
        "optimizer: {class_path: project.muon.MuonWithAdamW, init_args: {lr: 1}}",
        "data: {class_path: Table, init_args: {path: a.csv, target: b, drop: [a, b], batch_size: full}}",
        "trainer: {callbacks: LearningRateMonitor, logger: false, profiler: simple, precision: bf16-mixed}",
        "trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.Timer, init_args: {duration: {hours: 1}}}]}",
    ],
)
def test_it_allows_what_the_program_takes(text: str, validate: Validate) -> None:
    content = yaml.safe_load(text)
    combine([Layer(content, COMMAND_LINE, CONFIGS)])
    validate(content)


@pytest.mark.parametrize(
    "text",
    [
        "modle: FeedForward",
        "seed: one",
        "data: Wien",
        "data: {class_path: Wine, init_arg: {seed: 1}}",
        "data: {class_path: Wine, init_args: {batch_size: all}}",
        "data: {class_path: Wine, init_args: {val_frac: 0.1}}",
        "data: {class_path: project.data.Wine, init_args: {val_frac: 0.1}}",
        "model: {class_path: FeedForward, init_args: {hidden_sizes: 32}}",
        "model: {class_path: FeedForward, init_args: {activation: Relu}}",
        "optimizer: {class_path: Adam, init_args: {lr: fast}}",
        "optimizer: {class_path: Adam, init_args: {momentum: 0.9}}",
        "optimizer: {class_path: torch.optim.SGD, init_args: {momentun: 0.9}}",
        "scheduler: {class_path: ReduceLROnPlateau, init_args: {mode: low}}",
        "trainer: {max_epoch: 3}",
        "trainer: {max_epochs: ten}",
        "trainer: {callbacks: [{class_path: EarlyStoping, init_args: {monitor: loss/val}}]}",
        "trainer: {callbacks: [{class_path: EarlyStopping, init_args: {monitor: loss/val, patients: 3}}]}",
    ],
)
def test_it_refuses_what_the_program_refuses(text: str, validate: Validate) -> None:
    content = yaml.safe_load(text)
    with pytest.raises(UsageError):
        combine([Layer(content, COMMAND_LINE)])
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validate(content)


@pytest.mark.parametrize("setting", ["lrr: 1", "lr: fast"])
def test_it_refuses_a_wrong_setting_in_a_file_of_one_class(setting: str, validate: Validate) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        validate(yaml.safe_load(f"{{class_path: Adam, init_args: {{{setting}}}}}"))
