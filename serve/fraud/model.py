"""The model that answers, and how it is replaced while requests run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lib.concurrency.micro_batcher import MicroBatcher
from lib.feature import FeatureSet
from lib.fraud.model.scoring import ModelScore, Scorer
from lib.registry import read_artifact
from serve.framework.model_slot import ModelSlot

Row = npt.NDArray[np.float32]


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


class LocalModel(ModelSlot[Scorer]):
    """The model in this process.

    Args:
        registry: directory or URI of the registry.
        folder: where local copies are kept.
        features: what the model must have been trained on.
    """

    def __init__(self, registry: str, folder: Path, features: FeatureSet) -> None:
        def load(directory: Path) -> Scorer:
            return Scorer.load(read_artifact(directory, features))

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
        scorer = self._in_force()
        return scorer.model_scores(np.stack(rows))

    async def status(self) -> Mapping[str, Any]:
        """See `ScoreProvider.status`."""
        return self.state()

    def _in_force(self) -> Scorer:
        if self.current is None:
            raise ModelUnavailableError(self.error or "no model has been loaded yet")
        return self.current
