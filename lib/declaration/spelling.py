"""Hints for names that are spelt otherwise than the known ones."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_LISTED = 40


def did_you_mean(name: str, known_names: Iterable[str]) -> str:
    """Words that point from a misspelt `name` to the nearest known one, or list what is known.

    >>> did_you_mean("amuont", ["amount", "currency"])
    "did you mean 'amount'?"
    >>> did_you_mean("x", ["amount", "currency"])
    'known: amount, currency'
    """
    names = [str(known_name) for known_name in known_names]
    lowered = {known_name.lower(): known_name for known_name in names}
    near = get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"did you mean '{lowered[near[0]]}'?"
    further = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return (
        f"known: {', '.join(names[:_MOST_LISTED])}{further}"
        if names
        else "no names are declared here"
    )
