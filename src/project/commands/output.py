"""Files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def written_whole(path: Path, force: bool = False) -> Iterator[Path]:
    """Gives another path to write to; the file takes its own name at the end, unless something failed.

    Args:
        path: The file.
        force: Whether to replace it if it exists.

    Raises:
        OSError: If it exists, its folder does not, or it cannot be written.
    """
    try:
        if path.is_dir():
            raise OSError(f"{path} is a folder: name a file in it")
        if path.exists() and not force:
            raise OSError(f"{path} exists: name another file, or replace it with --force")
        if not path.parent.is_dir():
            raise OSError(f"{path} cannot be written: there is no folder {path.parent}")
        # A folder of its own, so that no file of the user's is in the way; in the same one, so that it can be renamed.
        with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            temporary = Path(folder) / "file"
            yield temporary
            temporary.replace(path)
    except OSError as error:
        if error.errno is None:  # it says already what was wrong, maybe with another file
            raise
        raise OSError(f"{path} cannot be written: {error.strerror}") from error
