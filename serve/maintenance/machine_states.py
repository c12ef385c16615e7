"""What is known of machines: read, changed without losing another's change, put into words."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np

from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.guarded_call import GuardedCall, GuardedRepository
from lib.maintenance.feature_set import HOUR_US, AssetFeatureSet, FeatureError
from lib.maintenance.features import last_services, sound_readings
from lib.maintenance.history import UNKNOWN_US, History
from lib.maintenance.machine_store import MachineStore, MachineStoreError
from lib.maintenance.state_codec import pack, unpack
from serve.maintenance.schemas import SensorFault

_ATTEMPTS = 20
_LARGE_BYTES, _LARGE_AT_ONCE = 64 * 1024, 2
_PREDICTION = "\x00prediction"  # no id of a machine holds it
Result = TypeVar("Result")


class MachineStates(GuardedRepository[MachineStore]):
    """Memories of machines.

    Args:
        features: what is remembered.
        store: where.
        timeout: seconds to wait for it.
    """

    def __init__(self, features: AssetFeatureSet, store: MachineStore, timeout: float) -> None:
        self.features = features
        super().__init__(store, GuardedCall("machine store", MachineStoreError, timeout))
        self._large = SizedExecutor("states", _LARGE_AT_ONCE, _LARGE_BYTES)
        self.unreadable = 0

    async def get(self, machine_id: str) -> History | None:
        """What is known of a machine; None of one that nobody has told of.

        Raises:
            MachineStoreError: the store is out.
        """
        stored, _ = await self._guard.run(lambda: self._store.read(machine_id))
        return await self._large.run_sized(self._read, stored or b"")

    async def update(
        self,
        machine_id: str,
        work: Callable[[History | None], tuple[History, Result]],
        news_bytes: int = 0,
    ) -> Result:
        """Puts what `work` makes of a machine's past in its place; `work` may be called again.

        Nothing is written where `work` changes nothing.

        Args:
            machine_id: of the machine.
            work: runs in a thread if past and news are large.
            news_bytes: bytes that `work` adds to the stored state, at most.

        Raises:
            MachineStoreError: the store is out, or others change this machine all the time.
        """
        for attempt in range(_ATTEMPTS):
            stored, revision = await self._guard.run(lambda: self._store.read(machine_id))
            size = len(stored or b"") + news_bytes
            change = partial(self._changed, work)
            memory, result = await self._large.run_sized(change, stored or b"", size)
            if memory == stored:
                return result
            if await self._guard.run(
                lambda memory=memory, at=revision: self._store.write(machine_id, memory, at)
            ):  # type: ignore[misc]
                return result
            await asyncio.sleep(0.002 * attempt)
        raise MachineStoreError(
            f"machine '{machine_id}' is changed by other requests at the same time"
        )

    async def compute(self, work: Callable[[History], Result], past: History) -> Result:
        """What `work` makes of a past, in a thread where the past is long."""
        return await self._large.run_sized(work, past, past.readings.nbytes)

    async def save_prediction(self, machine_id: str, answer: bytes) -> None:
        """Keeps the newest answer about a machine beside it."""
        key = machine_id + _PREDICTION
        _, revision = await self._guard.run(lambda: self._store.read(key))
        await self._guard.run(lambda: self._store.write(key, answer, revision))

    async def last_prediction(self, machine_id: str) -> dict[str, Any] | None:
        """The newest answer about a machine."""
        stored, _ = await self._guard.run(lambda: self._store.read(machine_id + _PREDICTION))
        prediction: dict[str, Any] | None = None if stored is None else json.loads(stored)
        return prediction

    async def close(self) -> None:
        """Gives connections back, and ends the threads."""
        await super().close()
        self._large.close()

    def _changed(
        self, work: Callable[[History | None], tuple[History, Result]], stored: bytes
    ) -> tuple[bytes, Result]:
        after, result = work(self._read(stored))
        return pack(self.features, after), result

    def _read(self, stored: bytes) -> History | None:
        """A memory that was written for another feature set counts as none, and is counted."""
        if not stored:
            return None
        try:
            return unpack(self.features, stored)
        except FeatureError:
            self.unreadable += 1
            return None


def sensor_faults(features: AssetFeatureSet, past: History) -> list[SensorFault]:
    """Sensors whose newest reading is missing, out of range or stuck."""
    faults: list[SensorFault] = []
    if not len(past.times_us):
        return faults
    for column, sensor in enumerate(features.sensors):
        raw = np.ascontiguousarray(past.readings[:, column])
        _, faulty, _ = sound_readings(sensor, past.times_us, raw)
        newest = float(raw[-1])
        if np.isnan(newest):
            faults.append(SensorFault(sensor=sensor.name, fault="missing", value=None))
        elif faulty[-1]:
            outside = (sensor.low is not None and newest < sensor.low) or (
                sensor.high is not None and newest > sensor.high
            )
            fault = "out of range" if outside else "stuck"
            faults.append(SensorFault(sensor=sensor.name, fault=fault, value=newest))  # type: ignore[arg-type]
    return faults


def latest(features: AssetFeatureSet, past: History) -> dict[str, float | None]:
    """Newest reading by sensor, None where it gave none."""
    if not len(past.times_us):
        return dict.fromkeys(features.sensor_names)
    values = past.readings[-1].tolist()
    return {
        name: None if np.isnan(value) else value
        for name, value in zip(features.sensor_names, values, strict=True)
    }


def hours_since_service(
    features: AssetFeatureSet, past: History, at_us: int
) -> Mapping[str, float | None]:
    """By component, and `any`."""
    times = last_services(features, past, np.array([at_us]))[0].tolist()
    names = (*features.components, "any")
    return {
        name: None if time == UNKNOWN_US else (at_us - time) / HOUR_US
        for name, time in zip(names, times, strict=True)
    }
