"""A PostgreSQL 15 of its own, on a socket in a folder of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

POSTGRESQL = Path("/usr/lib/postgresql/15/bin")


def installed() -> bool:
    """Whether there is one to start."""
    return (POSTGRESQL / "initdb").exists()


@contextmanager
def running() -> Iterator[str]:
    """Start one, yield its URL up to `{database}`, stop it."""
    folder = Path(tempfile.mkdtemp(prefix="fw-pg-", dir="/tmp"))
    # the server refuses root, and goes when the tests are killed
    account = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        account += ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    where = ["-D", str(folder / "data")]
    initialise = [str(POSTGRESQL / "initdb"), *where, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run([*account, *initialise, "-E", "UTF8"], check=True, capture_output=True)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": folder,
        # what a power cut would lose is deleted anyway
        "fsync": "off",
        "full_page_writes": "off",
        # it would visit the databases of all earlier tests, again and again
        "autovacuum": "off",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    line = [*account, str(POSTGRESQL / "postgres"), *where, *options]
    with (folder / "log").open("w") as log, subprocess.Popen(line, stderr=log) as server:
        ready = [str(POSTGRESQL / "pg_isready"), "-q", "-h", str(folder)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        try:
            yield f"postgresql+psycopg://postgres@/{{database}}?host={folder}"
        finally:
            # at once: what a checkpoint would keep is deleted next
            server.send_signal(signal.SIGQUIT)
            server.wait()
    shutil.rmtree(folder)


def new_database(server: str, template: str | None = None) -> str:
    """The URL of a new database.

    Args:
        server: URL up to the database.
        template: URL of the database that is copied, to which nobody is connected; None makes an
            empty one.
    """
    name = f"records_{uuid.uuid4().hex}"
    copied = "" if template is None else f" TEMPLATE {make_url(template).database}"
    engine = create_engine(server.format(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{copied}"))
    engine.dispose()
    return str(server.format(database=name))
