"""Names that people write: the known ones, their repeats, and hints for those spelt otherwise."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")

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


def repeated(names: Iterable[str]) -> str | None:
    """The first of names that stands among them again; None where each stands once.

    >>> repeated(["a", "b", "a"])
    'a'
    """
    listed = list(names)
    if len(set(listed)) == len(listed):
        return None
    return next(name for name in listed if listed.count(name) > 1)


def entry_of(entries: Mapping[str, Entry], name: str, key: str, error: type[ValueError]) -> Entry:
    """The entry of a name.

    Args:
        entries: by name.
        name: as a caller writes it.
        key: what the name is of, for the message.
        error: raised where there is none of that name.

    Raises:
        ValueError: `error`, which lists the known names.
    """
    if name not in entries:
        raise error(f"{key}: expected one of {', '.join(entries)}, got {name!r}")
    return entries[name]
