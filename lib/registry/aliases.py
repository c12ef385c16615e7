"""Which version is champion and which challenges it, with every change ever made."""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.registry.errors import AliasMovedError, RegistryError
from lib.registry.evidence import Evidence
from lib.registry.manifest import Moment
from lib.registry.names import ALIASES, VERSION_PATTERN

_LONGEST_NAME = 200


class AliasChange(BaseModel):
    """One change of an alias.

    Attributes:
        alias: `champion` or `challenger`.
        action: `set`, or `rollback` to what stood before the last set not yet rolled back.
        before: the version it named until then, or None.
        after: the version it names from then on.
        at: microseconds since 1970 UTC.
        by: who changed it.
        evidence: what the change rests on; None where none was given, and in older books.
        reason: why, in words; None where none was given, and in older books.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    alias: Literal["champion", "challenger"]
    action: Literal["set", "rollback"]
    before: str | None
    after: Annotated[str, Field(pattern=f"^{VERSION_PATTERN.pattern}$")]
    at: Moment
    by: str
    evidence: Evidence | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None


class AliasMove(TypedDict):
    """How an alias is moved.

    Attributes:
        at: microseconds since 1970 UTC.
        by: who decided it.
        reason: why, in words.
        present: the version that the alias is believed to name, None for none yet; by default it
            may be any.
    """

    at: int
    by: str
    reason: NotRequired[str | None]
    present: NotRequired[str | None]


class AliasBook(BaseModel):
    """The contents of `aliases.json`: the history; the present is what it adds up to."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    history: tuple[AliasChange, ...] = ()

    def current(self) -> dict[str, str]:
        """Each alias that was ever set and the version it names."""
        return {change.alias: change.after for change in self.history}

    def set(
        self, alias: str, version: str, move: AliasMove, evidence: Evidence | None
    ) -> "AliasBook":
        """Point `alias` to `version`; the same version again changes nothing."""
        require_alias(alias)
        before = self.current().get(alias)
        if before == version:
            return self
        return self._with(alias, "set", before, version, move, evidence)

    def rollback(self, alias: str, move: AliasMove) -> "AliasBook":
        """Take back the last change not yet taken back; again goes one further back.

        Raises:
            RegistryError: nothing stood before.
        """
        require_alias(alias)
        before, after = self.current().get(alias), self.earlier(alias)
        if after is None:
            raise RegistryError(
                f"{alias}: no earlier version to return to; set the alias to a version instead"
            )
        return self._with(alias, "rollback", before, after, move)

    def earlier(self, alias: str) -> str | None:
        """The version that a rollback returns to; None where there is none."""
        standing = self._standing(alias)
        return standing[-2] if len(standing) > 1 else None

    def require(self, alias: str, expected: str | None) -> "AliasBook":
        """The book itself, where the alias names the version that somebody has seen.

        Raises:
            RegistryError: it was moved since.
        """
        present = self.current().get(alias)
        if present != expected:
            raise AliasMovedError(
                f"{alias}: expected {expected or 'none yet'}, it is {present or 'none yet'} by now"
            )
        return self

    def to_json(self) -> bytes:
        """Write the book as indented JSON; what a change leaves open is left out of it."""
        return self.model_dump_json(indent=2, exclude_defaults=True).encode() + b"\n"

    def _standing(self, alias: str) -> list[str]:
        versions: list[str] = []
        for change in self.history:
            if change.alias == alias:
                versions.append(change.after) if change.action == "set" else versions.pop()
        return versions

    def _with(
        self,
        alias: str,
        action: str,
        before: str | None,
        after: str,
        move: AliasMove,
        evidence: Evidence | None = None,
    ) -> "AliasBook":
        by, reason = move["by"], move.get("reason")
        decided = {"at": move["at"], "by": by, "reason": reason, "evidence": evidence}
        change = {"alias": alias, "action": action, "before": before, "after": after, **decided}
        if not (by.strip() and by.isprintable() and len(by) <= _LONGEST_NAME):
            raise RegistryError(
                f"--by: expected the name of who decides, 1 to {_LONGEST_NAME} printable "
                f"characters, got {by[:_LONGEST_NAME]!r}"
            )
        try:
            return AliasBook(history=(*self.history, AliasChange.model_validate(change)))
        except ValidationError as error:
            raise RegistryError(f"change of {alias}: {error}") from error


def require_alias(alias: str) -> None:
    """Refuse an alias that no server reads.

    Raises:
        RegistryError: the alias is unknown.
    """
    if alias not in ALIASES:
        raise RegistryError(f"alias: expected one of {', '.join(ALIASES)}, got {alias!r}")


def parse_book(text: bytes | None, origin: str) -> AliasBook:
    """Read `aliases.json`; no file is an empty book.

    Raises:
        RegistryError: the file is malformed.
    """
    if text is None:
        return AliasBook()
    try:
        return AliasBook.model_validate_json(text)
    except ValidationError as error:
        raise RegistryError(f"{origin}: {error}; restore it from a backup") from error
