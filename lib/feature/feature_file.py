"""Features declared in a YAML file, on top of the packaged ones of a system.

A feature is an aggregate over the earlier events of a key, or an expression over features that are
declared before it. The file is data: it travels in the artifact of the model that was trained with
it, and what it declares is part of the digest of the feature set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from pydantic import ConfigDict
from pydantic import dataclasses as checked

from lib.declaration.yaml_model import Number, Text

AggregateName: TypeAlias = Literal[
    "count", "sum", "mean", "deviation", "rate", "distinct", "latest", "is_new", "minutes_since"
]
_STRICT = ConfigDict(extra="forbid")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
AGGREGATE_NEEDS: Mapping[str, tuple[str, ...]] = {
    "count": ("window",),
    "sum": ("window", "of"),
    "mean": ("window", "of"),
    "deviation": ("window", "of"),
    "rate": ("window", "fact"),
    "distinct": ("window", "of"),
    "latest": ("horizon", "of"),
    "is_new": ("horizon",),
    "minutes_since": ("horizon",),
}
AGGREGATE_MAY: Mapping[str, tuple[str, ...]] = {
    "count": ("hop", "behind", "fact", "without", "empty"),
    "sum": ("hop", "behind", "without", "resolution", "empty"),
    "mean": ("hop", "behind", "without", "resolution", "empty"),
    "deviation": ("hop", "behind", "without", "resolution", "empty"),
    "rate": ("hop", "behind", "prior", "strength", "empty"),
    "distinct": ("hop", "empty"),
    "latest": ("resolution", "empty"),
    "is_new": ("empty",),
    "minutes_since": ("empty",),
}
_AGGREGATE_KEYS = ("window", "hop", "behind", "horizon", "of", "fact", "without", "resolution")
_RATE_KEYS = ("prior", "strength")


class FeatureFileError(ValueError):
    """A feature file that cannot be used: file, line, feature, key, what was expected and came."""


@checked.dataclass(frozen=True, config=_STRICT)
class FeatureDeclaration:
    """A feature of the file.

    Args:
        name: lower-case letters, digits and `_`, such as `merchants_by_device_3d`.
        unit: physical or business unit, for people.
        words: how reasons and reports name it, in the language of their readers.
        key: columns that name whose events are counted, such as `[device_id]`.
        aggregate: what is computed of them.
        expression: in the language of rules, over features that are declared before; instead of
            `key` and `aggregate`.
        window: how far back events count, such as `3d`.
        hop: by what the far edge of the window moves; default: a 60th of the window, or more.
        behind: how long ago the window ends, such as `7d` where labels take a week.
        horizon: how far back the newest event may lie.
        of: the column that is summed, averaged or remembered, or whose values are distinguished.
        fact: only events of which this is known by now, such as `fraud`.
        without: no events of which this is known by now.
        resolution: of the numbers that are added up, 0.01 without it; sums are exact in multiples
            of it, and a number of more than 2,147,483,647 of them counts as that many.
        prior: share that is assumed of a rate where little is known.
        strength: as if that many events had been seen at the prior.
        empty: the value where there is nothing to compute from; default: missing.
    """

    name: Text
    unit: Text
    words: Text = ""
    key: list[Text] = field(default_factory=list)
    aggregate: AggregateName | None = None
    expression: Text | None = None
    window: Text | None = None
    hop: Text | None = None
    behind: Text | None = None
    horizon: Text | None = None
    of: Text | None = None
    fact: Text | None = None
    without: Text | None = None
    resolution: Number | None = None
    prior: Number | None = None
    strength: Number | None = None
    empty: Number | None = None

    def __post_init__(self) -> None:
        if self.empty is not None and not math.isfinite(self.empty):
            raise ValueError(f"empty: expected a finite number, got {self.empty}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name: expected lower-case letters, digits and _, got {self.name[:80]!r}"
            )
        if (self.aggregate is None) == (self.expression is None):
            raise ValueError("expected either an aggregate or an expression")
        if self.aggregate is None:
            self._refuse("an expression", (), ("key", *_AGGREGATE_KEYS, *_RATE_KEYS, "empty"))
            return
        if not self.key:
            raise ValueError(f"{self.aggregate}: expected a key, such as key: [user_id]")
        needed, optional = AGGREGATE_NEEDS[self.aggregate], AGGREGATE_MAY[self.aggregate]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"{self.aggregate}: expected '{key}', got none")
        allowed = (*needed, *optional)
        self._refuse(self.aggregate, allowed, (*_AGGREGATE_KEYS, *_RATE_KEYS))

    def _refuse(self, kind: str, allowed: Sequence[str], keys: Sequence[str]) -> None:
        for key in keys:
            if key not in allowed and getattr(self, key) not in (None, []):
                takes = f"; it takes {', '.join(allowed)}" if allowed else ""
                raise ValueError(f"{kind} has no '{key}'{takes}")


@checked.dataclass(frozen=True, config=_STRICT)
class FeatureList:
    """The content of a file: features in the order in which they are computed."""

    features: list[FeatureDeclaration]
