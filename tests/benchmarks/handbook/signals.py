"""Inputs of our model on the Handbook's payments: as-of signals, labels seven days late.

Every signal of a payment at time t uses earlier payments only, and a label only where the payment
it belongs to is older than the label delay. Windows are sawtooth: their far edge, and the near edge
of those that lie behind the delay, move in hops. Amounts are in currency units, ages in days.
"""

import numpy as np

from tests.benchmarks.handbook.protocol import DAY, WEEK, Payments

HOUR = 3_600
DELAY = WEEK * DAY
HORIZON = 90 * DAY  # how far back clean payments and streaks are looked for
RECENT = ((1, HOUR), (3, HOUR), (7, HOUR), (14, DAY))  # days, hop
TYPICAL_AMOUNT = 50.0  # stands in for the mean of a card without history


class Timeline:
    """Payments sorted by one key and then by time.

    Args:
        key: int64 (n,), whose payments.
        second: int64 (n,), seconds since 1970 UTC, not decreasing.
    """

    def __init__(self, key: np.ndarray, second: np.ndarray) -> None:
        self.order = np.argsort(key, kind="stable")
        self.second = second[self.order]
        self._base = key[self.order] << 33
        self._moment = self._base + self.second
        self.first = np.searchsorted(self._moment, self._base)

    def edge(self, back: int, hop: int) -> np.ndarray:
        """Return the position of the key's first payment at or after floor(t - back, hop)."""
        if back == 0:
            return np.arange(len(self.second))
        tile = np.maximum((self.second - back) // hop * hop, 0)
        return np.searchsorted(self._moment, self._base + tile)

    def after_tile(self, position: np.ndarray, hop: int) -> np.ndarray:
        """Return the first position past the tile of the payment at `position`."""
        tile = (self.second[position] // hop + 1) * hop
        return np.searchsorted(self._moment, self._base[position] + tile)

    def sum(self, value: np.ndarray, days: int, hop: int, behind: int = 0) -> np.ndarray:
        """Return, in row order, the sum of `value` over [floor(t-behind-days), t-behind)."""
        total = np.concatenate([[0.0], np.cumsum(value[self.order])])
        low, high = self.edge(behind + days * DAY, hop), self.edge(behind, hop)
        return self.rows(total[high] - total[np.minimum(low, high)])

    def rows(self, value: np.ndarray) -> np.ndarray:
        """Return values by position in row order."""
        answer = np.empty(len(value))
        answer[self.order] = value
        return answer


def divide(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return total / count, NaN where count is 0."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def card_signals(payments: Payments) -> dict[str, np.ndarray]:
    """Return signals of the amount against the card's own clean, settled payments."""
    card = Timeline(payments.customer, payments.second)
    amount, fraud = payments.amount, payments.fraud.astype(float)
    clean, one = 1.0 - fraud, np.ones(len(payments))
    horizon = HORIZON // DAY
    mean = divide(
        card.sum(clean * amount, horizon, DAY, DELAY), card.sum(clean, horizon, DAY, DELAY)
    )
    usual = np.maximum(np.where(np.isnan(mean), TYPICAL_AMOUNT, mean), 1.0)
    signals = {
        "amount": amount,
        "amount_ratio_to_clean_mean": amount / np.maximum(mean, 1.0),
        "clean_mean_by_user_90d_behind_7d": mean,
    }
    for days, hop in RECENT:
        count = card.sum(one, days, hop)
        squares = np.maximum(card.sum(amount * amount, days, hop), 0.0)
        signals[f"txn_count_by_user_{days}d"] = count
        signals[f"amount_excess_by_user_{days}d"] = card.sum(amount, days, hop) / usual - count
        signals[f"amount_rms_by_user_{days}d"] = np.sqrt(squares) / usual
    for days in (7, 14, 30):
        signals[f"fraud_count_by_user_{days}d_behind_7d"] = card.sum(fraud, days, DAY, DELAY)
    return signals


def merchant_signals(payments: Payments) -> dict[str, np.ndarray]:
    """Return the streak of frauds that a merchant's settled payments end in, and their ages.

    A payment settles when its label is due. The streak is what settled in the hours after the
    newest hour that holds a clean payment: all of it is fraud.
    """
    merchant = Timeline(payments.terminal, payments.second)
    clean = ~payments.fraud[merchant.order]
    position = np.arange(len(payments))
    end = merchant.edge(DELAY, HOUR)
    oldest = np.maximum(merchant.edge(DELAY + HORIZON, HOUR), merchant.first)
    newest = np.maximum(end - 1, 0)
    settled = end > oldest
    good = np.maximum.accumulate(np.where(clean, position, -1))[newest]
    has_good = settled & (good >= oldest)
    start = np.where(has_good, merchant.after_tile(np.maximum(good, 0), HOUR), oldest)
    length = np.where(settled, np.maximum(end - start, 0), 0)
    amounts = np.concatenate([[0.0], np.cumsum(payments.amount[merchant.order])])
    begun = np.minimum(start, len(payments) - 1)

    def age(of: np.ndarray, present: np.ndarray) -> np.ndarray:
        hours = merchant.second[np.maximum(of, 0)] // HOUR * HOUR
        return merchant.rows(np.where(present, (merchant.second - hours) / DAY, np.nan))

    streak_amount = divide(amounts[np.maximum(end, start)] - amounts[start], length)
    return {
        "days_since_good_payment_by_merchant": age(good, has_good),
        "days_since_settled_payment_by_merchant": age(newest, settled),
        "fraud_streak_by_merchant": merchant.rows(length.astype(float)),
        "fraud_streak_days_by_merchant": age(begun, length > 0),
        "fraud_streak_amount_mean_by_merchant": merchant.rows(streak_amount),
    }


def our_inputs(payments: Payments) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names and the (rows, names) float32 values of all signals."""
    signals = {**card_signals(payments), **merchant_signals(payments)}
    return tuple(signals), np.column_stack(list(signals.values())).astype(np.float32)
