"""Work on texts that grows with their length, kept off the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from serve.framework.bounded_executor import BoundedExecutor

_SHORT = 500
"""Characters; work on no more of them takes less than a thread would."""

_AT_ONCE = 2
Result = TypeVar("Result")


class TextExecutor:
    """Works on short texts at once, and on long ones in two threads of its own."""

    def __init__(self) -> None:
        self._threads = BoundedExecutor("texts", _AT_ONCE)

    async def run(self, work: Callable[[str], Result], text: str) -> Result:
        """What `work` makes of a text."""
        if len(text) <= _SHORT:
            return work(text)
        return await self._threads.run(work, text)
