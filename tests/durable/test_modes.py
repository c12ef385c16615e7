"""What is made here is its owner's alone, whatever the umask and whoever makes a file first."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lib.contract import write_parquet as write_table
from lib.durable import make_folder, replace_file
from lib.feature import SqliteStore
from lib.moderation.media.media_store import MediaStore
from lib.records import DecisionLog, Records
from lib.report import Report, write_report
from lib.storage import open_storage, write_parquet
from tests.records.conftest import append, decision, keep_decisions


@pytest.fixture(autouse=True)
def umask_of_most_systems() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder: Path) -> list[str]:
    return [f"{p.relative_to(folder)} {mode(p):o}" for p in folder.rglob("*") if mode(p) & 0o077]


def test_everything_that_holds_people_is_its_owners_alone(tmp_path: Path) -> None:
    rows = pa.table({"user_id": ["u1"]})
    make_folder(tmp_path / "data" / "fraud")
    with Records(f"sqlite:///{tmp_path}/data/fraud/records.sqlite") as records:
        records.migrate()
        keep_decisions(records, [decision()])
        with DecisionLog(tmp_path / "data/fraud/journal") as journal:
            append(journal, decision("t2"))
            store = SqliteStore(tmp_path / "data/fraud/profiles.sqlite")
            MediaStore(str(tmp_path / "data/media")).keep(b"picture")
            output = open_storage(tmp_path / "out")
            write_parquet(rows, output, "work/data/part.parquet")
            output.move("work/data", "data")
            output.update("note.json", lambda _: b"{}")
            write_table(rows, tmp_path / "plans" / "plan.parquet")
            replace_file(tmp_path / "plans" / "plan.csv", b"customer_id")
            assert (tmp_path / "data/fraud/records.sqlite-wal").exists()
            assert (tmp_path / "data/fraud/profiles.sqlite-wal").exists()
            assert open_to_others(tmp_path) == []
            store.close()


def test_rows_that_another_writer_left_are_narrowed_where_they_are_moved_to(tmp_path: Path) -> None:
    output = open_storage(tmp_path / "out")
    output.make_private("work/data")
    (tmp_path / "out/work/data/sub").mkdir()
    (tmp_path / "out/work/data/sub/part.parquet").write_bytes(b"rows")
    output.move("work/data", "data")
    assert open_to_others(tmp_path) == []


@pytest.mark.parametrize("name", ["records", "profiles"])
def test_a_database_that_was_made_open_is_narrowed_when_it_is_opened(tmp_path: Path, name) -> None:
    path = tmp_path / f"{name}.sqlite"
    before = sqlite3.connect(path)
    before.execute("PRAGMA journal_mode = WAL")
    before.execute("CREATE TABLE other (x)")
    before.commit()
    assert mode(path) == 0o644
    if name == "records":
        with Records(f"sqlite:///{path}") as records:
            records.migrate()
            assert open_to_others(tmp_path) == []
    else:
        store = SqliteStore(path)
        assert open_to_others(tmp_path) == []
        store.close()
    before.close()


def test_reports_and_models_may_be_read_where_others_may_enter(tmp_path: Path) -> None:
    page, facts = write_report(Report("Title", "Subtitle", (), {}), tmp_path)
    registry = open_storage(tmp_path / "registry", private=False)
    registry.write("fraud/aliases.json", b"{}")
    assert mode(page) == mode(facts) == mode(tmp_path / "registry/fraud/aliases.json") == 0o644
    assert mode(tmp_path / "registry/fraud") == 0o755


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path), mode(tmp_path / "a"), mode(tmp_path / "a/b")) == (0o755, 0o700, 0o700)
