"""Where a registry lies: a local directory or a bucket, behind one small contract."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from pyarrow import fs

from lib.durable import locked, replace_file, sync
from lib.registry.errors import RegistryError
from lib.registry.names import MANIFEST

_CHUNK_BYTES = 1 << 20


class Storage(Protocol):
    """Paths are relative to the registry's root, with `/` between their parts."""

    def read(self, path: str) -> bytes | None:
        """The whole object, or None where there is none."""

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right under `path`, sorted; empty where there is no `path`."""

    def upload(self, source: Path, path: str) -> None:
        """Copy the artifact in `source`; it appears with its manifest or not at all.

        Raises:
            RegistryError: `path` exists.
        """

    def download(self, path: str, target: Path) -> None:
        """Copy one object into the file `target`."""

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by what `change` makes of it; readers see the old or the new one."""


class LocalStorage:
    """A directory on a POSIX file system.

    An upload appears by one rename. Updates are serialised by `flock` on a lock file beside
    the object, so that two writers on one machine never lose each other's change.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes | None:
        """The whole file, or None where there is none."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right under `path`; drafts (`.name.tmp`) are left out."""
        folder = self._root / path
        if not folder.is_dir():
            return ()
        entries = (entry.name for entry in folder.iterdir() if entry.is_dir())
        return tuple(sorted(name for name in entries if not name.startswith(".")))

    def upload(self, source: Path, path: str) -> None:
        """Copy beside the target, then rename; a rename onto a version that exists fails."""
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
                raise _exists(str(target)) from error
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


class ObjectStorage:
    """A bucket, or any other pyarrow or fsspec file system.

    A version exists once its manifest does, and the manifest is written last. An update is a
    single put: readers see the old or the new object, never half of one. Object stores offer no
    lock here: of two writers that promote in the same moment, the later put wins and the
    earlier change is lost. Promote from one place.
    """

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self._files = filesystem
        self._root = root.rstrip("/")

    def read(self, path: str) -> bytes | None:
        """The whole object, or None where there is none."""
        if self._files.get_file_info(self._at(path)).type != fs.FileType.File:
            return None
        with self._files.open_input_stream(self._at(path)) as stream:
            return bytes(stream.read())

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the prefixes right under `path`; those without a manifest are drafts."""
        selector = fs.FileSelector(self._at(path), allow_not_found=True)
        entries = self._files.get_file_info(selector)
        return tuple(sorted(entry.base_name for entry in entries if not entry.is_file))

    def upload(self, source: Path, path: str) -> None:
        """Put the weights, then the manifest; two equal uploads at once put the same bytes."""
        if self.read(f"{path}/{MANIFEST}") is not None:
            raise _exists(path)
        self._files.create_dir(self._at(path), recursive=True)
        for file in sorted(source.iterdir(), key=lambda file: file.name == MANIFEST):
            with file.open("rb") as stream:
                self._put(f"{path}/{file.name}", iter(lambda: stream.read(_CHUNK_BYTES), b""))

    def download(self, path: str, target: Path) -> None:
        """Copy one object into a local file, in chunks."""
        with self._files.open_input_stream(self._at(path)) as source, target.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)

    def update(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Read, change and put."""
        content = change(self.read(path))
        self._files.create_dir(self._at(path).rpartition("/")[0], recursive=True)
        self._put(path, iter([content]))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _put(self, path: str, chunks: Iterator[bytes]) -> None:
        with self._files.open_output_stream(self._at(path)) as stream:
            for chunk in chunks:
                stream.write(chunk)


def open_storage(uri: str, filesystem: fs.FileSystem | None = None) -> Storage:
    """Open a local path or a URI that pyarrow or fsspec knows (file, s3, gs, memory, ...).

    Args:
        uri: a path, a URI, or a path inside `filesystem`.
        filesystem: use this one, e.g. an S3FileSystem with its own endpoint.

    Raises:
        RegistryError: neither pyarrow nor fsspec knows the scheme.
    """
    if filesystem is not None:
        return ObjectStorage(filesystem, uri)
    if "://" not in uri:
        return LocalStorage(Path(uri))
    opened, path = _from_uri(uri)
    return (
        LocalStorage(Path(path))
        if isinstance(opened, fs.LocalFileSystem)
        else ObjectStorage(opened, path)
    )


def _from_uri(uri: str) -> tuple[fs.FileSystem, str]:
    for known in (uri, f"fsspec+{uri}"):
        try:
            opened, path = fs.FileSystem.from_uri(known)
        except (ValueError, ImportError):
            continue
        return opened, str(path)
    raise RegistryError(
        f"registry {uri!r}: expected a local path or a URI such as file:///srv/models, "
        "s3://bucket/models or gs://bucket/models"
    )


def _exists(path: str) -> RegistryError:
    return RegistryError(f"{path} exists; versions are immutable and this one is published already")


def _sync_files(directory: Path) -> None:
    for path in (*directory.iterdir(), directory):
        sync(path)
