"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file; errors as for `written_whole`."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path beside the file to write to, and then renames: there is always a whole file, or none.

    Raises:
        OSError: If the folder cannot be written or the disk is full; an old file stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # another process may write the same file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # which `torch.save` has covered
        if not isinstance(cause, OSError) or cause.errno is None:  # it says itself what is wrong, perhaps elsewhere
            raise
        raise OSError(f"{path} cannot be written: {cause.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
