"""Load a rule set from its YAML, or say everything that is wrong with it."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

from lib.declaration import did_you_mean
from lib.rules.condition import Always, Condition
from lib.rules.document import RULE_KEYS, Block, Entry, read_document
from lib.rules.exploration import LARGEST_SHARE, ExplorationSample
from lib.rules.expression import read_expression
from lib.rules.problems import Problem, RuleError, one_of
from lib.rules.reachability import Reach, never_true, reach_of
from lib.rules.ruleset import Rule, RuleSet, Status
from lib.rules.scanner import ExpressionError

FRAUD_ACTIONS = ("APPROVE", "REVIEW", "DECLINE")
STATUSES = ("active", "shadow", "off")
DEFAULT_PRIORITY = 100

_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER_TYPES = {"int", "float"}


def load_rules(
    text: str,
    fields: Mapping[str, type],
    *,
    actions: tuple[str, ...] = FRAUD_ACTIONS,
    source: str = "rules.yaml",
    pass_key: bytes = b"",
) -> RuleSet:
    """Load a rule set.

    Keys of the file: `version` (whole number from 1, raised with every change), `rules`, and
    optionally `pass_share` (0..0.05, see `ExplorationSample`). Keys of a rule: id, when, action,
    reason, confidence, owner, and optionally status (active), priority (100, lower decides first),
    note.

    Args:
        text: the YAML.
        fields: the fields that expressions may read, each float, int, str or bool.
        actions: what rules may decide, from the mildest to the hardest; only the hardest is
            ever waived for exploration.
        source: name of the file for messages.
        pass_key: secret of the exploration sample; needed if the file's pass_share is above 0.

    Raises:
        RuleError: with all problems of the file: bad YAML, unknown, missing or repeated keys,
            repeated ids, values out of range, expressions outside the language or over unknown
            or mistyped fields, rules that can never decide (see `lib.rules.reachability`).
    """
    document = read_document(text, source)
    loader = _Loader(source, fields, actions)
    loader.problems.extend(document.problems)
    version = loader.version(document.head)
    passing = loader.passing(document.head, pass_key)
    read = [loader.rule(block) for block in document.rules]
    loader.check_ids(document.rules)
    rules = sorted((rule for rule in read if rule), key=lambda rule: rule.priority)
    loader.check_reach(rules)
    if loader.problems:
        raise RuleError(loader.problems)
    return RuleSet(version, tuple(rules), actions, passing)


class _Loader:
    def __init__(self, source: str, fields: Mapping[str, type], actions: tuple[str, ...]) -> None:
        self.source, self.fields, self.actions = source, fields, actions
        self.problems: list[Problem] = []

    def version(self, head: Block) -> int:
        return self._integer(head, "version", 1, (1.0, 1e9), " from 1")

    def passing(self, head: Block, key: bytes) -> ExplorationSample:
        share = self._number(head, "pass_share", 0.0, (0.0, LARGEST_SHARE))
        if share and not key:
            message = "a share above 0 needs a secret key: give pass_key, or write 0"
            self._report(head, "pass_share", message)
        return ExplorationSample(share, key) if key else ExplorationSample()

    def rule(self, block: Block) -> Rule | None:
        before = len(self.problems)
        rule = Rule(
            id=self._id(block),
            when=self._text(block, "when"),
            condition=self._condition(block),
            action=self._choice(block, "action", self.actions, ""),
            reason=self._text(block, "reason"),
            confidence=self._number(block, "confidence", 0.0, (0.0, 1.0)),
            status=cast(Status, self._choice(block, "status", STATUSES, "active")),
            priority=self._integer(block, "priority", DEFAULT_PRIORITY, (-1e6, 1e6)),
            owner=self._text(block, "owner"),
            note=self._text(block, "note") if "note" in block.entries else "",
            line=block.line,
        )
        complete = set(RULE_KEYS) <= block.entries.keys()
        return rule if complete and len(self.problems) == before else None

    def check_ids(self, blocks: Iterable[Block]) -> None:
        """Report every id that an earlier rule has."""
        first: dict[str, int] = {}
        for block in blocks:
            if block.id is None:
                continue
            line = first.setdefault(block.id, block.line)
            if line != block.line:
                self._report(block, "id", f"the rule in line {line} has this id: choose another")

    def check_reach(self, rules: list[Rule]) -> None:
        """Report rules that can never decide; rules come in order of priority."""
        earlier: list[tuple[Rule, Reach]] = []
        for rule in (rule for rule in rules if rule.status == "active"):
            reach = reach_of(rule.condition)
            for other, other_reach in earlier:
                if reach.implies(other_reach):
                    message = (
                        f"unreachable: rule {other.id!r} (line {other.line}, priority "
                        f"{other.priority}) already decides whenever `{rule.when}` holds; "
                        "remove one, give this one a lower priority, or set it to shadow"
                    )
                    self._add(rule.line, rule.id, "when", message)
                    break
            earlier.append((rule, reach))

    def _condition(self, block: Block) -> Condition:
        entry = block.entries.get("when")
        never = Always(False)
        if entry is None or not self._is_text(block, "when", entry):
            return never
        try:
            condition = read_expression(entry.text, self.fields)
        except ExpressionError as error:
            self._report(block, "when", str(error))
            return never
        if isinstance(condition, Always):
            answer = str(condition.answer).lower()
            self._report(block, "when", f"unreachable or empty: `{entry.text}` is always {answer}")
        elif never_true(condition):
            message = f"unreachable: `{entry.text}` contradicts itself and is never true"
            self._report(block, "when", message)
        return condition

    def _id(self, block: Block) -> str:
        entry = block.entries.get("id")
        if entry and not _ID.fullmatch(entry.text):
            message = f"expected small letters, digits and _, a letter first, got {entry.text!r}"
            self._report(block, "id", message)
        return entry.text if entry else ""

    def _text(self, block: Block, key: str) -> str:
        entry = block.entries.get(key)
        if entry is None:
            return ""
        if key != "when":
            self._is_text(block, key, entry)
        return " ".join(entry.text.split())

    def _is_text(self, block: Block, key: str, entry: Entry) -> bool:
        if entry.type != "str" or not entry.text.strip():
            hint = f": put it in quotes ({entry.type} in YAML)" if entry.text else ""
            self._report(block, key, f"expected a text, got {entry.text or 'nothing'}{hint}")
            return False
        return True

    def _choice(self, block: Block, key: str, choices: tuple[str, ...], default: str) -> str:
        entry = block.entries.get(key)
        if entry is None:
            return default
        if entry.text not in choices:
            hint = did_you_mean(entry.text, choices)
            message = f"expected {one_of(choices)}, got {entry.text or 'nothing'!r}; {hint}"
            self._report(block, key, message)
        return entry.text

    def _integer(
        self,
        block: Block,
        key: str,
        default: int,
        limits: tuple[float, float],
        start: str = "",
    ) -> int:
        number = self._number(block, key, default, limits)
        if number != int(number):
            self._report(block, key, f"expected a whole number{start}, got {number:g}")
        return int(number)

    def _number(self, block: Block, key: str, default: float, limits: tuple[float, float]) -> float:
        entry = block.entries.get(key)
        if entry is None:
            return default
        expected = f"expected a number {limits[0]:g}..{limits[1]:g}"
        try:
            number = float(entry.text) if entry.type in _NUMBER_TYPES else None
        except ValueError:
            number = None
        if number is None:
            self._report(block, key, f"{expected}, got {entry.text or 'nothing'!r} ({entry.type})")
            return default
        if not limits[0] <= number <= limits[1]:
            self._report(block, key, f"{expected}, got {entry.text}")
            return default
        return number

    def _report(self, block: Block, key: str, message: str) -> None:
        entry = block.entries.get(key)
        self._add(entry.line if entry else block.line, block.id, key, message)

    def _add(self, line: int, rule_id: str | None, key: str, message: str) -> None:
        self.problems.append(Problem(self.source, line, rule_id, key, message))
