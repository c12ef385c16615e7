"""A directory on a POSIX file system."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from pyarrow import fs

from lib.durable import locked, replace_file, sync
from lib.storage.storage import StorageError


class LocalStorage:
    """A directory: uploads and moves appear by one rename.

    Updates are serialised by `flock` on a lock file beside the file, so that two writers on one
    machine never lose each other's change.

    Args:
        root: the directory; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.uri = str(root)
        self.filesystem: fs.FileSystem = fs.LocalFileSystem()

    def at(self, path: str = "") -> str:
        """The absolute path."""
        return str((self._root / path).absolute())

    def address(self, path: str = "") -> str:
        """The absolute path: another machine must have the same directory there."""
        return self.at(path)

    def read(self, path: str) -> bytes | None:
        """The whole file, or None where there is none."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write beside the file, then rename."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, content)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return (self._root / path).exists()

    def files(self, path: str = "") -> tuple[str, ...]:
        """All files below, sorted; hidden ones are left out."""
        below = (one.relative_to(self._root) for one in (self._root / path).rglob("*"))
        return tuple(
            sorted(
                one.as_posix()
                for one in below
                if not any(part.startswith(".") for part in one.parts)
                and (self._root / one).is_file()
            )
        )

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right under `path`; drafts (`.name.tmp`) are left out."""
        folder = self._root / path
        if not folder.is_dir():
            return ()
        entries = (entry.name for entry in folder.iterdir() if entry.is_dir())
        return tuple(sorted(name for name in entries if not name.startswith(".")))

    def upload(self, source: Path, path: str, last: str = "") -> None:  # noqa: ARG002
        """Copy beside the target, then rename; a rename onto a folder that exists fails."""
        target = self._root / path
        draft = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(source, draft)
            _sync_files(draft)
            draft.rename(target)
            sync(target.parent)
        except OSError as error:
            if target.exists():
                raise StorageError(f"{target} exists") from error
            raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def download(self, path: str, target: Path) -> None:
        """Copy one file."""
        shutil.copyfile(self._root / path, target)

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change and rename under an exclusive lock."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock")):
            replace_file(target, change(self.read(path)))

    def move(self, source: str, target: str) -> None:
        """Rename, after removing what was there."""
        self.delete(target)
        (self._root / target).parent.mkdir(parents=True, exist_ok=True)
        (self._root / source).rename(self._root / target)

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all in it; nothing there is fine."""
        place = self._root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _sync_files(directory: Path) -> None:
    for path in (*directory.iterdir(), directory):
        sync(path)
