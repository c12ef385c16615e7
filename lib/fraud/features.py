"""The features of a payment, declared once for training and serving.

Money is in units of the settlement currency: minor units divided by ten to the power of its
digits (`AmountScale`), so 1500 yen are 1500 and 1.234 dinars are 1.234. Windows are sawtooth and
leave out the payment itself; `_behind_7d` windows end seven days ago, when most chargebacks are
known. Averages and sums leave out payments known to be declined; attempts of every kind count as
payments for velocity. Fraud counts as soon as a label is observed.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    IsFirstSeen,
    LabelledStreak,
    LastValue,
    Mean,
    Quantity,
    Rate,
    Sum,
    Window,
)
from lib.fraud import formulas
from lib.fraud.amounts import AmountScale
from lib.fraud.quantities import (
    AMOUNT,
    AMOUNT_SQUARED,
    DIRECTION,
    LOCATED,
    PLACE_COLUMNS,
    rounded,
)

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
RATE_PRIOR = 0.01
RATE_STRENGTH = 10.0

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


@dataclass(frozen=True, slots=True)
class _Money:
    """The quantities of amounts, and how many of each make a unit of the currency."""

    digits: int
    unit: float
    rounded: Quantity
    squared: Quantity
    rounded_unit: float

    @classmethod
    def of(cls, scale: AmountScale) -> _Money:
        unit, quantum = float(scale.minor_per_unit), scale.quantum
        if quantum == 1:
            return cls(scale.digits, unit, AMOUNT, AMOUNT_SQUARED, unit)
        read, columns = rounded(quantum), AMOUNT.columns
        amount = Quantity(f"amount_in_{quantum}", columns, read)
        squared = Quantity(f"amount_in_{quantum}_squared", columns, read, squared=True)
        return cls(scale.digits, unit, amount, squared, unit / quantum)


def _payment(money: _Money) -> tuple[Direct | Category | Derived, ...]:
    return (
        Direct("amount", "currency units", ("amount_minor",), formulas.major_of(money.digits)),
        Derived("log_amount", "ln(1 + currency units)", ("amount",), formulas.log_amount),
        Direct("hour_of_day", "hours, UTC", ("event_time",), formulas.hour_of_day),
        Direct("day_of_week", "days since Monday, UTC", ("event_time",), formulas.day_of_week),
        Derived("is_weekend", "0 or 1", ("day_of_week",), formulas.is_weekend),
        Category("payment_method_code", "code", "payment_method", PAYMENT_METHODS),
    )


def _mean(key: tuple[str, ...], window: Window, scale: _Money) -> Feature:
    name = f"amount_mean_by_{key[0].removesuffix('_id')}_{window.label}"
    aggregate = Mean(AMOUNT, scale.unit, without="declined")
    return Feature(name, "currency units", key, aggregate, window)


def _user(scale: _Money) -> tuple[Feature | Derived, ...]:
    amount = Sum(AMOUNT, scale.unit, without="declined")
    spread = Deviation(scale.rounded, scale.squared, scale.rounded_unit, without="declined")
    money = "currency units"
    return (
        Feature("txn_count_by_user_1h", "payments", USER, Count(), LAST_1H),
        Feature("txn_count_by_user_24h", "payments", USER, Count(), LAST_24H),
        Feature("txn_count_by_user_7d", "payments", USER, Count(), LAST_7D),
        Feature("txn_count_by_user_30d", "payments", USER, Count(), LAST_30D),
        Feature("amount_sum_by_user_1h", money, USER, amount, LAST_1H),
        Feature("amount_sum_by_user_24h", money, USER, amount, LAST_24H),
        Feature("amount_sum_by_user_7d", money, USER, amount, LAST_7D),
        _mean(USER, LAST_24H, scale),
        _mean(USER, LAST_7D, scale),
        _mean(USER, LAST_30D, scale),
        Feature("amount_std_by_user_30d", money, USER, spread, LAST_30D),
        Derived(
            "amount_zscore",
            "standard deviations",
            ("amount", "amount_mean_by_user_30d", "amount_std_by_user_30d"),
            formulas.zscore,
        ),
        Feature("minutes_since_last_payment", "minutes", USER, Age(FAMILIAR_FOR)),
        Feature("decline_count_by_user_24h", "payments", USER, Count(fact="declined"), LAST_24H),
        Feature("is_new_merchant", "0 or 1", USER_MERCHANT, IsFirstSeen(FAMILIAR_FOR)),
        Feature("is_new_device", "0 or 1", USER_DEVICE, IsFirstSeen(FAMILIAR_FOR)),
        Feature("is_new_payment_method", "0 or 1", USER_METHOD, IsFirstSeen(FAMILIAR_FOR)),
    )


def _user_against_own_past(scale: _Money) -> tuple[Feature | Derived, ...]:
    """Amounts against what the user paid before, of payments old enough for fraud to be known."""
    money = "currency units"
    clean = "clean_amount_mean_by_user_60d_behind_7d"
    clean_mean = Mean(AMOUNT, scale.unit, without="fraud")
    square_sum = Sum(scale.squared, scale.rounded_unit**2)
    features: list[Feature | Derived] = [
        Feature(clean, money, USER, clean_mean, SETTLED_60D),
        Derived("amount_ratio_to_clean_mean", "ratio", ("amount", clean), formulas.ratio_to_own),
        Feature("txn_count_by_user_3d", "payments", USER, Count(), LAST_3D),
        Feature("txn_count_by_user_14d", "payments", USER, Count(), LAST_14D),
    ]
    counts = {LAST_24H: "24h", LAST_3D: "3d", LAST_7D: "7d", LAST_14D: "14d"}
    for window, span in counts.items():
        attempts, squares = f"attempted_sum_by_user_{span}", f"attempted_squares_by_user_{span}"
        count = f"txn_count_by_user_{span}"
        features += [
            Feature(attempts, money, USER, Sum(AMOUNT, scale.unit), window, hidden=True),
            Feature(squares, f"squared {money}", USER, square_sum, window, hidden=True),
            Derived(
                f"amount_excess_by_user_{span}",
                "usual payments",
                (attempts, count, clean),
                formulas.excess,
            ),
            Derived(
                f"amount_rms_ratio_by_user_{span}", "ratio", (squares, clean), formulas.rms_ratio
            ),
        ]
    features += [
        Feature(f"fraud_count_by_user_{w.label}", "frauds", USER, Count(fact="fraud"), w)
        for w in (Window(days * DAY, DAY, behind=LABEL_DELAY) for days in (7, 14, 30))
    ]
    return tuple(features)


def _merchant_streak(scale: _Money) -> tuple[Feature, ...]:
    """The run of frauds that a merchant's settled payments end with, if they do."""
    parts = {
        "days_since_good_payment_by_merchant": ("days", "days_since_good"),
        "fraud_streak_by_merchant": ("payments", "count"),
        "fraud_streak_days_by_merchant": ("days", "days"),
        "fraud_streak_amount_mean_by_merchant": ("currency units", "mean"),
        "days_since_settled_payment_by_merchant": ("days", "days_since_settled"),
    }
    return tuple(
        Feature(name, unit, MERCHANT, LabelledStreak(part, AMOUNT, "fraud", scale.unit), STREAK)
        for name, (unit, part) in parts.items()
    )


