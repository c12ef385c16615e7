import json
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
    result = run("create", "--scopes", "fraud:score", "fraud:label", "--file", path, "--days", 30)
    token = result.stdout.strip()
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


def test_a_key_beyond_the_calendar_is_refused_and_a_bad_entry_does_not_hide_the_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.json"
    create = ("create", "--scopes", "fraud:score", "--file", path, "--days")
    for days in (10_000_000, 10**30, -1, 0):
        ended = run(*create, days)
        assert (ended.returncode, ended.stderr.startswith("error: expires_at: ")) == (1, True)
    assert run(*create, 30).returncode == 0
    book = json.loads(path.read_text())
    far = {**book["keys"][0], "id": "0" * 12, "expires_at": 10**18, "created_at": -(10**18)}
    path.write_text(
        json.dumps({"keys": [*book["keys"], far, {**far, "id": "1" * 12, "expires_at": 10**30}]})
    )
    listed = run("list", "--file", path)
    assert listed.returncode == 0
    assert book["keys"][0]["id"] in listed.stdout
    assert listed.stdout.count("not a date") == 4


def test_a_key_for_reviewers_is_made_and_listed_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create = ("create", "--scopes", "moderation:review", "--file", path)
    token = run(*create, "--reviewers", "ann, bob").stdout.strip()
    assert run(*create).returncode == 0
    assert run(*create, "--reviewers", "ann,,bob").stderr.startswith("error: reviewers: ")
    verified = ApiKeys(path).verify(token, "moderation:review", time.time_ns() // 1000)
    assert verified.reviewers == {"ann", "bob"}
    listed = run("list", "--file", path).stdout
    assert "moderation:review  as ann,bob" in listed
    assert "moderation:review  as any reviewer" in listed
