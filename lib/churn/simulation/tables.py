"""What a company's systems tell of simulated accounts: all eight tables, and the truth."""

from typing import Any

import numpy as np
import pyarrow as pa

from lib.churn.contracts import (
    CHURN,
    CUSTOMER_SIGNALS,
    CUSTOMERS,
    INVOICES,
    PAYMENTS,
    SURVEYS,
    TICKETS,
    USAGE,
)
from lib.churn.simulation.accounts import (
    CAUSES,
    PLANS,
    PRODUCT_FEATURES,
    SEGMENTS,
    Lifecycles,
    SimulationConfig,
)
from lib.churn.target import Floats, Ints
from lib.contract import TIME, Contract
from lib.feature import DAY, HOUR

_SHOWN_USERS = 4
_LEAVES_AFTER = 30
_YEAR = 365 * DAY


class _TableWriter:
    """Draws what is told, table by table."""

    def __init__(self, config: SimulationConfig, lives: Lifecycles) -> None:
        self.config, self.lives, self.accounts = config, lives, lives.accounts
        self.draw = np.random.default_rng([config.seed, 3])
        days = np.arange(config.days)
        ends = np.where(lives.notice >= 0, lives.notice + _LEAVES_AFTER, config.days)
        self.there = (days >= self.accounts.signed[:, None]) & (days < ends[:, None])
        self.noticed = (lives.notice[:, None] >= 0) & (days >= lives.notice[:, None])

    def severity(self, cause: str) -> Floats:
        """(accounts, days)."""
        return np.asarray(self.lives.severity[:, CAUSES.index(cause)], dtype=np.float64)

    def times(self, day: Ints, low: int = 7, high: int = 19) -> Ints:
        """A moment of the working day of each day, microseconds."""
        hours = self.draw.integers(low * HOUR, high * HOUR, len(day))
        return np.asarray(self.config.start_us + day * DAY + hours, dtype=np.int64)

    def events(self, probability: Floats) -> tuple[Ints, Ints]:
        """Accounts and days at which something comes by chance, while an account is there."""
        comes = (self.draw.random(self.there.shape) < probability) & self.there
        account, day = np.nonzero(comes)
        return account.astype(np.int64), day.astype(np.int64)

    @property
    def end_us(self) -> int:
        """When the simulation ends: nothing later is told."""
        return self.config.start_us + self.config.days * DAY

    def told_by_now(self, times: Ints) -> Ints:
        """Times, -1 (null) for what lies after the end."""
        return np.where(times < self.end_us, times, -1)

    def table(self, contract: Contract, account: Ints, **columns: Any) -> pa.Table:
        """A table with the contract's columns, known at once; what is not given is null."""
        names = pa.array(self.accounts.names)
        known = {"customer_id": names.take(pa.array(account)), "known_at": columns["event_time"]}
        values = known | columns
        arrays = [
            _typed(values[field.name], field.type)
            if field.name in values
            else pa.nulls(len(account), field.type)
            for field in contract.schema
        ]
        return pa.table(arrays, schema=contract.schema)


