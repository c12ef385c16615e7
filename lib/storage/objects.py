"""A bucket, or any other file system that pyarrow or fsspec knows."""

import shutil
from collections.abc import Callable
from pathlib import Path

from pyarrow import fs

from lib.storage.redaction import redact_uri
from lib.storage.storage import StorageError

_CHUNK_BYTES = 1 << 20


class ObjectStorage:
    """Objects under a prefix. One put is whole or not there; several are not put together.

    A folder that must be whole has a file that is written last. Object stores offer no lock here:
    of two writers that update in the same moment, the later put wins and the earlier change is
    lost. Update from one place.

    Args:
        filesystem: pyarrow's file system.
        root: path inside it.
        uri: by which other processes open it; "" where there is none.
    """

    def __init__(self, filesystem: fs.FileSystem, root: str, uri: str = "") -> None:
        self.filesystem = filesystem
        self._root = root.rstrip("/")
        self.uri = uri or self._root

    def at(self, path: str = "") -> str:
        """The path inside the file system."""
        return f"{self._root}/{path}" if path else self._root

    def address(self, path: str = "") -> str:
        """The URI, with the options after its `?` where they were."""
        location, mark, options = self.uri.partition("?")
        return f"{location.rstrip('/')}/{path}".rstrip("/") + mark + options

    def shown(self, path: str = "") -> str:
        """The URI without credentials."""
        return redact_uri(self.address(path))

    def read(self, path: str) -> bytes | None:
        """The whole object, or None where there is none."""
        if self.filesystem.get_file_info(self.at(path)).type != fs.FileType.File:
            return None
        with self.filesystem.open_input_stream(self.at(path)) as stream:
            return bytes(stream.read())

    def write(self, path: str, content: bytes) -> None:
        """One put."""
        self.filesystem.create_dir(self.at(path).rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(self.at(path)) as stream:
            stream.write(content)

    def exists(self, path: str) -> bool:
        """Whether there is an object, or any below that prefix."""
        kind = self.filesystem.get_file_info(self.at(path)).type
        return bool(kind != fs.FileType.NotFound)

    def files(self, path: str = "") -> tuple[str, ...]:
        """All objects below, sorted; hidden ones are left out. None where `path` is an object."""
        if self.filesystem.get_file_info(self.at(path)).type == fs.FileType.File:
            return ()
        selector = fs.FileSelector(self.at(path), recursive=True, allow_not_found=True)
        start = len(self._root) + 1
        names = (
            entry.path.lstrip("/")[start - self._root.startswith("/") :]
            for entry in self.filesystem.get_file_info(selector)
            if entry.is_file
        )
        return tuple(sorted(name for name in names if "/." not in f"/{name}"))

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the prefixes right under `path`, sorted."""
        selector = fs.FileSelector(self.at(path), allow_not_found=True)
        entries = self.filesystem.get_file_info(selector)
        return tuple(sorted(entry.base_name for entry in entries if not entry.is_file))

    def upload(self, source: Path, path: str, last: str = "") -> None:
        """Put the files, `last` after the others; two equal uploads at once put the same bytes."""
        if self.exists(f"{path}/{last}" if last else path):
            raise StorageError(f"{self.shown(path)} exists")
        self.filesystem.create_dir(self.at(path), recursive=True)
        for file in sorted(source.iterdir(), key=lambda file: file.name == last):
            target = self.at(f"{path}/{file.name}")
            with file.open("rb") as stream, self.filesystem.open_output_stream(target) as put:
                shutil.copyfileobj(stream, put, _CHUNK_BYTES)

    def download(self, path: str, target: Path) -> None:
        """Copy one object into a local file, in chunks."""
        with self.filesystem.open_input_stream(self.at(path)) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK_BYTES)

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change and put."""
        self.write(path, change(self.read(path)))

    def move(self, source: str, target: str) -> None:
        """Copy each object within the store, then remove the old ones: not at one stroke."""
        self.delete(target)
        for name in self.files(source):
            new = target + name[len(source) :]
            self.filesystem.create_dir(self.at(new).rpartition("/")[0], recursive=True)
            self.filesystem.copy_file(self.at(name), self.at(new))
        self.delete(source)

    def delete(self, path: str) -> None:
        """Remove an object or all below a prefix; nothing there is fine."""
        kind = self.filesystem.get_file_info(self.at(path)).type
        if kind == fs.FileType.File:
            self.filesystem.delete_file(self.at(path))
        elif kind == fs.FileType.Directory:
            self.filesystem.delete_dir(self.at(path))

    def make_private(self, path: str = "") -> None:
        """Nothing: who may read a bucket is said by its own policy."""
