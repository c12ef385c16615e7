"""Where a registry lies, with the errors a registry speaks of."""

from pathlib import Path

from pyarrow import fs

from lib.registry.errors import RegistryError
from lib.registry.names import MANIFEST
from lib.storage import Storage, StorageError, open_storage


def open_registry_storage(uri: str, filesystem: fs.FileSystem | None = None) -> Storage:
    """Open a local path or a URI that pyarrow or fsspec knows.

    Raises:
        RegistryError: neither pyarrow nor fsspec knows the scheme.
    """
    try:
        return open_storage(uri, filesystem, private=False)
    except StorageError as error:
        raise RegistryError(f"registry {error}") from error


def publish_folder(storage: Storage, source: Path, path: str) -> None:
    """Copy an artifact; it appears with its manifest, which is written last, or not at all.

    Raises:
        RegistryError: `path` exists.
    """
    try:
        storage.upload(source, path, last=MANIFEST)
    except StorageError as error:
        raise RegistryError(
            f"{error}; versions are immutable and this one is published already"
        ) from error
