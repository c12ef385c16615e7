"""What each system sends to people: which decisions, how urgent, and what a closed case becomes."""

from dataclasses import replace

import pytest

from lib.churn.review import CustomerReview
from lib.fraud.amounts import AmountScale
from lib.fraud.review import PaymentReview
from lib.maintenance.review import MachineReview
from lib.records import Decision, Fact, Records
from lib.records.review import Outcome, ReviewStore
from lib.review.policy import ReviewPolicy
from lib.review.settings import HOUR_US
from tests.records.conftest import NOVEMBER, SECOND, decision, keep_decisions, migrated
from tests.review.factories import SETTINGS, payment

DAY_US = 24 * HOUR_US


def machine(**changes: object) -> Decision:
    fields = {"system": "maintenance", "entities": {"machine_id": "m1"}, "decision": "INSPECT"}
    return decision("m1:1:q", **{**fields, "score": 0.25, **changes})


def customer(**changes: object) -> Decision:
    fields = {"system": "churn", "entities": {"customer_id": "c1"}, "decision": "CONTACT"}
    features = {"mrr": 100.0}
    return decision("c1:1:q", **{**fields, "score": 0.5, "features": features, **changes})


def outcome(reviewed: Decision, question: str, value: bool) -> Outcome:
    return Outcome(
        case_id="case", system=reviewed.system, subject_id=reviewed.subject_id, kind="review",
        rule="single", verdicts={question: value}, at=NOVEMBER, policy_version="1",
        model_version=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "reviewed", "loss"),
    [
        # half of the amount of 100 and of a chargeback's fee of 15
        (PaymentReview(), payment(), 57.5),
        (PaymentReview(scale=AmountScale(0)), payment(), 5_750.0),
        # without a score as likely as not
        (PaymentReview(), payment(score=None), 57.5),
        (MachineReview(), machine(), 10_000.0),
        (CustomerReview(), customer(), 480.0),
        (CustomerReview(), customer(features={"mrr": float("nan")}), 0.0),
    ],
)
def test_severity_and_priority_grow_with_the_loss_to_be_expected(
    policy: ReviewPolicy, reviewed: Decision, loss: float
) -> None:
    assert policy.expected_loss(reviewed) == pytest.approx(loss)
    item = policy.item(reviewed, NOVEMBER, SETTINGS)
    assert item is not None
    assert item.severity == 1 + sum(loss >= bound for bound in policy.severity_losses)
    assert item.due_at == NOVEMBER + SETTINGS.sla_us[item.severity]
    assert item.shown["expected_loss"] == pytest.approx(loss)
    assert list(item.policies) == [policy.question]


def test_a_reviewer_sees_what_the_decision_rests_on() -> None:
    item = PaymentReview().item(payment(rule_hits=["new_device"]), NOVEMBER, SETTINGS)
    assert item is not None
    assert item.shown["amount"] == "100.00"
    assert (item.shown["user_id"], item.shown["rule_hits"]) == ("u1", ["new_device"])
    assert "device_id" not in item.shown


def test_only_what_people_are_to_look_at_becomes_an_item() -> None:
    assert PaymentReview().item(payment(decision="APPROVE"), NOVEMBER, SETTINGS) is None
    assert MachineReview().item(machine(decision="STOP"), NOVEMBER, SETTINGS) is None
    assert CustomerReview().item(customer(decision="MONITOR"), NOVEMBER, SETTINGS) is None


def test_a_machine_is_one_case_a_day_and_a_payment_one_for_ever() -> None:
    def case(policy: ReviewPolicy, reviewed: Decision) -> str:
        item = policy.item(reviewed, NOVEMBER, SETTINGS)
        assert item is not None
        return item.id

    policy, first = MachineReview(), machine()
    again = replace(first, subject_id="m1:2:q", event_time=first.event_time + HOUR_US)
    later = replace(first, subject_id="m1:3:q", event_time=first.event_time + DAY_US)
    assert case(policy, first) == case(policy, again) != case(policy, later)
    other = replace(first, entities={"machine_id": "m2"})
    assert case(policy, other) != case(policy, first)
    payments = [payment(), replace(payment(), subject_id="t2")]
    assert len({case(PaymentReview(), each) for each in payments}) == 2


@pytest.mark.parametrize(
    ("policy", "reviewed", "kind", "subject_id"),
    [
        (PaymentReview(), payment(), "fraud", "t1"),
        (MachineReview(), machine(), "finding", "m1"),
        (CustomerReview(), customer(), "at_risk", "c1"),
    ],
)
def test_a_closed_case_is_a_fact(
    policy: ReviewPolicy, reviewed: Decision, kind: str, subject_id: str
) -> None:
    closed = outcome(reviewed, policy.question, value=True)
    (fact,) = policy.facts(closed, reviewed, NOVEMBER + SECOND)
    assert fact == Fact(
        system=reviewed.system, subject_id=subject_id, kind=kind, value=True,
        observed_at=NOVEMBER, source="review", received_at=NOVEMBER + SECOND,
    )  # fmt: skip


def test_a_decision_waits_for_review_from_the_transaction_that_stores_it(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    approved = replace(payment(), subject_id="t2", decision="APPROVE")
    with migrated(Records(url)) as records, ReviewStore(url, "fraud") as reviews:
        for _ in range(2):
            keep_decisions(records, [payment(), approved, machine()])
        assert reviews.list_waiting(9) == ["t1"]
        reviews.remove_waiting(["t1"])
        assert reviews.list_waiting(9) == []
