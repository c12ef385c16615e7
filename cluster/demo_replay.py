"""Simulated payments of the past that a demonstration keeps back from training and sends later.

They carry the times at which they were made, so that their labels are ripe and a day is a day.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.demo_system import Application
from lib.contract import TIME
from lib.fraud.contracts import TRANSACTIONS
from lib.storage import open_storage, write_parquet

DAYS = 7
"""Days that are kept back."""
RIPE_DAYS = 8
"""Days before now on which they end, so that their outcomes are final."""
_CALLERS = 4
_TRIES, _OK, _NO_ROOM = 5, 200, 503
_SENT = ("transaction_id", "user_id", "merchant_id", "device_id", "currency", "payment_method")
_COORDINATES = ("latitude", "longitude")
_TABLES = ("transactions", "labels")


@dataclass(frozen=True)
class KeptBack:
    """The days of payments that no model learns from.

    Attributes:
        folder: `data` holds what was simulated, `known` what models may learn from, `live` the
            rest.
        since: midnight UTC of the first day.
    """

    folder: Path
    since: datetime

    @classmethod
    def until_ripe(cls, folder: Path, now: datetime) -> KeptBack:
        """The last days whose outcomes are final now."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(folder, midnight - timedelta(days=DAYS + RIPE_DAYS))

    def day(self, number: int) -> datetime:
        """When a day of them begins; `DAYS` is the end of the last."""
        return self.since + timedelta(days=number)

    def split(self) -> None:
        """Writes `known` and `live` from `data`."""
        payments, labels = (pq.read_table(self.folder / f"data/{name}.parquet") for name in _TABLES)
        since = pa.scalar(self.since, TIME)
        is_live = pc.greater_equal(payments["event_time"], since)
        live = TRANSACTIONS.check(payments.filter(is_live)).good.sort_by("event_time")
        is_of_live = pc.is_in(labels["transaction_id"], live["transaction_id"].combine_chunks())
        parts = {
            "known/transactions/simulated": payments.filter(pc.invert(is_live)),
            "known/labels/simulated": labels.filter(pc.less(labels["observed_at"], since)),
            "live/transactions": live,
            "live/labels": labels.filter(is_of_live),
        }
        storage = open_storage(self.folder)
        for name, table in parts.items():
            write_parquet(table, storage, f"{name}.parquet")

    def send(self, app: Application, first: int, end: int, with_place: bool) -> Counter[str]:
        """Sends days of them, each followed by its labels; decisions with how often each came.

        Args:
            app: the fraud application.
            first: number of the first day.
            end: number of the day after the last.
            with_place: whether they say where they were made.

        Raises:
            RuntimeError: one is refused.
        """
        decisions: Counter[str] = Counter()
        for number in range(first, end):
            payments, labels = self._of_day(number)
            with ThreadPoolExecutor(_CALLERS) as callers:
                send = partial(_send_in_turn, app, with_place)
                for part in callers.map(send, _by_user(payments)):
                    decisions.update(part)
            _send_labels(app, labels)
        return decisions

    def _of_day(self, number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Payments of a day, and all labels about them that are known by now."""
        payments, labels = (pq.read_table(self.folder / f"live/{name}.parquet") for name in _TABLES)
        begin, end = (pa.scalar(self.day(day), TIME) for day in (number, number + 1))
        times = payments["event_time"]
        payments = payments.filter(pc.and_(pc.greater_equal(times, begin), pc.less(times, end)))
        is_about = pc.is_in(labels["transaction_id"], payments["transaction_id"].combine_chunks())
        is_past = pc.less(labels["observed_at"], pa.scalar(datetime.now(UTC), TIME))
        return payments.to_pylist(), labels.filter(pc.and_(is_about, is_past)).to_pylist()


def _by_user(payments: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Payments by caller; those of a user stay together and in order."""
    parts: list[list[dict[str, Any]]] = [[] for _ in range(_CALLERS)]
    for payment in payments:
        parts[crc32(payment["user_id"].encode()) % _CALLERS].append(payment)
    return parts


def _send_in_turn(
    app: Application, with_place: bool, payments: Sequence[dict[str, Any]]
) -> list[str]:
    decisions: list[str] = []
    for payment in payments:
        body = {name: payment[name] for name in _SENT}
        body["event_time"] = payment["event_time"].isoformat()
        body["amount"] = f"{payment['amount_minor'] / 100:.2f}"
        if with_place:
            body |= {name: payment[name] for name in _COORDINATES}
        answer = _accepted(app, "/score_transaction", body)
        decisions.append(answer["decision"])
        if (declined_from := payment["declined_from"]) is not None:
            label = {"transaction_id": body["transaction_id"], "declined": True}
            _send_labels(app, [label | {"observed_at": declined_from}], "issuer")
    return decisions


def _send_labels(
    app: Application, labels: Sequence[dict[str, Any]], source: str = "chargeback"
) -> None:
    rows = [
        {**row, "observed_at": row["observed_at"].isoformat(), "source": source} for row in labels
    ]
    if rows:
        _accepted(app, "/labels", rows)


def _accepted(app: Application, path: str, body: Any) -> dict[str, Any]:
    """The answer; where the service has no room or a connection ends, that of a later try."""
    answer: dict[str, Any] = {"http": None}
    for _ in range(_TRIES):
        with suppress(httpx.TransportError):
            answer = app.post(path, body)
        if answer["http"] not in {None, _NO_ROOM}:
            break
        time.sleep(1.0)
    if answer["http"] != _OK:
        raise RuntimeError(f"the service refused what was sent again: {answer}")
    return answer
