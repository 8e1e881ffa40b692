"""``python -m project.json_schema``: writes ``configs/schema.json``, by which editors complete and check YAML files."""

import importlib.metadata
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from lightning.pytorch import Trainer
from torch import Tensor

from project.cli import VerbParser, run_command, shown
from project.config import NESTED_MODULES, ROOT, SECTIONS, RunSettings, Section, arguments
from project.names import class_names, class_path, find_class
from project.optimizers import UNUSABLE

DESCRIPTION = """\
Writes configs/schema.json, by which an editor completes and checks the YAML files in configs/ (their first line names
it). It is made from what checks the files when they are used. Write it anew after a change of a setting, a class, or
the versions of PyTorch and Lightning.
"""
NESTED = tuple(module for module in NESTED_MODULES if not module.endswith(".loggers"))
"""Not the loggers, most of which are for services on the network."""

Json = dict[str, Any]
PLAIN: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    VerbParser("project.json_schema", DESCRIPTION).parse_args(args)
    path = ROOT / "configs" / "schema.json"
    text = json.dumps(make_schema(), indent=1, allow_nan=False)
    # What holds nothing else goes on one line.
    text = re.sub(r"(?<=[\[{])\n[^\[\]{}]+(?=[\]}])", lambda inner: re.sub(r"\s*\n\s*", " ", inner[0]).strip(), text)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"Wrote {shown(path)}")
    return 0


def make_schema() -> Json:
    """The schema of a run's file, and of a file that names one class with its settings; JSON Schema draft 7."""
    definitions: Json = {}
    run = _settings(RunSettings, definitions)
    for name, section in SECTIONS.items():
        run["properties"][name] = _class(section, definitions)
    run["properties"]["scheduler"] = {"anyOf": [run["properties"]["scheduler"], {"type": "null"}]}
    run["properties"]["trainer"] = _settings(Trainer, definitions)
    # example: begin
    run["properties"]["compare"] = {"type": "object"}
    # example: end
    run["properties"]["tune"] = {"type": "object"}
    versions = [f"{name} {importlib.metadata.version(name).partition('+')[0]}" for name in ("torch", "lightning")]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"Written by python -m project.json_schema, with {' and '.join(versions)}.",
        "if": {"required": ["class_path"]},
        "then": _mapping({name: path for section in SECTIONS.values() for name, path in _classes(section).items()}),
        "else": run,
        "definitions": definitions,
    }


def _classes(section: Section) -> dict[str, str]:
    """Import paths of the classes that can be used, by their short names and in the order of these."""
    names = sorted(class_names(section.modules, section.base))
    paths = {name: class_path(find_class(name, section.modules, section.base)) for name in names}
    return {name: path for name, path in paths.items() if path not in UNUSABLE}


def _class(section: Section, definitions: Json) -> Json:
    """A class: by its name, an import path or a file, or as a mapping. Its settings, if known, become definitions."""
    classes, name = _classes(section), section.base.__name__
    if not classes:
        return {}
    if name not in definitions:
        definitions[name] = {"anyOf": [_name(classes), _mapping(classes)]}
        for path in classes.values():
            definitions[path] = _settings(find_class(path, (), section.base), definitions, section.given)
    return {"$ref": f"#/definitions/{name}"}


def _name(classes: Mapping[str, str]) -> Json:
    return {"anyOf": [{"enum": [*classes, *classes.values()]}, {"type": "string", "pattern": r"\."}]}


def _mapping(classes: Mapping[str, str]) -> Json:
    """``class_path`` and ``init_args``; of a class that is not known, any."""
    checks = [
        {
            "if": {"properties": {"class_path": {"enum": [name, path]}}, "required": ["class_path"]},
            "then": {"properties": {"init_args": {"$ref": f"#/definitions/{path}"}}},
        }
        for name, path in classes.items()
    ]
    properties = {"class_path": _name(classes), "init_args": {"type": ["object", "null"]}}
    return {"type": "object", "properties": properties, "additionalProperties": False, "allOf": checks}


def _settings(cls: type, definitions: Json, given: frozenset[str] = frozenset()) -> Json:
    """The arguments of a class's constructor. No argument is required, for files lie over one another."""
    parser, _ = arguments(cls, given)
    defaults, properties = parser.get_defaults().as_dict(), {}
    for action in parser._actions:
        if action.dest in defaults:
            schema = _type(getattr(action, "_typehint", Any), definitions)
            if choices := getattr(cls, "choices", {}).get(action.dest):
                schema = {"enum": [*sorted(choices), None]}
            if action.help:
                schema["description"] = " ".join(action.help.split())
            if (default := defaults[action.dest]) is not None and not callable(default):
                schema["default"] = json.loads(json.dumps(default, default=str))
            properties[action.dest] = schema
    summary = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return {"description": summary, "type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _type(hint: Any, definitions: Json) -> Json:
    """What a file may hold for a type; for one that is not known, anything."""
    origin, args = get_origin(hint) or hint, get_args(hint)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, UnionType):
        return {"anyOf": [_type(part, definitions) for part in args if part is not Tensor]}  # no file holds a tensor
    if origin in (Callable, Path):
        return {"type": "string"}
    if hint in (Any, object) or not isinstance(origin, type):
        return {}
    if issubclass(origin, Mapping):
        return {"type": "object"}
    if issubclass(origin, Iterable):
        return {"type": "array", "items": _type(args[0], definitions) if args and origin is not tuple else {}}
    return _class(Section(origin, NESTED), definitions)


if __name__ == "__main__":
    sys.exit(main())
