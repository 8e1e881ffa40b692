"""The answers to ``--help``, made from the docstrings."""

import argparse
import inspect
import re

from lightning.pytorch import Trainer

from project.cli import Request
from project.config import SECTIONS, RunSettings, Section, arguments, combine
from project.layers import UsageError
from project.names import class_names, find_class
from project.optimizers import UNUSABLE

USAGE = """\
usage: python -m project.fit [--config FILE]... [--data NAME|FILE] [--data.KEY VALUE]...
                             [--model NAME|FILE] [--model.KEY VALUE]...
                             [--optimizer NAME|FILE] [--optimizer.KEY VALUE]...
                             [--scheduler NAME|FILE] [--scheduler.KEY VALUE]...
                             [--trainer.KEY VALUE]... [--seed N] [--name RUN] [--experiment NAME]
                             [--checkpoint_every N] [--resume RUN] [--print_config] [--help]

Trains a model, tests it, and leaves checkpoints, curves and a report in logs/EXPERIMENT/RUN.
Without arguments it does what configs/fit.yaml says.

  --config FILE         a YAML file of settings; several stack, later over earlier, and flags go over all
  --data, --model, --optimizer, --scheduler NAME|FILE
                        a class by its short name or import path, or a YAML file that names one; what an
                        earlier file set for another class is forgotten; --scheduler null for none
  --data.help [NAME]    what can be set for a class with --data.KEY VALUE; so too --model.help,
                        --optimizer.help, --scheduler.help and --trainer.help
  --resume RUN          go on with a run that was stopped, in its own folder, as if it never had been
  --print_config        show the whole configuration that results, and stop
"""


def help_text(request: Request) -> str:
    """The answer to ``--help`` and ``--<section>.help``.

    Raises:
        UsageError: If there is no such class to describe.
    """
    if not request.help:
        names = [f"  {name + ':':11} {', '.join(_usable(section))}" for name, section in SECTIONS.items()]
        lines = [USAGE, _settings(RunSettings, ""), "Short names:", *names]
        return "\n".join(
            [*lines, "", "Example: python -m project.fit --data Wine --optimizer SGD --optimizer.lr 0.1", ""]
        )
    if request.help == "trainer":
        return _settings(Trainer, "trainer.")
    section = SECTIONS[request.help]
    text = f"--{request.help} NAME, where NAME is an import path or one of these:\n{_listing(section)}"
    name = request.help_class
    if name is None:
        chosen = combine(request.layers)[request.help]
        if chosen is None:
            return text
        name = chosen["class_path"]
    try:
        cls = find_class(name, section.modules, section.base)
    except ValueError as error:
        raise UsageError(f"--{request.help}.help: {error}") from None
    settings = _settings(cls, f"{request.help}.", section.given, section.deduced)
    return f"{cls.__name__}: {settings}\n{text}"


def _usable(section: Section) -> dict[str, str]:
    names = class_names(section.modules, section.base)
    return {name: path for name, path in sorted(names.items()) if path not in UNUSABLE}


def _listing(section: Section) -> str:
    lines = []
    for name, path in _usable(section).items():
        summary = (inspect.getdoc(find_class(path, (), section.base)) or "").partition("\n")[0]
        lines.append(f"  {name:28}{summary}\n")
    return "".join(lines)


def _settings(
    cls: type, prefix: str, given: frozenset[str] = frozenset(), deduced: frozenset[str] = frozenset()
) -> str:
    """A class's summary and its constructor's arguments as flags."""
    parser, required = arguments(cls, given)
    defaults = parser.get_defaults()
    shown = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
    group = shown.add_argument_group((inspect.getdoc(cls) or cls.__name__).partition("\n\n")[0].rstrip("."))
    for action in parser._actions:
        if action.dest in defaults:
            default = "required" if action.dest in required - deduced else f"default: {defaults[action.dest]}"
            text = re.sub(r" \(default: [^)]*\)|\s*Default: \S+$", "", str(action.help or "")).replace("%", "%%")
            default = "" if default == "default: None" else f" [{default}]"
            group.add_argument(f"--{prefix}{action.dest}", metavar="VALUE", help=f"{text}{default}")
    return shown.format_help()
