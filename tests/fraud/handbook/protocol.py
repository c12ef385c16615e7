"""The Fraud Detection Handbook's way of splitting, leaving out known cards and measuring.

Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud
Detection, chapters 3 (baseline), 4 (card precision) and 5 (prequential validation).
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score, roc_auc_score

DAY = 86_400
WEEK = 7  # days to train on, days of label delay, days to test on: seven each
TOP_CARDS = 100
COLUMNS = ("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD")


@dataclass(frozen=True)
class Payments:
    """Columns of equal length, sorted by time and then by transaction.

    Attributes:
        transaction: int64 identifier.
        second: int64 seconds since 1970 UTC.
        day: int64 days since 1970 UTC.
        customer: int64 identifier of the card.
        terminal: int64 identifier of the terminal.
        amount: float64 in currency units.
        fraud: bool, the truth, known `WEEK` days after the payment.
    """

    transaction: np.ndarray
    second: np.ndarray
    day: np.ndarray
    customer: np.ndarray
    terminal: np.ndarray
    amount: np.ndarray
    fraud: np.ndarray

    def __len__(self) -> int:
        """Return the number of payments."""
        return len(self.second)


@dataclass(frozen=True)
class Split:
    """Row numbers of one fold: `train` of seven days, `history` up to their end, `test`."""

    train: np.ndarray
    history: np.ndarray
    test: np.ndarray


def read_payments(path: Path) -> Payments:
    """Read the Handbook's Parquet file; a missing column is refused by its name."""
    names = pq.read_schema(path).names
    if missing := [name for name in COLUMNS if name not in names]:
        raise SystemExit(f"{path}: expected the columns {', '.join(COLUMNS)}; missing {missing}")
    table = pq.read_table(path, columns=list(COLUMNS))
    table = table.sort_by([("TX_DATETIME", "ascending"), ("TRANSACTION_ID", "ascending")])
    second = pc.cast(pc.cast(table["TX_DATETIME"], "timestamp[s]"), "int64").to_numpy()
    return Payments(
        transaction=table["TRANSACTION_ID"].to_numpy().astype(np.int64),
        second=second,
        day=second // DAY,
        customer=table["CUSTOMER_ID"].to_numpy().astype(np.int64),
        terminal=table["TERMINAL_ID"].to_numpy().astype(np.int64),
        amount=table["TX_AMOUNT"].to_numpy().astype(np.float64),
        fraud=table["TX_FRAUD"].to_numpy().astype(bool),
    )


def days_since_1970(start: date) -> int:
    """Return the number of the UTC day `start`."""
    return (start - date(1970, 1, 1)).days


def split(payments: Payments, train_start: date) -> Split:
    """Return the fold that trains on seven days from `train_start` and tests two weeks later.

    A card leaves the test once one of its frauds is known: frauds of the training days, and
    of every later day that lies the label delay and one day before the test day.
    """
    first = days_since_1970(train_start)
    end = first + WEEK
    train = np.flatnonzero((payments.day >= first) & (payments.day < end))
    history = np.flatnonzero(payments.day < end)
    known_cards = set(payments.customer[train][payments.fraud[train]].tolist())
    kept = []
    for offset in range(WEEK):
        new_frauds = (payments.day == end + offset - 1) & payments.fraud
        known_cards.update(payments.customer[new_frauds].tolist())
        rows = np.flatnonzero(payments.day == end + WEEK + offset)
        kept.append(rows[~np.isin(payments.customer[rows], list(known_cards))])
    test = np.concatenate(kept)
    if len(train) == 0 or not payments.fraud[test].any():
        raise SystemExit(f"--train-start {train_start}: the file has no such 21 days with frauds")
    return Split(train=train, history=history, test=test)


def card_precision(payments: Payments, rows: np.ndarray, score: np.ndarray) -> float:
    """Return the mean over the days of frauds among the 100 cards that score highest.

    A card counts by its highest score of the day and leaves the later days once caught.
    """
    caught: set[int] = set()
    daily = []
    for day in np.unique(payments.day[rows]):
        today = (payments.day[rows] == day) & ~np.isin(payments.customer[rows], list(caught))
        cards, card_index = np.unique(payments.customer[rows][today], return_inverse=True)
        highest = np.full(len(cards), -np.inf)
        np.maximum.at(highest, card_index, score[today])
        is_fraud = np.zeros(len(cards), bool)
        np.logical_or.at(is_fraud, card_index, payments.fraud[rows][today])
        top = np.argsort(-highest, kind="stable")[:TOP_CARDS]
        daily.append(is_fraud[top].sum() / TOP_CARDS)
        caught.update(cards[top][is_fraud[top]].tolist())
    return float(np.mean(daily))


def measure(payments: Payments, rows: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Return ROC AUC, average precision and card precision@100 of `score` (higher: riskier)."""
    truth = payments.fraud[rows]
    return {
        "auc": float(roc_auc_score(truth, score)),
        "ap": float(average_precision_score(truth, score)),
        "cp100": card_precision(payments, rows, score),
    }
