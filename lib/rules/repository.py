"""Versions of rules in the records: written once, one of them active, each step with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select, update

from lib.records.models import require_note, require_text, require_time
from lib.records.repository import Repository, find_row
from lib.records.schema import RULE_CHANGES, RULE_DECLARATIONS, RULE_VERSIONS
from lib.rules.language import KINDS, RuleLanguage, version_of

_TURN = 0x52756C65  # "Rule": the lock of those who move the active version
_KEPT_SECRET = b"declared"


class RulesMovedError(ValueError):
    """Another version is active than the one that the caller saw."""


class UnknownRulesError(ValueError):
    """There is no such version, or no replica has said yet what its rules may read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleEntry:
    """A version in a list.

    Attributes:
        system: whose.
        number: the version that its text names.
        sha256: of its text.
        revision: version and digest, as decisions name it.
        by: who wrote it.
        reason: why.
        created_at: microseconds since 1970 UTC.
    """

    system: str
    number: int
    sha256: str
    revision: str
    by: str
    reason: str
    created_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRules(RuleEntry):
    """A version with its `text`, YAML."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleChange:
    """A step of the audit.

    Attributes:
        id: its number.
        system: whose rules.
        action: `published` of a new version, `activated` of an earlier one or of the file.
        by: who did it.
        reason: why.
        at: microseconds since 1970 UTC.
        before, after: versions; None is the service's file.
    """

    id: int
    system: str
    action: str
    by: str
    reason: str
    at: int
    before: int | None
    after: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleDeclaration:
    """What a service's rules may read and decide, and the rules of its file.

    Attributes:
        system: whose.
        origin: path of the file, or `user_config`.
        text: of the file, YAML.
        revision: of it.
        fields: names to kinds; see `lib.rules.language.KINDS`.
        actions: from the mildest to the hardest.
        has_pass_key: whether the service has a secret of the exploration sample.
        declared_at: microseconds since 1970 UTC.
    """

    system: str
    origin: str
    text: str
    revision: str
    fields: Mapping[str, str]
    actions: Sequence[str]
    has_pass_key: bool
    declared_at: int

    @property
    def language(self) -> RuleLanguage:
        """What texts are checked against; the secret itself stays with the service."""
        kinds = {name: KINDS[kind] for name, kind in self.fields.items()}
        secret = _KEPT_SECRET if self.has_pass_key else b""
        return RuleLanguage(kinds, tuple(self.actions), secret)


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleStep:
    """Who moves the active version, why and when, and which one they saw.

    Attributes:
        by: who.
        reason: in words.
        at: microseconds since 1970 UTC.
        present: the version that they saw active; None is the service's file.
    """

    by: str
    reason: str
    at: int
    present: int | None

    def __post_init__(self) -> None:
        require_text("by", self.by)
        require_note("reason", self.reason)
        require_time("at", self.at)


class RuleRepository(Repository):
    """Rules of every system, in SQLite or PostgreSQL."""

    def declare_rules(self, declaration: RuleDeclaration) -> None:
        """Keep what a replica says of its rules; the last one that says it stands."""
        row = asdict(declaration)
        condition = RULE_DECLARATIONS.c.system == declaration.system
        with self._database.writing() as connection:
            changed = connection.execute(update(RULE_DECLARATIONS).where(condition).values(row))
            if not changed.rowcount:
                self._database.insert_new(connection, RULE_DECLARATIONS, [row])

    def find_rule_declaration(self, system: str) -> RuleDeclaration:
        """What a system's rules may read and decide.

        Raises:
            UnknownRulesError: no replica has said it.
        """
        condition = RULE_DECLARATIONS.c.system == system
        with self._database.reading() as connection:
            declaration = find_row(connection, RuleDeclaration, RULE_DECLARATIONS, condition)
        if declaration is None:
            raise UnknownRulesError(
                f"no application of {system} has said yet what its rules may read; start it"
            )
        return declaration

    def active_rules(self, system: str) -> int | None:
        """The active version; None is the service's file."""
        with self._database.reading() as connection:
            return _active(connection, system)

    def find_rules(self, system: str, number: int) -> StoredRules:
        """A version.

        Raises:
            UnknownRulesError: there is none of this number.
        """
        with self._database.reading() as connection:
            return _require_stored(connection, system, number)

    def list_rules(self, system: str, most: int) -> list[RuleEntry]:
        """Versions of a system, the newest first, at most so many."""
        table = RULE_VERSIONS.c
        return self._list(
            RuleEntry, RULE_VERSIONS, table.system == system, order=[table.number.desc()],
            limit=most,
        )  # fmt: skip

    def list_rule_changes(self, system: str, most: int) -> list[RuleChange]:
        """The audit of a system's rules, the newest first, at most so many steps."""
        table = RULE_CHANGES.c
        return self._list(
            RuleChange, RULE_CHANGES, table.system == system, order=[table.id.desc()], limit=most
        )

    def publish_rules(self, system: str, text: str, revision: str, step: RuleStep) -> StoredRules:
        """Store a text that was loaded, and make it the active version.

        Args:
            system: whose.
            text: YAML that `RuleLanguage.load_next` took.
            revision: of the rules it holds.
            step: by whom and why.

        Raises:
            RulesMovedError: another version is active by now, or another one has this number.
        """
        stored = StoredRules(
            system=system,
            number=version_of(revision),
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            revision=revision,
            by=step.by,
            reason=step.reason,
            created_at=step.at,
        )
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            _require_present(connection, system, step)
            if not self._insert(connection, RULE_VERSIONS, [stored]):
                raise RulesMovedError(f"there is another version {stored.number} of the rules")
            _add_change(connection, system, "published", step, stored.number)
        return stored

    def activate_rules(self, system: str, number: int | None, step: RuleStep) -> None:
        """Make an earlier version active again, or the service's file (None).

        Raises:
            UnknownRulesError: there is no such version.
            RulesMovedError: another version is active by now, or this one is.
        """
        with self._database.writing() as connection:
            self._database.take_turn(connection, _TURN)
            if number is not None:
                _require_stored(connection, system, number)
            _require_present(connection, system, step)
            if number == step.present:
                raise RulesMovedError(f"{_name(number)} is active already")
            _add_change(connection, system, "activated", step, number)


