"""What tables say against each other: counted and told, never mended in silence."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lib.churn.events import FLAGGED_LEFT, FLAGGED_STAYS
from lib.contract import MatchCounts
from lib.contract.matches import id_shape
from lib.feature import DAY

FLAG_WITHOUT_NOTICE = "customers flagged as having left, without notice"
NOTICE_WITHOUT_FLAG = "customers who gave notice, flagged as staying"
NOTICE_BEFORE_START = "notices before the customer's contract began"
USE_AFTER_END = "customers who use the product a month after their contract ended"
OVERLAPPING = "contracts that begin before the same customer's contract before ended"
END_BEFORE_NOTICE = "contracts that ended before notice was given"
_SLACK_DAYS = 30
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


def contradictions(happened: pa.Table) -> dict[str, int]:
    """How often each contradiction comes among the customers of a stream of happenings."""
    columns = ("told", "leaving", "flagged", "start_day", "renewal_day", "ends_day", "used")
    rows = pd.DataFrame({name: happened[name].to_numpy() for name in columns})
    customers = happened["customer_id"].combine_chunks().dictionary_encode()
    rows["customer"] = customers.indices.to_numpy(zero_copy_only=False)
    rows["day"] = pc.divide(happened["event_time"].cast(pa.int64()), DAY).to_numpy()
    contracts, notices = rows[rows["told"] > 0], rows[rows["leaving"] > 0]
    flags = contracts.sort_values("day", kind="stable").groupby("customer")["flagged"].last()
    gave_notice = flags.index.isin(notices["customer"])
    starts = contracts[contracts["start_day"] >= 0].groupby("customer")["start_day"].min()
    ending = notices[notices["ends_day"] > 0]
    last = pd.DataFrame(
        {
            "ended": ending.groupby("customer")["ends_day"].max(),
            "used": rows[rows["used"] > 0].groupby("customer")["day"].max(),
            "told": contracts.groupby("customer")["day"].max(),
        }
    )
    used_after = (last["used"] > last["ended"] + _SLACK_DAYS) & ~(last["told"] >= last["ended"])
    cases = {
        FLAG_WITHOUT_NOTICE: (flags == FLAGGED_LEFT) & ~gave_notice,
        NOTICE_WITHOUT_FLAG: (flags == FLAGGED_STAYS) & gave_notice,
        NOTICE_BEFORE_START: notices["day"] < notices["customer"].map(starts),
        USE_AFTER_END: used_after,
        END_BEFORE_NOTICE: ending["ends_day"] < ending["day"],
        OVERLAPPING: _overlaps(contracts),
    }
    return {name: int(mask.sum()) for name, mask in cases.items() if mask.any()}


def _overlaps(contracts: pd.DataFrame) -> pd.Series:
    """Contracts of another start, begun before the one before them ends."""
    columns = ["customer", "start_day", "renewal_day"]
    is_known = (contracts["start_day"] >= 0) & (contracts["renewal_day"] >= 0)
    spans = contracts.loc[is_known, columns].drop_duplicates().sort_values(columns)
    before, start = spans.shift(), spans["start_day"]
    is_same = spans["customer"] == before["customer"]
    return is_same & (start > before["start_day"]) & (start < before["renewal_day"])


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
