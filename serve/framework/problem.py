"""Errors as callers see them: RFC 9457 problem details."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


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
    def of_fields(cls, errors: Sequence[FieldError]) -> Problem:
        """A 422 for several fields; the detail names three of them, the list twenty."""
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        return cls(422, "invalid-field", detail + more, errors[:20])

    @classmethod
    def unavailable(cls, detail: str) -> Problem:
        """A 503 for what may work a second later."""
        return cls(503, "unavailable", detail, retry_after=1)

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
