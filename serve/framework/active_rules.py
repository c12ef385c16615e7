"""The active rule set: all rules, and those that need no profile store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lib.rules import RuleSet, RuleVersion, load_rules
from serve.framework.reloadable import Reloadable, read_source


class ActiveRules(Reloadable[RuleVersion]):
    """The active rules; a bad text leaves them as they are.

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
        super().__init__(RuleVersion(empty, empty, "none"))
        self.load(None)

    def load(self, source: str | None) -> bool:
        """Reads, checks and swaps. Never raises.

        Args:
            source: see `read_source`.

        Returns:
            Whether these rules are active now; `error` says why not.
        """
        return self._replace(lambda: self._read(*read_source(source, self._packaged)))

    def status(self) -> Mapping[str, Any]:
        """Version of the active rules, and why the last ones were refused."""
        return {"version": self.current.version, "error": self.error}

    def _read(self, text: str, source: str) -> RuleVersion:
        rules = load_rules(
            text, self._fields, actions=self._actions, source=source, pass_key=self._key
        )
        return RuleVersion(
            rules, rules.restrict(self._known), f"{rules.version}-{rules.digest[:12]}"
        )
