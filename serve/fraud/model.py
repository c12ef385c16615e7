"""The model that answers, in this process or in a deployment of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.circuit_breaker import CircuitBreaker
from lib.concurrency.micro_batcher import MicroBatcher
from lib.concurrency.running_timeout import RunningTimeout
from lib.fraud.model.scoring import ModelScore, Scorer
from lib.fraud.payment_features import PaymentFeatures
from lib.registry import read_artifact, verify_artifact
from serve.framework.model_slot import ModelSlot, RestartRequiredError, read_at_start
from serve.framework.runtime_tuning import freeze_heap, tune_interpreter
from serve.framework.settings import UserConfig
from serve.fraud.settings import FraudSettings

Row = npt.NDArray[np.float32]
_FIELDS = tuple(field.name for field in fields(ModelScore))
PackedScores = list[tuple[Any, ...]]
_MOST_CALLS = 2


class ModelUnavailableError(Exception):
    """No model answers; the message says why."""


class ScoreProvider(Protocol):
    """Where scores come from: the same replica, or another deployment."""

    async def score(self, row: Row) -> ModelScore:
        """What the model says of features (features,) in the order of the feature set.

        Raises:
            ModelUnavailableError: none answers.
        """
        ...

    async def status(self) -> Mapping[str, Any]:
        """`version`, `wanted` and `error` of the model in force; the first is null without one."""
        ...


def served_features(args: FraudSettings) -> PaymentFeatures:
    """The features that the service computes: those of the model that it starts with.

    The packaged ones where there is no such model, or the registry does not answer.
    """

    def read(directory: Path) -> PaymentFeatures:
        return replace(PaymentFeatures.of_artifact(verify_artifact(directory)), scale=args.scale)

    return read_at_start("fraud", args, read, PaymentFeatures(args.scale))


def _load_scorer(directory: Path, features: PaymentFeatures) -> Scorer:
    own = PaymentFeatures.of_artifact(verify_artifact(directory))
    if own.extension != features.extension:
        raise RestartRequiredError(
            f"{directory.name} reads other attributes or another feature file than the model that "
            "this service started with; fill the profiles by jobs.fraud.backfill --features-of, "
            "then start the service again"
        )
    return Scorer.load(read_artifact(directory, features.feature_set))


class LocalModel(ModelSlot[Scorer]):
    """The model in this process.

    Args:
        registry: directory or URI of the registry.
        folder: where local copies are kept.
        features: what the model must have been trained on.
    """

    def __init__(self, registry: str, folder: Path, features: PaymentFeatures) -> None:
        def load(directory: Path) -> Scorer:
            return _load_scorer(directory, features)

        super().__init__("fraud", registry, folder, load)
        self._batcher: MicroBatcher[Row, ModelScore] = MicroBatcher(self.score_rows)

    async def score(self, row: Row) -> ModelScore:
        """See `ScoreProvider.score`."""
        return await self._batcher.submit(row)

    async def score_rows(self, rows: Sequence[Row]) -> list[ModelScore]:
        """What the model says of each of several rows.

        Raises:
            ModelUnavailableError: no model is loaded.
        """
        if self.current is None:
            raise ModelUnavailableError(self.error or "no model has been loaded yet")
        return self.current.model_scores(np.stack(rows))

    async def status(self) -> Mapping[str, Any]:
        """See `ScoreProvider.status`."""
        return self.state()


class ModelDeployment:
    """One replica of the model.

    Args:
        args: what the application was started with.
    """

    def __init__(self, args: FraudSettings) -> None:
        tune_interpreter()
        self._features = served_features(args)
        self._local_model = LocalModel(args.registry, args.models, self._features)
        self._start, self._pause = args.model, args.follow_seconds
        self._following: asyncio.Task[None] | None = None
        self._loading = BoundedExecutor("loading", 1)

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps; never raises (see `FraudService.reconfigure`)."""
        version_or_alias = config.get("model", self._start)
        if set(config) - set(UserConfig.model_fields) or not isinstance(version_or_alias, str):
            self._local_model.error = (
                f"user_config: expected a model's alias or version, got {config!r}"
            )
            return
        await self._loading.run(self._local_model.load, version_or_alias)
        freeze_heap()
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    async def score_rows(self, rows: bytes, digest: str) -> PackedScores | str:
        """What the model says of each of several rows; a text says why there is none.

        Args:
            rows: features as float32, in the order of the feature set, row after row.
            digest: of the feature set.
        """
        if digest != self._features.feature_set.digest:
            return "front nodes and model were started with models of other features; start again"
        matrix = np.frombuffer(rows, dtype=np.float32).reshape(-1, len(self._features.names))
        try:
            return [
                _packed(model_score)
                for model_score in await self._local_model.score_rows(list(matrix))
            ]
        except ModelUnavailableError as error:
            return str(error)

    async def status(self) -> Mapping[str, Any]:
        """See `ScoreProvider.status`."""
        return await self._local_model.status()

    def check_health(self) -> None:
        """See `Ingress.check_health`."""
        if reason := self._local_model.restart_reason:
            raise RestartRequiredError(reason)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            await self._loading.run(self._local_model.refresh_alias)


