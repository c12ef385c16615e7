"""Decisions by the million: written, found, aged to Parquet and found again, on PostgreSQL.

`python -m tests.benchmarks.decision_archive --rows 10000000` starts a PostgreSQL of its own (about
5 GB of disk for a million rows) and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from lib.fraud.features import FRAUD
from lib.records import Records
from lib.records.archiving import archive_day, days_before
from lib.records.database import Database
from lib.records.json_codec import write_json
from lib.records.partitions import DAY, create_partitions
from lib.records.schema import DECISION_IDS, DECISIONS
from tests.benchmarks.result import print_result
from tests.records.server import new_database, running

_FIRST = 1_795_392_000_000_000  # 2026-11-23T00:00:00Z
_PART = 10_000
_A_DAY = 260_000_000
"""Rows of a day at 3,000 a second."""
_COLUMNS = [column.name for column in DECISIONS.columns]
_PRESENT = [name for number, name in enumerate(FRAUD.names) if number % 7]


def rows(count: int, days: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Payments of half a million users, evenly over some days, in the order in which they came."""
    rng = random.Random(seed)
    for number in range(count):
        at = _FIRST + number * days * DAY // count
        name, user = f"{rng.getrandbits(128):032x}", f"user-{rng.randrange(500_000)}"
        entities = {
            "user_id": user,
            "merchant_id": f"merchant-{rng.randrange(20_000)}",
            "device_id": f"device-{rng.randrange(800_000)}",
        }
        score = rng.random() ** 8
        decision = "DECLINE" if score > 0.9 else "REVIEW" if score > 0.7 else "APPROVE"
        features = {feature: round(rng.expovariate(0.05), 4) for feature in _PRESENT}
        reasons = [
            {"code": feature, "contribution": round(rng.random(), 4)}
            for feature in rng.sample(_PRESENT, 3)
        ]
        shared = {"decision": decision, "fraud_score": score, "reasons": reasons}
        amount = rng.randrange(100, 90_000)
        yield {
            "system": "fraud",
            "subject_id": name,
            "entities": entities,
            "event_time": at,
            "received_at": at + 40_000,
            "decided_at": at + 47_000,
            "decision": decision,
            "score": score,
            "method": "model",
            "rule_id": None,
            "reasons": reasons,
            "rule_hits": [],
            "shadow_hits": ["new_device"],
            "model_version": "20261123T101500Z-0f3a9c21",
            "rules_version": "r1",
            "feature_set_digest": FRAUD.digest,
            "features": features,
            "request_id": f"{rng.getrandbits(128):032x}",
            "latency_ms": round(4 + rng.expovariate(0.5), 3),
            "answer": {"transaction_id": name, **shared, "method": "model"},
            "request": {
                **entities,
                "transaction_id": name,
                "event_time": at,
                "amount_minor": amount,
                "currency": "EUR",
                "payment_method": "card",
            },
        }


