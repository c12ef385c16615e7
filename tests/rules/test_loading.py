"""A rule file is taken whole or refused with every problem it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.rules import RuleError, RuleSet, load_rules

FIELDS = {"amount": float, "country": str}
GOOD = """\
version: 3
rules:
  - id: large
    when: amount > 100
    action: DECLINE
    reason: too large
    confidence: 0.9
    owner: ana
  - id: abroad
    when: country != "DE"
    action: REVIEW
    reason: from abroad
    confidence: 0.5
    owner: ben
    status: off
    priority: 5
    note: waits for data
"""


def load(text: str) -> RuleSet:
    return load_rules(text, FIELDS, source="fraud.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(RuleError) as refusal:
        load(text)
    assert all(str(problem) in str(refusal.value) for problem in refusal.value.problems)
    return [str(problem) for problem in refusal.value.problems]


def test_a_good_file_is_read_in_order_of_priority() -> None:
    rules = load(GOOD)
    assert [rule.id for rule in rules.rules] == ["abroad", "large"]
    assert rules.version == 3
    abroad, large = rules.rules
    assert (large.status, large.priority, large.note) == ("active", 100, "")
    assert (abroad.status, abroad.note, abroad.line) == ("off", "waits for data", 9)


FAULTS = {
    "    reason:": {
        "    raisin: x\n    reason:": "6: rule 'large' raisin: unknown key; did you mean 'reason'?",
    },
    "    reason: too large\n": {"": "3: rule 'large' reason: the key is missing"},
    "id: abroad": {"id: large": "9: rule 'large' id: the rule in line 3 has this id"},
    "id: large": {"id: Large One": "id: expected small letters"},
    "action: DECLINE": {"action: DECLIN": "got 'DECLIN'; did you mean 'DECLINE'?"},
    "status: off": {"status: of": "did you mean 'off'?"},
    "confidence: 0.9": {
        "confidence: 1.1": "7: rule 'large' confidence: expected a number 0..1, got 1.1",
        "confidence: .nan": "confidence: expected a number 0..1",
        "confidence: high": "expected a number 0..1, got 'high'",
        "confidence: true": "expected a number 0..1, got 'true' (bool)",
    },
    "priority: 5": {"priority: 5.5": "expected a whole number, got 5.5"},
    "owner: ana": {
        "owner: ana\n    owner: eva": "9: rule 'large' owner: the key stands here twice",
        "owner: 7": "owner: expected a text, got 7: put it in quotes",
        "owner:": "owner: expected a text, got nothing",
        "owner: [ana]": "owner: expected a single value, got a list",
    },
    "amount > 100": {
        "amuont > 100": "4: rule 'large' when: unknown field 'amuont' at character 1 of",
        "country > 100": "compares a text with a number",
        "amount >": "ends too early",
        "amount > 100 or 1 == 1": "is always true",
        "true": "when: expected a text, got true",
        '"true"': "is always true",
        "amount > 100 and amount < 5": "contradicts itself and is never true",
    },
    "version: 3\n": {
        "version: 0\n": "fraud.yaml:1: version: expected a number 1..1e+09, got 0",
        "version: 1.5\n": "expected a whole number from 1, got 1.5",
        "": "version: the key is missing",
        "version: 3\nrulez: 1\n": "2: rulez: unknown key; did you mean",
        "version: 3\npass_share: 0.5\n": "expected a number 0..0.05",
        "version: 3\npass_share: 0.01\n": "needs a secret key",
    },
}
"""By a part of the good file: what may stand in its place, and what is said of it."""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(old, new, message) for old, faults in FAULTS.items() for new, message in faults.items()],
)
def test_one_fault_is_named_with_its_place(old: str, new: str, message: str) -> None:
    (problem,) = problems(GOOD.replace(old, new, 1))
    assert message in problem


def test_all_faults_of_a_file_come_at_once() -> None:
    text = GOOD.replace("DECLINE", "DENY").replace("0.5", "5").replace("country !=", "land !=")
    assert [problem.split(":")[1] for problem in problems(text)] == ["5", "10", "13"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("- a", "expected a mapping with the keys version and rules, got a list"),
        ("just words", "got 'just words'"),
        ("version: 1\nrules: [", "fraud.yaml:2: not valid YAML"),
        ("version: 1\nrules: []", "2: rules: expected a list of at least one rule"),
        ("version: 1\nrules: {a: 1}", "got a mapping"),
        ("version: 1\nrules: [5]", "rules: expected a mapping of id, when"),
        ("version: &v 1\nrules: *v", "aliases are refused"),
        ("version: &v 1\nrules: []", "anchors are refused"),
        ("version: !!python/name:os.system 1\nrules: []", "not valid YAML"),
        ("a: " + "[" * 2000, "nested too deep"),
    ],
)
def test_what_is_no_rule_file_is_refused(text: str, message: str) -> None:
    assert any(message in problem for problem in problems(text))


def second_rule(when: str, status: str = "active") -> str:
    return GOOD.replace('country != "DE"', when).replace("status: off", f"status: {status}")


def test_a_rule_behind_a_wider_one_is_unreachable() -> None:
    text = second_rule("amount > 500 and country == 'FR'").replace("priority: 5", "priority: 500")
    assert problems(text) == [
        "fraud.yaml:9: rule 'abroad' when: unreachable: rule 'large' (line 3, priority 100) "
        "already decides whenever `amount > 500 and country == 'FR'` holds; remove one, give this "
        "one a lower priority, or set it to shadow"
    ]


def test_a_narrower_rule_may_stand_before_a_wider_one_or_in_its_shadow() -> None:
    assert load(second_rule("amount > 500")).rules[0].id == "abroad"
    shadowed = second_rule("amount > 500", "shadow").replace("priority: 5", "priority: 500")
    assert load(shadowed).rules[1].id == "abroad"


@given(st.text(max_size=60) | st.lists(st.sampled_from(GOOD.splitlines())).map("\n".join))
def test_any_text_is_loaded_or_refused_and_nothing_else(text: str) -> None:
    try:
        load(text)
    except RuleError as refusal:
        assert refusal.problems  # noqa: PT017
