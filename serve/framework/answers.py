"""Answers of thousands of rows as JSON, written in a thread."""

from pydantic import BaseModel
from starlette.responses import Response

from lib.concurrency.bounded_executor import BoundedExecutor

_AT_ONCE = 2


class AnswerWriter:
    """Writes answers that may be long, while the event loop goes on."""

    def __init__(self) -> None:
        self._threads = BoundedExecutor("answers", _AT_ONCE)

    async def write(self, answer: BaseModel) -> bytes:
        """An answer as JSON."""
        return (await self._threads.run(answer.model_dump_json)).encode()

    async def response(self, answer: BaseModel) -> Response:
        """The same, for a route that is not direct; declare the answer's type as its `response`."""
        return Response(await self.write(answer), media_type="application/json")

    def close(self) -> None:
        """Drops what waits; see `BoundedExecutor.close`."""
        self._threads.close()
