"""The features of a payment, declared once for training and serving.

Money is in units of the settlement currency: minor units divided by ten to the power of its
digits (`AmountScale`), so 1500 yen are 1500 and 1.234 dinars are 1.234. Windows are sawtooth and
leave out the payment itself; `_behind_7d` windows end seven days ago, when most chargebacks are
known. Averages and sums leave out payments known to be declined; attempts of every kind count as
payments for velocity. Fraud counts as soon as a label is observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

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
_RATE = Rate("fraud", RATE_PRIOR, RATE_STRENGTH)
_UNIT = "currency units"

USER = ("user_id",)
MERCHANT = ("merchant_id",)
DEVICE = ("device_id",)

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


def _mean(key: tuple[str, ...], window: Window, money: _Money) -> Feature:
    name = f"amount_mean_by_{key[0].removesuffix('_id')}_{window.label}"
    return Feature(name, _UNIT, key, Mean(AMOUNT, money.unit, without="declined"), window)


def _user(money: _Money) -> tuple[Feature | Derived, ...]:
    amount = Sum(AMOUNT, money.unit, without="declined")
    spread = Deviation(money.rounded, money.squared, money.rounded_unit, without="declined")
    windows = {"1h": LAST_1H, "24h": LAST_24H, "7d": LAST_7D, "30d": LAST_30D}
    new = {"merchant": "merchant_id", "device": "device_id", "payment_method": "payment_method"}
    return (
        *(
            Feature(f"txn_count_by_user_{span}", "payments", USER, Count(), window)
            for span, window in windows.items()
        ),
        *(
            Feature(f"amount_sum_by_user_{span}", _UNIT, USER, amount, windows[span])
            for span in ("1h", "24h", "7d")
        ),
        *(_mean(USER, window, money) for window in (LAST_24H, LAST_7D, LAST_30D)),
        Feature("amount_std_by_user_30d", _UNIT, USER, spread, LAST_30D),
        Derived(
            "amount_zscore",
            "standard deviations",
            ("amount", "amount_mean_by_user_30d", "amount_std_by_user_30d"),
            formulas.zscore,
        ),
        Feature("minutes_since_last_payment", "minutes", USER, Age(FAMILIAR_FOR)),
        Feature("decline_count_by_user_24h", "payments", USER, Count(fact="declined"), LAST_24H),
        *(
            Feature(f"is_new_{name}", "0 or 1", (*USER, column), IsFirstSeen(FAMILIAR_FOR))
            for name, column in new.items()
        ),
    )


def _user_against_own_past(money: _Money) -> tuple[Feature | Derived, ...]:
    """Amounts against what the user paid before, of payments old enough for fraud to be known."""
    clean = "clean_amount_mean_by_user_60d_behind_7d"
    clean_mean = Mean(AMOUNT, money.unit, without="fraud")
    square_sum = Sum(money.squared, money.rounded_unit**2)
    features: list[Feature | Derived] = [
        Feature(clean, _UNIT, USER, clean_mean, SETTLED_60D),
        Derived("amount_ratio_to_clean_mean", "ratio", ("amount", clean), formulas.ratio_to_own),
        Feature("txn_count_by_user_3d", "payments", USER, Count(), LAST_3D),
        Feature("txn_count_by_user_14d", "payments", USER, Count(), LAST_14D),
    ]
    for window, span in {LAST_24H: "24h", LAST_3D: "3d", LAST_7D: "7d", LAST_14D: "14d"}.items():
        attempts, squares = f"attempted_sum_by_user_{span}", f"attempted_squares_by_user_{span}"
        read = (attempts, f"txn_count_by_user_{span}", clean)
        rms = f"amount_rms_ratio_by_user_{span}"
        features += [
            Feature(attempts, _UNIT, USER, Sum(AMOUNT, money.unit), window, hidden=True),
            Feature(squares, f"squared {_UNIT}", USER, square_sum, window, hidden=True),
            Derived(f"amount_excess_by_user_{span}", "usual payments", read, formulas.excess),
            Derived(rms, "ratio", (squares, clean), formulas.rms_ratio),
        ]
    frauds = Count(fact="fraud")
    return (
        *features,
        *(
            Feature(f"fraud_count_by_user_{w.label}", "frauds", USER, frauds, w)
            for w in _settled(7, 14, 30)
        ),
    )


def _settled(*days: int) -> tuple[Window, ...]:
    """Windows of so many days that end when most frauds are known."""
    return tuple(Window(number * DAY, DAY, behind=LABEL_DELAY) for number in days)


def _merchant_streak(money: _Money) -> tuple[Feature, ...]:
    """The run of frauds that a merchant's settled payments end with, if they do."""
    parts = {
        "days_since_good_payment_by_merchant": ("days", "days_since_good"),
        "fraud_streak_by_merchant": ("payments", "count"),
        "fraud_streak_days_by_merchant": ("days", "days"),
        "fraud_streak_amount_mean_by_merchant": ("currency units", "mean"),
        "days_since_settled_payment_by_merchant": ("days", "days_since_settled"),
    }
    return tuple(
        Feature(name, unit, MERCHANT, LabelledStreak(part, AMOUNT, "fraud", money.unit), STREAK)
        for name, (unit, part) in parts.items()
    )


