"""The model as a deployment of its own, and how the front node asks it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from lib.fraud.features import FRAUD

from ..gateway import Breaker
from ..gateway.threads import quick_switching
from .config import FraudArgs, Live
from .model import ModelUnavailableError, Opinion, Row, Seat

_ATTEMPTS = 2


class Ensemble:
    """One replica of the model.

    Args:
        args: what the application was started with.
    """

    def __init__(self, args: FraudArgs) -> None:
        quick_switching()
        self._seat = Seat(args.registry, args.models, FRAUD)
        self._start, self._pause = args.model, args.follow_seconds
        self._following: asyncio.Task[None] | None = None

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Loads, checks and swaps; never raises (see `FraudService.reconfigure`)."""
        wanted = config.get("model", self._start)
        if set(config) - set(Live.model_fields) or not isinstance(wanted, str):
            self._seat.error = f"user_config: expected a model's alias or version, got {config!r}"
            return
        await asyncio.to_thread(self._seat.load, wanted)
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    async def opinion(self, row: bytes) -> Opinion | str:
        """What the model says; a text says why there is none.

        Args:
            row: features as float32, in the order of the feature set.
        """
        try:
            return await self._seat.opinion(np.frombuffer(row, dtype=np.float32))
        except ModelUnavailableError as error:
            return str(error)

    async def status(self) -> Mapping[str, Any]:
        """See `Model.status`."""
        return await self._seat.status()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            await asyncio.to_thread(self._seat.follow)


class EnsembleElsewhere:
    """The model of another deployment.

    Args:
        handle: of the deployment of `Ensemble`.
        timeout: seconds to wait for an opinion.
    """

    def __init__(self, handle: Any, timeout: float) -> None:
        self._handle, self._timeout = handle, timeout
        self._breaker = Breaker()

    async def opinion(self, row: Row) -> Opinion:
        """See `Model.opinion`; asked once more where a replica died."""
        if not self._breaker.allows():
            raise ModelUnavailableError("the model's deployment is out, tried again shortly")
        said: Opinion | str = ""
        try:
            async with asyncio.timeout(self._timeout):
                said = await self._ask(row.tobytes())
        except Exception as error:  # a dead replica, no replica, an overload, a late answer
            self._breaker.failed()
            raise ModelUnavailableError(f"the model's deployment: {error!r}") from error
        self._breaker.succeeded()
        if isinstance(said, str):
            raise ModelUnavailableError(said)
        return said

    async def status(self) -> Mapping[str, Any]:
        """See `Model.status`."""
        try:
            async with asyncio.timeout(self._timeout):
                status: Mapping[str, Any] = await self._handle.status.remote()
        except Exception as error:
            text = f"the model's deployment does not answer: {type(error).__name__}"
            return {"version": None, "wanted": None, "error": text}
        return status

    async def _ask(self, row: bytes) -> Opinion | str:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                said: Opinion | str = await self._handle.opinion.remote(row)
            except Exception:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return said
        raise AssertionError(sys.exc_info())
