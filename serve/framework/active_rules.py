"""The rules in force, whole and for when history is out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.rules import RuleError, RuleSet, load_rules


@dataclass(frozen=True, slots=True)
class _InForce:
    all_rules: RuleSet
    restricted: RuleSet
    version: str


class ActiveRules:
    """Holds the rules in force; a bad text leaves them as they were.

    Args:
        fields: what rules may read, with their types.
        packaged: file of the rules that are in force at first; none are where it does not fit
            the fields, and `error` says so.
        actions: what rules may decide, from the mildest to the hardest.
        without_store: fields that are known while the store is out.
        exploration_key: secret of the exploration sample; empty if no rules have one.
    """

    def __init__(
        self,
        fields: Mapping[str, type],
        packaged: Path,
        actions: tuple[str, ...],
        without_store: Collection[str],
        exploration_key: bytes = b"",
    ) -> None:
        self._fields, self._packaged, self._actions = fields, packaged, actions
        self._key, self._known = exploration_key, set(without_store)
        empty = RuleSet(0, (), actions)
        self._in_force = _InForce(empty, empty, "none")
        self.error: str | None = None
        self.load(None)

    @property
    def version(self) -> str:
        """Revision and digest of the rules in force."""
        return self._in_force.version

    def rules(self, complete: bool) -> RuleSet:
        """The rules in force: all, or those that need no history."""
        return self._in_force.all_rules if complete else self._in_force.restricted

    def load(self, source: str | None) -> bool:
        """Reads, checks and swaps. Never raises.

        Args:
            source: path of a file, or the YAML itself (it has more than one line); None: the
                packaged rules.

        Returns:
            Whether the wanted rules are in force now; `error` says why not.
        """
        try:
            self._in_force = self._read(*self._text(source))
        except (RuleError, OSError, ValueError) as error:
            self.error = str(error)
            return False
        self.error = None
        return True

    def status(self) -> Mapping[str, Any]:
        """Version of the rules in force, and why the last ones were refused."""
        return {"version": self.version, "error": self.error}

    def _read(self, text: str, source: str) -> _InForce:
        rules = load_rules(
            text, self._fields, actions=self._actions, source=source, pass_key=self._key
        )
        return _InForce(rules, rules.restrict(self._known), f"{rules.version}-{rules.digest[:12]}")

    def _text(self, source: str | None) -> tuple[str, str]:
        if source is not None and "\n" in source:
            return source, "user_config"
        path = self._packaged if source is None else Path(source)
        return path.read_text(encoding="utf-8"), str(path)
