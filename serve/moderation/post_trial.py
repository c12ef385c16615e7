"""A post under an experiment: packed in a thread, as its media have to be scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.moderation.model.challenger import pack_post, views_of
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import Floats
from serve.framework.experiment import ExperimentRunner
from serve.framework.trial import ChampionDecision, Trial

Scored = tuple[Floats, str]
"""Probabilities (policies,) of a post, and the version that they are of."""


class ScoreReader:
    """Reads the probabilities of the policies that a post is held against."""

    policies: tuple[str, ...] = ()

    def read(self, answer: Mapping[str, Any], about: Mapping[str, Any]) -> Scored:
        """What the challenger says of a post."""
        probabilities = [answer["probabilities"][name] for name in self.policies]
        return np.array(probabilities, dtype=np.float64), about["version"]


class PostTrial:
    """One post, which models judge.

    Args:
        trial: of its author.
        reader: of the challenger's answers.
        threads: for packing.
    """

    def __init__(self, trial: Trial[Scored], reader: ScoreReader, threads: BoundedExecutor) -> None:
        self._trial, self._reader, self._threads = trial, reader, threads
        self._inputs: PostInputs | None = None
        self._packed: bytes | None = None
        self._champion: Scored | None = None
        self._decide: Callable[[Scored | None], str] | None = None

    async def ask(self, inputs: PostInputs, policies: tuple[str, ...]) -> None:
        """Takes what models are given; asks the challenger where it decides.

        Args:
            inputs: of the post.
            policies: that it is held against, in the order of probabilities.
        """
        self._inputs, self._reader.policies = inputs, policies
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


def begin_trial(
    experiments: ExperimentRunner, author_id: str, threads: BoundedExecutor
) -> PostTrial | None:
    """A trial of a post; None where no experiment is about its author.

    Args:
        experiments: of the application.
        author_id: of the post.
        threads: for packing.
    """
    reader = ScoreReader()
    trial = experiments.begin({"author_id": author_id}, reader.read)
    return None if trial is None else PostTrial(trial, reader, threads)
