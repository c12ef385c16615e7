"""The model of one modality as a deployment of its own."""

import logging
from collections.abc import Mapping
from typing import Any

from ..framework import RayMetrics
from ..framework.runtime_tuning import freeze_heap, tune_interpreter
from .metrics import BATCH
from .model import ModalityBatcher
from .settings import ModerationSettings

_LOG = logging.getLogger("ray.serve")


class ModalityDeployment(ModalityBatcher):
    """One replica of the deployment of a modality.

    Args:
        modality: which.
        args: what the application was started with.
    """

    def __init__(self, modality: str, args: ModerationSettings) -> None:
        tune_interpreter()
        super().__init__(modality, args, RayMetrics((BATCH,)))
        self._start = args.model

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads the model before the first post comes; one that cannot be had is asked for later.

        Args:
            config: `model`, alias or version.
        """
        try:
            await self.prepare(str(config.get("model", self._start)))
        except Exception as error:  # the replica must come up: the front node says what is out
            _LOG.warning("no model of %s yet: %r", self._modality, error)
        freeze_heap()

    async def sizes(self) -> dict[int, int]:
        """How often batches of each size came since the replica started."""
        return self._sizes
