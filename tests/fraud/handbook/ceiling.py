"""Row `ceiling`: the chance of fraud for one who knows the simulator's published constants.

Fraud Detection Handbook, chapter 3 section 2, "Transaction data simulator". Nothing is learnt:
beliefs about each card and terminal follow Bayes' rule from the payments before and from labels
that are `WEEK` days old; which kind of fraud a label was is never read. A card and a terminal that
meet in a payment are judged in turn, which is all that parts this from the exact posterior; so
no model ranks better than about this, but by luck.

A belief is one chance per state: 0 for sound, r for compromised for r more days.
"""

import math

import numpy as np

from lib.feature.jit import compiled
from tests.fraud.handbook.protocol import DAY, WEEK, Payments

AMOUNT_LIMIT = 220.0  # every amount over it is fraud
TERMINAL_DAYS = 28  # all payments at a compromised terminal are fraud
TERMINAL_RATE = 2 / 10_000  # two of the terminals are compromised a day
CARD_DAYS = 14
CARD_RATE = 3 / 5_000  # three of the cards are compromised a day
CARD_SHARE = 1 / 3  # of a compromised card's payments are fraud
CARD_FACTOR = 5.0  # with amounts so many times larger
LEAST_MEAN, MOST_MEAN = 5.0, 100.0  # of a card's amounts, uniform
SPREAD = 0.5  # standard deviation of a card's amounts, in its mean
NEGATIVE = 0.5 * math.erfc(1 / SPREAD / math.sqrt(2))  # redrawn uniformly up to twice the mean

MEANS = np.geomspace(LEAST_MEAN, MOST_MEAN, 128)  # steps of 2.4%: what 400 payments tell of one
DELAY = WEEK * DAY  # seconds until a label is known
ROUNDS = 2  # of judging cards and terminals in turn, each by what the other explains
UNTIL_ONE = 1e-5  # least chance of a fraud without an outbreak: keeps a belief from vanishing
UNLIKELY = 1e-9  # of a good payment at a compromised terminal: impossible, but dividable
LEAST_DENSITY = 1e-12


@compiled
def _density(amount, mean):
    """Return the density, per currency unit, of an `amount` of a card with that `mean`."""
    away = (amount / mean - 1) / SPREAD
    normal = math.exp(-0.5 * away * away) / (SPREAD * mean * math.sqrt(2 * math.pi))
    redrawn = NEGATIVE / (2 * mean) if amount < 2 * mean else 0.0
    return normal + redrawn + LEAST_DENSITY


@compiled
def _amount_densities(start, amount):
    """Return per payment the densities of its amount if usual and if raised.

    Both are means over the card's possible mean amounts, weighted by its earlier amounts. Rows
    lie card by card in the order of time; `start` (cards + 1,) holds each card's first row.
    """
    raised_share = CARD_RATE * CARD_DAYS * CARD_SHARE
    usual, raised = np.empty(len(amount)), np.empty(len(amount))
    belief = np.empty(len(MEANS))
    for card in range(len(start) - 1):
        belief[:] = MEANS / MEANS.sum()  # uniform means on a grid of equal ratios
        for row in range(start[card], start[card + 1]):
            usual[row] = raised[row] = total = 0.0
            for index in range(len(MEANS)):
                plain = _density(amount[row], MEANS[index])
                large = _density(amount[row] / CARD_FACTOR, MEANS[index]) / CARD_FACTOR
                usual[row] += belief[index] * plain
                raised[row] += belief[index] * large
                belief[index] *= (1 - raised_share) * plain + raised_share * large
                total += belief[index]
            belief /= total
    return usual, raised


@compiled
def _next_day(belief, rate):
    """Let a day begin: outbreaks are a day nearer to their end and may begin anew."""
    sound = belief[0] + belief[1]
    belief[1:-1] = belief[2:]
    belief[0] = sound
    belief[-1] = 0.0
    belief *= 1 - rate
    belief[-1] += rate


@compiled
def _learn(belief, if_sound, if_compromised):
    """Weigh the states by the likelihood of what was seen."""
    belief[0] *= if_sound
    belief[1:] *= if_compromised
    belief /= belief.sum()


@compiled
def _walk(belief, reached, upto, row, end, second, settled_until, settled, fresh, rate):
    """Bring `belief` from the end of day `reached` to the end of day `upto`; return the next row.

    Payments from `row` to before `end` count on their day: by `settled` (2, rows), the likelihoods
    of payment and label if sound and if compromised, where they lie before second `settled_until`;
    by `fresh` (2, rows), those of the payment alone, where they do not.
    """
    for today in range(reached + 1, upto + 1):
        _next_day(belief, rate)
        while row < end and second[row] < (today + 1) * DAY:
            likelihoods = settled if second[row] < settled_until else fresh
            _learn(belief, likelihoods[0, row], likelihoods[1, row])
            row += 1
    return row


