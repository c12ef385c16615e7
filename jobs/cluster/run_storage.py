"""Where Ray Train and Ray Tune keep checkpoints and results."""

from typing import Any

from lib.storage import LocalStorage, Storage


def run_location(storage: Storage, path: str) -> dict[str, Any]:
    """Arguments of a RunConfig for a folder of a storage: the same run resumes from it."""
    if isinstance(storage, LocalStorage):
        return {"storage_path": storage.at(path)}
    return {"storage_path": storage.at(path), "storage_filesystem": storage.filesystem}
