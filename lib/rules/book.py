"""The rule set in force, and how it is replaced while requests run."""

from __future__ import annotations

from collections.abc import Mapping

from lib.rules.loading import FRAUD_ACTIONS, load_rules
from lib.rules.ruleset import RuleSet


class RuleBook:
    """Holds the rule set in force. A bad text is refused and leaves the old set on.

    Reading `current` and `reload` from several threads is safe: the set is immutable and swapped
    in one assignment. A request should read `current` once and keep it.

    Args:
        text: the YAML to start with.
        fields: the fields that expressions may read.
        actions: what rules may decide, from the mildest to the hardest.
        source: name of the file for messages.
        pass_key: secret of the exploration sample.

    Raises:
        RuleError: the first text is bad; there is no set to fall back to.
    """

    def __init__(
        self,
        text: str,
        fields: Mapping[str, type],
        *,
        actions: tuple[str, ...] = FRAUD_ACTIONS,
        source: str = "rules.yaml",
        pass_key: bytes = b"",
    ) -> None:
        self._fields, self._actions = dict(fields), actions
        self._source, self._pass_key = source, pass_key
        self._current = self._load(text)

    @property
    def current(self) -> RuleSet:
        """The rule set in force."""
        return self._current

    def reload(self, text: str) -> RuleSet:
        """Put a new text in force and return its set.

        Raises:
            RuleError: the text is bad; the old set stays in force.
        """
        self._current = self._load(text)
        return self._current

    def _load(self, text: str) -> RuleSet:
        return load_rules(
            text,
            self._fields,
            actions=self._actions,
            source=self._source,
            pass_key=self._pass_key,
        )