@compiled
def _compromised(start, second, settled, fresh, days, rate):
    """Return per payment the chance that its card or terminal is compromised, before the payment.

    Rows lie as for `_amount_densities`; `second` counts from the midnight before the first one.
    Days whose labels all are known are walked once per card or terminal, the others per payment.
    """
    probability = np.empty(len(second))
    settled_belief, belief = np.empty(days + 1), np.empty(days + 1)
    for key in range(len(start) - 1):
        settled_belief[:] = 0.0
        settled_belief[0] = 1.0
        reached, begin = -1, start[key]
        for row in range(start[key], start[key + 1]):
            today, until = second[row] // DAY, second[row] - DELAY
            upto = max(reached, today - WEEK - 1)
            begin = _walk(
                settled_belief, reached, upto, begin, row, second, until, settled, fresh, rate
            )
            reached = upto
            belief[:] = settled_belief
            _walk(belief, reached, today, begin, row, second, until, settled, fresh, rate)
            probability[row] = 1 - belief[0]
    return probability


class _Grouped:
    """Payments by card or by terminal, in the order of time."""

    def __init__(self, key: np.ndarray, second: np.ndarray) -> None:
        self._order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[self._order])) + 1
        self.start = np.concatenate([[0], edges, [len(key)]])
        self._second = self.take(second - second[0] // DAY * DAY)

    def take(self, value: np.ndarray) -> np.ndarray:
        """Return (..., rows) in the order of the groups."""
        return np.ascontiguousarray(value[..., self._order])

    def back(self, value: np.ndarray) -> np.ndarray:
        """Return (rows,) in the order of the payments."""
        answer = np.empty(len(value))
        answer[self._order] = value
        return answer

    def compromised(
        self, settled: np.ndarray, fresh: np.ndarray, days: int, rate: float
    ) -> np.ndarray:
        """Return `_compromised` in the order of the payments."""
        likelihoods = self.take(settled), self.take(fresh)
        return self.back(_compromised(self.start, self._second, *likelihoods, days, rate))


def _card_fraud(
    cards: _Grouped, payments: Payments, usual: np.ndarray, raised: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Return (rows,) chances that the card makes it fraud; `other` are those of the terminal."""
    other = np.where(payments.amount > AMOUNT_LIMIT, 1.0, other)
    genuine, card = (1 - CARD_SHARE) * usual, CARD_SHARE * raised
    bad = np.stack([usual * other, genuine * other + card])
    good = np.stack([usual, genuine])
    settled = np.where(payments.fraud, bad, good)
    fresh = np.stack([usual, genuine + card])
    compromised = cards.compromised(settled, fresh, CARD_DAYS, CARD_RATE)
    return compromised * card / (compromised * (genuine + card) + (1 - compromised) * usual)


def _terminal_fraud(terminals: _Grouped, payments: Payments, other: np.ndarray) -> np.ndarray:
    """Return (rows,) chances that the terminal makes it fraud; `other` are those of the card."""
    other = np.where(payments.amount > AMOUNT_LIMIT, 1.0, other + UNTIL_ONE)
    ones = np.ones(len(payments))
    settled = np.where(payments.fraud, np.stack([other, ones]), np.stack([ones, UNLIKELY * ones]))
    return terminals.compromised(settled, np.stack([ones, ones]), TERMINAL_DAYS, TERMINAL_RATE)


def score_ceiling(payments: Payments) -> np.ndarray:
    """Return (rows,) chances of fraud, each as known at the time of its payment."""
    cards = _Grouped(payments.customer, payments.second)
    terminals = _Grouped(payments.terminal, payments.second)
    densities = _amount_densities(cards.start, cards.take(payments.amount))
    usual, raised = (cards.back(density) for density in densities)
    by_terminal = np.full(len(payments), TERMINAL_RATE * TERMINAL_DAYS)
    for _ in range(ROUNDS):
        by_card = _card_fraud(cards, payments, usual, raised, by_terminal)
        by_terminal = _terminal_fraud(terminals, payments, by_card)
    neither = (1 - by_card) * (1 - by_terminal)
    return np.where(payments.amount > AMOUNT_LIMIT, 1.0, 1 - neither)
