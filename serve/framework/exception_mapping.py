"""Which problem an exception is for the caller, where no handler has turned it into one."""

from __future__ import annotations

import re

from lib.feature import StoreError
from lib.records import RecordsUnavailableError, RefusedRowsError
from serve.framework.problem import FieldError, Problem

_UNSTORABLE = (RefusedRowsError, OverflowError)
_AWAY = (RecordsUnavailableError, StoreError)
_OF_A_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,80}): (expected .{1,300})", re.DOTALL)


def problem_from(error: Exception) -> Problem:
    """The last answer to an exception: 422 for a value that cannot be kept, 503, or 500.

    A message reaches the caller only where `lib` refused a value and named its field.
    """
    if isinstance(error, Problem):
        return error
    refused = isinstance(error, ValueError) and type(error).__module__.startswith("lib.")
    if refused and (match := _OF_A_FIELD.fullmatch(str(error))):
        field, message = match.groups()
        return Problem(422, "invalid-field", f"{field}: {message}", [FieldError(field, message)])
    if isinstance(error, _UNSTORABLE):
        message = "expected values that can be stored; a number, time or text is out of range"
        return Problem(422, "invalid-field", message, [FieldError("body", message)])
    if isinstance(error, _AWAY):
        return Problem.unavailable(
            "a store is temporarily unavailable; send the same request again"
        )
    return Problem(500, "internal", "internal error; quote the request_id when you report it")