class RemoteModel:
    """The model of another deployment.

    A call between deployments costs ten times what the model does, so requests share calls: what
    comes while one is under way leaves with the next.

    Args:
        handle: of the deployment of `ModelDeployment`.
        digest: of the feature set.
        timeout: seconds to wait for a model score.
        replicas: of the deployment at most; of two, one that is slow holds up half of the calls.
    """

    def __init__(self, handle: Any, digest: str, timeout: float, replicas: int = 1) -> None:
        self._digest = digest
        self._score_rows, self._status = handle.score_rows, handle.status
        self._timeout = timeout
        self._batcher: MicroBatcher[Row, ModelScore] = MicroBatcher(
            self._ask, min(replicas, _MOST_CALLS)
        )
        self._breaker = CircuitBreaker()

    async def score(self, row: Row) -> ModelScore:
        """See `ScoreProvider.score`; asked once more where a replica died."""
        if not self._breaker.allows():
            raise ModelUnavailableError(
                "the model's deployment is unavailable and will be tried again shortly"
            )
        try:
            async with RunningTimeout(self._timeout):
                model_score = await self._batcher.submit(row)
        except ModelUnavailableError:  # it answered: it has no model
            self._breaker.succeeded()
            raise
        except Exception as error:  # a dead replica, no replica, an overload, a late answer
            self._breaker.failed()
            raise ModelUnavailableError(f"the model's deployment: {error!r}") from error
        self._breaker.succeeded()
        return model_score

    async def status(self) -> Mapping[str, Any]:
        """See `ScoreProvider.status`."""
        try:
            async with asyncio.timeout(self._timeout):
                status: Mapping[str, Any] = await self._status.remote()
        except Exception as error:
            text = f"the model's deployment does not answer: {type(error).__name__}"
            return {"version": None, "wanted": None, "error": text}
        return status

    async def _ask(self, rows: Sequence[Row]) -> list[ModelScore]:
        packed = b"".join([row.tobytes() for row in rows])
        async with RunningTimeout(self._timeout):
            try:
                score_rows: PackedScores | str = await self._score_rows.remote(packed, self._digest)
            except Exception:  # a replica that died; there is another
                score_rows = await self._score_rows.remote(packed, self._digest)
        if isinstance(score_rows, str):
            raise ModelUnavailableError(score_rows)
        return [ModelScore(*packed_score) for packed_score in score_rows]


def _packed(model_score: ModelScore) -> tuple[Any, ...]:
    """The fields in order: a third of what the object costs to send."""
    return tuple(getattr(model_score, name) for name in _FIELDS)
