"""Why a payment was stopped, in words an analyst and a customer's bank can use."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_MOST = 3
_WORDS: Mapping[str, tuple[str, str]] = {
    "amount_zscore": ("AMOUNT_UNUSUAL_FOR_USER", "Amount far from this customer's usual amounts"),
    "amount_sum": ("AMOUNT_SPENT_RECENTLY", "Amount spent by this customer recently"),
    "amount_mean_by_user": ("USUAL_AMOUNT_OF_USER", "This customer's usual amount"),
    "amount_std_by_user": ("SPREAD_OF_USER_AMOUNTS", "Spread of this customer's amounts"),
    "amount_mean_by_merchant": ("USUAL_AMOUNT_AT_MERCHANT", "Usual amount at this merchant"),
    "amount": ("AMOUNT", "Amount of the payment"),
    "log_amount": ("AMOUNT", "Amount of the payment"),
    "hour": ("TIME_OF_DAY", "Time of day"),
    "day_of_week": ("DAY_OF_WEEK", "Day of the week"),
    "is_weekend": ("DAY_OF_WEEK", "Day of the week"),
    "is_night": ("TIME_OF_DAY", "Time of day"),
    "payment_method": ("PAYMENT_METHOD", "Payment method"),
    "txn_count_by_user": ("PAYMENTS_RECENTLY", "Number of recent payments by this customer"),
    "txn_count_by_merchant": ("MERCHANT_ACTIVITY", "Number of recent payments at this merchant"),
    "txn_count_by_device": ("DEVICE_ACTIVITY", "Number of recent payments from this device"),
    "minutes_since_last": ("TIME_SINCE_LAST_PAYMENT", "Time since the last payment"),
    "decline_count": ("DECLINED_RECENTLY", "Declined attempts in the last day"),
    "is_new_merchant": ("NEW_MERCHANT", "First payment of this customer at this merchant"),
    "is_new_device": ("NEW_DEVICE", "First payment of this customer from this device"),
    "is_new_payment_method": ("NEW_PAYMENT_METHOD", "First payment with this payment method"),
    "fraud_rate_by_merchant": ("MERCHANT_FRAUD", "Frauds reported at this merchant"),
    "fraud_rate_by_device": ("DEVICE_FRAUD", "Frauds reported from this device"),
    "fraud_rate_by_user": ("USER_FRAUD", "Frauds reported for this customer"),
    "user_count_by_device": ("DEVICE_SHARED", "Customers seen on this device"),
    "distance_from_home": ("FAR_FROM_HOME", "Distance from the customer's usual place"),
    "velocity": ("TRAVEL_SPEED", "Travel speed since the last payment"),
    "impossible_velocity": ("IMPOSSIBLE_TRAVEL", "Travel faster than an airliner"),
    "connected_fraud": ("CONNECTED_FRAUD", "Known frauds share this customer, merchant or device"),
}


Reason = Mapping[str, Any]
"""One feature's part in a score: its stable `code`, that in plain English (`words`), its name
(`feature`) and `value` (None where missing), and its `contribution` to the log-odds of fraud,
against the average payment."""


@cache
def _groups(names: tuple[str, ...]) -> Mapping[str, list[int]]:
    """Places of the features of each code."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(reason_code(name)[0], []).append(index)
    return groups


@cache
def reason_code(feature: str) -> tuple[str, str]:
    """Code and words of a feature, by the longest known beginning of its name.

    >>> reason_code("fraud_rate_by_merchant_7d_behind_7d")[0]
    'MERCHANT_FRAUD'
    >>> reason_code("chip_age_days")
    ('CHIP_AGE_DAYS', 'Chip age days')
    """
    prefixes = [start for start in _WORDS if feature.startswith(start)]
    if not prefixes:
        return feature.upper(), feature.replace("_", " ").capitalize()
    return _WORDS[max(prefixes, key=len)]


def top_reasons(
    names: Sequence[str],
    values: npt.NDArray[np.float32],
    contributions: npt.NDArray[np.float64],
) -> tuple[Reason, ...]:
    """The features that raised the score most, one for each code, the largest first.

    Features of one code (an amount and its logarithm, one rate over three windows) speak once,
    with the sum of their contributions and the name of the largest. Only what raised the score is
    named, so there may be fewer than three.

    Args:
        names: of the features, in order.
        values: (features,), NaN is missing.
        contributions: (features,) in log-odds.
    """
    groups = _groups(tuple(names))
    parts = contributions.tolist()
    totals = {
        code: math.fsum(parts[index] for index in indices) for code, indices in groups.items()
    }
    chosen = sorted((code for code in totals if totals[code] > 0), key=lambda code: -totals[code])
    reasons = []
    for code in chosen[:_MOST]:
        index = max(groups[code], key=parts.__getitem__)
        value = None if np.isnan(values[index]) else float(values[index])
        reason = {"code": code, "words": reason_code(names[index])[1], "feature": names[index]}
        reasons.append({**reason, "value": value, "contribution": round(totals[code], 4)})
    return tuple(reasons)
