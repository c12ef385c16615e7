"""One request and its answer as ASGI carries them, and what the gateway knows of them."""

from __future__ import annotations

import asyncio
import io
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve.framework.problem import MEDIA_TYPE, FieldError, Problem

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Headers = Sequence[tuple[bytes, bytes]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
_UNSENT = 499
_POLICY_VIOLATION = 1008
_LONGEST_LENGTH = 18  # digits
_IDS = random.Random()
_SANE_ID = re.compile(rb"[A-Za-z0-9._:\-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """One request.

    Attributes:
        request_id: in the answer, its header and the log.
        key_id: public id of the caller's key; empty on public pages.
        started: reading of a monotonic clock when the request came, seconds.
        log_fields: what the log line says beside the gateway's own fields; no personal data.
        body_read: whether the whole body was read.
        reviewers: names under which the key may act in review; None is any.
        field_errors: fields that the answer refuses.
    """

    request_id: str
    key_id: str
    started: float
    log_fields: dict[str, Any] = field(default_factory=dict)
    body_read: bool = False
    reviewers: frozenset[str] | None = None
    field_errors: Sequence[FieldError] = ()

    def latency_ms(self) -> float:
        """Milliseconds since the request came."""
        return round((time.perf_counter() - self.started) * 1000.0, 3)


async def dispatch(app: App, answer: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Lets a gateway answer one request.

    Args:
        app: behind it, which gets the lifespan.
        answer: to a request over HTTP.
        scope: of the request; a websocket is closed.
        receive: of ASGI.
        send: of ASGI.
    """
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})


def request_id_of(header: bytes | None) -> str:
    """The caller's request id where it is sane (64 of `A-Za-z0-9._:-` at most), else a new one."""
    if header is not None and _SANE_ID.fullmatch(header):
        return header.decode("ascii")
    return f"{_IDS.getrandbits(128):032x}"


class ResponseSender:
    """Sends one answer, and remembers its status.

    Args:
        send: of ASGI.
        request_id: what problems name.
        names_request: whether the header names it, too.
    """

    def __init__(self, send: Send, request_id: str, names_request: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._named = [(b"x-request-id", request_id.encode())] if names_request else []
        self.status = _UNSENT

    @property
    def is_begun(self) -> bool:
        """Whether an answer has begun."""
        return self.status != _UNSENT

    def close_after(self) -> None:
        """Has the connection closed after the answer, as a body is left unread in it.

        A proxy would wait for that body otherwise, with a place of the replica's taken.
        """
        self._named.append((b"connection", b"close"))

    async def page(self, status: int, headers: Headers, body: bytes) -> None:
        """Answers with an answer that was given before."""
        self.status = status
        start = {"type": "http.response.start", "status": status}
        await self._send({**start, "headers": [*headers, *self._named]})
        await self._send({"type": "http.response.body", "body": body})

    async def json(self, body: bytes, status: int = 200) -> None:
        """Answers with JSON."""
        await self._send_response(status, b"application/json", [], body)

    async def problem(self, problem: Problem) -> None:
        """Answers with a problem, unless an answer has begun."""
        if self.is_begun:
            return
        extra = [(k.encode(), v.encode()) for k, v in problem.headers().items()]
        body = problem.body(self._request_id)
        await self._send_response(problem.status, MEDIA_TYPE.encode(), extra, body)

    async def forward(self, message: Mapping[str, Any]) -> None:
        """What an application sends, with the request id added."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *self._named]}
        await self._send(message)

    async def _send_response(
        self, status: int, kind: bytes, extra: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        self.status = status
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            *extra,
            *self._named,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def bearer_token(headers: Mapping[bytes, bytes]) -> str | None:
    """The key of `Authorization: Bearer` or `X-API-Key`."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, token = value.decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None
    value = headers.get(b"x-api-key")
    return None if value is None else value.decode("latin-1").strip()


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes:
    """The whole body; refused as soon as it is known to be too large.

    Raises:
        Problem: 400 for a Content-Length that is none or a body that breaks off, 413.
    """
    if declared_length(headers) > most:
        raise _too_large(most)
    message = await _piece(receive)
    if not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        return body
    # it grows in place and gives its bytes away without a copy
    buffer = io.BytesIO()
    size = buffer.write(message.get("body", b""))
    while message.get("more_body", False):
        if size > most:
            raise _too_large(most)
        message = await _piece(receive)
        size += buffer.write(message.get("body", b""))
    if size > most:
        raise _too_large(most)
    return buffer.getvalue()


async def _piece(receive: Receive) -> dict[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Problem(400, "incomplete", "the connection closed before the body was complete")
    return message


async def discard_body(receive: Receive, most: int, seconds: float) -> bool:
    """Read a refused body to its end, so that its sender sees the answer instead of a reset.

    Args:
        receive: of ASGI.
        most: bytes that are read at most.
        seconds: that it may take.

    Returns:
        Whether the end came within both bounds.
    """
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds):
            while more and size <= most:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return False
    return not more


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body is announced."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def refuse_body(headers: Mapping[bytes, bytes]) -> None:
    """Refuses a body where none is expected, without waiting for it.

    Raises:
        Problem: 400 for a Content-Length that is none, 413 for one above 0.
    """
    if declared_length(headers) > 0:
        raise Problem(413, "too-large", "expected no body with this method; leave it out")


def declared_length(headers: Mapping[bytes, bytes]) -> int:
    """Content-Length in bytes; 0 where it is not declared.

    Raises:
        Problem: 400 for one that is no number of bytes.
    """
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > _LONGEST_LENGTH:
        text = f"Content-Length: expected a number of bytes, got {declared[:_LONGEST_LENGTH]!r}"
        raise Problem(400, "content-length", text)
    return int(declared)


def _too_large(most: int) -> Problem:
    return Problem(413, "too-large", f"expected a body of at most {most} bytes")


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Gives an application the body that was read, then whatever follows."""
    is_sent = False

    async def again() -> dict[str, Any]:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
