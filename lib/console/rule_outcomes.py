"""What came of decisions: whether the subject was what rules look for, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.business.outcomes import Flags, Floats, OutcomeError, column_values, is_ripe
from lib.business.system_outcomes import outcomes_of
from lib.console.source import SystemSource
from lib.moderation.outcomes import review_label_table
from lib.records.decision_table import decision_table, label_table
from lib.records.models import Decision

_REVIEWED = "moderation"


@dataclass(frozen=True)
class DecisionOutcomes:
    """Outcomes of decisions (n,).

    Attributes:
        label: 1 where it was so, 0 where it was not, NaN while nothing is final.
        is_silent: rows of which nobody said anything and that are not waited for any more.
        positive: what label 1 is, in words.
        fault: why none is known; "" where they are.
    """

    label: Floats
    is_silent: Flags
    positive: str
    fault: str = ""


def read_outcomes(
    source: SystemSource, decisions: Sequence[Decision], now: int
) -> DecisionOutcomes:
    """Read what came of decisions, as the business page counts it.

    Args:
        source: of the system.
        decisions: (n,) of it.
        now: microseconds since 1970 UTC.
    """
    system, records = source.system, source.records
    outcomes = outcomes_of(system)
    unknown = np.full(len(decisions), np.nan), np.zeros(len(decisions), bool)
    if not decisions:
        return DecisionOutcomes(*unknown, outcomes.positive)
    if not records.has_labels(system):
        fault = "no label of any kind was received, so silence says nothing"
        return DecisionOutcomes(*unknown, outcomes.positive, fault)
    try:
        table = decision_table(decisions, outcomes.entity)
        result = outcomes.outcomes(table, _labels(source, decisions, outcomes.entity), now)
    except OutcomeError as error:
        return DecisionOutcomes(*unknown, outcomes.positive, str(error))
    ripe = is_ripe(result, now)
    label = np.where(ripe, column_values(result, "label"), np.nan)
    is_silent = ripe & result["observed_at"].is_null().to_numpy()
    return DecisionOutcomes(label, is_silent, outcomes.positive)


def _labels(source: SystemSource, decisions: Sequence[Decision], entity: str) -> pa.Table:
    """What became known of the subjects, and of their entities."""
    subjects = {decision.subject_id for decision in decisions}
    if source.system == _REVIEWED:
        return review_label_table(source.records.list_review_labels(source.system, subjects))
    entities = {str(decision.entities.get(entity) or "") for decision in decisions} - {""}
    return label_table(source.records.list_facts_of(source.system, subjects | entities))
