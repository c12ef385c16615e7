import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.access import (
    AccessError,
    ApiKeys,
    KeyFileError,
    add_key,
    new_key,
    read_keys,
    revoke_key,
)

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
SECOND = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def issue(path: Path, *scopes: str, expires_at: int | None = None) -> str:
    token, record = new_key(scopes or ("fraud:score",), NOW, expires_at)
    add_key(path, record)
    return token


def key_id(token: str) -> str:
    return token.split("_")[1]


def refusal(keys: ApiKeys, token: str | None, scope: str = "fraud:score", now: int = NOW) -> str:
    with pytest.raises(AccessError) as raised:
        keys.verify(token, scope, now)
    return f"{raised.value.status} {raised.value.cause}"


def test_a_key_lets_its_caller_in_for_each_of_its_scopes(path: Path) -> None:
    token = issue(path, "fraud:score", "fraud:label")
    caller = ApiKeys(path).verify(token, "fraud:label", NOW)
    assert caller.key_id == key_id(token)
    assert caller.scopes == {"fraud:score", "fraud:label"}


def test_a_scope_the_key_lacks_is_forbidden(path: Path) -> None:
    token = issue(path, "fraud:score")
    assert refusal(ApiKeys(path), token, "fraud:label") == "403 no scope fraud:label"


def test_admin_implies_no_other_scope(path: Path) -> None:
    token = issue(path, "admin")
    assert refusal(ApiKeys(path), token) == "403 no scope fraud:score"


def test_every_invalid_key_gets_the_same_answer_and_the_log_the_cause(path: Path) -> None:
    good, old = issue(path), issue(path, expires_at=NOW + SECOND)
    revoked_token = issue(path)
    revoke_key(path, key_id(revoked_token), NOW)
    keys = ApiKeys(path)
    now = NOW + SECOND
    refused = {
        None: "missing",
        "": "missing",
        "fw_000000000000_" + "0" * 64: "unknown key",
        good[:-1] + ("0" if good[-1] != "0" else "1"): "wrong secret",
        "no" + good[2:]: "wrong secret",
        f"fw_{key_id(good)}_\ud800": "wrong secret",
        old: "expired",
        revoked_token: "revoked",
    }
    assert {t: refusal(keys, t, now=now) for t in refused} == {
        token: f"401 {cause}" for token, cause in refused.items()
    }
    messages = set()
    for token in refused:
        with pytest.raises(AccessError) as raised:
            keys.verify(token, "fraud:score", now)
        messages.add(str(raised.value))
    assert len(messages) == 1


@given(st.text(max_size=80))
def test_no_made_up_token_gets_in_or_fails_otherwise(
    tmp_path_factory: pytest.TempPathFactory, token: str
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    issue(path)
    keys = ApiKeys(path)
    with pytest.raises(AccessError):
        keys.verify(token, "admin", NOW)


def test_a_key_made_while_serving_counts_within_a_second(path: Path) -> None:
    first = issue(path)
    keys = ApiKeys(path)
    keys.verify(first, "fraud:score", NOW)
    second = issue(path)
    assert refusal(keys, second, now=NOW + SECOND - 1) == "401 unknown key"
    assert keys.verify(second, "fraud:score", NOW + SECOND)
    assert keys.verify(first, "fraud:score", NOW + SECOND)


def test_a_key_revoked_while_serving_is_refused_within_a_second(path: Path) -> None:
    token = issue(path)
    keys = ApiKeys(path)
    keys.verify(token, "fraud:score", NOW)
    revoke_key(path, key_id(token), NOW)
    assert refusal(keys, token, now=NOW + SECOND) == "401 revoked"


def test_a_broken_file_leaves_the_keys_on_and_says_why(path: Path) -> None:
    token = issue(path)
    keys = ApiKeys(path)
    content = path.read_bytes()
    path.write_text("{")
    assert keys.verify(token, "fraud:score", NOW)
    assert keys.fault is not None
    assert "Invalid JSON" in keys.fault
    path.write_bytes(content)
    assert keys.verify(token, "fraud:score", NOW + SECOND)
    assert keys.fault is None


def test_the_file_holds_no_secret_and_is_for_its_owner_alone(path: Path) -> None:
    token = issue(path)
    assert token.split("_")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_revoking_again_keeps_the_first_time(path: Path) -> None:
    token = issue(path)
    revoke_key(path, key_id(token), NOW)
    assert revoke_key(path, key_id(token), NOW + SECOND).revoked_at == NOW


def test_revoking_an_unknown_key_lists_those_there_are(path: Path) -> None:
    token = issue(path)
    with pytest.raises(KeyFileError, match=f"no key 'nobody'; expected one of {key_id(token)}"):
        revoke_key(path, "nobody", NOW)


def test_a_file_others_may_write_is_refused(path: Path) -> None:
    issue(path)
    path.chmod(0o666)
    with pytest.raises(KeyFileError, match="others may write it"):
        ApiKeys(path)


def test_a_missing_file_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"jobs\.access\.keys create"):
        ApiKeys(path)


