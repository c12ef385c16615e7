"""Writes, syncs, locks and closes off single files: what is made here is its owner's alone."""

import fcntl
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE = 0o600
"""Mode of a file that only its owner reads and writes."""
PUBLIC_FILE = 0o644
"""Mode of a file without personal data that others may read: models, reports."""
_PRIVATE_FOLDER = 0o700
_OTHERS = 0o077


def replace_file(path: Path, content: bytes, mode: int = PRIVATE_FILE) -> None:
    """Put `content` in place of `path`; readers see the old file or the new one, never half.

    Args:
        path: the file; its directory exists.
        content: everything that it holds afterwards.
        mode: permissions of the new file, narrowed by the umask; its owner's alone by default.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file's content, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` (made if absent); waits for whoever holds it on this machine."""
    with _lock_file(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_at_once(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` (made if absent); False where another process holds it."""
    with _lock_file(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    """The descriptor of a lock file; closing it gives the lock back."""
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are absent, each its owner's alone (mode 700).

    A folder that exists keeps its mode: whoever made it said who may enter.
    """
    absent = [path, *path.parents]
    for folder in reversed(absent):
        if not folder.exists():
            with suppress(FileExistsError):
                folder.mkdir(mode=_PRIVATE_FOLDER)
    path.mkdir(exist_ok=True)


def make_private(path: Path) -> None:
    """Make an empty file for a library to open, or narrow one that others may read, to mode 600.

    SQLite gives its `-wal` and `-shm` the mode that the database file has. A file of another
    user's is left as it is, for its owner alone may narrow it.
    """
    make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        narrow(file)


def narrow(path: Path) -> None:
    """Take a file or folder from all but its owner; what is gone or another user's stays so."""
    with suppress(FileNotFoundError, PermissionError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS)
