"""The command line: flags, help made from docstrings, and errors in one sentence.

usage: python -m project.fit [--config FILE]... [--data NAME|FILE] [--data.KEY VALUE]...
                             [--model NAME|FILE] [--model.KEY VALUE]...
                             [--optimizer NAME|FILE] [--optimizer.KEY VALUE]...
                             [--scheduler NAME|FILE] [--scheduler.KEY VALUE]...
                             [--trainer.KEY VALUE]... [--seed N] [--name RUN] [--experiment NAME]
                             [--monitor TAG] [--checkpoint_every N] [--lean false] [--resume RUN] [--import MODULE]...
                             [--print_config] [--help]

Trains a model, tests it, and leaves checkpoints, curves and a report in logs/EXPERIMENT/RUN.
Without arguments it does what configs/fit.yaml says.

  --config FILE         a YAML file of settings; several stack, later over earlier, and flags go over all
  --data, --model, --optimizer, --scheduler NAME|FILE
                        a class by its short name or import path, or a YAML file that names one; what an
                        earlier file set for another class is forgotten; --scheduler null for none
  --data.help [NAME]    what can be set for a class with --data.KEY VALUE; so too --model.help,
                        --optimizer.help, --scheduler.help and --trainer.help
  --resume RUN          go on with a run that was stopped, in its own folder, as if it never had been
  --import MODULE       with --resume: a module with classes of your own that the run uses
  --print_config        show the whole configuration that results, and stop

Example: python -m project.fit --data Wine --optimizer SGD --optimizer.lr 0.1
"""

import argparse
import atexit
import gc
import inspect
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from project.classes import class_names, class_path, features
from project.config import COMMAND_LINE, SECTIONS, Layer, RunSettings, arguments, lay, read_layer
from project.errors import Diverged, UsageError, nearest, printable
from project.optimizers import UNUSABLE


@dataclass
class Request:
    """What a command line asks for.

    Attributes:
        layers: The files, in order, and then the flags.
        resume: The folder of the run to go on with.
        print_config: Whether only to show the configuration.
    """

    layers: list[Layer] = field(default_factory=list)
    resume: Path | None = None
    print_config: bool = False


def read_flags(args: Sequence[str], others: Sequence[str] = ()) -> Request:
    """Reads a command line; every flag is written out, as ``--name value`` or ``--name=value``.

    Args:
        args: The command line.
        others: Flags that the command has besides, for messages.

    Raises:
        UsageError: If a flag is not known or its value is missing.
        SystemExit: If it asks for help, which is printed, with what stands before it.
    """
    request, rest = Request(), list(args)
    names, settings = list[Layer](), list[Layer]()
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if not has_value and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        section, _, key = flag.removeprefix("--").partition(".")
        if flag in ("-h", "--help") or (key == "help" and section in (*SECTIONS, "trainer")):
            print(help_text(section if key else "", value, [*request.layers, *names, *settings]), end="")
            raise SystemExit(0)
        if not flag.startswith("--"):
            raise UsageError(f"'{flag}' is no flag; flags begin with --")
        if bool(value) is (flag == "--print_config"):
            raise UsageError(f"{flag} {'takes no' if value else 'needs a'} value")
        if flag == "--print_config":
            request.print_config = True
        elif flag == "--config":
            request.layers.append(read_layer(value))
        elif flag == "--import":
            import_module(value)
        elif flag == "--resume":
            request.resume = Path(value).resolve()
        elif section in (*SECTIONS, "trainer") or flag[2:] in arguments(RunSettings)[1]:
            said = {key.removeprefix("init_args."): value} if key else value
            content = {section: {"init_args": said} if key and section in SECTIONS else said}
            (settings if key else names).append(Layer(content, COMMAND_LINE))
        else:
            raise UsageError(f"{flag} is not accepted; {_meant(flag, others)}")
    request.layers += names + settings  # a class replaces the settings of the one before
    return request


def _meant(flag: str, others: Sequence[str]) -> str:
    """What may be meant by a flag that is not known: one of the command's own, a setting without its section, ..."""
    flag = {"--epochs": "--max_epochs"}.get(flag, flag)  # OneCycleLR has epochs, too
    if close := get_close_matches(flag, others, n=1, cutoff=0.8):
        return f"did you mean {close[0]}?"
    places = {**{name: _classes(name).values() for name in SECTIONS}, "trainer": [Trainer]}
    meant = [name for name, classes in places.items() if any(flag[2:] in arguments(cls)[1] for cls in classes)]
    if meant:
        return f"did you mean --{meant[0]}.{flag[2:]}?"
    names = ["config", "resume", "import", "print_config", "help", *SECTIONS, "trainer.KEY", *arguments(RunSettings)[1]]
    return nearest(flag, [*(f"--{name}" for name in names), *others])


