"""Failures of machines that the service is told of, kept as labels of their predictions."""

from collections.abc import Sequence

from lib.maintenance.outcomes import FAILURE
from lib.records import Fact, RecordsUnavailableError
from serve.framework.decision import unavailable
from serve.framework.decision_store import DecisionStore
from serve.maintenance.metrics import SYSTEM


async def record_failures(
    store: DecisionStore, machine_id: str, times_us: Sequence[int], source: str, now: int
) -> None:
    """Keep failures of a machine; the same again changes nothing.

    Args:
        store: of the application.
        machine_id: which failed.
        times_us: when it did, microseconds since 1970 UTC.
        source: who says so, `work_order` or `service`.
        now: microseconds since 1970 UTC.

    Raises:
        Problem: 503 while the records are out; the same can be sent again.
    """
    facts = [
        Fact(
            system=SYSTEM,
            subject_id=machine_id,
            kind=FAILURE,
            value=True,
            observed_at=time_us,
            source=source,
            received_at=now,
        )
        for time_us in times_us
    ]
    if facts:
        with unavailable("failures cannot be stored temporarily", RecordsUnavailableError):
            await store.record_labels(facts)
