"""Ends an experiment by itself: what the challenger does is held against the declared bounds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.experiment.assignment import Arm
from lib.experiment.declaration import Guardrails
from lib.experiment.guardrail_evidence import (
    WindowedEvidence,
    arm_evidence,
    arm_wealth,
    increase_evidence,
    share_evidence,
)

ALPHA = 0.001
"""Probability, at most, that a guardrail of one replica ever ends a harmless experiment."""

_GUARDRAILS = 5
_P99 = 0.01
_DAY_SECONDS = 86_400.0
_MOST_ENTITIES = 100_000
_LATENCIES, _LEAST_LATENCIES = 2_000, 200
_EVENT = (np.array([1.0, 0.0]), np.array([0.0, 1.0]))
_DIFFERENCE = {value: np.eye(3)[value + 1] for value in (-1, 0, 1)}


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken bound.

    Attributes:
        guardrail: its name, a metric's label.
        reason: in words.
    """

    guardrail: str
    reason: str


class GuardrailMonitor:
    """Watches one experiment in one replica.

    A process that ended or did not answer counts as one fault of the challenger, however many
    subjects waited for it; while it starts again, nothing counts. Of each entity the first subject
    of a day counts, so that one customer with many payments is not many customers.

    Args:
        guardrails: the bounds.
        blocking: decisions that block, remove or stop.
        reviewing: decisions that go to people.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        guardrails: Guardrails,
        blocking: Collection[str],
        reviewing: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guardrails, self._clock = guardrails, clock
        self._actions = {"blocked": frozenset(blocking), "reviewed": frozenset(reviewing)}
        self._evidence = self._new_evidence()
        self._entities: set[str] = set()
        self._day_began = clock()
        self._subjects = 0
        self._by_arm = {"champion": 0, "challenger": 0}
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._slow_ms: float | None = None

    def add_faults(self, faults: Sequence[str | None]) -> None:
        """Counts the inputs of one answer of the challenger, or one answer that failed."""
        if "errors" in self._evidence:
            now = self._clock()
            for fault in faults:
                self._evidence["errors"].add(_EVENT[fault is not None], now)

    def add_pair(self, entity_id: str, champion: str, challenger: str) -> None:
        """Counts what both models decide about a subject."""
        now = self._clock()
        if now - self._day_began >= _DAY_SECONDS or len(self._entities) >= _MOST_ENTITIES:
            self._entities.clear()
            self._day_began = now
        if entity_id in self._entities:
            return
        self._entities.add(entity_id)
        for name, decisions in self._actions.items():
            if name in self._evidence and decisions:
                difference = (challenger in decisions) - (champion in decisions)
                self._evidence[name].add(_DIFFERENCE[difference], now)

    def add_time(self, milliseconds: float) -> None:
        """Counts the time to one score of the challenger."""
        if (bound := self._guardrails.p99_ms) is not None:
            self._evidence["p99"].add(_EVENT[milliseconds > bound], self._clock())

    def add_latency(self, arm: Arm, milliseconds: float) -> None:
        """Counts the latency of one answer."""
        self._subjects += 1
        slow_ms = self._slow_ms
        if slow_ms is not None and "latency" in self._evidence:
            is_challenger = arm == "challenger"
            limit = slow_ms + (self._guardrails.p99_increase_ms or 0.0) * is_challenger
            share = (self._by_arm["challenger"] + 1) / (sum(self._by_arm.values()) + 2)
            if milliseconds > limit:
                self._evidence["latency"].add(arm_wealth(is_challenger, share), self._clock())
        self._by_arm[arm] += 1
        if arm == "champion":
            self._latencies.append(milliseconds)

    def check(self) -> Breach | None:
        """The bound that is broken now, if one is; called every second."""
        if self._by_arm["challenger"] and len(self._latencies) >= _LEAST_LATENCIES:
            self._slow_ms = float(np.quantile(self._latencies, 1.0 - _P99))
        limit = np.log(_GUARDRAILS / ALPHA)
        for name, evidence in self._evidence.items():
            if self._subjects >= self._guardrails.least_calls and evidence.log_value() >= limit:
                return Breach(name, self._reason(name, evidence))
        return None

    def status(self) -> Mapping[str, Any]:
        """By guardrail, trials and evidence (log, broken from 8.5)."""
        return {
            name: {"trials": evidence.trials, "log_evidence": round(evidence.log_value(), 2)}
            for name, evidence in self._evidence.items()
            if evidence.trials
        }

    def _new_evidence(self) -> dict[str, WindowedEvidence]:
        rails = self._guardrails
        bounds = {
            "errors": (share_evidence, 2, rails.fault_share),
            "blocked": (increase_evidence, 3, rails.blocked_increase),
            "reviewed": (increase_evidence, 3, rails.reviewed_increase),
            "p99": (share_evidence, 2, None if rails.p99_ms is None else _P99),
            "latency": (arm_evidence, 5, rails.p99_increase_ms),
        }
        return {
            name: WindowedEvidence(value, size, bound, rails.window_s, rails.least_calls)
            for name, (value, size, bound) in bounds.items()
            if bound is not None
        }

    def _reason(self, name: str, evidence: WindowedEvidence) -> str:
        rails, total, trials = self._guardrails, evidence.total, evidence.trials
        if name == "errors":
            return (
                f"the challenger gave no usable score in {total[1]:.0f} of {trials} calls; "
                f"{rails.fault_share:.1%} are allowed"
            )
        if name == "p99":
            return (
                f"the challenger took over {rails.p99_ms:g} ms in {total[1]:.0f} of {trials} "
                "calls; 1% are allowed"
            )
        if name == "latency":
            return (
                "the slowest answers come from the challenger's arm: its 99th percentile is more "
                f"than {rails.p99_increase_ms:g} ms above the champion's {self._slow_ms:.1f} ms"
            )
        bound = rails.blocked_increase if name == "blocked" else rails.reviewed_increase
        words = "blocks, removes or stops" if name == "blocked" else "sends to people"
        more = (total[2] - total[0]) / max(trials, 1)
        return (
            f"the challenger {words} {more:+.1%} of {trials} subjects against the champion; "
            f"{bound:+.1%} are allowed"
        )
