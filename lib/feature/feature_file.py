"""What a feature file may hold, as checked data.

A feature is an aggregate over the earlier events of a key, a formula or an expression over features
that are declared before it, or read off the event itself. The packaged features of a system are
such a file. That of a data set adds to them; it is data too: it travels in the artifact of the
model that was trained with it, and what it declares is part of the digest of the feature set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Literal, TypeAlias

from pydantic import ConfigDict
from pydantic import dataclasses as checked

from lib.declaration.yaml_model import Number, Text

AggregateName: TypeAlias = Literal[
    "count",
    "sum",
    "mean",
    "deviation",
    "rate",
    "distinct",
    "latest",
    "is_new",
    "minutes_since",
    "streak",
]
StreakPart: TypeAlias = Literal["days_since_good", "count", "days", "mean", "days_since_settled"]
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
    "streak": ("window", "behind", "of", "fact", "part"),
}
AGGREGATE_MAY: Mapping[str, tuple[str, ...]] = {
    "count": ("hop", "behind", "fact", "without", "empty"),
    "sum": ("hop", "behind", "without", "resolution", "empty"),
    "mean": ("hop", "behind", "without", "resolution", "empty"),
    "deviation": ("hop", "behind", "without", "resolution", "empty"),
    "rate": ("hop", "behind", "prior", "strength", "empty"),
    "distinct": ("hop", "empty"),
    "latest": ("record", "resolution", "empty"),
    "is_new": ("empty",),
    "minutes_since": ("only", "empty"),
    "streak": ("hop", "empty"),
}
FORMS: Mapping[str, tuple[str, ...]] = {
    "aggregate": (),
    "expression": (),
    "formula": ("inputs", "columns"),
    "categories": ("column",),
}
"""By the key that tells what an entry is: the other keys of those entries alone."""

_STRICT = ConfigDict(extra="forbid")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_AGGREGATE_KEYS = tuple(
    dict.fromkeys(
        key
        for keys in (AGGREGATE_NEEDS, AGGREGATE_MAY)
        for listed in keys.values()
        for key in listed
    )
)


class FeatureFileError(ValueError):
    """A feature file that cannot be used: file, line, feature, key, what was expected and came."""


@checked.dataclass(frozen=True, config=_STRICT)
class FeatureDeclaration:
    """A feature of the file.

    Args:
        name: lower-case letters, digits and `_`, such as `merchants_by_device_3d`.
        unit: physical or business unit, for people.
        words: how reasons and reports name it, in the language of their readers.
        hidden: `true` for what only other features are made of: no model and no rule reads it.
        key: columns that name whose events are counted, such as `[device_id]`.
        aggregate: what is computed of them.
        expression: in the language of rules, over features that are declared before; instead of
            `key` and `aggregate`.
        formula: a formula of the system by its name, over `inputs`.
        inputs: features that are declared before, in the order of the formula.
        columns: of the event itself, instead of `inputs`; in packaged files.
        categories: texts of `column` in the order of their codes, from 1; any other is 0.
        column: whose text is coded.
        window: how far back events count, such as `3d`; `ever` of a count or a sum that never ends.
        hop: by what the far edge of the window moves; default: a 60th of the window, or more.
        behind: how long ago the window ends, such as `7d` where labels take a week.
        horizon: how far back the newest event may lie, or `ever`.
        of: the column or the quantity of the system that is summed, averaged or remembered, or the
            column whose values are distinguished.
        only: a quantity of the system; events for which it is 0 are passed over.
        record: what the system remembers together of the newest event, by its name.
        part: of the run of events with a fact: `count`, `days`, `mean`, `days_since_good` or
            `days_since_settled`.
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
    hidden: bool = False
    key: list[Text] = field(default_factory=list)
    aggregate: AggregateName | None = None
    expression: Text | None = None
    formula: Text | None = None
    inputs: list[Text] = field(default_factory=list)
    columns: list[Text] = field(default_factory=list)
    categories: list[Text] = field(default_factory=list)
    column: Text | None = None
    window: Text | None = None
    hop: Text | None = None
    behind: Text | None = None
    horizon: Text | None = None
    of: Text | None = None
    only: Text | None = None
    record: Text | None = None
    part: StreakPart | None = None
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
        form = self.form
        others = [key for other in FORMS if other != form for key in FORMS[other]]
        named = str(self.aggregate) if form == "aggregate" else _FORM_WORDS[form]
        if self.aggregate is None:
            self._refuse(named, FORMS[form], (*others, "key", *_AGGREGATE_KEYS))
            self._require_form(form)
            return
        if not self.key:
            raise ValueError(f"{self.aggregate}: expected a key, such as key: [user_id]")
        needed, optional = AGGREGATE_NEEDS[self.aggregate], AGGREGATE_MAY[self.aggregate]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"{self.aggregate}: expected '{key}', got none")
        self._refuse(named, (*needed, *optional), (*others, *_AGGREGATE_KEYS))

    @property
    def form(self) -> str:
        """The key that says what the entry is."""
        forms = [form for form in FORMS if getattr(self, form) not in (None, [])]
        if len(forms) != 1:
            stated = f", got {' and '.join(forms)}" if forms else ""
            raise ValueError(
                f"expected either an aggregate or an expression, a formula or categories{stated}"
            )
        return forms[0]

    def _require_form(self, form: str) -> None:
        if form == "formula" and bool(self.inputs) == bool(self.columns):
            raise ValueError("formula: expected either 'inputs' or 'columns'")
        if form == "categories" and self.column is None:
            raise ValueError("categories: expected 'column', got none")

    def _refuse(self, kind: str, allowed: Sequence[str], keys: Sequence[str]) -> None:
        for key in keys:
            if key not in allowed and getattr(self, key) not in (None, []):
                takes = f"; it takes {', '.join(allowed)}" if allowed else ""
                raise ValueError(f"{kind} has no '{key}'{takes}")


_FORM_WORDS = {
    "expression": "an expression",
    "formula": "a formula",
    "categories": "a list of categories",
}


@checked.dataclass(frozen=True, config=_STRICT)
class FeatureList:
    """The content of a file: features in the order in which they are computed.

    Args:
        features: of no group.
        groups: features by group, where the system has groups; computed after the others.
    """

    features: list[FeatureDeclaration] = field(default_factory=list)
    groups: dict[Text, list[FeatureDeclaration]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.features and not self.groups:
            raise ValueError("features: expected a list of features, got none")

    def entries(self) -> Iterator[tuple[tuple[str | int, ...], FeatureDeclaration]]:
        """Each feature with its place in the file."""
        for index, entry in enumerate(self.features):
            yield ("features", index), entry
        for group, listed in self.groups.items():
            for index, entry in enumerate(listed):
                yield ("groups", group, index), entry
