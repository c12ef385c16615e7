"""Folders that lie on this machine or in a bucket, named by one URI and used the same way."""

from lib.storage.local import LocalStorage
from lib.storage.objects import ObjectStorage
from lib.storage.opening import (
    open_dataset,
    open_storage,
    read_noted,
    read_parquet,
    split_address,
    write_parquet,
)
from lib.storage.redaction import has_credentials, redact_uri, redacted
from lib.storage.storage import Storage, StorageError

__all__ = [
    "LocalStorage",
    "ObjectStorage",
    "Storage",
    "StorageError",
    "has_credentials",
    "open_dataset",
    "open_storage",
    "read_noted",
    "read_parquet",
    "redact_uri",
    "redacted",
    "split_address",
    "write_parquet",
]
