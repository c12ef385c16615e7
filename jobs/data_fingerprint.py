"""One digest of all that a job reads, so that equal inputs are not computed again."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from lib.contract import ContractError, fingerprint_files, is_data_file
from lib.contract.origin import partition_values
from lib.storage import LocalStorage, open_storage


def fingerprint_of(paths: Sequence[str]) -> str:
    """What files and folders hold, as one digest.

    Local files by their bytes; those of an object store by name, size and time of change. Files
    that other programs leave in folders do not count (`is_data_file`). Names of files count where
    a mapping file reads them (`from_file`), and names of folders that give a column (`site=A`).
    """
    total = sha256()
    local: list[Path] = []
    for path in paths:
        storage = open_storage(path)
        if isinstance(storage, LocalStorage):
            folder = Path(storage.at())
            below = [file for file in folder.rglob("*") if file.is_file()]
            data = [file for file in below if is_data_file(file.relative_to(folder).as_posix())]
            local += sorted(data) or ([] if below else [folder])
            continue
        names = [name for name in storage.files() if is_data_file(name)]
        for name in names or ("",):
            info = storage.filesystem.get_file_info(storage.at(name))
            total.update(f"{info.path} {info.size} {info.mtime_ns}\n".encode())
    try:
        total.update(fingerprint_files(local).encode())
        if any(_reads_names(path) for path in local):
            names = sorted(f"{path.parent.name}/{path.name}" for path in local)
            total.update("\n".join(names).encode())
        folders = sorted(f"{partition_values(str(path))} {path.name}" for path in local)
        if any(partition_values(str(path)) for path in local):
            total.update("\n".join(folders).encode())
    except FileNotFoundError as error:
        raise ContractError(f"there is no file or folder {error.filename}") from error
    return total.hexdigest()


def _reads_names(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and b"from_file" in path.read_bytes()
