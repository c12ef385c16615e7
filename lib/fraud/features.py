"""The features of a payment, declared once for training and serving.

Money is in units of the settlement currency (`amount_minor / 100`). Windows are sawtooth and leave
out the payment itself; `_behind_7d` windows end seven days ago, when most chargebacks are known.
Averages and sums leave out payments known to be declined; attempts of every kind count as payments
for velocity. Fraud counts as soon as a label is observed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lib.feature import (
    DAY,
    HOUR,
    MINUTE,
    Age,
    Category,
    Count,
    Derived,
    Deviation,
    Direct,
    DistinctCount,
    Feature,
    FeatureSet,
    Mean,
    Quantity,
    Rate,
    Remembered,
    SettledStreak,
    Sum,
    Unseen,
    Window,
)
from lib.feature.arithmetic import (
    NAN,
    UNIT_VECTOR_SCALE,
    Value,
    at_least,
    at_most,
    choose,
    distance_km,
    is_missing,
    natural_log,
    ratio,
    square_root,
    unit_vector,
)

MINOR_UNITS = 100.0
PAYMENT_METHODS = (
    "card_present",
    "card_not_present",
    "contactless",
    "wallet",
    "bank_transfer",
    "direct_debit",
    "gift_card",
    "cash",
)
DEVIATION_FLOOR = 1.0
CLEAN_MEAN_FLOOR = 1.0
CLEAN_MEAN_OF_A_STRANGER = 50.0
RATE_PRIOR = 0.01
RATE_STRENGTH = 10.0
SHORTEST_GAP_HOURS = 5.0 / 60.0
IMPOSSIBLE_KMH = 800.0
CONNECTED_CASES_CAP = 1000.0

USER = ("user_id",)
MERCHANT = ("merchant_id",)
DEVICE = ("device_id",)
USER_MERCHANT = ("user_id", "merchant_id")
USER_DEVICE = ("user_id", "device_id")
USER_METHOD = ("user_id", "payment_method")
MERCHANT_DEVICE = ("merchant_id", "device_id")
USER_MERCHANT_DEVICE = ("user_id", "merchant_id", "device_id")

LAST_1H = Window(HOUR, MINUTE)
LAST_24H = Window(DAY, HOUR)
LAST_3D = Window(3 * DAY, HOUR)
LAST_7D = Window(7 * DAY, HOUR)
LAST_14D = Window(14 * DAY, DAY)
LAST_30D = Window(30 * DAY, DAY)
LABEL_DELAY = 7 * DAY
SETTLED_60D = Window(60 * DAY, DAY, behind=LABEL_DELAY)
STREAK = Window(60 * DAY, 2 * HOUR, behind=LABEL_DELAY)
FAMILIAR_FOR = 90 * DAY
PLACE_REMEMBERED_FOR = DAY


def _identity(amount_minor: Any) -> Any:
    return amount_minor


AMOUNT = Quantity("amount", ("amount_minor",), _identity)
AMOUNT_SQUARED = Quantity("amount_squared", ("amount_minor",), _identity, squared=True)


def _located(latitude: Any, longitude: Any) -> Any:
    present = (latitude == latitude) & (longitude == longitude)  # noqa: PLR0124
    return present.astype(np.int64) if isinstance(present, np.ndarray) else int(present)


def _anywhere(located: Any) -> bool:
    return bool(located.any()) if isinstance(located, np.ndarray) else bool(located)


def _direction(axis: int) -> Any:
    def read(latitude: Any, longitude: Any) -> Any:
        here = _located(latitude, longitude)
        if not _anywhere(here):
            return here
        known = here == 1
        vector = unit_vector(choose(known, latitude, 0.0), choose(known, longitude, 0.0))
        return vector[axis] * here

    read.__qualname__ = f"direction_{'xyz'[axis]}"
    return read


PLACE_COLUMNS = ("latitude", "longitude")
LOCATED = Quantity("located", PLACE_COLUMNS, _located)
DIRECTION_X = Quantity("direction_x", PLACE_COLUMNS, _direction(0))
DIRECTION_Y = Quantity("direction_y", PLACE_COLUMNS, _direction(1))
DIRECTION_Z = Quantity("direction_z", PLACE_COLUMNS, _direction(2))
DIRECTION = (DIRECTION_X, DIRECTION_Y, DIRECTION_Z)


def _major(amount_minor: Value) -> Value:
    return amount_minor / MINOR_UNITS


def _log_amount(amount: Value) -> Value:
    return natural_log(amount + 1.0)


def _hour_of_day(event_time: Any) -> Value:
    return (event_time // HOUR % 24) * 1.0


def _day_of_week(event_time: Any) -> Value:
    # 1970-01-01 was a Thursday; Monday is 0
    return ((event_time // DAY + 3) % 7) * 1.0


def _is_weekend(day_of_week: Value) -> Value:
    return choose(day_of_week >= 5.0, 1.0, 0.0)


def _zscore(amount: Value, mean: Value, deviation: Value) -> Value:
    score = (amount - mean) / at_least(deviation, DEVIATION_FLOOR)
    return choose(is_missing(score), 0.0, score)


def _own_scale(clean_mean: Value) -> Value:
    """What this user usually pays; a fixed sum where nothing settled is known of them."""
    known = at_least(clean_mean, CLEAN_MEAN_FLOOR)
    return choose(is_missing(clean_mean), CLEAN_MEAN_OF_A_STRANGER, known)


def _ratio_to_own(amount: Value, clean_mean: Value) -> Value:
    return amount / at_least(clean_mean, CLEAN_MEAN_FLOOR)


def _excess(amount_sum: Value, count: Value, clean_mean: Value) -> Value:
    """How many usual payments more was paid than payments were made."""
    return amount_sum / _own_scale(clean_mean) - count


def _rms_ratio(square_sum: Value, clean_mean: Value) -> Value:
    return square_root(square_sum) / _own_scale(clean_mean)


def _coordinate(axis: int) -> Any:
    def read(latitude: Value, longitude: Value) -> Value:
        known = _located(latitude, longitude) == 1
        if not _anywhere(known):
            return latitude * NAN
        vector = unit_vector(choose(known, latitude, 0.0), choose(known, longitude, 0.0))
        return choose(known, vector[axis] / UNIT_VECTOR_SCALE, NAN)

    read.__qualname__ = f"coordinate_{'xyz'[axis]}"
    return read


def _distance(x: Value, y: Value, z: Value, u: Value, v: Value, w: Value) -> Value:
    return distance_km((x, y, z), (u, v, w))


def _velocity(distance: Value, minutes: Value) -> Value:
    return ratio(distance, at_least(minutes / 60.0, SHORTEST_GAP_HOURS))


def _impossible(velocity: Value) -> Value:
    return choose(velocity > IMPOSSIBLE_KMH, 1.0, 0.0)


def _union(u: Value, m: Value, d: Value, um: Value, ud: Value, md: Value, umd: Value) -> Value:
    """Inclusion and exclusion; a payment without a device has no device terms."""
    device = d - ud - md + umd
    cases = u + m - um + choose(is_missing(device), 0.0, device)
    return at_most(cases, CONNECTED_CASES_CAP)


def _payment() -> tuple[Direct | Category | Derived, ...]:
    return (
        Direct("amount", "currency units", ("amount_minor",), _major),
        Derived("log_amount", "ln(1 + currency units)", ("amount",), _log_amount),
        Direct("hour_of_day", "hours, UTC", ("event_time",), _hour_of_day),
        Direct("day_of_week", "days since Monday, UTC", ("event_time",), _day_of_week),
        Derived("is_weekend", "0 or 1", ("day_of_week",), _is_weekend),
        Category("payment_method_code", "code", "payment_method", PAYMENT_METHODS),
    )


def _mean(key: tuple[str, ...], window: Window) -> Feature:
    name = f"amount_mean_by_{key[0].removesuffix('_id')}_{window.label}"
    aggregate = Mean(AMOUNT, MINOR_UNITS, without="declined")
    return Feature(name, "currency units", key, aggregate, window)


def _user() -> tuple[Feature | Derived, ...]:
    amount = Sum(AMOUNT, MINOR_UNITS, without="declined")
    spread = Deviation(AMOUNT, AMOUNT_SQUARED, MINOR_UNITS, without="declined")
    money = "currency units"
    return (
        Feature("txn_count_by_user_1h", "payments", USER, Count(), LAST_1H),
        Feature("txn_count_by_user_24h", "payments", USER, Count(), LAST_24H),
        Feature("txn_count_by_user_7d", "payments", USER, Count(), LAST_7D),
        Feature("txn_count_by_user_30d", "payments", USER, Count(), LAST_30D),
        Feature("amount_sum_by_user_1h", money, USER, amount, LAST_1H),
        Feature("amount_sum_by_user_24h", money, USER, amount, LAST_24H),
        Feature("amount_sum_by_user_7d", money, USER, amount, LAST_7D),
        _mean(USER, LAST_24H),
        _mean(USER, LAST_7D),
        _mean(USER, LAST_30D),
        Feature("amount_std_by_user_30d", money, USER, spread, LAST_30D),
        Derived(
            "amount_zscore",
            "standard deviations",
            ("amount", "amount_mean_by_user_30d", "amount_std_by_user_30d"),
            _zscore,
        ),
        Feature("minutes_since_last_payment", "minutes", USER, Age(FAMILIAR_FOR)),
        Feature("decline_count_by_user_24h", "payments", USER, Count(fact="declined"), LAST_24H),
        Feature("is_new_merchant", "0 or 1", USER_MERCHANT, Unseen(FAMILIAR_FOR)),
        Feature("is_new_device", "0 or 1", USER_DEVICE, Unseen(FAMILIAR_FOR)),
        Feature("is_new_payment_method", "0 or 1", USER_METHOD, Unseen(FAMILIAR_FOR)),
    )


def _user_against_own_past() -> tuple[Feature | Derived, ...]:
    """Amounts against what the user paid before, of payments old enough for fraud to be known."""
    money = "currency units"
    clean = "clean_amount_mean_by_user_60d_behind_7d"
    clean_mean = Mean(AMOUNT, MINOR_UNITS, without="fraud")
    made: list[Feature | Derived] = [
        Feature(clean, money, USER, clean_mean, SETTLED_60D),
        Derived("amount_ratio_to_clean_mean", "ratio", ("amount", clean), _ratio_to_own),
        Feature("txn_count_by_user_3d", "payments", USER, Count(), LAST_3D),
        Feature("txn_count_by_user_14d", "payments", USER, Count(), LAST_14D),
    ]
    counts = {LAST_24H: "24h", LAST_3D: "3d", LAST_7D: "7d", LAST_14D: "14d"}
    for window, span in counts.items():
        attempts, squares = f"attempted_sum_by_user_{span}", f"attempted_squares_by_user_{span}"
        count = f"txn_count_by_user_{span}"
        made += [
            Feature(attempts, money, USER, Sum(AMOUNT, MINOR_UNITS), window, hidden=True),
            Feature(
                squares, "squared " + money, USER, Sum(AMOUNT_SQUARED, MINOR_UNITS**2), window,
                hidden=True,
            ),
            Derived(
                f"amount_excess_by_user_{span}", "usual payments", (attempts, count, clean), _excess
            ),
            Derived(f"amount_rms_ratio_by_user_{span}", "ratio", (squares, clean), _rms_ratio),
        ]  # fmt: skip
    made += [
        Feature(f"fraud_count_by_user_{w.label}", "frauds", USER, Count(fact="fraud"), w)
        for w in (Window(days * DAY, DAY, behind=LABEL_DELAY) for days in (7, 14, 30))
    ]
    return tuple(made)


def _merchant_streak() -> tuple[Feature, ...]:
    """The run of frauds that a merchant's settled payments end with, if they do."""
    parts = {
        "days_since_good_payment_by_merchant": ("days", "days_since_good"),
        "fraud_streak_by_merchant": ("payments", "count"),
        "fraud_streak_days_by_merchant": ("days", "days"),
        "fraud_streak_amount_mean_by_merchant": ("currency units", "mean"),
        "days_since_settled_payment_by_merchant": ("days", "days_since_settled"),
    }
    return tuple(
        Feature(name, unit, MERCHANT, SettledStreak(part, AMOUNT, "fraud", MINOR_UNITS), STREAK)
        for name, (unit, part) in parts.items()
    )


