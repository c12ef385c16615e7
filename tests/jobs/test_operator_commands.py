"""Commands on keys, records, models and rules refuse what cannot work and touch nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.access.keys import Command, Create, List, Revoke
from jobs.framework.options import read_options
from tests.jobs.entries import JOBS, entry_names
from tests.records.conftest import empty_records

RUN = """
import contextlib, io, json, runpy, sys
ends = []
for name, *arguments in json.loads(sys.argv[1]):
    sys.argv = [name, *arguments]
    code, output, errors = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    ends.append([code, output.getvalue() + errors.getvalue()])
    assert "ray" not in sys.modules, name
print(json.dumps(ends))
"""
HELPFUL = ("access", "privacy", "records", "registry", "rules")


def run(commands: list[list[str]]) -> list[tuple[object, str]]:
    """Exit code, or message, and output of each command, all in one fresh process without Ray."""
    line = [sys.executable, "-W", "ignore", "-c", RUN, json.dumps(commands)]
    done = subprocess.run(line, cwd=JOBS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, text) for code, text in json.loads(done.stdout)]


def test_each_refuses_in_one_message_and_leaves_nothing_behind(tmp_path: Path) -> None:
    url, absent = empty_records(tmp_path), str(tmp_path / "absent")
    short = tmp_path / "secret"
    short.write_text("short")
    erase = ["jobs.privacy.erase", "--system", "churn", "--entity", "ann", "--records", url]
    retain = ["jobs.privacy.retain", "--records", url]
    system = ["--registry", absent, "--system", "fraud"]
    unpark = ["jobs.records.unpark", "--system", "fraud", "--records"]
    other = ["--records", f"sqlite:///{absent}"]  # of options given twice the last one counts
    cases = [
        ([*erase, "--dry-run", *other], "expected a database that a service wrote, there is no"),
        ([*retain, *other], "expected a database that a service wrote, there is no file"),
        ([*unpark, other[1]], "expected a database that a service wrote, there is no file"),
        ([*unpark, "env:NOT_SET"], "expected the URL in the variable NOT_SET; it is not set"),
        ([*unpark, url, "--show", "-1"], "show: expected 0 rows or more, got -1"),
        ([*unpark, url, "--subject", "a", "b"], "--subject: 2 of 2 ids are not parked in fraud"),
        (["jobs.access.keys", "list", "--file", absent], "--file: there is no file or folder"),
        (["jobs.access.keys", "revoke", "k", "--file", absent], "--file: there is no file"),
        ([*erase, "--journal", absent], "--journal: there is no file or folder"),
        ([*erase, "--secret-file", absent], "--secret-file: there is no file or folder"),
        ([*erase, "--secret-file", str(short)], "16 bytes"),
        ([*erase, "--kind", "merchant", "--dry-run"], "kind: expected one of customer"),
        ([*retain, "--facts-days", "0"], "facts_days: expected 1 day or more, got 0"),
        ([*retain, "--media-days", "3"], "media: expected the folder or URI"),
        ([*retain, "--logs-days", "3"], "logs: expected the folders of logs for logs_days"),
        ([*retain, "--archive-decisions-days", "9"], "archive: expected a folder or URI"),
        (["jobs.registry.list", "--registry", absent], "--registry: there is no file or folder"),
        (["jobs.registry.promote", *system, "--version", "v"], "--registry: there is no file"),
        (["jobs.registry.rollback", *system], "--registry: there is no file or folder"),
        (["jobs.rules.backtest", "--data", absent, "--output", absent], "--data: there is no file"),
    ]
    for (command, message), (code, text) in zip(
        cases, run([command for command, _ in cases]), strict=True
    ):
        assert str(code).startswith("error: "), command
        assert message in str(code), command
        assert "Traceback" not in f"{code}{text}", command
    assert not Path(absent).exists()
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"secret", "records"}


def test_each_explains_itself() -> None:
    names = [name for name in entry_names() if name.split(".")[1] in HELPFUL]
    assert len(names) > 6
    for name, (code, text) in zip(names, run([[name, "--help"] for name in names]), strict=True):
        assert code == 0, name
        assert "usage:" in text, name


def test_a_file_of_options_serves_the_command_that_the_first_argument_names(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("file: keys.json\nnote: till\n")
    create = read_options(Command, ["create", "--scopes", "admin", "--config", str(file)])
    assert create == Create(scopes=("admin",), file=Path("keys.json"), note="till")
    file.write_text("file: keys.json\n")
    assert read_options(Command, ["list", "--config", str(file)]) == List(file=Path("keys.json"))
    revoke = read_options(Command, ["revoke", "k1", "--config", str(file)])
    assert revoke == Revoke(key_id="k1", file=Path("keys.json"))
    with pytest.raises(SystemExit, match="expected one of create, list, revoke first, got 'lst'"):
        read_options(Command, ["lst", "--config", str(file)])
