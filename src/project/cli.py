"""The command line: flags, and errors in one sentence."""

import argparse
import atexit
import gc
import inspect
import logging
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import SGD

from project.classes import class_names, find_class
from project.config import (
    COMMAND_LINE,
    RUN_SETTINGS,
    SECTIONS,
    Layer,
    RunSettings,
    Section,
    arguments,
    combine,
    read_layer,
)
from project.errors import Diverged, UsageError, nearest
from project.models import FeedForward
from project.optimizers import UNUSABLE
from project.table import Table

atexit.register(gc.freeze)  # else Python ends by looking through all of torch for cycles, which takes it a second

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


@dataclass
class Request:
    """What a command line asks for.

    Attributes:
        layers: The files, in order, and then the flags.
        resume: The run to go on with.
        print_config: Whether only to show the configuration.
        help: The section to describe, or an empty string for all; None for no help.
        help_class: The class to describe.
    """

    layers: list[Layer] = field(default_factory=list)
    resume: str | None = None
    print_config: bool = False
    help: str | None = None
    help_class: str | None = None


def read_flags(args: Sequence[str]) -> Request:
    """Reads a command line; every flag is written out, as ``--name value`` or ``--name=value``.

    Raises:
        UsageError: If a flag is not known or its value is missing.
    """
    request = Request()
    names, settings = Layer({}, COMMAND_LINE), Layer({}, COMMAND_LINE)  # names first: they replace what was set
    rest = list(args)
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if flag in ("-h", "--help"):
            request.help = ""
            return request
        if flag == "--print_config" and not has_value:
            request.print_config = True
            continue
        if not flag.startswith("--"):
            raise UsageError(f"'{flag}' is no flag; flags begin with --")
        name = flag[2:]
        section, _, key = name.partition(".")
        if key == "help" and (section in SECTIONS or section == "trainer"):
            request.help = section
            request.help_class = value or (rest.pop(0) if rest and not rest[0].startswith("-") else None)
            continue
        if not has_value:
            if not rest or rest[0].startswith("--"):
                raise UsageError(f"{flag} needs a value")
            value = rest.pop(0)
        if not value:
            raise UsageError(f"{flag} needs a value")
        if name == "config":
            request.layers.append(read_layer(value))
        elif name == "resume":
            request.resume = value
        elif section in SECTIONS and not key:
            names.content[section] = parsed(flag, value)
        elif key and (section in SECTIONS or section == "trainer"):
            _set(settings.content, _path(section, key), parsed(flag, value))
        elif section in RUN_SETTINGS and not key:
            settings.content[section] = value
        else:
            flags = ["config", "resume", "print_config", "help", *SECTIONS, "trainer.KEY", *RUN_SETTINGS]
            for place, cls in (("data", Table), ("model", FeedForward), ("optimizer", SGD), ("trainer", Trainer)):
                if name in inspect.signature(cls).parameters:
                    raise UsageError(f"{flag} is not accepted; did you mean --{place}.{name}?")
            raise UsageError(f"{flag} is not accepted; {nearest(section, flags).replace('mean ', 'mean --')}")
    request.layers += [layer for layer in (names, settings) if layer.content]
    return request


def parsed(flag: str, value: str) -> Any:
    """A list or mapping from its text; anything else is left to the type of the setting."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"{flag} {value} is no valid list or mapping") from None


def _path(section: str, key: str) -> list[str]:
    """Where a flag's value belongs in a file: ``data.batch_size`` is ``data.init_args.batch_size``."""
    keys = key.split(".")
    return [section, *keys] if section == "trainer" or keys[0] == "init_args" else [section, "init_args", *keys]