def _merchant(money: _Money) -> tuple[Feature, ...]:
    settled = _settled(1, 7, 30)
    return (
        Feature("txn_count_by_merchant_30d", "payments", MERCHANT, Count(), LAST_30D),
        _mean(MERCHANT, LAST_30D, money),
        Feature("fraud_rate_by_merchant_30d", "share", MERCHANT, _RATE, LAST_30D),
        *(
            Feature(f"txn_count_by_merchant_{w.label}", "payments", MERCHANT, Count(), w)
            for w in settled
        ),
        *(
            Feature(f"fraud_rate_by_merchant_{w.label}", "share", MERCHANT, _RATE, w)
            for w in settled
        ),
    )


def _device() -> tuple[Feature, ...]:
    return (
        Feature("user_count_by_device_30d", "users", DEVICE, DistinctCount("user_id"), LAST_30D),
        Feature("fraud_rate_by_device_30d", "share", DEVICE, _RATE, LAST_30D),
    )


def _location() -> tuple[Direct | Feature | Derived, ...]:
    current, home, last = (
        tuple(name.format(axis) for axis in "xyz") for name in ("here_{}", "home_{}_30d", "last_{}")
    )
    unit, gap, moved = "unit vector", "minutes_since_last_place", "distance_from_last_place_km"
    return (
        *(
            Direct(name, unit, PLACE_COLUMNS, formulas.coordinate(axis), hidden=True)
            for axis, name in enumerate(current)
        ),
        *(
            Feature(name, unit, USER, Sum(part), LAST_30D, hidden=True)
            for name, part in zip(home, DIRECTION, strict=True)
        ),
        *(
            Feature(name, unit, USER, _last_of(part), hidden=True)
            for name, part in zip(last, DIRECTION, strict=True)
        ),
        Feature(gap, "minutes", USER, Age(PLACE_REMEMBERED_FOR, LOCATED), hidden=True),
        Derived("distance_from_home_km", "km", current + home, formulas.distance),
        Derived(moved, "km", current + last, formulas.distance, hidden=True),
        Derived("velocity_kmh", "km/h", (moved, gap), formulas.velocity),
        Derived("impossible_velocity", "0 or 1", ("velocity_kmh",), formulas.impossible),
    )


def _last_of(part: Quantity) -> LastValue:
    return LastValue(part, DIRECTION, PLACE_REMEMBERED_FOR, only=LOCATED)


def _graph() -> tuple[Feature | Derived, ...]:
    """Frauds of user, merchant and device, and of those together, each counted once."""
    frauds, parts = Count(fact="fraud"), ("user", "merchant", "device")
    keys = [key for size in (1, 2, 3) for key in combinations(parts, size)]
    names = tuple(f"fraud_count_by_{'_'.join(key)}" for key in keys)
    return (
        *(
            Feature(name, "frauds", tuple(f"{part}_id" for part in key), frauds, hidden=True)
            for name, key in zip(names, keys, strict=True)
        ),
        Derived("connected_fraud_cases", "frauds", names, formulas.union),
    )


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
