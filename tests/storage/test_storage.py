"""Every kind of storage keeps the same promises."""

import pickle
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from lib.storage import (
    LocalStorage,
    ObjectStorage,
    Storage,
    StorageError,
    open_dataset,
    open_storage,
    read_parquet,
    split_address,
    write_parquet,
)

ROWS = pa.table({"amount": [1, 2, 3]})


@pytest.fixture(params=["local path", "file uri", "fsspec memory", "fsspec file", "pyarrow mock"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    match request.param:
        case "local path":
            return open_storage(tmp_path / "root")
        case "file uri":
            return open_storage((tmp_path / "root").as_uri())
        case "fsspec memory":
            return open_storage(f"memory://{uuid.uuid4().hex}/root")
        case "fsspec file":
            return open_storage(f"fsspec+{(tmp_path / 'root').as_uri()}")
        case _:
            filesystem, path = fs.FileSystem.from_uri("mock:///root")
            return open_storage(path, filesystem)


def test_a_file_is_read_as_it_was_written_last(storage: Storage) -> None:
    assert storage.read("a/b.txt") is None
    storage.write("a/b.txt", b"one")
    storage.write("a/b.txt", b"two")
    assert storage.read("a/b.txt") == b"two"
    storage.update("a/b.txt", lambda before: (before or b"") + b"!")
    assert storage.read("a/b.txt") == b"two!"


def test_files_are_listed_below_a_folder_without_hidden_ones(storage: Storage) -> None:
    for name in ("a/2", "a/b/1", "a/.draft", "c/3"):
        storage.write(name, b"x")
    assert storage.files("a") == ("a/2", "a/b/1")
    assert storage.files() == ("a/2", "a/b/1", "c/3")
    assert storage.files("nothing") == ()
    assert storage.folders("") == ("a", "c")


def test_a_moved_folder_takes_the_place_of_the_old_one(storage: Storage) -> None:
    storage.write("data/old", b"old")
    storage.write("work/data/deep/new", b"new")
    storage.move("work/data", "data")
    assert storage.files() == ("data/deep/new",)
    assert storage.read("data/deep/new") == b"new"


def test_deleting_what_is_not_there_is_fine(storage: Storage) -> None:
    storage.write("a/b", b"x")
    for path in ("a/b", "a", "a", "never/was"):
        storage.delete(path)
    assert storage.files() == ()
    assert not storage.exists("a/b")


def test_a_folder_is_uploaded_once(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("manifest.json", "weights"):
        (tmp_path / "model" / name).write_text(name)
    storage.upload(tmp_path / "model", "versions/1", last="manifest.json")
    with pytest.raises(StorageError, match="exists"):
        storage.upload(tmp_path / "model", "versions/1", last="manifest.json")
    storage.download("versions/1/weights", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_text() == "weights"


def test_parquet_files_are_read_as_one_data_set(storage: Storage) -> None:
    write_parquet(ROWS, storage, "data/0.parquet")
    write_parquet(ROWS, storage, "data/1.parquet")
    assert open_dataset(storage, "data").count_rows() == 6


@pytest.mark.parametrize("prefix", ["", "file://", "fsspec+file://"])
def test_another_process_reads_a_file_by_its_address(tmp_path: Path, prefix: str) -> None:
    storage = open_storage(
        f"{prefix}{tmp_path}/a folder" if not prefix else f"{prefix}{tmp_path}/r"
    )
    address = write_parquet(ROWS, storage, "rows.parquet")
    assert read_parquet(address, ["amount"]) == ROWS
    code = f"from lib.storage import read_parquet; print(len(read_parquet({address!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"
    copied = pickle.loads(pickle.dumps(storage.filesystem))
    assert copied.get_file_info(storage.at("rows.parquet")).is_file


def test_a_uri_keeps_its_options_at_the_end_of_addresses() -> None:
    storage = ObjectStorage(fs.LocalFileSystem(), "bucket/root", "s3://bucket/root?region=eu")
    assert storage.address("a/b") == "s3://bucket/root/a/b?region=eu"


def test_an_address_is_split_into_the_folder_above_and_a_name() -> None:
    assert split_address("/srv/out/") == ("/srv", "out")
    assert split_address("s3://b/x/out?region=eu") == ("s3://b/x?region=eu", "out")


def test_only_a_bucket_is_no_local_folder(tmp_path: Path) -> None:
    assert isinstance(open_storage(tmp_path.as_uri()), LocalStorage)
    assert isinstance(open_storage("memory://there"), ObjectStorage)


def test_an_unknown_scheme_is_refused_with_known_ones() -> None:
    with pytest.raises(StorageError, match=r"nosuch://x.*s3://bucket"):
        open_storage("nosuch://x")
