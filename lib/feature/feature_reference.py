"""The reference of feature files: every key with its meaning, and an example of each aggregate."""

import inspect
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lib.feature.feature_file import AGGREGATE_MAY, AGGREGATE_NEEDS, FORMS, FeatureDeclaration
from lib.feature.feature_library import FeatureLibrary
from lib.feature.feature_reader import parameters_of

AGGREGATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "count": (
            "events of the key",
            "{name: orders_by_device_1d, unit: orders, key: [device], aggregate: count, "
            "window: 1d}",
        ),
        "sum": (
            "sum of a number or a flag",
            "{name: basket_sum_by_user_7d, unit: EUR, key: [user], aggregate: sum, of: basket, "
            "window: 7d, hop: 1d}",
        ),
        "mean": (
            "mean of a number or a flag, of the events that have one",
            "{name: basket_mean_by_user_7d, unit: EUR, key: [user], aggregate: mean, of: basket, "
            "window: 7d, hop: 1d, resolution: 0.01}",
        ),
        "deviation": (
            "standard deviation of a number, of the events that have one",
            "{name: basket_deviation_by_user_7d, unit: EUR, key: [user], aggregate: deviation, "
            "of: basket, window: 7d}",
        ),
        "rate": (
            "share of events of which a fact is known, drawn to `prior` where there are few",
            "{name: fraud_rate_by_channel_28d, unit: share, key: [channel], aggregate: rate, "
            "fact: fraud, window: 28d, behind: 7d, hop: 1d, prior: 0.01, strength: 20}",
        ),
        "distinct": (
            "different texts of a column",
            "{name: users_by_device_3d, unit: users, words: customers on this device, "
            "key: [device], aggregate: distinct, of: user, window: 3d, hop: 10m, empty: 0}",
        ),
        "latest": (
            "the number of the newest event that has one",
            "{name: basket_before_by_user, unit: EUR, key: [user], aggregate: latest, of: basket, "
            "horizon: 90d}",
        ),
        "is_new": (
            "1 where the key has no earlier event, else 0",
            "{name: channel_is_new_by_user, unit: 0 or 1, key: [user, channel], aggregate: is_new, "
            "horizon: 90d}",
        ),
        "minutes_since": (
            "minutes since the newest event of the key",
            "{name: minutes_since_device, unit: minutes, key: [device], aggregate: minutes_since, "
            "horizon: 30d}",
        ),
        "streak": (
            "of the run of events with a fact that a key's settled events end with",
            "{name: frauds_in_a_row_by_device, unit: orders, key: [device], aggregate: streak, "
            "part: count, of: revenue, fact: fraud, window: 28d, behind: 7d, hop: 1d}",
        ),
    }
)
"""By name: what is computed, and an entry of a file."""

OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "expression": "{name: orders_share, unit: share, "
        "expression: orders_by_device_1d / (orders_by_user_7d + 1)}",
        "formula": "{name: basket_share, unit: share, "
        "inputs: [basket_before_by_user, basket_sum_by_user_7d], formula: share}",
        "categories": "{name: channel_code, unit: code, column: channel, "
        "categories: [web, shop], hidden: true}",
    }
)
"""Entries without an aggregate, by the key that tells what they are."""


def reference() -> str:
    """The reference as Markdown."""
    keys = ["| key | meaning | taken by |", "| --- | --- | --- |"]
    keys += [f"| `{name}` | {text} | {_takers(name)} |" for name, text in key_meanings().items()]
    aggregates = ["| aggregate | is | needs | may have |", "| --- | --- | --- | --- |"]
    for name, (meaning, _) in AGGREGATES.items():
        needed, optional = _listed(AGGREGATE_NEEDS[name]), _listed(AGGREGATE_MAY[name])
        aggregates.append(f"| `{name}` | {meaning} | {needed} | {optional} |")
    return "\n\n".join(
        [
            "Every key of an entry of `features`; no other is taken.",
            "\n".join(keys),
            "\n".join(aggregates),
            "An example of each, of events with the texts `user`, `device` and `channel` and the "
            "number `basket`, and of a system that has a quantity `revenue` and a formula `share`; "
            "a test reads it:",
            f"```yaml\n{example_file()}```",
        ]
    )


def library_reference(library: FeatureLibrary) -> str:
    """What feature files of a system may name, as Markdown.

    Args:
        library: of the system; names that only packaged files may use are left out.
    """
    published = library.published()
    quantities = ["| quantity (`of`, `only`) | is |", "| --- | --- |"]
    quantities += [f"| `{name}` | {each.meaning} |" for name, each in published.quantities.items()]
    records = ["| record | remembers | is |", "| --- | --- | --- |"]
    for name, record in published.records.items():
        remembered = [
            of
            for of, named in published.quantities.items()
            if any(named.quantity is each for each in record.quantities)
        ]
        records.append(f"| `{name}` | {_listed(remembered)} | {record.meaning} |")
    formulas = ["| formula | inputs | is |", "| --- | --- | --- |"]
    for name, formula in published.formulas.items():
        meaning = " ".join((inspect.getdoc(formula) or "").split("\n\n")[0].split())
        formulas.append(f"| `{name}` | {_listed(parameters_of(formula))} | {meaning} |")
    return "\n\n".join("\n".join(table) for table in (quantities, records, formulas))


def example_file() -> str:
    """A feature file with an entry of each kind."""
    entries = [*(entry for _, entry in AGGREGATES.values()), *OTHERS.values()]
    return "features:\n" + "".join(f"- {_wrapped(entry)}\n" for entry in entries)


def key_meanings() -> dict[str, str]:
    """Meaning of each key, as the class that reads an entry documents it."""
    document = inspect.getdoc(FeatureDeclaration) or ""
    _, _, arguments = document.partition("Args:\n")
    entries = re.findall(r"^    (\w+): ((?:.|\n(?!    \w+: ))*)", arguments, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _takers(key: str) -> str:
    takers = [name for name in AGGREGATES if key in (*AGGREGATE_NEEDS[name], *AGGREGATE_MAY[name])]
    if takers:
        return _listed(takers)
    if key in ("key", "aggregate"):
        return "every aggregate"
    forms = [form for form, keys in FORMS.items() if key in (form, *keys)]
    return _listed(forms) if forms else "all"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) if names else "–"


def _wrapped(entry: str, width: int = 98) -> str:
    """A flow mapping in lines of at most `width` characters."""
    lines, line = [], ""
    for part in entry.split(", "):
        longer = f"{line}, {part}" if line else part
        if len(longer) > width and line:
            lines.append(f"{line},")
            longer = part
        line = longer
    return "\n   ".join([*lines, line])
