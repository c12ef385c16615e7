"""How many rows of each table are of customers who are in the customers' table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import MatchCounts
from lib.contract.matches import id_shape

KINDS = {
    "usage": "use",
    "tickets": "opened|closed|cancels",
    "invoices": "invoice",
    "payments": "payment",
    "surveys": "survey",
    "signals": "signal",
    "churn": "leaving",
}
"""First words of `event_id` in a stream, by the table that its rows come from."""


def table_matches(happened: pa.Table) -> dict[str, MatchCounts]:
    """Matches of each table of which there are rows; a ticket counts when opened and when closed.

    Examples show the shape of identifiers, as they may be addresses of people.

    Args:
        happened: a stream with all rows of its customers, those of the customers' table included.
    """
    ids = happened["event_id"].combine_chunks()
    customers = happened["customer_id"].combine_chunks()
    listed = customers.filter(pc.starts_with(ids, "customer:")).unique()
    known = pc.is_in(customers, value_set=listed)
    subject = id_shape(pc.min(listed).as_py() or "")
    matches = {}
    for table, kinds in KINDS.items():
        of_table = pc.match_substring_regex(ids, f"^({kinds}):")
        rows = int(np.count_nonzero(of_table))
        if rows:
            strangers = customers.filter(pc.and_(of_table, pc.invert(known)))
            example = id_shape(pc.min(strangers).as_py() or "")
            matches[table] = MatchCounts(rows, len(strangers), example, subject)
    return matches
