"""A post under an experiment: packed in a thread, as its media have to be scaled."""

from __future__ import annotations

from collections.abc import Callable

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.moderation.model.challenger import Scored, pack_post, views_of
from lib.moderation.model.inputs import PostInputs
from serve.framework.trial import ChampionDecision, Trial


class PostTrial:
    """One post, which models judge.

    Args:
        trial: of its author.
        threads: for packing.
    """

    def __init__(self, trial: Trial[Scored], threads: BoundedExecutor) -> None:
        self._trial, self._threads = trial, threads
        self._inputs: PostInputs | None = None
        self._packed: bytes | None = None
        self._champion: Scored | None = None
        self._decide: Callable[[Scored | None], str] | None = None

    async def ask(self, inputs: PostInputs) -> None:
        """Takes what models are given of the post; asks the challenger where it decides."""
        self._inputs = inputs
        if self._trial.decides and (packed := await self._pack()) is not None:
            self._packed = packed
            self._trial.ask(packed)

    async def decisive(self) -> Scored | None:
        """See `Trial.decisive`."""
        return await self._trial.decisive()

    def note(self, champion: Scored | None, decide: Callable[[Scored | None], str]) -> None:
        """Keeps what the champion said, and how a score is decided; without it nothing is kept."""
        self._champion, self._decide = champion, decide

    async def record(
        self, subject_id: str, event_time: int, decided_at: int, latency_ms: float
    ) -> None:
        """Keeps what both models said, and has the post scored first where that is to be done."""
        decide, champion = self._decide, self._champion
        if decide is None:
            return
        decision = ChampionDecision(
            subject_id=subject_id,
            event_time=event_time,
            decided_at=decided_at,
            version=None if champion is None else champion[1],
            decision=decide(champion),
            score=None if champion is None else float(champion[0].max()),
            latency_ms=latency_ms,
        )
        packed = await self._pack() if self._packed is None else self._packed
        self._trial.record(decision, packed, decide)

    async def _pack(self) -> bytes | None:
        about = self._trial.about
        if about is None or self._inputs is None:
            return None
        return await self._threads.run(pack_post, views_of(about), self._inputs)
