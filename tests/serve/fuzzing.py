"""Requests that nobody would send, and what applications answer to them.

Three kinds, drawn in turn: what the documentation admits and what it does not (schemathesis), valid
examples with hostile values in places of theirs, and requests that are not of the protocol's kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

FINE = {*range(200, 300), *range(400, 500), 503}
HOSTILE: tuple[Any, ...] = (
    *(10**400, -(10**400), 2**63, -(2**63) - 1, -1, 0, 1e308, float("nan"), float("inf"), 5e-324),
    *("", "\0", "a\0b", "é" * 100, "🦊" * 128, "..", "a/b", "x" * 20_000, "\ud800", "\n", "١٢"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"),
    *("2099-12-31T23:59:59Z", "1990-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "1700000000"),
    *(None, True, [], {}, [[]], [None], {"": 0}, "NaN", "1e400", "-0"),
)
PATHS = ("", "..", ".", "%00", "a%2Fb", "%2e%2e", "%ff", "é", "x" * 5_000, "%C2%85", "a b", "%25")
HEADERS: tuple[dict[str, str | bytes], ...] = (
    {"X-Deadline-Ms": "nan"},
    {"X-Deadline-Ms": "9" * 5_000},
    {"X-Request-ID": b"\xff\x00"},
    {"Content-Length": "9" * 5_000},
    {"Content-Length": "-1"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Encoding": "gzip"},
    {"Authorization": b"Bearer \xff"},
    {"Authorization": "Bearer fw_a_b", "X-API-Key": "fw__"},
    {"Accept": "text/html", "Range": "bytes=0-1"},
    {"Host": "\x7f"},
)
_LEFT_OUT = {
    # a drawn key is no key, and 401 is soon learnt; the client's own stands in
    *("authorization", "x-api-key", "user-agent", "accept-encoding", "x-schemathesis-testcaseid"),
}
BODIES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b"{",
    b"[" * 50_000,
    b'"\\ud800"',
    b"NaN",
    b"1" * 9_999,
)


@dataclass
class Outcome:
    """What came of requests to one application."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Target:
    """An application that runs in a loop of its own.

    Attributes:
        client: a caller with every scope, used in `loop` only.
        loop: runs the application.
        document: its OpenAPI document.
        prefix: where it lives.
        examples: by method and path of the document, a body that is taken.
        path_values: by name of a path parameter, one that leads somewhere.
    """

    client: httpx.AsyncClient
    loop: asyncio.AbstractEventLoop
    document: Mapping[str, Any]
    prefix: str
    examples: Mapping[tuple[str, str], Any]
    path_values: Mapping[str, str]

    def send(self, method: str, path: str, **request: Any) -> int:
        """The status of an answer."""

        async def send() -> int:
            built = self.client.build_request(method, self.prefix + path, **request)
            return (await self.client.send(built)).status_code

        return asyncio.run_coroutine_threadsafe(send(), self.loop).result(timeout=120)


