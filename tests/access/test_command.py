import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.access import AccessError, ApiKeys


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "jobs.access.keys", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_key_is_made_listed_and_revoked_from_the_shell(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = run("create", "--scopes", "fraud:score", "fraud:label", "--file", path, "--days", 30)
    token = made.stdout.strip()
    now = time.time_ns() // 1000
    assert ApiKeys(path).verify(token, "fraud:label", now).scopes == {"fraud:score", "fraud:label"}
    listed = run("list", "--file", path).stdout
    assert "active" in listed
    assert token.split("_")[2] not in listed
    assert run("revoke", token.split("_")[1], "--file", path).returncode == 0
    assert "revoked" in run("list", "--file", path).stdout
    with pytest.raises(AccessError) as raised:
        ApiKeys(path).verify(token, "fraud:score", time.time_ns() // 1000)
    assert raised.value.cause == "revoked"


def test_a_wrong_scope_ends_with_a_message_and_no_traceback(tmp_path: Path) -> None:
    ended = run("create", "--scopes", "fraud:scores", "--file", tmp_path / "keys.json")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: scopes: ")
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