def _typed(values: Any, data_type: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(data_type)
    if data_type == TIME and isinstance(values, np.ndarray):
        return pa.array(values, mask=values < 0).cast(TIME)
    return pa.array(values, data_type)


def write_tables(config: SimulationConfig, lives: Lifecycles) -> dict[str, pa.Table]:
    """Checked tables by contract's name; every cell as a company's own systems would have it."""
    teller = _TableWriter(config, lives)
    return {
        "customers": _customers(teller),
        "usage": _usage(teller),
        "tickets": _tickets(teller),
        **_money(teller),
        "surveys": _surveys(teller),
        "signals": _signals(teller),
        "churn": _churn(teller),
    }


def truth(config: SimulationConfig, lives: Lifecycles) -> pa.Table:
    """What no company knows: each account's notice and its cause."""
    cause = [None if code < 0 else CAUSES[code] for code in lives.cause.tolist()]
    notice = np.where(lives.notice >= 0, config.start_us + lives.notice * DAY, -1)
    return pa.table(
        {
            "customer_id": list(lives.accounts.names),
            "notice_at": _typed(notice, TIME),
            "cause": pa.array(cause, pa.string()),
        }
    )


def _customers(teller: _TableWriter) -> pa.Table:
    """A row for each account as it is signed, and one for each year that it is renewed."""
    accounts, start = teller.accounts, teller.config.start_us
    signed = start + accounts.signed * DAY
    parts = []
    for year in range(int((teller.end_us - signed.min()) // _YEAR) + 1):
        renewed = accounts.signed + 365 * year
        last = np.clip(renewed, 0, teller.config.days - 1)
        has_left = (teller.lives.notice >= 0) & (renewed >= teller.lives.notice)
        there = (
            (renewed < teller.config.days)
            & ~has_left
            & ((renewed < 0) | teller.there[np.arange(len(renewed)), last])
        )
        account = np.flatnonzero(there)
        at = start + renewed[account] * DAY
        parts.append(
            teller.table(
                CUSTOMERS,
                account,
                event_time=at,
                contract_start=signed[account],
                renewal_at=at + _YEAR,
                segment=[SEGMENTS[code] for code in accounts.segment[account].tolist()],
                plan=[PLANS[code] for code in accounts.plan[account].tolist()],
                seats=accounts.seats[account],
                mrr_minor=accounts.mrr_minor[account],
            )
        )
    return pa.concat_tables(parts)


def _usage(teller: _TableWriter) -> pa.Table:
    """Up to four rows an account and day, each of a user and a feature."""
    accounts, days = teller.accounts, np.arange(teller.config.days)
    working = np.where(days % 7 < 5, 1.0, 0.15)
    fade = 1.0 - 0.85 * teller.severity("adoption") - 0.25 * teller.severity("champion")
    level = accounts.habit[:, None] * np.maximum(fade, 0.03) * working
    leaving = np.where(teller.noticed, 0.3, 1.0)
    users = teller.draw.binomial(accounts.seats[:, None], np.clip(level * leaving, 0, 1))
    users = users * teller.there
    row_count = np.minimum(users, _SHOWN_USERS)
    flat = np.repeat(np.arange(row_count.size), row_count.ravel())
    account, day = np.divmod(flat, teller.config.days)
    reach = np.maximum(1, np.ceil(accounts.seats[account] * level[account, day])).astype(np.int64)
    person = (teller.draw.random(len(account)) * reach).astype(np.int64)
    breadth = np.maximum(
        1, np.round(accounts.breadth[account] * np.maximum(fade[account, day], 0.2))
    )
    feature = (teller.draw.random(len(account)) * breadth).astype(np.int64)
    share = users.ravel()[flat] / row_count.ravel()[flat]
    uses = 1 + teller.draw.poisson(6.0 * share)
    at = teller.times(day)
    return teller.table(
        USAGE, account, event_time=at,
        user_id=[f"u{user}" for user in person.tolist()],
        feature=pa.array(PRODUCT_FEATURES).take(pa.array(feature)),
        count=uses,
    )  # fmt: skip


def _tickets(teller: _TableWriter) -> pa.Table:
    trouble = teller.severity("support")
    size = np.sqrt(teller.accounts.seats / 20.0)[:, None]
    account, day = teller.events(size * (0.010 + 0.055 * trouble))
    bad = trouble[account, day]
    opened = teller.times(day)
    hours = teller.draw.gamma(2.0, 8.0 + 40.0 * bad) * HOUR
    closed = opened + hours.astype(np.int64)
    satisfaction = np.clip(np.round(teller.draw.normal(8.0 - 5.0 * bad, 1.2)), 0, 10)
    closed = teller.told_by_now(closed)
    silent = (teller.draw.random(len(account)) < 0.4) | (closed < 0)
    urgency = teller.draw.random(len(account)) < 0.15 + 0.4 * bad
    part = teller.table(
        TICKETS, account,
        ticket_id=[f"T{number:07d}" for number in range(len(account))],
        event_time=opened, closed_at=closed,
        priority=["high" if is_urgent else "normal" for is_urgent in urgency.tolist()],
        satisfaction=pa.array(satisfaction, mask=silent),
        escalated=teller.draw.random(len(account)) < 0.03 + 0.35 * bad,
        about_leaving=np.zeros(len(account), dtype=bool),
    )  # fmt: skip
    return pa.concat_tables([part, _cancelling(teller)])


def _cancelling(teller: _TableWriter) -> pa.Table:
    """Of some leavers, the ticket that cancels: told as what it is."""
    leavers = np.flatnonzero(teller.lives.notice >= 0)
    leavers = leavers[teller.draw.random(len(leavers)) < 0.5]
    at = teller.times(teller.lives.notice[leavers], 6, 7)
    return teller.table(
        TICKETS, leavers,
        ticket_id=[f"C{leaver:07d}" for leaver in leavers.tolist()],
        event_time=at, closed_at=teller.told_by_now(at + 2 * HOUR),
        priority=["normal"] * len(leavers),
        escalated=np.zeros(len(leavers), dtype=bool),
        about_leaving=np.ones(len(leavers), dtype=bool),
    )  # fmt: skip


def _money(teller: _TableWriter) -> dict[str, pa.Table]:
    """An invoice a month, and its payment."""
    accounts, days = teller.accounts, teller.config.days
    first = np.where(accounts.signed >= 0, accounts.signed, accounts.signed % 30)
    bill = (np.arange(days) - first[:, None]) % 30 == 0
    account, day = np.nonzero(bill & teller.there)
    amount = accounts.mrr_minor[account]
    trouble = teller.severity("payment")[account, day]
    cheaper = teller.draw.random(len(account)) < 0.03
    saved = teller.noticed[account, day] & (teller.draw.random(len(account)) < 0.3)
    discount = np.where(cheaper | saved, amount // 10, 0)
    issued = teller.config.start_us + day * DAY + 6 * HOUR
    due = issued + 14 * DAY
    ids = [f"I{number:07d}" for number in range(len(account))]
    invoices = teller.table(
        INVOICES, account, invoice_id=ids, event_time=issued, due_at=due,
        amount_minor=amount - discount, discount_minor=discount, save_offer=saved,
    )  # fmt: skip
    late = np.round(teller.draw.normal(-3.0 + 26.0 * trouble, 4.0)).astype(np.int64)
    paid = np.maximum(due + late * DAY, issued + HOUR)
    fails = teller.draw.random(len(account)) < 0.01 + 0.45 * trouble
    failed = np.flatnonzero(fails & (due < teller.end_us))
    kept = np.flatnonzero(paid < teller.end_us)
    parts = [
        teller.table(
            PAYMENTS, account[rows], event_time=at, due_at=due[rows],
            invoice_id=[ids[row] for row in rows.tolist()],
            amount_minor=(amount - discount)[rows], failed=np.full(len(rows), bad),
        )
        for rows, at, bad in ((failed, due[failed], True), (kept, paid[kept], False))
    ]  # fmt: skip
    return {"invoices": invoices, "payments": pa.concat_tables(parts)}


def _surveys(teller: _TableWriter) -> pa.Table:
    accounts = teller.accounts
    is_survey_day = (np.arange(teller.config.days) - accounts.signed[:, None]) % 90 == 45
    account, day = teller.events(np.where(is_survey_day, 0.5, 0.0))
    felt = sum(
        weight * teller.severity(cause)[account, day]
        for cause, weight in (("support", 4.0), ("adoption", 2.5), ("competitor", 2.0),
                              ("price", 2.5))
    )  # fmt: skip
    score = np.clip(np.round(teller.draw.normal(8.2 - np.asarray(felt), 1.3)), 0, 10)
    at = teller.times(day)
    return teller.table(SURVEYS, account, event_time=at, score=score.astype(np.int64))


def _signals(teller: _TableWriter) -> pa.Table:
    parts = []
    for cause, kind, rate in (
        ("competitor", "competitor_mention", 0.030),
        ("champion", "champion_left", 0.025),
        ("price", "price_complaint", 0.030),
    ):
        account, day = teller.events(0.0008 + rate * teller.severity(cause))
        at = teller.times(day)
        known_at = at + teller.draw.integers(0, 3 * DAY, len(account))
        account, at, known_at = (
            column[known_at < teller.end_us] for column in (account, at, known_at)
        )
        parts.append(
            teller.table(
                CUSTOMER_SIGNALS, account, event_time=at, known_at=known_at,
                kind=[kind] * len(account), source=["account manager"] * len(account),
            )
        )  # fmt: skip
    return pa.concat_tables(parts)


def _churn(teller: _TableWriter) -> pa.Table:
    lives = teller.lives
    leavers = np.flatnonzero(lives.notice >= 0)
    at = teller.times(lives.notice[leavers])
    reasons = [None if code < 0 else CAUSES[code] for code in lives.cause[leavers].tolist()]
    return teller.table(
        CHURN, leavers, event_time=at, ends_at=at + _LEAVES_AFTER * DAY,
        reason=reasons,
    )  # fmt: skip
