"""A small town of cards and terminals whose outbreaks are made as the Handbook makes them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fraud.handbook.protocol import DAY, Payments, read_payments

MIDNIGHT = 1_522_540_800  # 2018-04-01 UTC, seconds


@dataclass(frozen=True)
class Town:
    """A town in which each card pays once a day.

    Attributes:
        cards, terminals: how many there are.
        days: length of the history.
        terminal_days: days for which a terminal that was hit defrauds.
        outbreak: terminals and cards that are hit a day.
    """

    cards: int = 250
    terminals: int = 300
    days: int = 67
    terminal_days: int = 12
    outbreak: tuple[int, int] = (1, 1)


def payments_of(
    second: list[int],
    customer: list[int],
    terminal: list[int],
    amount: list[float],
    fraud: list[bool],
) -> Payments:
    """Return payments at `second` after the first midnight, in that order."""
    moment = np.array(second, np.int64) + MIDNIGHT
    return Payments(
        transaction=np.arange(len(second)),
        second=moment,
        day=moment // DAY,
        customer=np.array(customer),
        terminal=np.array(terminal),
        amount=np.array(amount, float),
        fraud=np.array(fraud),
    )


def simulate(town: Town, seed: int) -> Payments:
    """Return payments in the order of time; frauds by limit, by terminal and by card."""
    rng = np.random.default_rng(seed)
    size = rng.poisson(town.cards * town.days)
    second = np.sort(rng.integers(0, town.days * DAY, size))
    customer = rng.integers(0, town.cards, size)
    terminal = rng.integers(0, town.terminals, size)
    mean = rng.uniform(5, 100, town.cards)[customer]
    amount = rng.normal(mean, mean / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount)
    fraud = amount > 220
    today = second // DAY
    hit_terminals, hit_cards = town.outbreak
    for day in range(town.days):
        hit = rng.choice(town.terminals, hit_terminals, replace=False)
        lasting = (today >= day) & (today < day + town.terminal_days)
        fraud |= lasting & np.isin(terminal, hit)
        hit = rng.choice(town.cards, hit_cards, replace=False)
        raised = (today >= day) & (today < day + 14) & np.isin(customer, hit)
        raised &= rng.random(size) < 1 / 3
        amount = np.where(raised, 5 * amount, amount)
        fraud |= raised
    columns = (second, customer, terminal, np.round(amount, 2) + 0.01, fraud)
    return payments_of(*(column.tolist() for column in columns))


def write(path: Path, payments: Payments) -> Payments:
    """Write the Handbook's columns to `path`; return what a benchmark reads there."""
    columns = {
        "TRANSACTION_ID": payments.transaction,
        "TX_DATETIME": pa.array(payments.second * 1_000, pa.timestamp("ms")),
        "CUSTOMER_ID": payments.customer,
        "TERMINAL_ID": payments.terminal,
        "TX_AMOUNT": payments.amount,
        "TX_FRAUD": payments.fraud.astype(np.int8),
    }
    pq.write_table(pa.table(columns), path)
    return read_payments(path)
