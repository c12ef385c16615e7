"""Errors as callers see them (RFC 9457 problem details), and as logs and health pages do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from lib.feature import StoreError
from lib.records import DecisionLogFullError, RecordsUnavailableError, RefusedRowsError

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""Fields that a problem lists."""

_UNSTORABLE = (RefusedRowsError, OverflowError)
_OF_A_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,80}): (expected .{1,300})", re.DOTALL)
_SAFE = (RecordsUnavailableError, StoreError, DecisionLogFullError)
_PLACES = 8


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field at fault.

    Attributes:
        field: where in the body, e.g. `labels.3.observed_at`; `body` for the whole of it.
        message: what was expected and what came.
    """

    field: str
    message: str


class Problem(Exception):  # noqa: N818  the word of RFC 9457
    """An answer that is an error.

    Args:
        status: of the answer.
        kind: stable name of the problem, e.g. `invalid-field`; becomes `urn:forewarn:<kind>`.
        detail: what is wrong and what to do next.
        errors: the fields at fault.
        retry_after: seconds after which the same request may succeed.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.retry_after = tuple(errors), retry_after

    @classmethod
    def of_field(cls, field: str, message: str) -> Problem:
        """A 422 for one field."""
        return cls(422, "invalid-field", f"{field}: {message}", (FieldError(field, message),))

    @classmethod
    def of_fields(cls, errors: Sequence[FieldError], count: int | None = None) -> Problem:
        """A 422 for `count` fields (default: all); the detail names three, the list twenty."""
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
        more = (len(errors) if count is None else count) - 3
        detail += f"; and {more} more" if more > 0 else ""
        return cls(422, "invalid-field", detail, errors[:MOST_ERRORS])

    @classmethod
    def unavailable(cls, detail: str, retry_after: int = 1) -> Problem:
        """A 503 for what may work some seconds later."""
        return cls(503, "unavailable", detail, retry_after=retry_after)

    @classmethod
    def not_found(cls, detail: str) -> Problem:
        """A 404 for an id that is not stored."""
        return cls(404, "not-found", detail)

    @classmethod
    def conflict(cls, detail: str) -> Problem:
        """A 409 for an id that was used for another request."""
        return cls(409, "conflict", detail)

    def body(self, request_id: str) -> bytes:
        """The problem as JSON."""
        content: dict[str, Any] = {
            "type": f"urn:forewarn:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            content["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        return json.dumps(content).encode()

    def headers(self) -> Mapping[str, str]:
        """Headers beside the media type."""
        extra: dict[str, str] = {}
        if self.retry_after is not None:
            extra["retry-after"] = str(self.retry_after)
        if self.status == HTTPStatus.UNAUTHORIZED:
            extra["www-authenticate"] = 'Bearer realm="forewarn"'
        return extra


def as_response(problem: Problem, request_id: str) -> Response:
    """The problem for a FastAPI route."""
    return Response(
        problem.body(request_id), problem.status, dict(problem.headers()), media_type=MEDIA_TYPE
    )


def problem_from(error: Exception) -> Problem:
    """The last answer to an exception: 422 for a value that cannot be kept, 503, or 500.

    A message reaches the caller only where `lib` refused a value and named its field.
    """
    if isinstance(error, Problem):
        return error
    refused = isinstance(error, ValueError) and type(error).__module__.startswith("lib.")
    if refused and (match := _OF_A_FIELD.fullmatch(str(error))):
        return Problem.of_field(*match.groups())
    if isinstance(error, _UNSTORABLE):
        message = "expected values that can be stored; a number, time or text is out of range"
        return Problem(422, "invalid-field", message, [FieldError("body", message)])
    if isinstance(error, RecordsUnavailableError | StoreError):
        part = "a store is" if isinstance(error, StoreError) else "the records are"
        return Problem.unavailable(f"{part} temporarily unavailable; send the same request again")
    return Problem(500, "internal", "internal error; quote the request_id when you report it")


def fault_text(error: BaseException) -> str:
    """For logs and health pages: the error's type, and its words where they are about a part.

    It never holds a value that a person sent.
    """
    kind = type(error).__name__
    if isinstance(error, _SAFE):
        return f"{kind}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{kind}: {error.strerror}"
    return kind


def fault_fields(error: BaseException) -> dict[str, Any]:
    """The same with the lines that it came from, for a log."""
    trace, frames = error.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return {"error": fault_text(error), "trace": frames[-_PLACES:]}