def copied(url: str, count: int) -> tuple[float, list[tuple[str, int]]]:
    """Write the rows of the first day by COPY, as a bulk load; seconds, and a sample of them."""
    every, sample = max(1, count // 4000), list[tuple[str, int]]()
    started = time.perf_counter()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        for number, part in enumerate(_parts(rows(count, 1), _PART)):
            with connection.cursor() as cursor:
                with cursor.copy(_copy("decisions", _COLUMNS)) as stream:
                    for row in part:
                        stream.write_row([_plain(row[name]) for name in _COLUMNS])
                names = [column.name for column in DECISION_IDS.columns]
                with cursor.copy(_copy("decision_ids", names)) as stream:
                    for row in part:
                        user_id = row["entities"]["user_id"]
                        stream.write_row(
                            [row["system"], row["subject_id"], user_id, row["received_at"]]
                        )
            connection.commit()
            sample += [
                (row["subject_id"], row["event_time"])
                for index, row in enumerate(part, number * _PART)
                if index % every == 0
            ]
    return time.perf_counter() - started, sample


def repeated(database: Database, days: int) -> float:
    """Write the first day again for each further day, with ids and times of its own; seconds.

    The database does it, which costs it as much as rows from elsewhere and Python nothing.
    """
    started = time.perf_counter()
    shifted = {"subject_id": "md5(subject_id || :day)"} | {
        name: f"{name} + :offset" for name in ("event_time", "received_at", "decided_at")
    }
    for day in range(1, days):
        values = {"day": str(day), "offset": day * DAY, "first": _FIRST, "end": _FIRST + DAY}
        for table in (DECISIONS, DECISION_IDS):
            names = [column.name for column in table.columns]
            selected = ", ".join(shifted.get(name, name) for name in names)
            with database.writing() as connection:
                connection.execute(
                    text(
                        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {selected} "
                        f"FROM {table.name} WHERE received_at >= :first AND received_at < :end"
                    ),
                    values,
                )
    return time.perf_counter() - started


def drained(records: Records, count: int) -> float:
    """Rows a second of the service's own way in: batches of 1,000, as a drain stores them."""
    payments = list(rows(count, 1, seed=1))
    started = time.perf_counter()
    for start in range(0, count, 1000):
        records.record_rows(payments[start : start + 1000])
    return count / (time.perf_counter() - started)


def timed(calls: list[Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds of some calls."""
    durations = []
    for call in calls:
        started = time.perf_counter()
        assert call(), "expected a decision, found none"
        durations.append((time.perf_counter() - started) * 1000.0)
    durations.sort()
    return {
        "p50": round(durations[len(durations) // 2], 2),
        "p99": round(durations[min(len(durations) - 1, len(durations) * 99 // 100)], 2),
    }


def look_ups(records: Records, sample: list[tuple[str, int]], day: int) -> dict[str, Any]:
    """By id, and a minute of a day, of the sample's rows of that day."""
    first = _FIRST + day * DAY
    rows = [(name, at) for name, at in sample if first <= at < first + DAY]
    chosen = random.Random(2).sample(rows, min(200, len(rows)))

    def by_id(name: str) -> Callable[[], Any]:
        return lambda: records.decision("fraud", name)

    def by_minute(at: int) -> Callable[[], Any]:
        return lambda: list(records.decisions("fraud", at, at + 60_000_000))

    started = time.perf_counter()
    read = sum(1 for _ in records.decisions("fraud", first, first + DAY))
    return {
        "by_id_ms": timed([by_id(name) for name, _ in chosen]),
        "by_minute_ms": timed([by_minute(at) for _, at in chosen[:20]]),
        "day_rows_per_s": round(read / (time.perf_counter() - started)),
        "day_rows": read,
    }


def measure(count: int, days: int, folder: Path, url: str) -> dict[str, Any]:
    """Everything, as one object."""
    records, database = Records(url), Database(url, 3600.0)
    records.migrate()
    with database.writing() as connection:
        create_partitions(connection, [_FIRST + day * DAY for day in range(days)])
    seconds, sample = copied(url, count // days)
    repeating = repeated(database, days)
    more = min(count, 20_000)
    writer = drained(records, more)
    with database.writing() as connection:
        connection.execute(text("ANALYZE decisions"))
    table, ids = _size(database, "decisions_p%"), _size(database, "decision_ids")
    before = look_ups(records, sample, 0)
    started = time.perf_counter()
    moved = sum(
        archive_day(database, str(folder), day, _FIRST).deleted
        for day in days_before(database, _FIRST + (days - 1) * DAY)
    )
    aged = time.perf_counter() - started
    after = look_ups(records, sample, 0)
    parquet = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    million = (count + more) / 1e6
    result = {
        "rows": count,
        "days": days,
        "copy_rows_per_s": round(count / days / seconds),
        "repeat_rows_per_s": round(count / days * (days - 1) / repeating) if days > 1 else None,
        "drain_rows_per_s": round(writer),
        "table_mb_per_million": round(table / 1e6 / million),
        "ids_mb_per_million": round(ids / 1e6 / million),
        "parquet_mb_per_million": round(parquet / moved),
        "table": before,
        "archive": after,
        "archived_rows": moved,
        "archive_seconds": round(aged, 1),
        "archive_rows_per_s": round(moved / aged),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    records.close()
    database.close()
    return result | {"at_3000_per_s": _arithmetic(result)}


def _arithmetic(result: dict[str, Any]) -> dict[str, Any]:
    """A day of 260 million rows, from the figures above."""
    millions = _A_DAY / 1e6
    return {
        "rows_per_day": _A_DAY,
        "table_gb_per_day": round(result["table_mb_per_million"] * millions / 1000),
        "ids_gb_per_day": round(result["ids_mb_per_million"] * millions / 1000),
        "parquet_gb_per_day": round(result["parquet_mb_per_million"] * millions / 1000),
        "writers_needed": round(3000 / result["drain_rows_per_s"], 2),
        "hours_to_age_a_day": round(_A_DAY / result["archive_rows_per_s"] / 3600, 1),
    }


def _copy(table: str, names: list[str]) -> str:
    return f"COPY {table} ({', '.join(names)}) FROM STDIN"


def _plain(value: Any) -> Any:
    return write_json(value).decode() if isinstance(value, dict | list) else value


def _parts(every: Iterator[Any], size: int) -> Iterator[list[Any]]:
    part: list[Any] = []
    for element in every:
        part.append(element)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _size(database: Database, like: str) -> int:
    query = text(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
        "WHERE relkind = 'r' AND relname LIKE :like"
    )
    with database.reading() as connection:
        return int(connection.execute(query, {"like": like}).scalar_one())


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=10, help="all but the last are archived")
    parser.add_argument("--url", help="database to use; none: one of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.url or new_database(stack.enter_context(running()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fw-archive-")))
        started = time.perf_counter()
        figures = measure(options.rows, options.days, folder, url)
        seconds = time.perf_counter() - started
        print_result(options.rows, seconds, benchmark="decision_archive", **figures)


if __name__ == "__main__":
    main()
