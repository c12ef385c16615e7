"""Who acted, as the audits name them: a person's name, and the API key that they signed in with."""

import re

from sqlalchemy import ColumnElement, or_

_ACTOR = re.compile(r"(?P<name>.+) \(key (?P<key>[0-9a-f]{12})\)", re.DOTALL)


def actor_text(name: str, key_id: str) -> str:
    """The name and the key, for audits that have one field for both.

    >>> actor_text("ann", "0123456789ab")
    'ann (key 0123456789ab)'
    """
    return f"{name} (key {key_id})"


def read_actor(text: str) -> tuple[str, str | None]:
    """The name, and the key where there is one; see `actor_text`.

    >>> read_actor("ann (key 0123456789ab)"), read_actor("guardrail")
    (('ann', '0123456789ab'), ('guardrail', None))
    """
    parts = _ACTOR.fullmatch(text)
    return (text, None) if parts is None else (parts["name"], parts["key"])


def is_actor(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Whether a column names this person, under whichever key."""
    return or_(column == name, column.startswith(f"{name} (key ", autoescape=True))
