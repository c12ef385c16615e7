"""Events of entities and the decisions before them: which came next, and whose they count as.

A machine or a customer is decided about again and again, and an event (a failure, a notice) is of
the entity. So that each counts once, it counts for the decision that stood: the last before it.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.outcomes import (
    NEVER,
    Flags,
    Floats,
    Ints,
    KnownLabels,
    last_of_groups,
    microseconds,
    require_columns,
)


def standing_events(labels: pa.Table, kinds: tuple[str, ...], as_of: int) -> pa.Table:
    """Events that labels report: `subject_id` is the entity, `observed_at` the time.

    A later row of the same entity, kind and time with the value false takes the event back.
    """
    columns = ["subject_id", "kind", "observed_at", "received_at", "value"]
    require_columns(labels, columns, "labels")
    known = pc.and_(
        pc.is_in(labels["kind"], value_set=pa.array(kinds, pa.string())),
        pa.array(microseconds(labels["observed_at"]) <= as_of),
    )
    rows = labels.select(columns).filter(known)
    order = [(name, "ascending") for name in columns]
    rows = rows.sort_by(order).combine_chunks()
    last = last_of_groups(rows, columns[:3])
    return rows.filter(pc.and_(pa.array(last), rows["value"]))


@dataclass(frozen=True)
class EntityRows:
    """Decisions (n,) and events (k,) of the same entities.

    Attributes:
        codes, times: (n,) entity and microseconds of each decision.
        event_codes, event_times: (k,) likewise, by entity and time.
    """

    codes: Ints
    times: Ints
    event_codes: Ints
    event_times: Ints

    @classmethod
    def of(cls, decisions: pa.Table, events: pa.Table) -> "EntityRows":
        """Of a table of decisions and one of `standing_events`."""
        entities = pc.coalesce(decisions["entity_id"], decisions["subject_id"])
        values = pc.unique(entities)
        owners = pc.fill_null(pc.index_in(events["subject_id"], value_set=values), -1).to_numpy()
        times = microseconds(events["observed_at"])
        # events of entities without a decision, and the same event by two kinds, count for nobody
        pairs = np.unique(np.stack([owners, times])[:, owners >= 0], axis=1)
        codes = pc.index_in(entities, value_set=values).to_numpy()
        return cls(
            codes.astype(np.int64),
            microseconds(decisions["event_time"]),
            pairs[0].astype(np.int64),
            pairs[1].astype(np.int64),
        )

    @classmethod
    def without_events(cls, outcomes: pa.Table) -> "EntityRows":
        """Of outcomes, whose events are in their columns."""
        empty = outcomes.select(["subject_id", "event_time"]).slice(0, 0)
        return cls.of(outcomes, empty.rename_columns(["subject_id", "observed_at"]))

    def merged(self, gap_us: int) -> "EntityRows":
        """The same where events of an entity within `gap_us` of one another are the first of them.

        The gap is that to the event before, so a chain of reports is one event.
        """
        apart = np.ones(len(self.event_times), dtype=np.bool_)
        apart[1:] = (np.diff(self.event_times) > gap_us) | (np.diff(self.event_codes) != 0)
        return replace(
            self, event_codes=self.event_codes[apart], event_times=self.event_times[apart]
        )

    def first_after(self, lead_us: int = 0) -> Ints:
        """(n,) time of the entity's first event later than `lead_us` after each, else `NEVER`."""
        if not len(self.event_times):
            return np.full(len(self.codes), NEVER, dtype=np.int64)
        index = self._index(self.times + lead_us)
        inside = np.minimum(index, len(self.event_times) - 1)
        is_same = (index < len(self.event_times)) & (self.event_codes[inside] == self.codes)
        return np.where(is_same, self.event_times[inside], NEVER)

    def last_before(self) -> Ints:
        """(n,) time of the entity's last event before each decision's time, else `NEVER`."""
        if not len(self.event_times):
            return np.full(len(self.codes), NEVER, dtype=np.int64)
        index = self._index(self.times - 1) - 1
        inside = np.maximum(index, 0)
        is_same = (index >= 0) & (self.event_codes[inside] == self.codes)
        return np.where(is_same, self.event_times[inside], NEVER)

    def standing_until(self, reach_us: int) -> Ints:
        """(n,) until when each decision stands: the entity's next one, or `reach_us` later."""
        order = np.lexsort((self.times, self.codes))
        codes, times = self.codes[order], self.times[order]
        until = times + reach_us
        follows = codes[1:] == codes[:-1]
        until[:-1] = np.where(follows, np.minimum(until[:-1], times[1:]), until[:-1])
        result = np.empty_like(until)
        result[order] = until
        return result

    def counts(self, reach_us: int) -> Floats:
        """(n,) events while each decision stands: later than it, up to the end."""
        return (self._index(self.standing_until(reach_us)) - self._index(self.times)).astype(float)

    def thinned(self, chosen: Flags, gap_us: int) -> Flags:
        """(n,) those of `chosen` that come `gap_us` or more after the one kept before them."""
        kept = np.zeros(len(chosen), dtype=np.bool_)
        owner, last = -1, 0
        rows = np.flatnonzero(chosen)
        order = rows[np.lexsort((self.times[rows], self.codes[rows]))]
        for row in order.tolist():
            if self.codes[row] != owner or self.times[row] >= last + gap_us:
                kept[row] = True
                owner, last = int(self.codes[row]), int(self.times[row])
        return kept

    def within(self, chosen: Flags, gap_us: int) -> Flags:
        """(n,) whether a chosen row of the entity is not later and up to `gap_us` before."""
        rows = np.flatnonzero(chosen)
        order = rows[np.lexsort((self.times[rows], self.codes[rows]))]
        events = replace(self, event_codes=self.codes[order], event_times=self.times[order])
        later = replace(events, times=self.times + 1).last_before()
        return np.asarray((later != NEVER) & (self.times - later <= gap_us), dtype=np.bool_)

    def _index(self, times: Ints) -> Ints:
        """(n,) how many events are of earlier entities, or of the same and not later."""
        every = np.unique(np.concatenate([times, self.event_times]))
        width = len(every) + 1
        keys = self.event_codes * width + np.searchsorted(every, self.event_times)
        row_keys = self.codes * width + np.searchsorted(every, times)
        return np.asarray(np.searchsorted(keys, row_keys, side="right"), dtype=np.int64)


def labels_within(rows: EntityRows, lead_us: int, window_us: int) -> KnownLabels:
    """Label 1 where the entity's first event after the lead falls into the window, else unknown."""
    first = rows.first_after(lead_us)
    within = (first != NEVER) & (first - rows.times <= lead_us + window_us)
    return KnownLabels(np.where(within, 1.0, np.nan), np.where(within, first, NEVER))
