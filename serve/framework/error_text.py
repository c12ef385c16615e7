"""What went wrong, as logs and health pages may say it: never a value that a person sent."""

from __future__ import annotations

from typing import Any

from lib.feature import StoreError
from lib.records import DecisionLogFullError, RecordsUnavailableError

_SAFE = (RecordsUnavailableError, StoreError, DecisionLogFullError)
_PLACES = 8


def fault_text(error: BaseException) -> str:
    """The error's type, and its words where they are ours about a part, not about a request."""
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