def test_a_malformed_key_is_named_without_its_hash(path: Path) -> None:
    issue(path)
    book = json.loads(path.read_text())
    book["keys"][0]["sha256"] = "beef" * 3
    path.write_text(json.dumps(book))
    with pytest.raises(KeyFileError, match=r"keys\.0\.sha256") as raised:
        read_keys(path)
    assert "beef" not in str(raised.value)


@pytest.mark.parametrize("scope", ["fraud:scores", "score", "Fraud:score", "*", ""])
def test_a_scope_no_endpoint_asks_for_is_refused(scope: str) -> None:
    with pytest.raises(KeyFileError, match=r"scopes: .*expected admin or"):
        new_key([scope], NOW)


def test_a_key_that_allows_nothing_is_refused() -> None:
    with pytest.raises(KeyFileError, match="at least one"):
        new_key([], NOW)


def test_a_key_that_is_over_already_is_refused() -> None:
    with pytest.raises(KeyFileError, match="expires_at"):
        new_key(["admin"], NOW, expires_at=NOW)


@pytest.mark.parametrize("names", [("ann", "bob"), ("Ann Müller",)])
def test_a_key_bound_to_reviewers_carries_their_names(path: Path, names: tuple[str, ...]) -> None:
    token, record = new_key(["moderation:review"], NOW, reviewers=names)
    add_key(path, record)
    caller = ApiKeys(path).verify(token, "moderation:review", NOW)
    assert caller.reviewers == set(names)


def test_a_key_of_an_older_file_acts_under_any_name(path: Path) -> None:
    token = issue(path, "moderation:review")
    book = json.loads(path.read_text())
    for key in book["keys"]:
        del key["reviewers"]
    path.write_text(json.dumps(book))
    assert ApiKeys(path).verify(token, "moderation:review", NOW).reviewers is None


@pytest.mark.parametrize("names", [(), ("",), ("ann", ""), ("a\nb",), ("a" * 200,)])
def test_a_reviewer_that_no_request_can_name_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(KeyFileError, match=r"^reviewers: "):
        new_key(["moderation:review"], NOW, reviewers=names)


def test_a_key_is_identified_whatever_its_scopes(path: Path) -> None:
    token = issue(path, "churn:read")
    keys = ApiKeys(path)
    assert keys.identify(token, NOW).scopes == {"churn:read"}
    for wrong in (None, "", token[:-1], token.replace("fw_", "xx_")):
        with pytest.raises(AccessError):
            keys.identify(wrong, NOW)


def test_a_session_finds_its_key_until_it_is_revoked_or_expires(path: Path) -> None:
    lasting, ending = issue(path), issue(path, expires_at=NOW + 10 * SECOND)
    keys = ApiKeys(path)
    assert keys.find(key_id(lasting), NOW) == keys.identify(lasting, NOW)
    assert keys.find(key_id(ending), NOW + 9 * SECOND) is not None
    assert keys.find(key_id(ending), NOW + 10 * SECOND) is None
    assert keys.find("0" * 12, NOW) is None
    assert keys.find("", NOW) is None
    revoke_key(path, key_id(lasting), NOW)
    assert keys.find(key_id(lasting), NOW + 12 * SECOND) is None
