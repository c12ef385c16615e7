"""What machines came to: failed within the alarm's hours or not, and what that cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.outcomes import (
    NEVER,
    Flags,
    Floats,
    Ints,
    ReplayedOutcomes,
    WaitingOutcomes,
    column_values,
    decision_masks,
    microseconds,
    outcome_table,
    ripe_money,
    score_array,
    time_array,
    with_ripe_money,
)
from lib.business.spans import EntityRows, labels_within, standing_events
from lib.maintenance.feature_set import HOUR_US
from lib.maintenance.model.costs import Costs
from lib.maintenance.model.settings import ModelSettings
from lib.maintenance.rules import ACTIONS

FAILURE = "failure"
"""Kind of label: a machine failed at `observed_at`; its subject is the machine."""
SERVICES, _FAILURES, _FAILED_AT = "services", "failures", "failed_at"
SAME_FAILURE_US = 24 * HOUR_US
"""Two reports of a machine within a day are of one failure: when it failed, and when it ran."""


@dataclass(frozen=True)
class MachineOutcomes(WaitingOutcomes, ReplayedOutcomes, wait="horizon_hours"):
    """See `lib.business.outcomes.SystemOutcomes`.

    A failure counts once, for the decision that stood: the last about the machine before it, up to
    `horizon_hours` old. SERVICE and STOP call for a service, once in `credit_hours`, as in
    `lib.maintenance.model.alarms.replay`; INSPECT has no price. Money is below 0: failures that
    came and services called for. What other decisions would have cost is replayed: a failure within
    `credit_hours` of a service that they call for would not have come.

    Attributes:
        costs: prices of a service and a failure.
        horizon_hours: a decision speaks of a failure within so long.
    """

    costs: Costs = field(default_factory=Costs)
    horizon_hours: float = ModelSettings.alarm_hours

    system = "maintenance"
    entity = "machine_id"
    positive = "failure within the alarm's hours"
    acting = ("INSPECT", "SERVICE", "STOP")

    def outcomes(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """See `SystemOutcomes`; `failures`, `failed_at` and `services` follow.

        `failures` came while the decision stood; `failed_at` is the machine's first failure after
        the decision, however late; `services` is 1 where it led to a service.
        """
        failures_known = standing_events(labels, (FAILURE,), as_of)
        rows = EntityRows.of(decisions, failures_known).merged(SAME_FAILURE_US)
        failures = rows.counts(self._horizon)
        table = outcome_table(
            decisions,
            labels_within(rows, 0, self._horizon),
            rows.times + self._horizon,
            as_of,
            **{_FAILURES: pa.array(failures), _FAILED_AT: time_array(rows.first_after())},
        )
        services = self._services(rows, self.acts(table["decision"]), rows.first_after())
        money = -self.costs.service * services - self.costs.failure * failures
        table = table.append_column(SERVICES, pa.array(services.astype(np.float64)))
        return with_ripe_money(table, money, as_of)

    def money_if(
        self, outcomes: pa.Table, scores: Any, thresholds: Mapping[str, float] | None = None
    ) -> Floats:
        """See `SystemOutcomes`; the threshold is `alarm_threshold` of the manifest.

        Without it a service is called for from the probability on at which it pays: its cost over
        that of a failure.
        """
        values = score_array(scores, outcomes.num_rows)
        pays = min(1.0, self.costs.service / max(self.costs.failure, 1e-9))
        threshold = pays if thresholds is None else thresholds["alarm_threshold"]
        return self._replayed(outcomes, values >= threshold)

    @property
    def _horizon(self) -> int:
        return round(self.horizon_hours * HOUR_US)

    def acts(self, decisions: pa.ChunkedArray) -> Flags:
        """See `ReplayedOutcomes`."""
        masks = dict(zip(ACTIONS, decision_masks(decisions, ACTIONS), strict=True))
        return masks["SERVICE"] | masks["STOP"]

    def _services(self, rows: EntityRows, calling: Flags, failed_at: Ints) -> Flags:
        """(n,) rows whose call leads to a service: the machine lives until then, none is recent."""
        respond = round(self.costs.respond_hours * HOUR_US)
        alive = (failed_at == NEVER) | (failed_at - rows.times > respond)
        # a service helps for the hours after it; the next may be done once they are over
        return rows.thinned(calling & alive, round(self.costs.credit_hours * HOUR_US) + 1)

    def _replayed(self, outcomes: pa.Table, calling: Flags) -> Floats:
        """(rows,) money had these rows called for services."""
        rows = EntityRows.without_events(outcomes)
        failed_at, failures = microseconds(outcomes[_FAILED_AT]), column_values(outcomes, _FAILURES)
        services = self._services(rows, calling, failed_at)
        avoided = (failures > 0) & self._helped(rows, services, failed_at)
        money = -self.costs.service * services - self.costs.failure * (failures - avoided)
        return ripe_money(outcomes, money)

    def _helped(self, rows: EntityRows, services: Flags, failed_at: Ints) -> Flags:
        """(n,) whether the failure after each row falls into the credit of a service."""
        respond = round(self.costs.respond_hours * HOUR_US)
        credit = round(self.costs.credit_hours * HOUR_US)
        done = np.flatnonzero(services)
        order = done[np.lexsort((rows.times[done], rows.codes[done]))]
        served = EntityRows(rows.codes, failed_at, rows.codes[order], rows.times[order] + respond)
        latest = served.last_before()
        helped = (latest != NEVER) & (failed_at != NEVER) & (failed_at - latest <= credit)
        return np.asarray(helped, dtype=np.bool_)
