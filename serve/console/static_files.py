"""Stylesheet, scripts and icon: read and packed once, served from memory, named by their content.

No path of a request reaches the file system: what is not among the names is not there.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent.

    Attributes:
        name: with the hash of its content.
        media_type: of the content.
        content: as it is.
        packed: the same by gzip, for browsers that take it. Pages are never packed: together with
            what a caller wrote their length would tell of the token in them (BREACH).
    """

    name: str
    media_type: str
    content: bytes
    packed: bytes


class StaticFiles:
    """The files of a folder.

    Args:
        folder: whose files of known types are served.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        files = [_read(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES]
        self._files: Mapping[str, StaticFile] = {file.name: file for _, file in files}
        self._names = {plain: file.name for plain, file in files}

    def name(self, plain: str) -> str:
        """The name under which a file is served, with the hash of its content in it."""
        return self._names[plain]

    def find(self, name: str) -> StaticFile | None:
        """The file that is served under a name; None where there is none."""
        return self._files.get(name)


def _read(path: Path) -> tuple[str, StaticFile]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    name = f"{path.stem}.{digest}{path.suffix}"
    packed = gzip.compress(content, mtime=0)
    return path.name, StaticFile(name, _TYPES[path.suffix], content, packed)
