"""Many runs at the same time, each in a process with one thread."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from threading import RLock
from typing import Any, TypeVar

import torch
from joblib import Parallel, delayed
from lightning.pytorch.utilities.exceptions import SIGTERMException
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from project.cli import silence
from project.commands.output import sigterm_raises
from project.errors import Stopped

Result = TypeVar("Result")


def run_all(
    function: Callable[..., Result], todo: Sequence[tuple[Any, ...]], jobs: int, what: str, ordered: bool = True
) -> Iterator[Result]:
    """Calls a function with each of several arguments, in this process or in workers.

    Args:
        function: What to call; whatever it does is done with one thread, and so to the same bits for any ``jobs``.
        todo: The arguments of each call.
        jobs: How many calls run at the same time.
        what: What they are, for the progress bar that a terminal shows.
        ordered: Whether the results are to come in the order of ``todo``, rather than each as it is there.

    Yields:
        The results.

    Raises:
        ChildProcessError: If a process was killed.
    """
    warnings.filterwarnings("ignore", r"\d+ tasks (which were still|have been successfully)")  # where it is stopped
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    with sigterm_raises():
        try:
            order = "generator" if ordered else "generator_unordered"
            parallel = Parallel(max(1, min(jobs, len(todo))), return_as=order, batch_size=1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the new processes inherit that, and die with this one
            results = parallel(delayed(_call)(os.getpid(), function, *arguments) for arguments in todo)
            signal.signal(signal.SIGINT, on_ctrl_c)
            yield from tqdm(results, what, len(todo), disable=None, leave=False)
        except BrokenProcessPool:
            raise ChildProcessError("a process of --jobs was killed: is the memory too small for so many?") from None
        finally:
            signal.signal(signal.SIGINT, on_ctrl_c)


def _call(parent: int, function: Callable[..., Result], *arguments: Any) -> Result:
    if parent not in (os.getpid(), os.getppid()):  # it was killed, and may be going on in another process
        os._exit(1)
    silence()
    torch.set_num_threads(1)
    tqdm.set_lock(RLock())  # its own lock is a semaphore, which a process that is killed would leave behind
    try:
        with threadpool_limits(1, "blas"):
            return function(*arguments)
    except Stopped as stopped:  # which does not travel between processes
        raise (SIGTERMException if stopped.signal == signal.SIGTERM else KeyboardInterrupt) from None
