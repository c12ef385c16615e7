"""What decisions came to is what a plain reading of labels and prices gives, for every system."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.framework import outcomes as makers
from lib.business.outcomes import OUTCOME_SCHEMA, OutcomeError, SystemOutcomes
from lib.churn.outcomes import CustomerOutcomes
from lib.fraud.amounts import AmountScale
from lib.fraud.model.outcome import measure_outcome
from lib.fraud.model.policy import DECISIONS, Costs
from lib.fraud.outcomes import FraudOutcomes
from lib.maintenance.model.alarms import AlarmWindow, replay
from lib.maintenance.outcomes import MachineOutcomes
from lib.moderation.outcomes import PostOutcomes
from lib.records import Decision, Fact
from lib.records.decision_table import LABEL_SCHEMA, decision_table, label_table
from lib.records.systems import SYSTEMS as RECORDED
from lib.records.systems import usual_entity
from tests.business import decided
from tests.business.decided import DAY, HOUR, START
from tests.records.conftest import fact

SEEDS = st.integers(0, 10_000)
EXAMPLES = settings(max_examples=30, deadline=None)


def of_fraud(draw: random.Random) -> tuple[SystemOutcomes, pa.Table, pa.Table]:
    rows = decided.payments(draw, draw.randrange(1, 60))
    return FraudOutcomes(), *decided.tables(rows, decided.fraud_labels(draw, rows), "user_id")


def of_maintenance(draw: random.Random) -> tuple[SystemOutcomes, pa.Table, pa.Table]:
    rows = decided.predictions(draw, draw.randrange(1, 60))
    return MachineOutcomes(), *decided.tables(rows, decided.failures(draw), "machine_id")


def of_churn(draw: random.Random) -> tuple[SystemOutcomes, pa.Table, pa.Table]:
    rows = decided.scores(draw, draw.randrange(1, 60))
    return CustomerOutcomes(), *decided.tables(rows, decided.notices(draw), "customer_id")


def of_moderation(draw: random.Random) -> tuple[SystemOutcomes, pa.Table, pa.Table]:
    rows = decided.posts(draw, draw.randrange(1, 60))
    return PostOutcomes(), decision_table(rows, "author_id"), decided.review_labels(draw, rows)


Make = Callable[[random.Random], tuple[SystemOutcomes, pa.Table, pa.Table]]
SYSTEMS = pytest.mark.parametrize("make", [of_fraud, of_maintenance, of_churn, of_moderation])


def of_every_system(test: Callable[..., None]) -> Callable[..., None]:
    """A test of a system that is made with many seeds, for each of them."""
    return SYSTEMS(given(seed=SEEDS)(EXAMPLES(test)))


def outcomes_of(
    system: SystemOutcomes, rows: list[Decision], facts: list[Fact], entity: str, days: int = 400
) -> pa.Table:
    """What decisions came to by a day, given what is known of their entities."""
    return system.outcomes(*decided.tables(rows, facts, entity), START + days * DAY)


def priced(
    system: SystemOutcomes,
    seed: int,
    decisions: Callable[[random.Random, int], list[Decision]],
    events: Callable[[random.Random], list[Fact]],
) -> tuple[list[Decision], list[Fact], pa.Table]:
    """Forty decisions and events drawn at random, and what the decisions came to."""
    draw = random.Random(seed)
    rows, facts = decisions(draw, 40), events(draw)
    return rows, facts, outcomes_of(system, rows, facts, system.entity)


@of_every_system
def test_rows_come_out_as_they_went_in_and_money_is_of_ripe_rows(make: Make, seed: int) -> None:
    draw = random.Random(seed)
    system, decisions, labels = make(draw)
    as_of = START + draw.randrange(150 * DAY)
    table = system.outcomes(decisions, labels, as_of)
    assert table.select(OUTCOME_SCHEMA.names).schema.equals(OUTCOME_SCHEMA)
    for name in ("subject_id", "event_time", "decision", "score"):
        assert table[name].to_pylist() == decisions[name].to_pylist()
    for row in table.to_pylist():
        ripe_at, label = row["ripe_at"], row["label"]
        is_ripe = ripe_at is not None and ripe_at.timestamp() * 1e6 <= as_of and label is not None
        assert (row["money"] is not None) == is_ripe
        assert label in (None, 0.0, 1.0)
        assert row["money"] is None or row["money"] <= 0.0


@of_every_system
def test_later_labels_change_only_their_subject(make: Make, seed: int) -> None:
    draw = random.Random(seed)
    system, decisions, labels = make(draw)
    if not labels.num_rows:
        return
    later = labels.slice(draw.randrange(labels.num_rows), 1)
    about = later["subject_id"][0].as_py()
    changed = later.set_column(2, LABEL_SCHEMA.field("value"), pa.array([True]))
    as_of = START + 400 * DAY
    before = system.outcomes(decisions, labels, as_of).to_pylist()
    after = system.outcomes(decisions, pa.concat_tables([labels, changed]), as_of).to_pylist()
    for old, new in zip(before, after, strict=True):
        if about not in (old["subject_id"], old["entity_id"]):
            assert old == new


@of_every_system
def test_the_order_of_labels_and_decisions_does_not_matter(make: Make, seed: int) -> None:
    draw = random.Random(seed)
    system, decisions, labels = make(draw)
    as_of = START + 90 * DAY
    order = draw.sample(range(decisions.num_rows), decisions.num_rows)
    turned = labels.take(pa.array(draw.sample(range(labels.num_rows), labels.num_rows), pa.int64()))
    straight = {
        row["subject_id"]: row for row in system.outcomes(decisions, labels, as_of).to_pylist()
    }
    shuffled = system.outcomes(decisions.take(order), turned, as_of).to_pylist()
    for row in shuffled:
        assert row == straight[row["subject_id"]]


@pytest.mark.parametrize("system", RECORDED)
def test_jobs_that_serve_all_systems_know_the_outcomes_of_each(system: str) -> None:
    outcomes = makers.outcomes_of(system)
    assert (outcomes.system, outcomes.entity) == (system, usual_entity(system))


@SYSTEMS
def test_no_decisions_give_no_outcomes(make: Make) -> None:
    system, decisions, labels = make(random.Random(1))
    table = system.outcomes(decisions.slice(0, 0), labels, START)
    assert table.num_rows == 0
    assert len(system.money_of(table, [])) == 0


def test_a_withdrawn_label_counts_and_one_that_is_not_known_yet_does_not() -> None:
    rows = [replace(row, event_time=START) for row in decided.payments(random.Random(3), 3)]
    facts = [
        fact("f0", observed_at=START + DAY),
        fact("f0", observed_at=START + 2 * DAY, value=False),
        fact("f1", observed_at=START + DAY),
    ]
    decisions, labels = decided.tables(rows, facts, "user_id")
    system = FraudOutcomes(label_days=7.0)

    def known(as_of: int) -> list[float | None]:
        return system.outcomes(decisions, labels, as_of)["label"].to_pylist()

    assert known(START) == [None, None, None]
    assert known(START + DAY) == [1.0, 1.0, None]
    assert known(START + 2 * DAY) == [0.0, 1.0, None]
    assert known(START + 7 * DAY) == [0.0, 1.0, 0.0]


def test_a_failure_that_is_taken_back_is_none() -> None:
    rows = [replace(row, event_time=START) for row in decided.predictions(random.Random(2), 1)]
    machine = str(rows[0].entities["machine_id"])
    at = START + HOUR
    report = decided.event("maintenance", "failure", machine, at)
    back = replace(report, value=False, received_at=at + HOUR)
    decisions, labels = decided.tables(rows, [report, back], "machine_id")
    table = MachineOutcomes().outcomes(decisions, labels, START + 30 * DAY)
    assert table["label"].to_pylist() == [0.0]


@given(seed=SEEDS)
@EXAMPLES
def test_money_of_payments_is_that_of_the_training_report(seed: int) -> None:
    draw = random.Random(seed)
    rows = decided.payments(draw, 40)
    decisions, labels = decided.tables(rows, decided.fraud_labels(draw, rows), "user_id")
    costs, scale = Costs(reviewer_recall=0.75, running_minor_per_thousand=40.0), AmountScale(3)
    system = FraudOutcomes(costs, scale)
    table = system.outcomes(decisions, labels, START + 400 * DAY)
    flags = table["label"].to_numpy() == 1.0
    amounts = table["amount_minor"].to_numpy()
    for names in (
        table["decision"].to_pylist(),
        ["APPROVE"] * 40,
        ["DECLINE"] * 40,
        ["REVIEW"] * 40,
    ):
        places = np.array([DECISIONS.index(name) for name in names])
        outcome = measure_outcome(places, flags, amounts, 20.0, costs)
        expected = -(outcome.lost_minor + outcome.spent_minor) / 1000.0
        assert system.money_of(table, names).sum() == pytest.approx(expected)
    assert table["money"].to_numpy().sum() == pytest.approx(
        system.money_of(table, table["decision"].to_pylist()).sum()
    )


def test_the_cheapest_decision_is_taken_where_a_model_has_no_thresholds() -> None:
    rows = decided.payments(random.Random(4), 30)
    system = FraudOutcomes()
    table = outcomes_of(system, rows, [], "user_id")
    assert set(system.decide(table, np.zeros(30))) == {"APPROVE"}
    assert set(system.decide(table, np.ones(30))) == {"DECLINE"}
    thresholds = {"review": 0.3, "decline": 0.6, "fallback_amount_minor": 1.0}
    by_policy = system.decide(table, np.full(30, 0.5), thresholds)
    assert set(by_policy) == {"REVIEW"}
    same = system.money_of(table, by_policy)
    assert (system.money_if(table, np.full(30, 0.5), thresholds) == same).all()


def test_a_declined_payment_may_wait_for_a_label() -> None:
    rows = [
        replace(row, event_time=START, decision="DECLINE")
        for row in decided.payments(random.Random(5), 2)
    ]
    late = fact("f1", value=False, observed_at=START + 30 * DAY)
    decisions, labels = decided.tables(rows, [late], "user_id")
    system = FraudOutcomes(silence_of_declined=None)
    early = system.outcomes(decisions, labels, START + 20 * DAY)
    assert early["money"].to_pylist() == [None, None]
    table = system.outcomes(decisions, labels, START + 40 * DAY)
    assert table["label"].to_pylist() == [None, 0.0]
    assert table["money"][0].as_py() is None
    assert table["money"][1].as_py() < 0.0


@given(seed=SEEDS)
@EXAMPLES
def test_a_failure_costs_once_and_services_are_called_for_as_in_the_replay(seed: int) -> None:
    system = MachineOutcomes()
    rows, facts, table = priced(system, seed, decided.predictions, decided.failures)
    expected = _plain_machine_money(rows, facts, system)
    assert table["money"].to_pylist() == pytest.approx(expected)


def _plain_machine_money(
    rows: list[Decision], facts: list[Fact], system: MachineOutcomes
) -> list[float]:
    money = dict.fromkeys((row.subject_id for row in rows), 0.0)
    horizon = round(system.horizon_hours * HOUR)
    for machine in {row.entities["machine_id"] for row in rows}:
        own = sorted(
            (row for row in rows if row.entities["machine_id"] == machine),
            key=lambda row: row.event_time,
        )
        times = sorted({each.observed_at for each in facts if each.subject_id == machine})
        reports = [t for k, t in enumerate(times) if not k or t - times[k - 1] > DAY]
        served = -math.inf
        for position, row in enumerate(own):
            following = own[position + 1].event_time if position + 1 < len(own) else math.inf
            end = min(following, row.event_time + horizon)
            broken = sum(row.event_time < t <= end for t in reports)
            money[row.subject_id] -= system.costs.failure * broken
            respond = system.costs.respond_hours * HOUR
            lives = not any(row.event_time < t <= row.event_time + respond for t in reports)
            is_over = row.event_time > served + system.costs.credit_hours * HOUR
            if row.decision in ("SERVICE", "STOP") and lives and is_over:
                served = row.event_time
                money[row.subject_id] -= system.costs.service
    return [money[row.subject_id] for row in rows]


@given(seed=SEEDS)
@EXAMPLES
def test_what_other_alarms_would_have_cost_is_the_replay_of_training(seed: int) -> None:
    draw = random.Random(seed)
    hours = range(0, 40 * 24, 24)
    rows = [
        replace(row, event_time=START + hour * HOUR, entities={"machine_id": f"m{machine}"},
                subject_id=f"{machine}-{hour}")
        for machine in range(3)
        for hour, row in zip(hours, decided.predictions(draw, len(hours)), strict=True)
    ]  # fmt: skip
    facts = decided.failures(draw, machines=2, days=38)
    system = MachineOutcomes()
    table = outcomes_of(system, rows, facts, "machine_id")
    failed = table["failed_at"].cast(pa.int64()).to_pylist()
    to_failure = [
        math.inf if at is None else (at - row.event_time) / HOUR
        for at, row in zip(failed, rows, strict=True)
    ]
    window = AlarmWindow(
        np.array([row.entities["machine_id"] for row in rows]),
        np.array([row.event_time for row in rows]),
        np.array(to_failure),
        np.full(len(rows), 1e6),
        24.0,
    )
    alarms = np.array([draw.random() < 0.2 for _ in rows])
    names = ["SERVICE" if alarm else "MONITOR" for alarm in alarms]
    expected = replay(window, alarms, system.costs).cost.sum()
    assert -system.money_of(table, names).sum() == pytest.approx(expected)


@given(seed=SEEDS)
@EXAMPLES
def test_a_notice_costs_its_margin_once_and_contacts_their_playbook(seed: int) -> None:
    rows, facts, table = priced(CustomerOutcomes(), seed, decided.scores, decided.notices)
    window, contact = 60 * DAY, 60.0
    served: dict[Any, float] = {}
    for row in sorted(rows, key=lambda row: row.event_time):
        customer = row.entities["customer_id"]
        later = [r.event_time for r in rows if r.entities["customer_id"] == customer
                 and r.event_time > row.event_time]  # fmt: skip
        end = min([row.event_time + window, *later])
        left = any(
            f.subject_id == customer and row.event_time < f.observed_at <= end for f in facts
        )
        mrr = 0.0 if math.isnan(row.features["mrr"]) else row.features["mrr"]
        expected: float | None = -(mrr * 0.8 * 12.0) * left
        is_over = row.event_time >= served.get(customer, -math.inf) + window
        if row.decision in ("CONTACT", "ACT_NOW") and is_over:
            served[customer] = row.event_time
            expected -= contact
        if row.decision == "LEAVING":
            expected = None
        position = rows.index(row)
        assert table["money"][position].as_py() == (
            None if expected is None else pytest.approx(expected)
        )


def test_contacting_is_worth_its_effect_where_a_customer_left() -> None:
    row = replace(
        decided.scores(random.Random(6), 1)[0],
        event_time=START, decision="MONITOR", features={"mrr": 1000.0},
    )  # fmt: skip
    left = decided.event("churn", "notice", str(row.entities["customer_id"]), START + DAY)
    system = CustomerOutcomes()
    table = outcomes_of(system, [row], [left], "customer_id", days=100)
    assert table["money"].to_pylist() == [-9_600.0]
    assert system.money_of(table, ["CONTACT"]).tolist() == [pytest.approx(-9_600 * 0.85 - 60)]
    assert system.money_if(table, [0.9]).tolist() == system.money_of(table, ["CONTACT"]).tolist()
    assert system.money_if(table, [0.0]).tolist() == [-9_600.0]
    assert system.money_if(table, [0.3], {"churn": 0.4}).tolist() == [-9_600.0]


def test_money_of_posts_is_that_of_the_policies() -> None:
    row = decided.posts(random.Random(7), 1)[0]
    rows = [
        replace(row, subject_id=name, event_time=START, decision=decision, request=request,
                answer={"policy": "hate"})
        for name, decision, request in (
            ("allowed", "ALLOW", {"reach": 1000}),
            ("fine", "ALLOW", {"reach": 0}),
            ("reviewed", "REVIEW", {"reach": 0}),
            ("waits", "REVIEW", {"reach": 0}),
            ("wronged", "REMOVE", {"reach": 0}),
            ("silent", "REMOVE", {"reach": 0}),
            ("pends", "PENDING", {"reach": 0}),
        )
    ]  # fmt: skip
    reviews = [("allowed", "hate", True), ("reviewed", "hate", True), ("wronged", "hate", False)]
    labels = pa.Table.from_pylist(
        [
            {"subject_id": name, "kind": policy, "value": value, "observed_at": START + DAY,
             "received_at": START + DAY, "source": "single"}
            for name, policy, value in reviews
        ],
        LABEL_SCHEMA,
    )  # fmt: skip
    system = PostOutcomes()
    decisions = decision_table(rows, "author_id")
    table = system.outcomes(decisions, labels, START + 15 * DAY)
    assert table["money"].to_pylist() == [-24.0, 0.0, -1.1, None, -8.0, 0.0, None]
    assert table["label"].to_pylist() == [1.0, 0.0, 1.0, None, 0.0, 1.0, None]
    allowed = system.money_of(table, ["ALLOW"] * 7)
    assert np.nan_to_num(allowed).tolist() == [-24.0, 0.0, -12.0, 0.0, 0.0, -12.0, 0.0]
    sure = np.zeros((7, 6))
    sure[:, 0] = 0.999
    assert system.money_if(table, sure)[4] == -8.0
    assert system.money_if(table, np.zeros((7, 6)))[0] == -24.0


def test_what_cannot_be_meant_is_named() -> None:
    rows = decided.payments(random.Random(8), 2)
    decisions, labels = decided.tables(rows, [], "user_id")
    system = FraudOutcomes()
    with pytest.raises(OutcomeError, match=r"decisions: expected the columns .*missing: request"):
        system.outcomes(decisions.drop_columns(["request"]), labels, START)
    with pytest.raises(OutcomeError, match=r"labels: expected the columns .*missing: kind"):
        system.outcomes(decisions, labels.drop_columns(["kind"]), START)
    odd = decision_table([replace(rows[0], decision="MAYBE")], "user_id")
    with pytest.raises(OutcomeError, match=r"decision: expected one of APPROVE.*got 'MAYBE'"):
        system.outcomes(odd, labels, START)
    poor = decision_table([replace(rows[0], request={})], "user_id")
    with pytest.raises(
        OutcomeError, match="request: f0: expected amount_minor, a number, got None"
    ):
        system.outcomes(poor, labels, START)
    table = system.outcomes(decisions, label_table([]), START)
    with pytest.raises(OutcomeError, match="scores: expected the shape"):
        system.money_if(table, [0.5])
    with pytest.raises(OutcomeError, match="label_days: expected above 0"):
        FraudOutcomes(label_days=0.0)
