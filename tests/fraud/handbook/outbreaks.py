"""The form of `informed`: outbreaks as the Handbook's simulator makes them, as chances of fraud.

A terminal or a card is compromised for a while from a midnight on. All of a terminal's payments
are then fraud; of a card's some are, with multiplied amounts. No number is set here.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lib.feature import Feature
from lib.fraud.features import FRAUD
from tests.fraud.handbook.ours import INPUTS, SPANS
from tests.fraud.handbook.protocol import DAY, WEEK, Payments

NEW_CARD_MEAN = 50.0  # currency units, for a card without settled payments
NEW_TERMINAL_DAYS = 30.0  # since its last good payment, for a terminal without one
DAYS_OF_SPANS = np.array([1.0, 2.0, 4.0, 7.0])  # that each of SPANS adds to the one before
_STREAK_HOP = next(
    feature.window.hop
    for feature in FRAUD.features
    if isinstance(feature, Feature)
    and feature.name == "fraud_streak_by_merchant"
    and feature.window
)
HALF_TILE_DAYS = _STREAK_HOP / 2 / (DAY * 1_000_000)  # ages are told to the start of a tile
LIKELIHOOD_BOUNDS = (-3.0, 15.0)  # one amount's natural log: no single payment decides alone
EVIDENCE_BOUND = 30.0  # natural log: keeps the exponential finite
MOST_STREAK = 3.0  # further frauds in a row tell nothing new
LEAST, MOST = 1e-5, 1 - 1e-4  # of a chance: keeps log-odds and log-likelihood finite


class Outbreaks(NamedTuple):
    """The numbers that are fitted, all positive.

    Attributes:
        terminal_rate: outbreaks that begin at a terminal per day.
        terminal_days: how long one lasts.
        card_rate: odds, per day looked back, that a card's outbreak began then.
        share_odds: odds that a payment of a compromised card is fraud.
        factor: by which such a fraud's amount exceeds a usual one.
        spread: standard deviation of a card's amounts, in its usual payments.
        stray: chance of a fraud at a terminal that is not compromised, per fraud in a row.
        floor: chance of fraud that no evidence takes away.
        evidence_per_payment: natural log, against an outbreak.
        evidence_per_square: natural log, for an outbreak, per square beyond the usual.
        usual_square: mean square of an amount, in squared usual payments.
        slack: squares beyond the usual that tell nothing.
        saturation: squares at which further ones count for half.
    """

    terminal_rate: float
    terminal_days: float
    card_rate: float
    share_odds: float
    factor: float
    spread: float
    stray: float
    floor: float
    evidence_per_payment: float
    evidence_per_square: float
    usual_square: float
    slack: float
    saturation: float


@dataclass(frozen=True)
class Evidence:
    """What is known of each payment, one row each.

    Attributes:
        amount: (rows,) currency units.
        ratio: (rows,) amount in the card's usual settled payments.
        count: (rows, SPANS) payments of the card.
        squares: (rows, SPANS) sum of their squared amounts, in squared usual payments.
        streak: (rows,) settled frauds in a row at the terminal, the latest ones.
        streak_amount: (rows,) their mean amount, currency units; 0 without one.
        since_good: (rows,) midnights since the terminal's last good settled payment.
        streak_days: (rows,) midnights since the streak's first fraud; 0 without one.
    """

    amount: np.ndarray
    ratio: np.ndarray
    count: np.ndarray
    squares: np.ndarray
    streak: np.ndarray
    streak_amount: np.ndarray
    since_good: np.ndarray
    streak_days: np.ndarray


def evidence(payments: Payments, inputs: np.ndarray, rows: np.ndarray) -> Evidence:
    """Read the evidence of the numbered `rows` off (payments, INPUTS)."""
    of = {name: inputs[rows, column].astype(float) for column, name in enumerate(INPUTS)}
    # Outbreaks begin at midnight: what counts is how many midnights lie between.
    today = payments.second[rows] % DAY / DAY + HALF_TILE_DAYS
    usual = of["clean_amount_mean_by_user_60d_behind_7d"]
    since_good = np.ceil(of["days_since_good_payment_by_merchant"] - today)
    streak_days = np.ceil(np.nan_to_num(of["fraud_streak_days_by_merchant"]) - today)
    roots = np.column_stack([of[f"amount_rms_ratio_by_user_{span}"] for span in SPANS])
    return Evidence(
        amount=of["amount"],
        ratio=of["amount"] / np.where(np.isnan(usual), NEW_CARD_MEAN, np.maximum(usual, 1.0)),
        count=np.column_stack([of[f"txn_count_by_user_{span}"] for span in SPANS]),
        squares=roots**2,
        streak=of["fraud_streak_by_merchant"],
        streak_amount=np.nan_to_num(of["fraud_streak_amount_mean_by_merchant"]),
        since_good=np.where(np.isnan(since_good), NEW_TERMINAL_DAYS, since_good),
        streak_days=np.maximum(streak_days, 0.0),
    )


def card_compromised(numbers: Outbreaks, evidence: Evidence) -> np.ndarray:
    """Return (rows,) chances that the card's outbreak began within the spans looked back.

    Each span is one guess of when it began: many large amounts since speak for it, many payments
    without a large one against it.
    """
    beyond = np.maximum(
        evidence.squares - numbers.usual_square * evidence.count - numbers.slack, 0.0
    )
    for_it = numbers.evidence_per_square * beyond / (1 + beyond / numbers.saturation)
    log_ratio = for_it - numbers.evidence_per_payment * evidence.count
    ratio = np.exp(np.clip(log_ratio, -EVIDENCE_BOUND, EVIDENCE_BOUND))
    odds = numbers.card_rate * (1 + ratio @ DAYS_OF_SPANS)
    return odds / (1 + odds)


def card_fraud(numbers: Outbreaks, evidence: Evidence) -> np.ndarray:
    """Return (rows,) chances that the payment is fraud by a compromised card, by its amount."""
    usual, raised = evidence.ratio - 1, evidence.ratio / numbers.factor - 1
    log_ratio = (usual**2 - raised**2) / (2 * numbers.spread**2) - np.log(numbers.factor)
    low, high = LIKELIHOOD_BOUNDS
    ratio = np.exp(np.where(usual > 0, np.clip(log_ratio, low, high), low))
    share = numbers.share_odds / (1 + numbers.share_odds)
    compromised = card_compromised(numbers, evidence)
    return compromised * share * ratio / (compromised * share * (ratio - 1) + 1)


def terminal_fraud(numbers: Outbreaks, evidence: Evidence, limit: float) -> np.ndarray:
    """Return (rows,) chances that the terminal is compromised now.

    An outbreak began on a day after the last good payment and, where the settled payments end in
    frauds, no later than the first of those; it is over after `terminal_days`. A streak of
    amounts over `limit` needs no outbreak.
    """
    rate, length = numbers.terminal_rate, numbers.terminal_days
    quiet = rate * np.minimum(evidence.since_good, length)
    span = np.maximum(evidence.since_good - evidence.streak_days, 0.0)
    lasting = np.maximum(np.minimum(evidence.since_good, length) - evidence.streak_days, 0.0)
    strays = numbers.stray ** np.minimum(evidence.streak, MOST_STREAK)
    otherwise = np.where(evidence.streak_amount > limit, 1.0, strays)
    began = rate * span / (rate * span + otherwise)
    since = (1 - began) * rate * np.minimum(evidence.streak_days, length)
    streak_probability = began * lasting / np.maximum(span, 1e-9) + since
    # Outbreaks of the last week are always possible: none of their labels is known.
    return np.clip(
        np.where(evidence.streak > 0, np.maximum(streak_probability, rate * WEEK), quiet), 0.0, 1.0
    )


def fraud_chance(numbers: Outbreaks, evidence: Evidence, limit: float) -> np.ndarray:
    """Return (rows,) chances of fraud; amounts over `limit`, in currency units, are certain."""
    neither = (1 - terminal_fraud(numbers, evidence, limit)) * (1 - card_fraud(numbers, evidence))
    probability = np.clip(1 - neither + numbers.floor, LEAST, MOST)
    return np.where(evidence.amount > limit, MOST, probability)