def as_command(main: Callable[[Sequence[str]], int]) -> Callable[..., int]:
    """Makes a function a command, which turns what a user can mend into one sentence on standard error.

    Args:
        main: Takes the arguments and returns the exit status.

    Returns:
        The command: of arguments, by default the process's own, it gives the exit status: 2 for a wrong command line
        or file, 1 for a run that failed. With ``python -X dev`` errors are raised with their traceback.
    """

    @wraps(main)
    def run(args: Sequence[str] | None = None) -> int:
        silence()
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # Else Python ends by looking through all of torch for cycles, which takes it a second.
        atexit.register(gc.freeze)
        try:
            return main(sys.argv[1:] if args is None else args)
        except BrokenPipeError:  # whoever read the output, such as head, has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except (ValueError, OSError, RuntimeError, ImportError, ArithmeticError, MisconfigurationException) as error:
            if sys.flags.dev_mode:
                raise
            # Lines may be those of a cell, too.
            message = str(error) if isinstance(error, UsageError) else " ".join(str(error).splitlines())
            # Which let the processes of a run on several devices talk.
            if isinstance(error, RuntimeError) and re.search(r"gloo|NCCL.*(abort|closed|remote|reset)", message):
                message = f"another process of the run has ended ({message[:100]} ...)"
            print(f"error: {printable(message)}", file=sys.stderr)
            if isinstance(error, RuntimeError | ImportError | ArithmeticError) and not isinstance(error, Diverged):
                print("(python -X dev -m ... shows where in the code)", file=sys.stderr)
            return 2 if isinstance(error, UsageError) else 1
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning answers Ctrl-C and SIGTERM with SystemExit
            if (code := getattr(stop, "code", None)) in (0, 2):  # argparse has shown its help, or said what is wrong
                return int(code)
            print("stopped", file=sys.stderr)
            return 143 if isinstance(stop, SIGTERMException) else 130

    return run


def next_command(module: str, path: Path) -> str:
    """A command as it can be typed here, with or without the virtual environment activated."""
    python = "python" if shutil.which("python") == sys.executable else shown(Path(sys.executable))
    return f"{python} -m {module} {shown(path)}"


def shown(path: Path) -> str:
    """A path as it can be typed here."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def silence() -> None:
    """Keeps Lightning's advertisements, and warnings that don't apply here, off the console."""
    for part in ("fabric", "pytorch"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\)",  # Lightning calls what torch has deprecated
        r"The '\w+' does not have many workers",  # batches are cut from tensors, by one process
        r"The number of training batches",  # losses are logged at each epoch's end, too
        r"`ModelCheckpoint\(monitor=.*could not find the monitored key",  # not before an epoch has ended
        r"The number of unique classes is greater than 50%",  # they are classes, nevertheless
        r"Glyph \d+ ",  # a class's name in letters that the pictures' font lacks
        r"Checkpoint directory .* exists and is not empty",  # a resumed run goes on there
    ):
        warnings.filterwarnings("ignore", message=message)


def help_text(name: str, described: str, layers: Sequence[Layer]) -> str:
    """The answer to ``--help`` and ``--<section>.help``.

    Args:
        name: The section; an empty string for all of them.
        described: The class; an empty string for the one that the layers choose.
        layers: The files and flags.

    Raises:
        UsageError: If there is no such class to describe.
    """
    if not name:
        usage = str(__doc__).partition("\n\n")[2]
        names = [f"  {section + ':':11} {', '.join(_classes(section))}" for section in SECTIONS]
        return "\n".join([usage, _flags(RunSettings, ""), "Short names:", *names, ""])
    if name == "trainer":
        return _flags(Trainer, "trainer.")
    classes = _classes(name)
    lines = [f"  {short:28}{(inspect.getdoc(cls) or '').partition(chr(10))[0]}\n" for short, cls in classes.items()]
    text = f"--{name} NAME, where NAME is an import path or one of these:\n{''.join(lines)}"
    named = [Layer({name: described}, f"--{name}.help")] if described else []
    cls = lay([*layers, *named])[name].cls
    return text if cls is None else f"{cls.__name__}: {_flags(cls, f'{name}.')}\n{text}"


def _classes(name: str) -> dict[str, type]:
    """The classes that have a short name in a section and can be used."""
    section = SECTIONS[name]
    classes = sorted(class_names([*section.modules, *features()], section.base).items())
    return {short: cls for short, cls in classes if class_path(cls) not in UNUSABLE}


def _flags(cls: type, prefix: str) -> str:
    """A class's summary and its constructor's arguments as flags."""
    parser, names = arguments(cls)
    shown = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
    group = shown.add_argument_group((inspect.getdoc(cls) or cls.__name__).partition("\n\n")[0].rstrip("."))
    for action in parser._actions:
        if action.dest in names:
            default = "required" if names[action.dest] else f"default: {parser.get_defaults()[action.dest]}"
            text = re.sub(r" \(default: [^)]*\)|\s*Default: \S+$", "", str(action.help or "")).replace("%", "%%")
            group.add_argument(f"--{prefix}{action.dest}", metavar="VALUE", help=f"{text} [{default}]")
    return shown.format_help()
