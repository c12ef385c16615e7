"""Asks a store with a timeout, and not at all while it is out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from lib.concurrency.circuit_breaker import CircuitBreaker
from lib.concurrency.running_timeout import RunningTimeout

Done = TypeVar("Done")


class GuardedCall:
    """Stands between callers and a store.

    Args:
        name: of the store, for messages.
        error: what its calls raise where it is out, and what is raised here.
        timeout: seconds to wait, see `RunningTimeout`.
        keeps_time: whether calls end in time by themselves; then no timer is set beside theirs.
    """

    def __init__(
        self, name: str, error: type[Exception], timeout: float, keeps_time: bool = False
    ) -> None:
        self._name, self._error, self._timeout = name, error, timeout
        self._keeps_time = keeps_time
        self._breaker = CircuitBreaker()

    @property
    def unavailable(self) -> bool:
        """Whether the store failed the last times it was asked, and no trial is due."""
        return self._breaker.open

    async def run(self, call: Callable[[], Awaitable[Done]]) -> Done:
        """What `call` returns.

        Raises:
            Exception: the store's error: it failed, gave no answer in time, or is left alone.
        """
        if not self._breaker.allows():
            raise self._error(f"{self._name}: out, tried again shortly")
        try:
            if self._keeps_time:
                done = await call()
            else:
                async with RunningTimeout(self._timeout):
                    done = await call()
        except (self._error, TimeoutError) as error:
            self._breaker.failed()
            text = f"{self._name}: {str(error) or 'no answer in time'}"
            raise self._error(text) from error
        except Exception:  # it answered, if only that the question is wrong
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return done

    async def ping(self, call: Callable[[], Awaitable[None]]) -> None:
        """Returns if the store answers in time, whatever it did before."""
        async with asyncio.timeout(self._timeout):
            await call()


class ClosableStore(Protocol):
    """What every store offers."""

    async def ping(self) -> None:
        """Returns if the store answers."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...


Store = TypeVar("Store", bound=ClosableStore)


class GuardedRepository(Generic[Store]):
    """A repository whose calls of its store have a timeout and a circuit breaker.

    Args:
        store: where its rows are.
        guard: for calls of the store.
    """

    def __init__(self, store: Store, guard: GuardedCall) -> None:
        self._store, self._guard = store, guard

    @property
    def unavailable(self) -> bool:
        """Whether the last calls of the store failed, and no trial is due."""
        return self._guard.unavailable

    async def ping(self) -> None:
        """Returns if the store answers."""
        await self._guard.ping(self._store.ping)

    async def close(self) -> None:
        """Gives connections back."""
        await self._store.close()