@contextmanager
def target(
    start: Callable[[], AbstractAsyncContextManager[Any]],
    prefix: str,
    prepare: Callable[[Any], Any],
) -> Iterator[Target]:
    """An application as a target.

    Args:
        start: starts it; what it gives has a `client` and a `service`.
        prefix: where it lives.
        prepare: from the started one to `examples` and `path_values`, a coroutine function.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=300)

    opened = start()
    running = run(opened.__aenter__())
    try:
        document = run(running.client.get(f"{prefix}/openapi.json")).json()
        examples, path_values = run(prepare(running))
        yield Target(running.client, loop, document, prefix, examples, path_values)
    finally:
        run(opened.__aexit__(None, None, None))
        run(loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def fuzzed(application: Target, examples: int, number: int = 0) -> Outcome:
    """Sends about `examples` requests of each kind to each operation.

    Args:
        application: which.
        examples: of each kind.
        number: seeds the choice.
    """
    outcome = Outcome()
    schema = schemathesis.openapi.from_dict(copy.deepcopy(dict(application.document)))
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                cases = operation.as_strategy(generation_mode=mode)
                _draw(cases.map(_of_case), application, outcome, examples, number)
            except schemathesis.errors.SchemathesisError:
                continue  # nothing can be wrong with an operation that takes nothing
            except Exception as error:
                if type(error).__name__ not in ("Unsatisfiable", "InvalidArgument", "SkipTest"):
                    raise
        method, path = operation.method.upper(), operation.path
        if method == "POST":
            mutated = _mutations(application, method, path)
            _draw(mutated, application, outcome, 2 * examples, number)
        _draw(_oddities(application, method, path), application, outcome, examples, number)
    return outcome


Request = tuple[str, str, dict[str, Any]]


def _draw(
    requests: st.SearchStrategy[Request],
    application: Target,
    outcome: Outcome,
    most: int,
    number: int,
) -> None:
    @seed(number)
    @settings(
        max_examples=most,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(requests)
    def send(request: Request) -> None:
        method, path, more = request
        try:
            status = application.send(method, path, **more)
        except (httpx.InvalidURL, UnicodeEncodeError, httpx.LocalProtocolError):
            return  # no client could send it
        outcome.requests += 1
        outcome.statuses[status] += 1
        if status not in FINE:
            arguments = json.dumps(more, default=repr)[:600]
            outcome.faults.append(f"{status} {method} {path[:200]} {arguments}")

    send()


def _of_case(case: Any) -> Request:
    sent = case.as_transport_kwargs(base_url="http://host")
    headers = {
        name: value for name, value in sent["headers"].items() if name.lower() not in _LEFT_OUT
    }
    more: dict[str, Any] = {"headers": headers, "params": sent.get("params")}
    if "json" in sent:
        more["content"] = json.dumps(sent["json"]).encode()
    elif sent.get("data") is not None:
        more["content"] = sent["data"]
    return sent["method"], sent["url"].removeprefix("http://host"), more


def _mutations(application: Target, method: str, path: str) -> st.SearchStrategy[Request]:
    """The example of an operation with one or two hostile values in it."""
    example = application.examples.get((method, path), {})
    key_paths = list(_key_paths(example)) or [()]

    def request(changes: Sequence[tuple[tuple[Any, ...], Any]]) -> Request:
        body = copy.deepcopy(example)
        for key_path, value in changes:
            body = _with(body, key_path, value)
        return (
            method,
            _filled(path, application.path_values),
            {"content": json.dumps(body).encode()},
        )

    change = st.tuples(st.sampled_from(key_paths), st.sampled_from(HOSTILE))
    return st.lists(change, min_size=0, max_size=2).map(request)


def _oddities(application: Target, method: str, path: str) -> st.SearchStrategy[Request]:
    """The example of an operation with an odd path, odd headers, or a body that is none."""
    example = json.dumps(application.examples.get((method, path), {})).encode()
    filled = st.just(_filled(path, application.path_values))
    if "{" in path:
        odd = st.sampled_from(PATHS).map(
            lambda segment: _filled(path, dict.fromkeys(_named(path), segment))
        )
        filled |= odd
    bodies = st.sampled_from((example, *BODIES)) | st.binary(max_size=200)
    headers = st.just({}) | st.sampled_from(HEADERS)
    methods = st.sampled_from((method, method, method, "GET", "POST", "HEAD", "PATCH", "OPTIONS"))

    def request(drawn: tuple[str, str, Any, bytes]) -> Request:
        return drawn[0], drawn[1], {"headers": drawn[2], "content": drawn[3]}

    return st.tuples(methods, filled, headers, bodies).map(request)


def _filled(path: str, path_values: Mapping[str, str]) -> str:
    for name in _named(path):
        path = path.replace(f"{{{name}}}", path_values.get(name, "unknown"))
    return path


def _named(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _key_paths(value: Any, head: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield head
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value[:3]) if isinstance(value, list) else inner
    for key, part in inner:
        yield from _key_paths(part, (*head, key))


def _with(value: Any, key_path: tuple[Any, ...], new: Any) -> Any:
    if not key_path:
        return new
    with contextlib.suppress(KeyError, IndexError, TypeError):  # another change came first
        value[key_path[0]] = _with(value[key_path[0]], key_path[1:], new)
    return value


def path_of(identifier: str) -> str:
    """An identifier as a segment of a path."""
    return quote(identifier, safe="")
