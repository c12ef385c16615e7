"""Addresses of the pages of the console over what was seeded."""

from __future__ import annotations

from urllib.parse import quote

from tests.console.seeded import Seeded
from tests.console.seeded_fleet import SCHEDULE


def statement_of(seeded: Seeded) -> str:
    """The id of the latest business report."""
    with seeded.source() as source:
        return source.records.list_statements("fraud", 1)[0].id


def paths_of(pages: object, seeded: Seeded) -> list[str]:
    """Addresses of pages, with what exists in them."""
    filled = {
        **{"system": "fraud", "version": seeded.versions[2]},
        **{"customer_id": "ct1", "intervention_id": "plan-today-1"},
        **{"rule_id": "impossible_travel", "statement_id": statement_of(seeded)},
        **{"schedule_id": quote(SCHEDULE, safe=""), "machine_id": "pump%20t12"},
        **{"name": "smaller-model", "item_id": "i1", "statement": "0" * 32},
        "payment_id": quote(seeded.payment_id),
        **{"post_id": quote(seeded.post_id), "digest": "0" * 64},
    }
    plain = (path.replace(":path}", "}") for path in pages)  # type: ignore[attr-defined]
    return ["/console" + path.format(**filled) for path in plain]
