"""Requests of the past that were sent again count on the clock of their events."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lib.experiment.errors import ExperimentError
from lib.experiment.judge import ExperimentRecords, Judge, Judgement
from lib.experiment.replay import on_event_times
from lib.fraud.outcomes import FraudOutcomes
from tests.experiment.factories import DAY
from tests.experiment.payments import TIME, payments, started
from tests.records.conftest import NOVEMBER

WEEKS_LATER = NOVEMBER + 40 * DAY


def sent_again() -> ExperimentRecords:
    """Payments of two weeks that a service in shadow mode decided within a minute, weeks later."""
    stored = started(mode="shadow", until=WEEKS_LATER + DAY)
    stored = replace(
        stored, share=1.0, declaration=stored.declaration.model_copy(update={"share": 1.0})
    )
    data = payments(stored, users=150, caught=(0.2, 0.9), days=(0, 14))
    at = np.linspace(WEEKS_LATER, WEEKS_LATER + 60_000_000, data.decisions.num_rows).astype(int)
    index = data.decisions.column_names.index("decided_at")
    return ExperimentRecords(
        stored=replace(stored, started_at=WEEKS_LATER, ended_at=WEEKS_LATER + 90_000_000),
        changes=(),
        decisions=data.decisions.set_column(index, "decided_at", pa.array(at).cast(TIME)),
        labels=data.labels,
        recorded=data.recorded,
    )


def judged(known: ExperimentRecords) -> Judgement:
    return Judge(FraudOutcomes(label_days=7)).judge(known, WEEKS_LATER + 30 * DAY)


def test_a_week_is_a_week_of_events() -> None:
    known = sent_again()
    judgement = judged(on_event_times(known))
    assert judgement.exposure.days == pytest.approx(14.0, abs=0.1)
    assert judgement.verdict.action == "start ab"
    assert judgement.looks[-1].fraction == 1.0
    within_a_minute = judged(known)
    assert within_a_minute.exposure.days < 1e-3
    assert within_a_minute.gain.estimate > 1_000 * judgement.gain.estimate


def test_an_experiment_that_runs_or_was_widened_or_has_no_rows_is_refused() -> None:
    known = sent_again()
    running = replace(known, stored=replace(known.stored, ended_at=None))
    widened = replace(known, stored=replace(known.stored, share=0.5))
    empty = replace(known, recorded=known.recorded.slice(0, 0))
    for wrong, message in (
        (running, "expected an experiment that was ended; fraud/november runs"),
        (widened, r"expected one share throughout, got 1 and 0\.5"),
        (empty, "there are no decisions of fraud/november"),
    ):
        with pytest.raises(ExperimentError, match=message):
            on_event_times(wrong)
