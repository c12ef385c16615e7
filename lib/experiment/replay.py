"""An experiment on requests of the past that were sent again, on the clock of their events."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from lib.experiment.errors import ExperimentError
from lib.experiment.judge import ExperimentRecords

NOTE = "Requests of the past were sent again: days and weeks are those of their events."


def on_event_times(known: ExperimentRecords) -> ExperimentRecords:
    """The same experiment as if each request had been decided when its event happened.

    A week of requests may be sent to a service within a minute. Days, money a week and the time
    that labels had to come are then those of the events: the experiment lasts from the first event
    of which both models said something to the last.

    Raises:
        ExperimentError: it still runs, its share was raised meanwhile, or it has no such event.
    """
    stored, declared = known.stored, known.stored.declaration
    if stored.ended_at is None:
        raise ExperimentError(f"replayed: expected an experiment that was ended; {stored.id} runs")
    if stored.share != declared.share:
        raise ExperimentError(
            f"replayed: expected one share throughout, got {declared.share:g} and {stored.share:g}"
        )
    if not known.recorded.num_rows:
        raise ExperimentError(f"replayed: there are no decisions of {stored.id}")
    limits = pc.min_max(known.recorded["event_time"]).as_py()
    first, end = limits["min"], limits["max"] + 1
    until = None if declared.until is None else end
    index = known.decisions.column_names.index("decided_at")
    events = known.decisions["event_time"]
    return replace(
        known,
        stored=replace(
            stored,
            declaration=declared.model_copy(update={"until": until}),
            started_at=first,
            ended_at=end,
        ),
        decisions=known.decisions.set_column(index, "decided_at", events),
    )