def _set(content: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            raise UsageError(f"--{'.'.join(path)} goes into what another flag set to {content}")
    content[path[-1]] = value


class CommandParser(argparse.ArgumentParser):
    """Reads the arguments of a command that takes files rather than settings.

    Args:
        module: The command's module.
        description: What it does.
    """

    def __init__(self, module: str, description: str) -> None:
        super().__init__(f"python -m {module}", description=description, allow_abbrev=False)
        self.formatter_class = argparse.RawDescriptionHelpFormatter

    def parse_run(self, args: Sequence[str]) -> tuple[argparse.Namespace, Request]:
        """Reads a command line that has flags of `project.fit` among this command's own.

        Raises:
            UsageError: If a flag is not known, or its value cannot be.
        """
        options, others = self.parse_known_args(args)
        for name, value in vars(options).items():
            if value == "":
                raise UsageError(f"--{name.replace('_', '-')} needs a value")
        if getattr(options, "jobs", None) is not None and options.jobs < 1:
            raise UsageError(f"--jobs must be 1 or more, not {options.jobs}")
        for flag in [argument.partition("=")[0] for argument in others]:
            name = flag.removeprefix("--").partition(".")[0]
            known = name in SECTIONS or name in RUN_SETTINGS or name in ("trainer", "config", "resume", "print_config")
            if flag.startswith("--") and not known and (meant := self._nearest(flag)):
                raise UsageError(f"{flag} is not accepted; did you mean {meant}?")
        return options, read_flags(others)

    def _nearest(self, flag: str) -> str | None:
        own = [name for action in self._actions for name in action.option_strings]
        return next(iter(get_close_matches(flag, own, n=1, cutoff=0.8)), None)

    def error(self, message: str) -> NoReturn:
        """Raises a usage error instead of printing two lines and leaving."""
        _, unknown, others = message.partition("unrecognized arguments: ")
        if unknown and (meant := self._nearest(flag := others.split()[0].partition("=")[0])):
            raise UsageError(f"{flag} is not accepted; did you mean {meant}?")
        raise UsageError(f"{message}; see {self.prog} --help")


def run_command(command: Callable[[Sequence[str]], int], args: Sequence[str] | None) -> int:
    """Runs a command and turns what a user can mend into one sentence on standard error.

    Args:
        command: Takes the arguments and returns the exit status.
        args: The arguments; by default the process's own.

    Returns:
        The exit status: 2 for a wrong command line or file, 1 for a run that failed. With ``python -X dev`` errors
        are raised with their traceback.
    """
    silence()
    try:
        return command(sys.argv[1:] if args is None else args)
    except BrokenPipeError:  # whoever read the output, such as head, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, RuntimeError, ImportError, ArithmeticError, MisconfigurationException) as error:
        if sys.flags.dev_mode:
            raise
        message = str(error) if isinstance(error, UsageError) else " ".join(str(error).splitlines())  # of cells, too
        print(f"error: {message}", file=sys.stderr)
        if isinstance(error, RuntimeError | ImportError | ArithmeticError) and not isinstance(error, Diverged):
            print("(python -X dev -m ... shows where in the code)", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning answers Ctrl-C and SIGTERM with SystemExit
        if getattr(stop, "code", None) == 0:  # argparse has shown its help
            return 0
        print("stopped", file=sys.stderr)
        return 143 if isinstance(stop, SIGTERMException) else 130


def next_command(module: str, path: Path) -> str:
    """A command as it can be typed here, with or without the virtual environment activated."""
    python = "python" if shutil.which("python") == sys.executable else shown(Path(sys.executable))
    return f"{python} -m {module} {shown(path)}"


def shown(path: Path) -> str:
    """A path as it can be typed here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def silence() -> None:
    """Keeps Lightning's advertisements, and warnings that don't apply here, off the console."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\)",  # Lightning calls what torch has deprecated
        r"The number of training batches",  # losses are logged at each epoch's end, too
        r"`ModelCheckpoint\(monitor=.*could not find the monitored key",  # not before an epoch has ended
        r"Glyph \d+ ",  # a class's name in letters that the pictures' font lacks
        r"Checkpoint directory .* exists and is not empty",  # a resumed run goes on there
    ):
        warnings.filterwarnings("ignore", message=message)


def help_text(request: Request) -> str:
    """The answer to ``--help`` and ``--<section>.help``.

    Raises:
        UsageError: If there is no such class to describe.
    """
    if not request.help:
        names = [f"  {name + ':':11} {', '.join(_usable(section))}" for name, section in SECTIONS.items()]
        lines = [USAGE, _flags_of(RunSettings, ""), "Short names:", *names]
        return "\n".join(
            [*lines, "", "Example: python -m project.fit --data Wine --optimizer SGD --optimizer.lr 0.1", ""]
        )
    if request.help == "trainer":
        return _flags_of(Trainer, "trainer.")
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
    settings = _flags_of(cls, f"{request.help}.", section.given, section.deduced)
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


def _flags_of(
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
