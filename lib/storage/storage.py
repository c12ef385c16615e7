"""What every storage can do."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pyarrow import fs


class StorageError(ValueError):
    """A place that cannot be opened, or that holds already what must be written once."""


class Storage(Protocol):
    """A folder. Paths are relative to it, with `/` between their parts; "" is the folder itself.

    Attributes:
        uri: what it was opened by.
        filesystem: the pyarrow file system, for readers and writers that take one; it may be sent
            to other processes.
    """

    uri: str
    filesystem: fs.FileSystem

    def at(self, path: str = "") -> str:
        """The path inside `filesystem`."""

    def address(self, path: str = "") -> str:
        """A path or URI by which another process opens the same file or folder."""

    def shown(self, path: str = "") -> str:
        """The same for people to read: without the credentials that a URI may hold."""

    def read(self, path: str) -> bytes | None:
        """The whole file, or None where there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place; readers see the old one or the new one, never half."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""

    def files(self, path: str = "") -> tuple[str, ...]:
        """All files below, sorted; drafts and hidden ones (`.name`) are left out."""

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right under `path`, sorted; empty where there is no `path`."""

    def upload(self, source: Path, path: str, last: str = "") -> None:
        """Copy the files of a local folder that holds no folders.

        Args:
            source: the local folder.
            path: the new folder; must not hold `last` yet.
            last: file without which the folder counts for nothing; it arrives last.

        Raises:
            StorageError: `path` is there already.
        """

    def download(self, path: str, target: Path) -> None:
        """Copy one file into the local file `target`."""

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a file by what `change` makes of it; readers see the old or the new one."""

    def move(self, source: str, target: str) -> None:
        """Let the folder `source` take the place of the folder `target`."""

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all in it; nothing there is fine."""

    def make_private(self, path: str = "") -> None:
        """Make a local folder if absent and narrow it, with all in it, to its owner's modes.

        For writers that make their files themselves, before they begin and after they end. A
        bucket's readers are named by its own policy.
        """
