"""What ends a run, and the words that help to mend it."""

import difflib
import signal
from collections.abc import Iterable


class UsageError(ValueError):
    """A file or a flag says what cannot be; the message names it, where it stands, and what may be meant."""


class Diverged(RuntimeError):
    """The loss became infinite, not a number, or far larger than it was at the start."""


class Stopped(Exception):
    """The run was asked to stop, and its state is saved.

    Attributes:
        signal: The number of the signal that asked.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signal = signum


def printable(text: str) -> str:
    """A text of a table for the terminal: control characters, which could move its cursor, are spelt out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def nearest(name: object, names: Iterable[str]) -> str:
    """The end of an error message: the most similar name, or all of them (but no more than 50) if none is similar."""
    names = sorted(names)
    if found := difflib.get_close_matches(str(name).lower(), [n.lower() for n in names], n=1, cutoff=0.6):
        meant = next(n for n in names if n.lower() == found[0])
        return f"did you mean {meant if meant == meant.strip() else repr(meant)}?"
    more = f" and {len(names) - 50} more" if len(names) > 50 else ""
    return f"there are {', '.join(names[:50])}{more}" if names else "there are none"
