"""One subject under an experiment: which model decides, and what both of them said."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lib.experiment.assignment import Arm
from lib.experiment.models import ExperimentDecision, StoredExperiment
from lib.records import RecordsError
from serve.framework.challenger_process import RAISED, Answer
from serve.framework.challenger_queue import STARTING, ChallengerQueue, Reply
from serve.framework.champion_watch import ChampionWatch
from serve.framework.guardrail import GuardrailMonitor

_SAME = ("subject_id", "event_time", "decided_at")
"""Fields that an experiment's record takes as they are of a decision."""
Score = TypeVar("Score")
Read = Callable[[Answer, Mapping[str, Any]], Score]
"""A challenger's answer, and what it says of its model, as the champion's score is."""


@dataclass(frozen=True)
class ChallengerKind:
    """What experiments need to know of a system.

    Attributes:
        loader: `module:function` that loads a challenger in its process.
        options: for the loader; msgpack can hold them.
        blocking: decisions that block, remove or stop.
        reviewing: decisions that go to people.
    """

    loader: str
    options: Mapping[str, Any]
    blocking: Collection[str]
    reviewing: Collection[str]


@dataclass(frozen=True, slots=True)
class ChampionDecision:
    """What is known of a subject once it was decided.

    Attributes:
        subject_id: of the decision.
        event_time: microseconds since 1970 UTC.
        decided_at: microseconds since 1970 UTC.
        version, decision, score: the champion's; version and score are None where it was out.
        latency_ms: of the answer.
    """

    subject_id: str
    event_time: int
    decided_at: int
    version: str | None
    decision: str
    score: float | None
    latency_ms: float


class ActiveExperiment:
    """An experiment that this replica applies.

    Args:
        stored: as it is in the records; replaced where its share was raised.
        queue: to the challenger.
        monitor: of its guardrails.
        watch: of its champion.
        keep: takes what both models said, for the records.
        count: counts an arm, a fault (or None) and the milliseconds to the challenger's score.
        most_seconds: that a decision waits for the challenger, whatever the declaration says.
    """

    def __init__(
        self,
        stored: StoredExperiment,
        queue: ChallengerQueue,
        monitor: GuardrailMonitor,
        watch: ChampionWatch,
        keep: Callable[[ExperimentDecision], None],
        count: Callable[[Arm, str | None, float | None], None],
        most_seconds: float,
    ) -> None:
        self.seconds = min(stored.declaration.timeout_ms / 1000.0, most_seconds)
        self.stored, self.queue, self.monitor, self.watch = stored, queue, monitor, watch
        self.keep, self.count = keep, count
        self.counts: dict[str, int] = {"champion": 0, "challenger": 0}
        self.faults: dict[str, int] = {}

    def begin(self, entities: Mapping[str, Any], read: Read[Score]) -> Trial[Score] | None:
        """A trial of a subject with these entities; None where the challenger is not asked."""
        entity_id = entities.get(self.stored.declaration.entity_name)
        if not entity_id or not self.stored.is_scored(entity_id):
            return None
        return Trial(self, str(entity_id), self.stored.deciding_arm(entity_id), read)


class Trial(Generic[Score]):
    """A subject under an experiment.

    In the challenger's arm of `ab` mode: `ask` before the champion is asked, `decisive` after it,
    `record` once it is decided. Otherwise `record` alone, which has the subject scored later.

    Args:
        active: the experiment.
        entity_id: whose arm it is.
        arm: whose decision is answered.
        read: turns an answer into a score.
    """

    def __init__(
        self, active: ActiveExperiment, entity_id: str, arm: Arm, read: Read[Score]
    ) -> None:
        self._active, self._entity_id, self.arm, self._read = active, entity_id, arm, read
        self._call: asyncio.Task[Reply] | None = None
        self._reply: Reply | None = None
        self._score: Score | None = None

    @property
    def decides(self) -> bool:
        """Whether the challenger's decision is answered, if it answers in time."""
        return self.arm == "challenger"

    @property
    def about(self) -> Mapping[str, Any] | None:
        """What the challenger says of its model; None while it does not answer."""
        return self._active.queue.about

    def ask(self, packed: bytes) -> None:
        """Asks the challenger where it decides; does nothing otherwise."""
        if self.decides:
            asking = self._active.queue.ask(packed, self._active.seconds)
            self._call = asyncio.get_running_loop().create_task(asking)

    async def decisive(self) -> Score | None:
        """The challenger's score where it decides; None has the champion decide."""
        if self._call is None:
            return None
        self._reply, self._score = self._readable(await self._call)
        return self._score

    def record(
        self, decision: ChampionDecision, packed: bytes | None, decide: Callable[[Score], str]
    ) -> None:
        """Keeps what both models said; has the subject scored first where that is yet to be done.

        Args:
            decision: of the champion.
            packed: the subject as the challenger takes it; None where that was not there to say
                how.
            decide: what would be answered by a score of the challenger.
        """
        self._active.monitor.add_latency(self.arm, decision.latency_ms)
        self._active.watch.add(decision.version)
        if self._reply is not None:
            self._finish(decision, decide, self._reply, self._score)
            return

        def done(reply: Reply) -> None:
            self._finish(decision, decide, *self._readable(reply))

        if packed is None:
            done(Reply(None, STARTING))
        else:
            self._active.queue.submit(packed, done)

    def _readable(self, reply: Reply) -> tuple[Reply, Score | None]:
        if reply.answer is None:
            return reply, None
        try:
            return reply, self._read(reply.answer, self._active.queue.about or {})
        except Exception:  # an answer that cannot be read is the challenger's fault
            return Reply(None, RAISED, reply.ms), None

    def _finish(
        self,
        decision: ChampionDecision,
        decide: Callable[[Score], str],
        reply: Reply,
        score: Score | None,
    ) -> None:
        active, challenger = self._active, None
        if score is not None:
            try:
                challenger = decide(score)
            except Exception:  # so is one that no decision can be made of
                reply = Reply(None, RAISED, reply.ms)
        active.counts[self.arm] += 1
        if reply.fault is not None:
            active.faults[reply.fault] = active.faults.get(reply.fault, 0) + 1
        active.count(self.arm, reply.fault, reply.ms)
        if challenger is not None:
            active.monitor.add_pair(self._entity_id, decision.decision, challenger)
            active.monitor.add_time(reply.ms or 0.0)
        self._keep(decision, reply, challenger)

    def _keep(self, decision: ChampionDecision, reply: Reply, challenger: str | None) -> None:
        stored = self._active.stored
        score = decision.score
        try:
            row = ExperimentDecision(
                system=stored.declaration.system,
                **{name: getattr(decision, name) for name in _SAME},
                experiment_id=stored.id,
                entity_id=self._entity_id,
                arm=self.arm,
                champion_version=decision.version,
                champion_decision=decision.decision,
                champion_score=score if score is None or math.isfinite(score) else None,
                challenger_version=stored.declaration.challenger,
                challenger_decision=challenger,
                challenger_score=None if reply.answer is None else reply.answer["score"],
                challenger_ms=reply.ms,
                fault=reply.fault,
            )
        except RecordsError:  # of a subject that the records cannot keep either
            self._active.faults["not kept"] = self._active.faults.get("not kept", 0) + 1
            return
        self._active.keep(row)
