"""Money per entity and day of three of our systems, priced by the product's own outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lib.business.outcomes import Floats, SystemOutcomes
from lib.churn.outcomes import CustomerOutcomes
from lib.churn.simulation.accounts import (
    SimulationConfig,
    chances_to_leave,
    draw_accounts,
    simulate_lifecycles,
)
from lib.experiment.exposure import money_rows
from lib.experiment.plan import history_of
from lib.fraud.outcomes import FraudOutcomes
from lib.maintenance.outcomes import FAILURE, MachineOutcomes
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.fleet import Fleet, Passed
from lib.maintenance.simulation.policies import FixedInterval, run
from lib.records.decision_table import LABEL_SCHEMA

DAY = 86_400_000_000
_TIME = pa.timestamp("us", tz="UTC")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_SHARE_OF_LIFE = 0.69
_AFTER = 1
"""Days of decisions after those that are used, for which the events after them count."""


@dataclass(frozen=True)
class MoneyOfSystem:
    """Money per entity and day; the last days are the experiment's.

    Attributes:
        name: what was decided about: `payments`, `accounts` or `machines`.
        money: (entities, days) currency units.
        rows: decisions that it was summed of.
    """

    name: str
    money: Floats
    rows: int

    def first(self, days: int) -> MoneyOfSystem:
        """The money of the first days alone."""
        return MoneyOfSystem(self.name, self.money[:, :days], self.rows)


def payment_money(file: Path, begin: str, days: int, seed: int) -> MoneyOfSystem:
    """Payments of the Handbook by customer, decided at least cost by a calibrated score.

    The score is what a feature of normal distribution, 2.5 deviations higher for frauds, tells.

    Args:
        file: handbook_transactions.parquet.
        begin: first day.
        days: how many.
        seed: of the scores.
    """
    first = pd.Timestamp(begin)
    until = first + pd.Timedelta(days=days)
    window = [("TX_DATETIME", ">=", first), ("TX_DATETIME", "<", until)]
    rows = pq.read_table(file, filters=window).to_pandas()
    fraud = rows.TX_FRAUD.to_numpy() == 1
    scores = _calibrated(fraud, 2.5, np.random.default_rng([seed, 1]))
    times = rows.TX_DATETIME.to_numpy().astype("datetime64[us]").astype(np.int64)
    subject = rows.TRANSACTION_ID.astype(str).to_numpy()
    requests = [json.dumps({"amount_minor": round(100 * a)}) for a in rows.TX_AMOUNT]
    decisions = _decisions(
        rows.CUSTOMER_ID.astype(str).to_numpy(), times, scores, subject, request=requests
    )
    labels = _labels(subject[fraud], times[fraud] + DAY, "fraud")
    outcomes = FraudOutcomes()
    approved = outcomes.outcomes(decisions, labels, int(times.max()) + 400 * DAY)
    return _summed("payments", outcomes, decisions, labels, outcomes.decide(approved, scores))


def account_money(accounts: int, days: int, seed: int) -> MoneyOfSystem:
    """Simulated accounts, half of which leave in a year, contacted where that is likely.

    Args:
        accounts: of the simulation.
        days: how many.
        seed: of the simulation.
    """
    nights = days + _AFTER
    config = SimulationConfig(
        accounts=accounts, days=365 + nights + 61, seed=seed, leave_a_year=0.5
    )
    lives = simulate_lifecycles(config, draw_accounts(config))
    noise = np.random.default_rng([seed, 3])
    parts = []
    for day in range(365, 365 + nights):
        stays = (lives.notice < 0) | (lives.notice > day)
        there = np.flatnonzero(stays & (lives.accounts.signed <= day))
        probability = chances_to_leave(lives, there, day, 60, None)
        probability = np.clip(probability, 1e-6, 1.0 - 1e-6)
        odds = np.log(probability / (1.0 - probability)) + noise.normal(0.0, 0.7, len(there))
        parts.append((there, np.full(len(there), day), 1.0 / (1.0 + np.exp(-odds))))
    account, day, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    mrr = lives.accounts.mrr_minor[account] / 100.0
    decisions = _decisions(
        np.char.add("a", account.astype(str)),
        _at(day.astype(np.float64)),
        score,
        np.arange(len(account)).astype(str),
        feature_mrr=mrr,
    )
    left = np.flatnonzero(lives.notice >= 0)
    labels = _labels(np.char.add("a", left.astype(str)), _at(lives.notice[left] + 0.5), "notice")
    outcomes = CustomerOutcomes()
    acting = ["CONTACT" if s > 0.2 else "MONITOR" for s in score]
    return _summed("accounts", outcomes, decisions, labels, acting).first(days)


def machine_money(machines: int, days: int, seed: int) -> MoneyOfSystem:
    """Simulated machines, served by the calendar, and when their noisy wear is high.

    Args:
        machines: of the fleet.
        days: how many.
        seed: of the fleet.
    """
    config = FleetConfig(machines=machines, seed=seed)
    mornings = days + _AFTER
    weeks = -(-mornings // 7) + 10
    calendar = FixedInterval(config, [_SHARE_OF_LIFE * c.life_hours for c in config.components])
    wear: list[Floats] = []

    def note(fleet: Fleet, passed: Passed) -> None:
        calendar.note(fleet, passed)
        wear.append(passed.wear[:, :, ::24].max(axis=1))

    year = run(config, calendar, weeks, note)
    noisy = np.concatenate(wear, axis=1)[:, -mornings - 3 : -3]
    noisy = noisy + np.random.default_rng([seed, 4]).normal(0.0, 0.1, noisy.shape)
    first = 7 * weeks - mornings - 3
    machine, day = (part.ravel() for part in np.indices(noisy.shape))
    decisions = _decisions(
        np.char.add("m", machine.astype(str)),
        _at((day + first).astype(np.float64)),
        noisy.ravel(),
        np.arange(noisy.size).astype(str),
    )
    failures = [event for event in year.events if not event.planned]
    labels = _labels(
        np.array([f"m{event.machine}" for event in failures]),
        _at(np.array([event.hour for event in failures]) / 24.0),
        FAILURE,
    )
    acting = ["SERVICE" if value > 0.95 else "MONITOR" for value in noisy.ravel()]
    return _summed("machines", MachineOutcomes(), decisions, labels, acting).first(days)


def _calibrated(label: NDArray[np.bool_], apart: float, random: np.random.Generator) -> Floats:
    """Probabilities of labels (n,) by a normal feature, whose means lie `apart` deviations."""
    feature = random.normal(size=len(label)) + apart * label
    odds = np.log(label.mean() / (1.0 - label.mean())) + apart * feature - apart**2 / 2.0
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _at(day: Floats) -> NDArray[np.int64]:
    start = round(_START.timestamp() * 1e6)
    return start + np.round(np.asarray(day) * DAY).astype(np.int64)


def _decisions(
    entity: NDArray[np.str_],
    times: NDArray[np.int64],
    score: Floats,
    subject: NDArray[np.str_],
    **more: object,
) -> pa.Table:
    at = pa.array(times).cast(_TIME)
    columns: Mapping[str, object] = {
        "subject_id": pa.array(subject, pa.string()),
        "entity_id": pa.array(entity, pa.string()),
        "event_time": at,
        "decided_at": at,
        "decision": pa.array(["APPROVE"] * len(times)),
        "score": pa.array(score),
        "model_version": pa.nulls(len(times), pa.string()),
        **more,
    }
    return pa.table(columns)


def _labels(subject: NDArray[np.str_], times: NDArray[np.int64], kind: str) -> pa.Table:
    at = pa.array(times).cast(_TIME)
    count = len(times)
    return pa.table(
        {
            "subject_id": pa.array(subject, pa.string()),
            "kind": [kind] * count,
            "value": [True] * count,
            "observed_at": at,
            "received_at": at,
            "source": ["simulated"] * count,
        },
        schema=LABEL_SCHEMA,
    )


def _summed(
    name: str, outcomes: SystemOutcomes, decisions: pa.Table, labels: pa.Table, acting: list[str]
) -> MoneyOfSystem:
    index = decisions.schema.get_field_index("decision")
    decisions = decisions.set_column(index, "decision", pa.array(acting))
    end = datetime.now(tz=UTC) + timedelta(days=3650)
    rows = outcomes.outcomes(decisions, labels, round(end.timestamp() * 1e6))
    money = history_of(money_rows(decisions, rows)).money
    return MoneyOfSystem(name, money, decisions.num_rows)
