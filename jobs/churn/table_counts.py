"""Customers' tables in closing lines: what became of their rows, and what they match."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.churn.sources import TABLES
from jobs.framework import tables
from lib.churn.consistency import contradictions, table_matches
from lib.contract import MatchCounts
from lib.contract.matches import match_lines, match_warnings
from lib.storage import Storage, open_storage

_LEDGER = "customers_ledger"


def note_customers(happened: pa.Table, quarantine: str) -> None:
    """One entry for a group of customers, named by them: a second run overwrites its own."""
    if not happened.num_rows:
        return
    smallest = str(pc.min(happened["customer_id"]).as_py())
    name = hashlib.sha256(smallest.encode()).hexdigest()[:24]
    matches = {table: counts.to_json() for table, counts in table_matches(happened).items()}
    text = json.dumps({"contradictions": contradictions(happened), "matches": matches})
    open_storage(quarantine).write(f"{_LEDGER}/{name}.json", text.encode())


def customer_counts(output: Storage) -> dict[str, Any]:
    """Contradictions and matches over all groups of customers."""
    total: Counter[str] = Counter()
    matches: dict[str, MatchCounts] = {}
    for path in sorted(output.files(f"quarantine/{_LEDGER}")):
        entry = json.loads(output.read(path) or b"{}")
        total.update(entry["contradictions"])
        for table, counts in MatchCounts.by_table(entry["matches"]).items():
            matches[table] = matches.get(table, MatchCounts()) + counts
    return {
        "contradictions": dict(total.most_common()),
        "matches": {table: matches[table].to_json() for table in TABLES if table in matches},
    }


def table_warnings(note: Mapping[str, Any]) -> list[str]:
    """Lines that come first: tables most of whose rows are of no customer.

    Args:
        note: with `matches`; features made by an earlier version have none.
    """
    return match_warnings(MatchCounts.by_table(note.get("matches", {})), "customer")


def table_lines(note: Mapping[str, Any]) -> list[str]:
    """What became of the rows of each table, and those of no customer.

    Args:
        note: with `tables`, `matches` and `contradictions`.
    """
    lines = tables.table_lines(note["tables"], 12)
    lines += match_lines(MatchCounts.by_table(note.get("matches", {})), "customer")
    return lines + [f"{count:>8,}  {what}" for what, count in note["contradictions"].items()]
