"""What the fraud application counts and times."""

from __future__ import annotations

import itertools
import time

from serve.gateway import Instrument, Meter
from serve.gateway.archive import RECORD_FAULTS
from serve.gateway.gateway import REQUEST_MS, REQUESTS, TIMED_ONE_IN
from serve.gateway.meter import MILLISECONDS
from serve.gateway.redoing import RESCORE_FAULTS

SYSTEM = "fraud"
STAGE = "forewarn_fraud_stage_ms"
DECISIONS = "forewarn_fraud_decisions"
FALLBACKS = "forewarn_fraud_fallbacks"
RETRIES = "forewarn_fraud_retries"
UNKNOWN_METHODS = "forewarn_fraud_unknown_payment_methods"
LABELS = "forewarn_fraud_labels"
RESCORED = "forewarn_fraud_rescored"
RELOADS = "forewarn_fraud_reloads"
RULE_HITS = "forewarn_fraud_rule_hits"

INSTRUMENTS = (
    REQUESTS,
    REQUEST_MS,
    Instrument(STAGE, "time of a stage of one decision in eight, ms", ("stage",), MILLISECONDS),
    Instrument(DECISIONS, "decisions", ("decision", "method")),
    Instrument(FALLBACKS, "decisions of a fallback, by what was out", ("out",)),
    Instrument(RETRIES, "retries, by whether the payment was the same", ("payment",)),
    Instrument(UNKNOWN_METHODS, "payments by a method outside the vocabulary"),
    Instrument(LABELS, "facts received", ("outcome",)),
    Instrument(RESCORED, "fallbacks scored again"),
    Instrument(RELOADS, "loads of a model or of rules", ("part", "outcome")),
    Instrument(RULE_HITS, "rules that fired", ("rule", "status")),
    RECORD_FAULTS,
    RESCORE_FAULTS,
)


class Laps:
    """Times the stages of one request."""

    __slots__ = ("_last", "_meter")

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Ends a stage; the next one begins."""
        if self._meter is not None:
            now = time.perf_counter()
            self._meter.observe(STAGE, (now - self._last) * 1000.0, stage)
            self._last = now


_NOT_TIMED = Laps(None)
_turns = itertools.cycle(range(TIMED_ONE_IN))


def laps(meter: Meter) -> Laps:
    """The watch of one request; one in `TIMED_ONE_IN` has a real one, as timing has its price."""
    return Laps(meter) if next(_turns) == 0 else _NOT_TIMED