def _active(connection: Connection, system: str) -> int | None:
    table = RULE_CHANGES.c
    query = select(table.after).where(table.system == system).order_by(table.id.desc()).limit(1)
    number = connection.execute(query).scalar()
    return None if number is None else int(number)


def _require_stored(connection: Connection, system: str, number: int) -> StoredRules:
    table = RULE_VERSIONS.c
    conditions = (table.system == system, table.number == number)
    stored = find_row(connection, StoredRules, RULE_VERSIONS, *conditions)
    if stored is None:
        raise UnknownRulesError(f"{system} has no stored version {number} of its rules")
    return stored


def _require_present(connection: Connection, system: str, step: RuleStep) -> None:
    require_present(_active(connection, system), step)


def require_present(active: int | None, step: RuleStep) -> None:
    """Refuse a step of somebody who saw another version active.

    Raises:
        RulesMovedError: names both.
    """
    if active != step.present:
        raise RulesMovedError(
            f"expected {_name(step.present)} to be active, but {_name(active)} is by now"
        )


def _add_change(
    connection: Connection, system: str, action: str, step: RuleStep, after: int | None
) -> None:
    values = {
        "system": system, "action": action, "by": step.by, "reason": step.reason,
        "at": step.at, "before": step.present, "after": after,
    }  # fmt: skip
    connection.execute(insert(RULE_CHANGES).values(values))


def _name(number: int | None) -> str:
    return "the service's file" if number is None else f"version {number}"
