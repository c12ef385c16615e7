"""The fraud features computed the slow, obvious way: one loop over all earlier payments.

Nothing here is shared with `lib.feature`: no tiles, no prefix sums, no sweep, NumPy's or the C
library's own logarithms and sines. The fast ways must equal it.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from lib.feature.windows import DAY, HOUR, MINUTE

METHODS = [
    "card_present",
    "card_not_present",
    "contactless",
    "wallet",
    "bank_transfer",
    "direct_debit",
    "gift_card",
    "cash",
]
US = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    {
        "transaction_id": pa.string(),
        "event_time": US,
        "received_at": US,
        "user_id": pa.string(),
        "merchant_id": pa.string(),
        "device_id": pa.string(),
        "amount_minor": pa.int64(),
        "payment_method": pa.string(),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "fraud_from": US,
        "fraud_until": US,
        "declined_from": US,
    }
)


def as_table(payments: Sequence[dict]) -> pa.Table:
    """Payments (times in microseconds, NaN places as None) as an Arrow table."""
    rows = [
        {**p, "latitude": _null(p["latitude"]), "longitude": _null(p["longitude"])}
        for p in payments
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def processing_order(payments: Sequence[dict]) -> list[dict]:
    return sorted(payments, key=lambda p: (p["received_at"], p["event_time"], p["transaction_id"]))


def features(payments: Sequence[dict]) -> Iterator[dict[str, float]]:
    """The features of each payment, in processing order."""
    done: list[dict] = []
    for payment in processing_order(payments):
        yield _Past(payment, done).features()
        done.append(payment)


class _Past:
    """One payment and all that were processed before it."""

    def __init__(self, now: dict, earlier: list[dict]) -> None:
        self.now, self.earlier = now, earlier

    def of(self, *key: str) -> list[dict] | None:
        if any(self.now[column] is None for column in key):
            return None
        return [e for e in self.earlier if all(e[c] == self.now[c] for c in key)]

    def window(self, *key: str, length: int, hop: int, behind: int = 0) -> list[dict] | None:
        events = self.of(*key)
        if events is None:
            return None
        clock = max([self.now["event_time"], *(e["event_time"] for e in events)])
        start = (clock - behind - length) // hop * hop
        end = (clock - behind) // hop * hop if behind else math.inf
        return [e for e in events if start <= e["event_time"] < end]

    def known(self, event: dict, fact: str) -> bool:
        since, until = event[f"{fact}_from"], event.get(f"{fact}_until")
        received = self.now["received_at"]
        return since is not None and since <= received and (until is None or received < until)

    def approved(self, events: list[dict]) -> list[int]:
        return [e["amount_minor"] for e in events if not self.known(e, "declined")]

    def frauds(self, events: list[dict]) -> int:
        return sum(self.known(e, "fraud") for e in events)

    def rate(self, events: list[dict] | None) -> float:
        if events is None:
            return math.nan
        return (self.frauds(events) + 0.01 * 10.0) / (len(events) + 10.0)

    def mean(self, events: list[dict]) -> float:
        amounts = self.approved(events)
        return sum(amounts) / (len(amounts) * 100.0) if amounts else math.nan

    def features(self) -> dict[str, float]:
        return (
            self.payment()
            | self.user()
            | self.own_past()
            | self.streak()
            | self.novelty()
            | self.merchant()
            | self.device()
            | self.place()
        )

    def payment(self) -> dict[str, float]:
        when = datetime.fromtimestamp(self.now["event_time"] // 1_000_000, UTC)
        method = self.now["payment_method"]
        amount = self.now["amount_minor"] / 100
        return {
            "amount": amount,
            "log_amount": math.log1p(amount),
            "hour_of_day": float(when.hour),
            "day_of_week": float(when.weekday()),
            "is_weekend": float(when.weekday() >= 5),
            "payment_method_code": float(METHODS.index(method) + 1 if method in METHODS else 0),
        }

    def user(self) -> dict[str, float]:
        last_1h = self.window("user_id", length=HOUR, hop=MINUTE)
        last_24h = self.window("user_id", length=DAY, hop=HOUR)
        last_7d = self.window("user_id", length=7 * DAY, hop=HOUR)
        last_30d = self.window("user_id", length=30 * DAY, hop=DAY)
        amounts = [a / 100 for a in self.approved(last_30d)]
        mean = self.mean(last_30d)
        deviation = math.nan
        if len(amounts) >= 2:
            deviation = math.sqrt(sum((a - mean) ** 2 for a in amounts) / (len(amounts) - 1))
        score = (self.now["amount_minor"] / 100 - mean) / max(deviation, 1.0)
        return {
            "txn_count_by_user_1h": len(last_1h),
            "txn_count_by_user_24h": len(last_24h),
            "txn_count_by_user_7d": len(last_7d),
            "txn_count_by_user_30d": len(last_30d),
            "amount_sum_by_user_1h": sum(self.approved(last_1h)) / 100,
            "amount_sum_by_user_24h": sum(self.approved(last_24h)) / 100,
            "amount_sum_by_user_7d": sum(self.approved(last_7d)) / 100,
            "amount_mean_by_user_1d": self.mean(last_24h),
            "amount_mean_by_user_7d": self.mean(last_7d),
            "amount_mean_by_user_30d": mean,
            "amount_std_by_user_30d": deviation,
            "amount_zscore": 0.0 if math.isnan(mean) or math.isnan(deviation) else score,
            "minutes_since_last_payment": self.minutes_since(self.of("user_id"), 90 * DAY),
            "decline_count_by_user_24h": sum(self.known(e, "declined") for e in last_24h),
        }

    def own_past(self) -> dict[str, float]:
        settled = self.window("user_id", length=60 * DAY, hop=DAY, behind=7 * DAY)
        clean = [e["amount_minor"] / 100 for e in settled if not self.known(e, "fraud")]
        mean = sum(clean) / len(clean) if clean else math.nan
        scale = max(mean, 1.0) if clean else 50.0
        amount = self.now["amount_minor"] / 100
        feature_values = {
            "clean_amount_mean_by_user_60d_behind_7d": mean,
            "amount_ratio_to_clean_mean": amount / scale if clean else math.nan,
        }
        for name, days, hop in (
            ("24h", 1, HOUR),
            ("3d", 3, HOUR),
            ("7d", 7, HOUR),
            ("14d", 14, DAY),
        ):
            recent = self.window("user_id", length=days * DAY, hop=hop)
            amounts = [e["amount_minor"] / 100 for e in recent]
            feature_values[f"txn_count_by_user_{name}"] = len(recent)
            feature_values[f"amount_excess_by_user_{name}"] = sum(amounts) / scale - len(recent)
            feature_values[f"amount_rms_ratio_by_user_{name}"] = (
                math.sqrt(sum(a * a for a in amounts)) / scale
            )
        for days in (7, 14, 30):
            recent = self.window("user_id", length=days * DAY, hop=DAY, behind=7 * DAY)
            feature_values[f"fraud_count_by_user_{days}d_behind_7d"] = self.frauds(recent)
        return feature_values

    def streak(self) -> dict[str, float]:
        """The merchant's settled payments after the last tile with a good one."""
        hop, delay = 2 * HOUR, 7 * DAY
        settled = [
            e
            for e in self.window("merchant_id", length=60 * DAY, hop=hop, behind=delay)
            if e["received_at"] <= e["event_time"] + delay
        ]
        clock = max([self.now["event_time"], *(e["event_time"] for e in self.of("merchant_id"))])

        def is_bad(event: dict) -> bool:
            since, until = event["fraud_from"], event.get("fraud_until")
            settles = event["event_time"] + delay
            return since is not None and since <= settles and (until is None or until > settles)

        def days(events: list[dict], pick) -> float:
            if not events:
                return math.nan
            return (clock - pick(e["event_time"] for e in events) // hop * hop) / DAY

        good = [e for e in settled if not is_bad(e)]
        newest_good = max((e["event_time"] // hop for e in good), default=-math.inf)
        streak = [e for e in settled if e["event_time"] // hop > newest_good]
        amounts = [e["amount_minor"] / 100 for e in streak]
        return {
            "days_since_good_payment_by_merchant": days(good, max),
            "fraud_streak_by_merchant": len(streak),
            "fraud_streak_days_by_merchant": days(streak, min),
            "fraud_streak_amount_mean_by_merchant": (
                sum(amounts) / len(amounts) if streak else math.nan
            ),
            "days_since_settled_payment_by_merchant": days(settled, max),
        }

    def minutes_since(self, events: list[dict], horizon: int) -> float:
        newest = max((e["event_time"] for e in events), default=None)
        if newest is None or abs(self.now["event_time"] - newest) > horizon:
            return math.nan
        return abs(self.now["event_time"] - newest) / MINUTE

    def novelty(self) -> dict[str, float]:
        def is_new(column: str) -> float:
            events = self.of("user_id", column)
            if events is None:
                return math.nan
            return float(math.isnan(self.minutes_since(events, 90 * DAY)))

        return {
            "is_new_merchant": is_new("merchant_id"),
            "is_new_device": is_new("device_id"),
            "is_new_payment_method": is_new("payment_method"),
        }

    def merchant(self) -> dict[str, float]:
        last_30d = self.window("merchant_id", length=30 * DAY, hop=DAY)
        feature_values = {
            "txn_count_by_merchant_30d": len(last_30d),
            "amount_mean_by_merchant_30d": self.mean(last_30d),
            "fraud_rate_by_merchant_30d": self.rate(last_30d),
        }
        for days in (1, 7, 30):
            settled = self.window("merchant_id", length=days * DAY, hop=DAY, behind=7 * DAY)
            feature_values[f"txn_count_by_merchant_{days}d_behind_7d"] = len(settled)
            feature_values[f"fraud_rate_by_merchant_{days}d_behind_7d"] = self.rate(settled)
        return feature_values

    def device(self) -> dict[str, float]:
        last_30d = self.window("device_id", length=30 * DAY, hop=DAY)
        users = math.nan if last_30d is None else len({e["user_id"] for e in last_30d})
        return {
            "user_count_by_device_30d": users,
            "fraud_rate_by_device_30d": self.rate(last_30d),
        }

    def place(self) -> dict[str, float]:
        location = _vector(self.now)
        visits = [_vector(e) for e in self.window("user_id", length=30 * DAY, hop=DAY)]
        located = [v for v in visits if v is not None]
        home = [sum(axis) for axis in zip(*located, strict=True)]
        before = [e for e in self.of("user_id") if _vector(e) is not None]
        # the newest; among several at its time, the one processed last
        last = max(enumerate(before), key=lambda ie: (ie[1]["event_time"], ie[0]), default=None)
        velocity = math.nan
        if location and last and abs(self.now["event_time"] - last[1]["event_time"]) <= DAY:
            hours = abs(self.now["event_time"] - last[1]["event_time"]) / HOUR
            velocity = _km(location, _vector(last[1])) / max(hours, 5 / 60)
        return {
            "distance_from_home_km": _km(location, home) if location and home else math.nan,
            "velocity_kmh": velocity,
            "impossible_velocity": float(velocity > 800.0),
            "connected_fraud_cases": min(float(self.connected()), 1000.0),
        }

    def connected(self) -> int:
        keys = ("user_id", "merchant_id", "device_id")
        return sum(
            self.known(e, "fraud")
            and any(self.now[k] is not None and e[k] == self.now[k] for k in keys)
            for e in self.earlier
        )


def _vector(event: dict) -> tuple[float, float, float] | None:
    if math.isnan(event["latitude"]) or math.isnan(event["longitude"]):
        return None
    lat, lon = math.radians(event["latitude"]), math.radians(event["longitude"])
    return (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))


def _km(a: Sequence[float], b: Sequence[float]) -> float:
    cross = math.hypot(
        a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    )
    return 6371.0 * math.atan2(cross, sum(x * y for x, y in zip(a, b, strict=True)))
