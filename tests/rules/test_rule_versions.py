"""Versions of rules: edited in their text, stored once, moved only from where they were seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, RULES_FILE, rule_fields
from lib.rules import RuleError, RuleSet
from lib.rules.changes import RuleBook
from lib.rules.editing import with_status, with_version
from lib.rules.language import RuleLanguage, next_version, revision_of
from lib.rules.repository import (
    RuleDeclaration,
    RuleRepository,
    RulesMovedError,
    RuleStep,
    StoredRules,
    UnknownRulesError,
)
from tests.records.conftest import postgresql, url

__all__ = ["postgresql", "url"]
PACKAGED = RULES_FILE.read_text()
LANGUAGE = RuleLanguage(rule_fields(FRAUD.names), ACTIONS)
IDS = [rule.id for rule in LANGUAGE.load(PACKAGED, "packaged").rules]
FLOW = """version: 4  # raised with every change
rules: [{id: a, when: amount > 5, action: REVIEW, reason: large, confidence: 1, owner: us}]
"""
QUOTED = """version: 4
rules:
- id: "a"   # the first
  status: 'off'
  when: amount > 5
  action: REVIEW
  reason: large
  confidence: 1
  owner: us
"""
FOLDED = QUOTED.replace('"a"   # the first', ">-\n    a").replace("  status: 'off'\n", "")


def facts_of(rules: RuleSet) -> dict[str, tuple[object, ...]]:
    """All of each rule but its status and its line."""
    return {
        rule.id: (rule.when, rule.action, rule.reason, rule.confidence, rule.priority, rule.note)
        for rule in rules.rules
    }


@given(st.sampled_from(IDS), st.sampled_from(["active", "shadow", "off"]), st.integers(1, 10**9))
def test_another_status_changes_that_and_the_version_alone(
    rule_id: str, status: str, version: int
) -> None:
    text = with_status(PACKAGED, rule_id, status, version)  # type: ignore[arg-type]
    before, after = LANGUAGE.load(PACKAGED, "before"), LANGUAGE.load(text, "after")
    assert after.version == version
    assert facts_of(after) == facts_of(before)
    changed = {rule.id for rule in after.rules if rule.status != "active"}
    assert changed == ({rule_id} if status != "active" else set())
    comments = re.compile(r"#.*")
    assert comments.findall(text) == comments.findall(PACKAGED)


@pytest.mark.parametrize("text", [FLOW, QUOTED, FOLDED], ids=["flow", "quoted", "folded"])
@pytest.mark.parametrize("status", ["active", "shadow", "off"])
def test_a_status_is_written_however_the_rule_is(text: str, status: str) -> None:
    changed = with_status(text, "a", status, 5)  # type: ignore[arg-type]
    (rule,) = LANGUAGE.load(changed, "changed").rules
    assert (rule.status, rule.when) == (status, "amount > 5")
    again = with_status(changed, "a", "shadow", 6)
    assert LANGUAGE.load(again, "again").rules[0].status == "shadow"
    assert ("#" in changed) == ("#" in text)


def test_a_rule_that_is_not_there_is_named() -> None:
    with pytest.raises(RuleError, match="no rule has this id: b"):
        with_status(FLOW, "b", "off", 5)


@pytest.mark.parametrize("text", ["", "rules: []", "[1", "version: [1]", "- 1", "{" * 2000])
def test_a_text_without_a_version_stays_as_it_is(text: str) -> None:
    assert with_version(text, 7) == text


def test_a_version_is_raised_where_it_stands() -> None:
    assert with_version(FLOW, 12) == FLOW.replace("version: 4", "version: 12")


@given(
    st.text(max_size=200) | st.binary(max_size=80).map(lambda content: content.decode("latin-1"))
)
def test_whatever_is_typed_at_random_is_refused_with_problems(text: str) -> None:
    with pytest.raises(RuleError) as refused:
        LANGUAGE.load_next(text, "typed", ["1-0123456789ab"])
    assert refused.value.problems


def test_the_next_version_follows_all_of_them() -> None:
    assert next_version(["3-0123456789ab", "12-0123456789ab", "0-none"]) == 13
    assert next_version([]) == 1


@pytest.fixture
def repository(url: str) -> Iterator[RuleRepository]:
    with RuleRepository(url) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def book(repository: RuleRepository) -> RuleBook:
    repository.declare_rules(declaration())
    return RuleBook(repository, "fraud")


def declaration(text: str = PACKAGED) -> RuleDeclaration:
    return RuleDeclaration(
        system="fraud",
        origin="rules.yaml",
        text=text,
        revision=revision_of(LANGUAGE.load(text, "file")),
        fields=LANGUAGE.kinds(),
        actions=list(ACTIONS),
        has_pass_key=False,
        declared_at=1,
    )


def step(present: int | None = None, by: str = "ann", at: int = 5) -> RuleStep:
    return RuleStep(by=by, reason="a wave of card testing", at=at, present=present)


def raised(version: int) -> str:
    return with_version(PACKAGED, version)


def test_a_declaration_is_replaced_by_the_next(repository: RuleRepository) -> None:
    with pytest.raises(UnknownRulesError, match="fraud"):
        repository.find_rule_declaration("fraud")
    repository.declare_rules(declaration())
    repository.declare_rules(declaration(raised(9)))
    stored = repository.find_rule_declaration("fraud")
    assert stored == declaration(raised(9))
    assert stored.language.load(PACKAGED, "x") == LANGUAGE.load(PACKAGED, "x")


def test_versions_are_published_changed_and_restored(
    repository: RuleRepository, book: RuleBook
) -> None:
    first = book.publish(raised(2), step())
    assert repository.find_rules("fraud", 2) == first
    assert first.revision == revision_of(LANGUAGE.load(raised(2), "x"))
    second = book.set_status(IDS[0], "off", step(2))
    assert (second.number, repository.active_rules("fraud")) == (3, 3)
    book.activate(2, step(3))
    book.activate(None, step(2))
    assert repository.active_rules("fraud") is None
    assert [entry.number for entry in repository.list_rules("fraud", 9)] == [3, 2]
    steps = repository.list_rule_changes("fraud", 9)
    assert [(each.action, each.before, each.after) for each in steps] == [
        ("activated", 2, None), ("activated", 3, 2), ("published", 2, 3), ("published", None, 2)
    ]  # fmt: skip
    assert repository.active_rules("churn") is None
    assert repository.list_rules("churn", 9) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PACKAGED, "expected 2, the next version, got 1"),
        (raised(3), "expected 2, the next version, got 3"),
        (raised(2).replace("impossible_velocity", "moon_phase"), "moon_phase"),
        (raised(2).replace("pass_share: 0", "pass_share: 0.01"), "secret key"),
    ],
)
def test_a_bad_text_is_stored_nowhere(
    repository: RuleRepository, book: RuleBook, text: str, words: str
) -> None:
    checks = book.check(text)
    assert checks.rules is None
    assert words in str(checks.problems[0])
    assert checks.problems[0].line is not None
    with pytest.raises(RuleError, match=words):
        book.publish(text, step())
    assert repository.list_rules("fraud", 9) == []
    assert repository.list_rule_changes("fraud", 9) == []


def test_a_rule_that_could_never_decide_is_not_activated(
    repository: RuleRepository, book: RuleBook
) -> None:
    shadowed = raised(2) + (
        "  - {id: late, when: impossible_velocity == 1 and amount > 5, action: REVIEW, "
        "reason: late, confidence: 1, owner: us, priority: 90, status: shadow}\n"
    )
    book.publish(shadowed, step())
    with pytest.raises(RuleError, match="unreachable"):
        book.set_status("late", "active", step(2))
    assert repository.active_rules("fraud") == 2


def test_steps_from_what_is_no_longer_active_change_nothing(
    repository: RuleRepository, book: RuleBook
) -> None:
    book.publish(raised(2), step())
    for late in (
        lambda: book.publish(raised(3), step()),
        lambda: book.set_status(IDS[0], "off", step()),
        lambda: book.activate(None, step(3)),
        lambda: book.activate(2, step(2)),
    ):
        with pytest.raises(RulesMovedError):
            late()
    with pytest.raises(UnknownRulesError, match="no stored version 8"):
        book.activate(8, step(2))
    with pytest.raises(RuleError, match="is active already"):
        book.set_status(IDS[0], "active", step(2))
    assert [each.after for each in repository.list_rule_changes("fraud", 9)] == [2]


def test_of_many_that_publish_at_once_one_does(repository: RuleRepository, book: RuleBook) -> None:
    def publish(number: int) -> StoredRules | None:
        try:
            return book.publish(f"# {number}\n{raised(2)}", step(by=f"p{number}"))
        except (RulesMovedError, RuleError):
            return None

    with ThreadPoolExecutor(6) as pool:
        stored = [each for each in pool.map(publish, range(6)) if each is not None]
    assert len(stored) == 1
    assert repository.list_rules("fraud", 9)[0].by == stored[0].by
    assert len(repository.list_rule_changes("fraud", 9)) == 1


def test_an_earlier_version_that_this_code_cannot_load_is_not_restored(
    repository: RuleRepository, book: RuleBook
) -> None:
    text = raised(2).replace("impossible_velocity", "moon_phase")
    repository.publish_rules("fraud", text, "2-0123456789ab", step())
    book.publish(raised(3), step(2))
    with pytest.raises(RuleError, match="moon_phase"):
        book.activate(2, step(3))


def test_who_and_why_are_required() -> None:
    for fields in ({"by": ""}, {"reason": ""}, {"reason": "a\0b"}, {"at": -1}):
        with pytest.raises(ValueError, match="expected"):
            RuleStep(**{"by": "ann", "reason": "why", "at": 1, "present": None, **fields})  # type: ignore[arg-type]


def test_the_packaged_texts_of_all_systems_can_be_edited() -> None:
    for path in Path("lib").glob("*/rules.yaml"):
        text = path.read_text()
        ids = [rule["id"] for rule in yaml.safe_load(text)["rules"]]
        for rule_id in ids:
            changed = yaml.safe_load(with_status(text, rule_id, "shadow", 77))
            assert changed["version"] == 77
            statuses = {rule["id"]: rule.get("status") for rule in changed["rules"]}
            assert statuses[rule_id] == "shadow"
