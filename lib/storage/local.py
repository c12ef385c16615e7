"""A directory on a POSIX file system."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from pyarrow import fs

from lib.durable import PRIVATE_FILE, PUBLIC_FILE, locked, make_folder, narrow, replace_file, sync
from lib.storage.storage import StorageError


class LocalStorage:
    """A directory: uploads and moves appear by one rename.

    Updates are serialised by `flock` on a lock file beside the file, so that two writers on one
    machine never lose each other's change.

    Args:
        root: the directory; made when something is written.
        private: whether files (600) and folders (700) are their owner's alone; else as the umask
            says, for models that others load.
    """

    def __init__(self, root: Path, *, private: bool = True) -> None:
        self._root, self._private = root, private
        self.uri = str(root)
        self.filesystem: fs.FileSystem = fs.LocalFileSystem()

    def at(self, path: str = "") -> str:
        """The absolute path."""
        return str((self._root / path).absolute())

    def address(self, path: str = "") -> str:
        """The absolute path: another machine must have the same directory there."""
        return self.at(path)

    def shown(self, path: str = "") -> str:
        """The same: a path holds no credentials."""
        return self.address(path)

    def read(self, path: str) -> bytes | None:
        """The whole file, or None where there is none."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write beside the file, then rename."""
        target = self._root / path
        self._make_folder(target.parent)
        replace_file(target, content, self._mode)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return (self._root / path).exists()

    def files(self, path: str = "") -> tuple[str, ...]:
        """All files below, sorted; hidden ones are left out."""
        below = (entry.relative_to(self._root) for entry in (self._root / path).rglob("*"))
        return tuple(
            sorted(
                relative.as_posix()
                for relative in below
                if not any(part.startswith(".") for part in relative.parts)
                and (self._root / relative).is_file()
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
        self._make_folder(target.parent)
        try:
            shutil.copytree(source, draft)
            self._narrow(draft)
            for file in (*draft.iterdir(), draft):
                sync(file)
            draft.rename(target)
            sync(target.parent)
        except OSError as error:
            if target.exists():
                raise StorageError(f"{target} exists") from error
            raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def download(self, path: str, target: Path) -> None:
        """Copy one file, with the mode that `target` or the umask gives."""
        shutil.copyfile(self._root / path, target)

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change and rename under an exclusive lock."""
        target = self._root / path
        self._make_folder(target.parent)
        with locked(target.with_name(f".{target.name}.lock")):
            replace_file(target, change(self.read(path)), self._mode)

    def move(self, source: str, target: str) -> None:
        """Rename, after removing what was there."""
        self.delete(target)
        self._make_folder((self._root / target).parent)
        self._narrow(self._root / source)
        (self._root / source).rename(self._root / target)

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all in it; nothing there is fine."""
        target = self._root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def make_private(self, path: str = "") -> None:
        """Make the folder if absent and narrow it, with all in it, to its owner."""
        make_folder(self._root / path)
        self._narrow(self._root / path)

    @property
    def _mode(self) -> int:
        return PRIVATE_FILE if self._private else PUBLIC_FILE

    def _make_folder(self, folder: Path) -> None:
        if self._private:
            make_folder(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)

    def _narrow(self, path: Path) -> None:
        if self._private:
            for entry in (path, *path.rglob("*")):
                narrow(entry)
