"""From a body to a typed value, or a 422 that names the field; times as callers write them."""

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.piecewise_json import read_json_in_pieces, release_in_pieces
from lib.feature.attribute_values import AttributeValue
from serve.framework.problem import MOST_ERRORS, FieldError, Problem

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SHOWN = 60
_LARGE_BYTES, _LARGE_AT_ONCE = 64 * 1024, 2
_LONGEST_INTEGER_BITS = 1024
Parsed = TypeVar("Parsed")


def parse_body(adapter: TypeAdapter[Parsed], body: bytes) -> Parsed:
    """A body of JSON as the adapter's type.

    Raises:
        Problem: 422 with every field at fault (20 at most), in the order of the body.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise to_problem(error.errors(include_url=False), adapter) from None


def parse_rows(adapter: TypeAdapter[Parsed], body: bytes) -> Parsed:
    """As `parse_body`, for a thread: others go on between rows.

    Args:
        adapter: of a type that takes nothing of the body as it is: no `Any` in it.
        body: of JSON.

    Raises:
        Problem: see `parse_body`.
    """
    try:
        content = read_json_in_pieces(body)
    except ValueError:
        return parse_body(adapter, body)
    try:
        return adapter.validate_python(content)
    except ValidationError:
        return parse_body(adapter, body)
    finally:
        release_in_pieces(content)


class BodyParser:
    """Parses bodies; those above 64 KiB in a thread, so that other requests go on meanwhile.

    At most two large bodies are parsed at once; further ones wait within their deadline.
    """

    def __init__(self) -> None:
        self._threads = SizedExecutor("parsing", _LARGE_AT_ONCE, _LARGE_BYTES)

    async def parse(self, adapter: TypeAdapter[Parsed], body: bytes) -> Parsed:
        """As `parse_body`.

        Raises:
            Problem: see `parse_body`.
        """
        return await self._threads.run_sized(partial(parse_body, adapter), body)

    async def parse_rows(self, adapter: TypeAdapter[Parsed], body: bytes) -> Parsed:
        """The same for a body of many rows; see `parse_rows`.

        Raises:
            Problem: see `parse_body`.
        """
        if len(body) <= _LARGE_BYTES:
            return parse_body(adapter, body)
        return await self._threads.run(parse_rows, adapter, body)

    async def parse_list(
        self, item: TypeAdapter[Parsed], items: TypeAdapter[list[Parsed]], body: bytes
    ) -> list[Parsed]:
        """A body that is one object or a list of them.

        Raises:
            Problem: see `parse_body`.
        """
        if body.lstrip()[:1] == b"[":
            return await self.parse_rows(items, body)
        return [await self.parse_rows(item, body)]

    def close(self) -> None:
        """Drops what waits; see `BoundedExecutor.close`."""
        self._threads.close()


def sent_attributes_of(body: BaseModel) -> dict[str, AttributeValue] | None:
    """Attributes of a parsed body by name, unknown ones left out; None if none were sent."""
    sent: BaseModel | None = getattr(body, "attributes", None)
    return None if sent is None else sent.model_dump(exclude_none=True)


def to_problem(
    errors: Sequence[Mapping[str, Any]], adapter: TypeAdapter[Any] | None = None
) -> Problem:
    """The 422 for errors as pydantic lists them."""
    field_errors = [
        FieldError(_field_path(e["loc"]), _message(e, adapter)) for e in errors[:MOST_ERRORS]
    ]
    return Problem.of_fields(field_errors, len(errors))


def _field_path(location: Sequence[int | str]) -> str:
    parts = [str(part) for part in location if part != "body"]
    return ".".join(parts) or "body"


def _message(error: Mapping[str, Any], adapter: TypeAdapter[Any] | None) -> str:
    kind = error["type"]
    if kind == "missing":
        return "this field is required"
    if kind == "json_invalid":
        return f"expected JSON: {error['ctx']['error']}"
    if kind == "extra_forbidden":
        return "unknown field" + _value_text(error) + _suggestion(error["loc"], adapter)
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:] + ("" if ", got " in message else _value_text(error))


def _value_text(error: Mapping[str, Any]) -> str:
    """What came, a text in quotes and a number without; nothing for lists and objects."""
    value = error.get("input")
    if not isinstance(value, str | int | float | bool):
        return ""
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return ", got a longer number"  # Python refuses to write more than 4,300 digits
    text = repr(value[:_LONGEST_SHOWN]) if isinstance(value, str) else str(value)
    return f", got {text[: _LONGEST_SHOWN + 2]}"


def _suggestion(location: Sequence[int | str], adapter: TypeAdapter[Any] | None) -> str:
    name = str(location[-1])
    models = _models_at(getattr(adapter, "_type", None), location[:-1])
    field_names = sorted({field for model in models for field in model.model_fields})
    near = difflib.get_close_matches(name, field_names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(field_names)}" if field_names else ""


def _models_at(kind: Any, location: Sequence[int | str]) -> set[type[BaseModel]]:
    """The models that may stand at a place of a value of the type `kind`."""
    models = _models(kind)
    for part in location:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        inner = set[type[BaseModel]]().union(*(_models(field.annotation) for field in fields))
        models = inner or models  # the number of an item and the tag of a union are no fields
    return models


def _models(kind: Any) -> set[type[BaseModel]]:
    """A model, or the models that a list or union is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {kind}
    return set[type[BaseModel]]().union(*(_models(part) for part in getattr(kind, "__args__", ())))


def system_clock() -> int:
    """Microseconds since 1970 UTC, now."""
    return time.time_ns() // 1000


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(time_us: int) -> datetime:
    """The same as a time."""
    return _EPOCH + timedelta(microseconds=time_us)


@dataclass(frozen=True, slots=True)
class Clock:
    """The present, and how far callers' times may be from it. All in microseconds.

    Attributes:
        now: since 1970 UTC.
        ahead: that a caller's clock may be ahead.
        window: age up to which an event is in time, and its retry is recognised.
    """

    now: Callable[[], int]
    ahead: int
    window: int = 0

    def reject_future(self, field: str, at: datetime | None, now: int) -> int:
        """A caller's time, or now where it gave none.

        Args:
            field: for the message.
            at: the caller's.
            now: when the request came.

        Raises:
            Problem: 422 for a time that is too far ahead.
        """
        at_us = now if at is None else to_micros(at)
        if at_us > now + self.ahead:
            raise Problem.of_field(field, self.future_text(at_us, now))
        return at_us

    def future_text(self, at_us: int, now: int) -> str:
        """What is wrong with a time that is too far ahead."""
        return (
            f"expected at most {self.ahead // SECOND} seconds from now, got "
            f"{(at_us - now) // SECOND} seconds ahead; check the clock and the offset"
        )

    def is_in_time(self, event_time: int, now: int) -> bool:
        """Whether an event is recent.

        Raises:
            Problem: 422 for a time that is too far ahead.
        """
        if event_time > now + self.ahead:
            raise Problem.of_field("event_time", self.future_text(event_time, now))
        return event_time >= now - self.window
