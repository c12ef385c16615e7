"""Rules and business statements of systems that have lived for two weeks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lib.business.repository import StatementRepository
from lib.business.statement import Measure, Point, Segment, Statement
from lib.fraud.business import WORDING
from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, RULES_FILE, rule_fields
from lib.records import Decision, Records
from lib.rules.changes import RuleBook
from lib.rules.language import RuleLanguage, revision_of
from lib.rules.repository import RuleDeclaration, RuleRepository, RuleStep
from tests.records.conftest import NOVEMBER, SECOND, decision, fact, keep_decisions
from tests.records.review_factories import HOUR

if TYPE_CHECKING:
    from tests.console.seeded import Seeded

DAY = 24 * HOUR
ANN = "ann (key 0123456789ab)"
TRAVEL, BURST = "impossible_travel", "burst_of_payments"
_FIRST = 7_000


def seed_rules(seeded: Seeded, ids: Callable[[int], str], reason: str) -> None:
    """Fraud: rules of a file, a version with a rule in shadow that is active, hits and labels.

    Args:
        seeded: the databases.
        ids: ids of subjects by their number.
        reason: of what somebody did.
    """
    url = seeded.records("fraud")
    declare(url)
    with RuleRepository(url) as repository:
        book = RuleBook(repository, "fraud")
        step = RuleStep(by=ANN, reason=reason, at=NOVEMBER - 3 * DAY, present=None)
        book.set_status(BURST, "shadow", step)
    _decide(url, ids)


def declare(url: str) -> None:
    """Say of fraud what a replica says of the packaged rules."""
    language = RuleLanguage(rule_fields(FRAUD.names), ACTIONS)
    text = RULES_FILE.read_text()
    declaration = RuleDeclaration(
        system="fraud",
        origin="/srv/forewarn/rules.yaml",
        text=text,
        revision=revision_of(language.load(text, "rules.yaml")),
        fields=language.kinds(),
        actions=language.actions,
        has_pass_key=False,
        declared_at=NOVEMBER - 13 * DAY,
    )
    with RuleRepository(url) as repository:
        repository.migrate()
        repository.declare_rules(declaration)


def _decide(url: str, ids: Callable[[int], str]) -> None:
    """Payments of other days than those of today and of a week ago; of some a chargeback came."""
    rows, facts = [], []
    for number in range(60):
        days_ago = (2, 3, 9, 10, 11)[number % 5]
        at = NOVEMBER - days_ago * DAY + number * SECOND
        row = payment(ids(_FIRST + number), at, number)
        rows.append(row)
        if number % 4 == 0:
            facts.append(fact(row.subject_id, observed_at=at + DAY, received_at=at + DAY + SECOND))
    with Records(url) as records:
        keep_decisions(records, rows)
        records.record_labels(facts)


def payment(subject_id: str, at: int, number: int) -> Decision:
    """A payment; every second travelled too fast, every third came in a burst."""
    travels, bursts = number % 2 == 0, number % 3 == 0
    features = dict.fromkeys(FRAUD.names, 0.0) | {
        "amount": 20.0 + number,
        "impossible_velocity": float(travels),
        "txn_count_by_user_1h": 12.0 if bursts else 1.0,
    }
    return decision(
        subject_id,
        event_time=at,
        received_at=at + SECOND,
        decided_at=at + SECOND,
        decision="DECLINE" if travels else "APPROVE",
        method="rule" if travels else "model",
        rule_id=TRAVEL if travels else None,
        rule_hits=(TRAVEL,) if travels else (),
        shadow_hits=(BURST,) if bursts else (),
        rules_version="2-0123456789ab",
        features=features,
        request={"amount_minor": 2_000 + number, "currency": "EUR", "user_id": f"u{number}"},
    )


def seed_business(seeded: Seeded, note: str) -> None:
    """Two months of fraud, the second beside the first."""
    march, april = statement(3, 1.0, note), statement(4, 0.8, note)
    with StatementRepository(seeded.records("fraud")) as repository:
        repository.migrate()
        repository.record_statement(march, WORDING, None, NOVEMBER - 9 * DAY)
        repository.record_statement(april, WORDING, march, NOVEMBER - DAY)


def statement(month: int, factor: float, note: str) -> Statement:
    """A month of 2026 with four figures, in which losses grow with a factor."""
    since = datetime(2026, month, 1, tzinfo=UTC)
    until = since + timedelta(days=30)
    figures = (
        ("fraud_losses", "Fraud losses a day", "currency", "less", 1_240.0),
        ("fraud_loss_share", "Fraud that was approved, share of its value", "share", "less", 0.2),
        ("good_blocked_share", "Good payments that were blocked", "share", "less", 0.004),
        ("return_on_cost", "Saved for each unit spent", "times", "more", 6.0),
        ("reviews_per_day", "Reviews a day", "reviews", "neither", 31.0),
    )
    measures = tuple(
        Measure(
            name=name, label=label, unit=unit, better=better, value=value * factor,
            low=value * factor * 0.97, high=value * factor * 1.03,
            rests_on="41,200 decisions, 100% of the period final; chargebacks",
        )
        for name, label, unit, better, value in figures
    )  # fmt: skip
    return Statement(
        system="fraud",
        since=since,
        until=until,
        as_of=until + timedelta(days=90),
        currency="EUR",
        decisions=41_200,
        entities=9_300,
        ripe=41_200,
        measures=measures,
        missed=140,
        wrongly_acted=160,
        wrongly_by={"REVIEW": 90, "DECLINE": 70},
        segments=(
            Segment(
                kind="method", name="wallet", decisions=900, positives=60, missed=30,
                wrongly_acted=12,
            ),
        ),
        daily=tuple(
            Point(day=since + timedelta(days=day), money=-900.0 * factor + 40.0 * (day % 7))
            for day in range(30)
        ),
        notes=(note,),
    )  # fmt: skip
