"""No error of the database shows what a row holds, whatever the driver says."""

import traceback
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from sys import executable

import pytest
from sqlalchemy import text

from lib.records import DecisionLog, Records, RecordsUnavailableError, RefusedRowsError
from lib.records.database import Database
from lib.records.json_codec import write_json
from tests.records.conftest import append, decision, keep_decisions, row_of

PERSON = "jane.doe@example.org"
Spoil = Callable[[Database], None]


def spoil(database: Database, *statements: str) -> None:
    with database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


NOT_NULL = "ALTER TABLE decisions ADD COLUMN extra TEXT NOT NULL"
CHECK = "ALTER TABLE decisions ADD CHECK (subject_id <> 'jane.doe@example.org')"
NARROW = "ALTER TABLE decisions ALTER COLUMN subject_id TYPE INTEGER USING 1"
RAISES = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE 'not %', NEW.subject_id; END $$",
    "CREATE TRIGGER refuse BEFORE INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION refuse()",
)
NO_COLUMN = "ALTER TABLE decisions DROP COLUMN answer"


@pytest.mark.parametrize("statements", [(NOT_NULL,), (CHECK,), (NARROW,), RAISES, (NO_COLUMN,)])
def test_postgresql_tells_no_row(
    postgresql: str, url: str, records: Records, tmp_path: Path, statements: tuple[str, ...]
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("these statements are PostgreSQL's")
    database = Database(url)
    spoil(database, *statements)
    database.close()
    with pytest.raises((RefusedRowsError, RecordsUnavailableError)) as raised:
        keep_decisions(records, [decision(PERSON, entities={"user_id": PERSON})])
    trace = "".join(traceback.format_exception(raised.value))
    assert PERSON not in trace + repr(raised.value)


@pytest.mark.parametrize(
    "changes", [{"decided_at": 2**70}, {"subject_id": "\ud800"}, {"answer": "\ud800"}]
)
def test_a_value_that_no_column_holds_is_a_refused_row(
    records: Records, changes: dict[str, object]
) -> None:
    with pytest.raises(RefusedRowsError, match=r"refused a row|no column holds"):
        records.record_rows([row_of(decision("t1")) | changes])


def test_the_last_drain_tells_no_row_on_standard_error(url: str, tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "journal") as log:
        append(log, decision(PERSON, entities={"user_id": PERSON}))
    with Records(url) as records:
        records.migrate()
    database = Database(url)
    spoil(database, "ALTER TABLE decisions RENAME COLUMN answer TO reply")
    database.close()
    start = write_json({"directory": str(tmp_path / "journal"), "records": url})
    done = run(
        [executable, "-m", "lib.records"],
        input=start + b"\ndrain\n",
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert b"error" in done.stdout
    assert b"stays in the journal" in done.stderr
    assert PERSON.encode() not in done.stdout + done.stderr