def _merchant(scale: _Money) -> tuple[Feature, ...]:
    rate = Rate("fraud", RATE_PRIOR, RATE_STRENGTH)
    settled = tuple(Window(days * DAY, DAY, behind=LABEL_DELAY) for days in (1, 7, 30))
    return (
        Feature("txn_count_by_merchant_30d", "payments", MERCHANT, Count(), LAST_30D),
        _mean(MERCHANT, LAST_30D, scale),
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


def _location() -> tuple[Direct | Feature | Derived, ...]:
    coordinates = tuple(
        Direct(f"here_{axis}", "unit vector", PLACE_COLUMNS, formulas.coordinate(i), hidden=True)
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
            LastValue(d, DIRECTION, PLACE_REMEMBERED_FOR, only=LOCATED),
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
    here_names = tuple(f.name for f in coordinates)
    return (
        *coordinates,
        *home,
        *last,
        gap,
        Derived(
            "distance_from_home_km",
            "km",
            here_names + tuple(f.name for f in home),
            formulas.distance,
        ),
        Derived(
            "distance_from_last_place_km",
            "km",
            here_names + tuple(f.name for f in last),
            formulas.distance,
            hidden=True,
        ),
        Derived(
            "velocity_kmh",
            "km/h",
            ("distance_from_last_place_km", "minutes_since_last_place"),
            formulas.velocity,
        ),
        Derived("impossible_velocity", "0 or 1", ("velocity_kmh",), formulas.impossible),
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
    return (*counts, Derived("connected_fraud_cases", "frauds", names, formulas.union))


def fraud_features(scale: AmountScale | None = None) -> FeatureSet:
    """The feature set of amounts on a scale; those of a usual currency without one.

    The scale is part of the digest, so a model is served with the scale it was trained on.
    """
    money = _Money.of(scale or AmountScale())
    return FeatureSet(
        name="fraud",
        version=1,
        features=(
            *_payment(money),
            *_user(money),
            *_user_against_own_past(money),
            *_merchant(money),
            *_merchant_streak(money),
            *_device(),
            *_location(),
            *_graph(),
        ),
        facts=("fraud", "declined"),
    )


FRAUD = fraud_features()
"""Of a currency with two decimal digits and amounts up to a million of it."""
