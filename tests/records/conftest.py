"""Records on SQLite and on a real PostgreSQL, which the tests start and stop themselves."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from lib.records import Decision, Fact, Records

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")
NOVEMBER = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
SECOND = 1_000_000


def decision(subject_id: str = "t1", **changes: object) -> Decision:
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": subject_id,
        "entities": {"user_id": "u1", "merchant_id": "m1", "device_id": None},
        "event_time": NOVEMBER,
        "received_at": NOVEMBER + SECOND,
        "decided_at": NOVEMBER + 2 * SECOND,
        "decision": "APPROVE",
        "score": 0.125,
        "method": "model",
        "rule_id": None,
        "reasons": [{"code": "amount_zscore", "contribution": 0.1}],
        "rule_hits": [],
        "shadow_hits": ["new_device"],
        "model_version": "20261123T101500Z-0f3a9c21",
        "rules_version": "r1",
        "feature_set_digest": "ab" * 32,
        "features": {"amount": 12.5, "hour_of_day": 10.0},
        "request_id": "q1",
        "latency_ms": 7.25,
        "answer": {"decision": "APPROVE", "fraud_score": 0.125},
    }
    return Decision(**(fields | changes))


def fact(subject_id: str = "t1", **changes: object) -> Fact:
    fields: dict[str, object] = {
        "system": "fraud",
        "subject_id": subject_id,
        "kind": "fraud",
        "value": True,
        "observed_at": NOVEMBER + 10 * SECOND,
        "source": "chargeback",
        "received_at": NOVEMBER + 11 * SECOND,
    }
    return Fact(**(fields | changes))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL 15 of its own on a socket in a folder of its own; the URL up to the database."""
    if not (POSTGRESQL / "initdb").exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no PostgreSQL in {POSTGRESQL}; apt-get install postgresql-15")
        pytest.skip(f"no PostgreSQL in {POSTGRESQL}")
    folder = Path(tempfile.mkdtemp(prefix="fw-pg-", dir="/tmp"))
    # the server refuses root, and goes when the tests are killed
    account = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        account += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    where = ["-D", str(folder / "data")]
    initialise = [str(POSTGRESQL / "initdb"), *where, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run([*account, *initialise, "-E", "UTF8"], check=True, capture_output=True)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    line = [*account, str(POSTGRESQL / "postgres"), *where, *options]
    with (folder / "log").open("w") as log, subprocess.Popen(line, stderr=log) as server:
        ready = [str(POSTGRESQL / "pg_isready"), "-q", "-h", str(folder)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        try:
            yield f"postgresql+psycopg://postgres@/{{database}}?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.db"
    server = request.getfixturevalue("postgresql")
    name = f"records_{uuid.uuid4().hex}"
    engine = create_engine(server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return str(server.format(database=name))


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = Records(url)
    opened.migrate()
    yield opened
    opened.close()
