"""What customers came to: left within the window or not, and the margin that was lost or kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.outcomes import (
    NEVER,
    Flags,
    Floats,
    ReplayedOutcomes,
    column_values,
    decision_masks,
    outcome_table,
    require_columns,
    ripe_money,
    score_array,
    with_ripe_money,
)
from lib.business.spans import EntityRows, labels_within, standing_events
from lib.churn.features import churn_features
from lib.churn.interventions.daily import Economics
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE, Playbook, Playbooks, load_playbooks
from lib.churn.rules import ACTIONS
from lib.churn.target import Target
from lib.churn.vocabulary import CustomerVocabulary
from lib.declaration import read_yaml_text
from lib.feature import DAY
from lib.records.decision_table import FEATURE_PREFIX

NOTICE, LEFT = "notice", "left"
"""Kinds of labels whose subject is the customer: notice; what an intervention came to."""
LEAVING = "LEAVING"
_DECISIONS = (*ACTIONS, LEAVING)
VALUE, _CONTACT, _LEFT = "value", "contact_cost", "left"
_MRR = f"{FEATURE_PREFIX}mrr"
_MONTHS_A_YEAR = 12.0


@dataclass(frozen=True)
class CustomerOutcomes(ReplayedOutcomes):
    """See `lib.business.outcomes.SystemOutcomes`.

    A notice counts once, for the decision that stood: the last about the customer before it, within
    the window. It loses the margin of the months that the customer was assumed to stay. CONTACT and
    ACT_NOW cost the cheapest playbook that is switched on, once in a window. What other decisions
    would have brought assumes that playbook's declared effect: a notice after a contact would have
    been kept with that share. A customer who gave notice before is nobody's to keep: no label.

    Attributes:
        economics: what a customer who stays is worth.
        playbooks: what a contact costs and changes.
        target: the window.
    """

    economics: Economics = field(default_factory=Economics)
    playbooks: tuple[Playbook, ...] = field(default_factory=lambda: packaged_playbooks().playbooks)
    target: Target = field(default_factory=Target)

    system = "churn"
    entity = "customer_id"
    positive = "notice within the window"
    acting = ("CONTACT", "ACT_NOW")

    def outcomes(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """See `SystemOutcomes`; `value`, `contact_cost` (currency units) and `left` follow.

        `left` is 1 where a notice came while the decision stood.
        """
        require_columns(decisions, (_MRR,), "decisions")
        rows = EntityRows.of(decisions, standing_events(labels, (NOTICE, LEFT), as_of))
        rows = rows.merged(self._window)
        leaving = decision_masks(decisions["decision"], _DECISIONS)[-1]
        ripe = np.where(leaving, NEVER, rows.times + self.target.reach_us)
        known = labels_within(rows, self.target.lead_days * DAY, self._window)
        known.value[leaving], known.observed_us[leaving] = np.nan, NEVER
        value, contact = self._prices(column_values(decisions, _MRR))
        left = np.where(leaving, 0.0, np.minimum(rows.counts(self.target.reach_us), 1.0))
        columns = {VALUE: value, _CONTACT: contact, _LEFT: left}
        table = outcome_table(
            decisions, known, ripe, as_of, **{name: pa.array(v) for name, v in columns.items()}
        )
        contacts = rows.thinned(self.acts(table["decision"]), self._window)
        money = -value * left - contact * contacts
        return with_ripe_money(table, money, as_of)

    def money_if(
        self, outcomes: pa.Table, scores: Any, thresholds: Mapping[str, float] | None = None
    ) -> Floats:
        """See `SystemOutcomes`; the threshold is `churn` of the manifest.

        Without it a customer is contacted where the margin that the playbook keeps is expected to
        be more than it costs.
        """
        values = score_array(scores, outcomes.num_rows)
        if thresholds is not None:
            return self._replayed(outcomes, values >= thresholds["churn"])
        kept = values * self._effect * column_values(outcomes, VALUE)
        return self._replayed(outcomes, kept > column_values(outcomes, _CONTACT))

    @property
    def _window(self) -> int:
        return self.target.window_days * DAY

    @property
    def _contact(self) -> Playbook | None:
        """What a contact is: the playbook of least cost, those that take no revenue first."""
        order = sorted(self.playbooks, key=lambda book: (book.cost_share_of_year, book.cost))
        return order[0] if order else None

    @property
    def _effect(self) -> float:
        return 0.0 if self._contact is None else self._contact.effect

    def _prices(self, mrr: Floats) -> tuple[Floats, Floats]:
        """(n,) value of staying and cost of a contact; no revenue known is none."""
        revenue = np.nan_to_num(mrr)
        value = revenue * self.economics.margin * self.economics.months
        book = self._contact
        if book is None:
            return value, np.zeros(len(revenue))
        return value, book.cost + revenue * _MONTHS_A_YEAR * book.cost_share_of_year

    def acts(self, decisions: pa.ChunkedArray) -> Flags:
        """See `ReplayedOutcomes`."""
        masks = dict(zip(_DECISIONS, decision_masks(decisions, _DECISIONS), strict=True))
        return masks["CONTACT"] | masks["ACT_NOW"]

    def _replayed(self, outcomes: pa.Table, contacting: Flags) -> Floats:
        """(rows,) money had these rows been contacted."""
        rows = EntityRows.without_events(outcomes)
        contacts = rows.thinned(contacting, self._window)
        reached = rows.within(contacts, self._window)
        lost = column_values(outcomes, VALUE) * column_values(outcomes, _LEFT)
        money = -lost * np.where(reached, 1.0 - self._effect, 1.0)
        money -= column_values(outcomes, _CONTACT) * contacts
        return ripe_money(outcomes, money)


def packaged_playbooks() -> Playbooks:
    """The playbooks of the product."""
    names = churn_features(CustomerVocabulary()).names
    return load_playbooks(read_yaml_text(PLAYBOOKS_FILE), names, str(PLAYBOOKS_FILE))
