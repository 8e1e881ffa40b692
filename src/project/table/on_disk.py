"""Tables that are larger than the memory: temporary files that are mapped into it.

Those for a step on the way have no names, so that nothing is left of them when the process ends, however it ends. The
encoded rows are kept for the other processes of a run, and for later runs.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from project.data.loader import EpochOrder
from project.table.cells import Floats
from project.whole_files import written_whole

TIMES = {".gz": 60, ".parquet": 60, ".pq": 60}
"""About so many times its file's size a table takes in memory while it is read and encoded; as plain CSV 12 times.

Measured were 5 and 10 times for CSV, 57 for a compressed one, and 110 for Parquet with names and small numbers.
"""

LIMITS = [Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
"""Where Linux says how much memory a container may have, in its second and its first way."""

BLOCK = 2**12
"""Rows that stay together where they are shuffled in blocks."""
BUFFER = 2**20
"""Rows that are then shuffled one by one: those of 256 blocks."""


def memory() -> int:
    """Bytes of memory that this process may have: the machine's, or what a container is given of it."""
    limits = [file.read_text().strip() for file in LIMITS if file.is_file()]
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(int(limit) for limit in limits if limit.isdigit())])  # not "max"


def is_large(path: Path) -> bool:
    """Whether a file, or a folder of files, is better not read into memory by each process of a run."""
    size = sum(TIMES.get(file.suffix, 12) * file.stat().st_size for file in files_of(path))
    return size * int(os.environ.get("WORLD_SIZE", 1)) > memory()


def files_of(path: Path) -> list[Path]:
    """The file of this path, or all files of a folder; none if there is nothing."""
    return [file for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]


class BlockOrder(EpochOrder):
    """An order in which a disk can be read: blocks of rows are shuffled, and then the rows of some hundred of them.

    This is CorgiPile (Xu et al. 2022, arXiv:2206.05830).
    """

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """An order of all rows, ``(rows,)``."""
        rows = np.arange(len(self.batches.x))
        blocks = np.split(rows, rows[BLOCK::BLOCK])
        order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
        for start in range(0, len(order), BUFFER):
            rng.shuffle(order[start : start + BUFFER])
        return order


def on_disk(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor of zeros in a file.

    Raises:
        OSError: If there is no room for it.
    """
    if not (size := math.prod(shape)):
        return torch.zeros(shape, dtype=dtype)
    pa.default_memory_pool().release_unused()  # that of numbers which stand in a file by now
    with _file() as (file, path):
        if hasattr(os, "posix_fallocate"):  # else a full disk kills the process that writes to a page
            os.posix_fallocate(file.fileno(), 0, size * dtype.itemsize)
        return torch.from_file(path, shared=True, size=size, dtype=dtype).view(shape)


def column_on_disk(values: Floats) -> Floats:
    """A copy of a column in a file; errors as for `on_disk`."""
    copy = on_disk(*values.shape, dtype=torch.float64).numpy()
    copy[:] = values
    return copy


def gather(schema: pa.Schema, pieces: Iterable[pa.Table], to_disk: bool) -> pa.Table:
    """A table of pieces.

    Args:
        schema: Its columns.
        pieces: Its rows, some at a time.
        to_disk: Whether it is to be in a file rather than in memory.

    Raises:
        OSError: If there is no room for it.
    """
    if not to_disk:
        return pa.concat_tables([schema.empty_table(), *pieces])
    with _file() as (file, path), pa.ipc.new_stream(file, schema) as writer:
        for piece in tqdm(pieces, "reading", unit=" pieces", disable=None, leave=False):
            writer.write_table(piece)
        writer.close()
        file.flush()
        return pa.ipc.open_stream(pa.memory_map(path)).read_all()


def kept(key: str, make: Callable[[], Any]) -> Any:
    """What is kept under a key, tensors and plain values, with the tensors mapped from its file.

    If there is none, this process makes it, for which others wait. It takes the place of what was kept before, which
    takes nothing from a process that has mapped that.

    Args:
        key: The file's name.
        make: Makes what is to be kept.

    Raises:
        OSError: If there is no room for it, or another user has made the folder.
    """
    folder = Path(gettempdir()) / f"project-tables-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise OSError(f"{folder} is another user's: the environment variable TMPDIR names another place")
    with FileLock(folder / "lock"):
        with suppress(Exception):  # there is none, or it was cut off
            return torch.load(path := folder / f"{key}.pt", mmap=True, weights_only=True)
        for old in folder.glob("*.pt*"):  # also of a process that was killed
            old.unlink(missing_ok=True)
        with written_whole(path) as temporary, temporary.open("wb") as file:
            torch.save(make(), file)
        return torch.load(path, mmap=True, weights_only=True)


@contextmanager
def _file() -> Iterator[tuple[BinaryIO, str]]:
    """A temporary file, and the path by which this process can open it once more."""
    try:
        with TemporaryFile() as file:
            yield file, f"/dev/fd/{file.fileno()}"
    except OSError as error:
        if error.errno is None:  # one that says what it means, of whatever the table is read from
            raise
        words = "the environment variable TMPDIR names another folder"
        raise OSError(f"{gettempdir()} has no room for the table: {error.strerror}; {words}") from error
