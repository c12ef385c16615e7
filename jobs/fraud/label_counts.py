"""What labels of payments were worth: read, set aside, of no payment, frauds known."""

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from lib.contract import MatchCounts
from lib.contract.matches import LARGE_SHARE
from lib.fraud.contracts import Labelled
from lib.storage import Storage, open_storage


def note_labels(joined: Labelled, smallest_id: str, quarantine: str) -> None:
    """One entry for a group of payments, named by them: a second run overwrites its own."""
    name = sha256(smallest_id.encode()).hexdigest()[:24]
    entry = {
        "matches": joined.matches.to_json(),
        "before_payment": joined.before_payment,
        "known_frauds": joined.known_frauds,
        "withdrawn": joined.withdrawn,
    }
    path = f"label_matches/{name}.json"
    open_storage(quarantine).write(path, json.dumps(entry).encode())


def label_counts(output: Storage) -> dict[str, Any]:
    """What the labels were worth, over all groups of payments."""
    counts: Counter[str] = Counter(before_payment=0, known_frauds=0, withdrawn=0)
    matches = MatchCounts()
    for path in sorted(output.files("quarantine/label_matches")):
        entry = json.loads(output.read(path) or b"{}")
        matches += MatchCounts.from_json(entry.pop("matches"))
        counts.update(entry)
    return {"matches": matches.to_json(), **counts}


def label_figures(labels: Mapping[str, Any]) -> dict[str, int]:
    """The counts for a report; nothing where features were made elsewhere or without labels."""
    if not labels:
        return {}
    return {
        "labels read": labels["rows_in"],
        "labels quarantined": labels["quarantined"],
        "labels of no payment": labels["matches"]["unmatched"],
        "labels before their payment": labels["before_payment"],
        "frauds known": labels["known_frauds"],
        "frauds withdrawn": labels["withdrawn"],
    }


def label_warnings(labels: Mapping[str, Any] | None) -> list[str]:
    """Lines that come first: most labels were set aside, or match no payment."""
    warnings: list[str] = []
    if not labels:
        return warnings
    if not labels["rows_in"]:
        return ["warning: labels: no row was read, so no payment is known as fraud"]
    if labels["quarantined"] > LARGE_SHARE * labels["rows_in"]:
        reason, count = next(iter(labels["reasons"].items()))
        warnings.append(
            f"warning: labels: {labels['quarantined']:,} of {labels['rows_in']:,} rows are "
            f"quarantined, {count:,} of them because of: {reason}"
        )
    matches = MatchCounts.from_json(labels.get("matches", {}))
    return warnings + [line for line in (matches.warning("labels", "payment"),) if line]


def label_lines(labels: Mapping[str, Any] | None) -> list[str]:
    """What was read of the labels, and what they say."""
    if labels is None:
        return ["labels: none are given, so no payment is known as fraud"]
    matches = MatchCounts.from_json(labels["matches"])
    return [
        f"labels read       {labels['rows_in']:>12,}",
        f"  retries dropped {labels['repeats']:>12,}",
        f"  left out        {labels['left_out']:>12,}",
        f"  quarantined     {labels['quarantined']:>12,}",
        *(f"    {count:>8,}  {reason}" for reason, count in labels["reasons"].items()),
        f"  of no payment   {matches.unmatched:>12,}",
        f"  before payment  {labels['before_payment']:>12,}",
        f"frauds known      {labels['known_frauds']:>12,}   ({labels['withdrawn']:,} withdrawn)",
    ]