def _merchant() -> tuple[Feature, ...]:
    rate = Rate("fraud", RATE_PRIOR, RATE_STRENGTH)
    settled = tuple(Window(days * DAY, DAY, behind=LABEL_DELAY) for days in (1, 7, 30))
    return (
        Feature("txn_count_by_merchant_30d", "payments", MERCHANT, Count(), LAST_30D),
        _mean(MERCHANT, LAST_30D),
        Feature("fraud_rate_by_merchant_30d", "share", MERCHANT, rate, LAST_30D),
        *(
            Feature(f"txn_count_by_merchant_{w.label}", "payments", MERCHANT, Count(), w)
            for w in settled
        ),
        *(
            Feature(f"fraud_rate_by_merchant_{w.label}", "share", MERCHANT, rate, w)
            for w in settled
        ),
    )


def _device() -> tuple[Feature, ...]:
    rate = Rate("fraud", RATE_PRIOR, RATE_STRENGTH)
    return (
        Feature("user_count_by_device_30d", "users", DEVICE, DistinctCount("user_id"), LAST_30D),
        Feature("fraud_rate_by_device_30d", "share", DEVICE, rate, LAST_30D),
    )


def _place() -> tuple[Direct | Feature | Derived, ...]:
    here = tuple(
        Direct(f"here_{axis}", "unit vector", PLACE_COLUMNS, _coordinate(i), hidden=True)
        for i, axis in enumerate("xyz")
    )
    home = tuple(
        Feature(f"home_{axis}_30d", "unit vector", USER, Sum(d), LAST_30D, hidden=True)
        for axis, d in zip("xyz", DIRECTION, strict=True)
    )
    last = tuple(
        Feature(
            f"last_{axis}",
            "unit vector",
            USER,
            Remembered(d, DIRECTION, PLACE_REMEMBERED_FOR, only=LOCATED),
            hidden=True,
        )
        for axis, d in zip("xyz", DIRECTION, strict=True)
    )
    gap = Feature(
        "minutes_since_last_place",
        "minutes",
        USER,
        Age(PLACE_REMEMBERED_FOR, LOCATED),
        hidden=True,
    )
    here_names = tuple(f.name for f in here)
    return (
        *here,
        *home,
        *last,
        gap,
        Derived("distance_from_home_km", "km", here_names + tuple(f.name for f in home), _distance),
        Derived(
            "distance_from_last_place_km",
            "km",
            here_names + tuple(f.name for f in last),
            _distance,
            hidden=True,
        ),
        Derived(
            "velocity_kmh",
            "km/h",
            ("distance_from_last_place_km", "minutes_since_last_place"),
            _velocity,
        ),
        Derived("impossible_velocity", "0 or 1", ("velocity_kmh",), _impossible),
    )


def _graph() -> tuple[Feature | Derived, ...]:
    keys = (
        USER,
        MERCHANT,
        DEVICE,
        USER_MERCHANT,
        USER_DEVICE,
        MERCHANT_DEVICE,
        USER_MERCHANT_DEVICE,
    )
    counts = tuple(
        Feature(
            "fraud_count_by_" + "_".join(part.removesuffix("_id") for part in key),
            "frauds",
            key,
            Count(fact="fraud"),
            hidden=True,
        )
        for key in keys
    )
    names = tuple(f.name for f in counts)
    return (*counts, Derived("connected_fraud_cases", "frauds", names, _union))


FRAUD = FeatureSet(
    name="fraud",
    version=1,
    features=(
        *_payment(),
        *_user(),
        *_user_against_own_past(),
        *_merchant(),
        *_merchant_streak(),
        *_device(),
        *_place(),
        *_graph(),
    ),
    facts=("fraud", "declined"),
)
