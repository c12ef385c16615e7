"""What kinds of customers there are: the vocabularies that features are coded by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

_MOST = 60


class ChurnError(ValueError):
    """Something about customers that cannot be meant; the message names it."""


@dataclass(frozen=True)
class CustomerBase:
    """A company's customers, as far as a model has to know them beforehand.

    Args:
        segments: with whom customers are compared; the code of one is its place, from 1.
        plans: what is subscribed to, the same way.

    Raises:
        ChurnError: a name comes twice, or there are more than features can be made of.
    """

    segments: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what in ("segments", "plans"):
            names = getattr(self, what)
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ChurnError(f"{what}: '{twice}' is listed twice")
            if len(names) > _MOST:
                raise ChurnError(f"{what}: expected at most {_MOST}, got {len(names)}")

    def to_yaml(self) -> str:
        """A file that `parse_base` reads."""
        return yaml.safe_dump(
            {"segments": list(self.segments), "plans": list(self.plans)}, sort_keys=False
        )


def parse_base(text: str, origin: str = "base") -> CustomerBase:
    """The base in a YAML text: `segments: [...]` and `plans: [...]`, both optional.

    Raises:
        ChurnError: unknown keys, or something else than lists of names.
    """
    try:
        content: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ChurnError(f"{origin}: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= {"segments", "plans"}:
        raise ChurnError(f"{origin}: expected segments and plans, got {content!r}"[:300])
    for what, names in content.items():
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise ChurnError(f"{origin}: {what}: expected a list of names, got {names!r}"[:300])
    return CustomerBase(tuple(content.get("segments", ())), tuple(content.get("plans", ())))


def base_of(segments: Iterable[str | None], plans: Iterable[str | None]) -> CustomerBase:
    """The base that data shows: every segment and plan that comes, by name.

    Rare ones beyond the most that features can be made of have no name of their own.
    """
    found = [tuple(sorted({one for one in names if one})) for names in (segments, plans)]
    return CustomerBase(*(names if len(names) <= _MOST else () for names in found))
