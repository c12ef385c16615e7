"""One request as the gateway knows it."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

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
    """

    request_id: str
    key_id: str
    started: float
    log_fields: dict[str, Any] = field(default_factory=dict)
    body_read: bool = False
    reviewers: frozenset[str] | None = None

    def latency_ms(self) -> float:
        """Milliseconds since the request came."""
        return round((time.perf_counter() - self.started) * 1000.0, 3)


def request_id_of(header: bytes | None) -> str:
    """The caller's request id where it is sane (64 of `A-Za-z0-9._:-` at most), else a new one."""
    if header is not None and _SANE_ID.fullmatch(header):
        return header.decode("ascii")
    return f"{_IDS.getrandbits(128):032x}"
