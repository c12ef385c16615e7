"""Payments of one customer, of a device that others share, and of a merchant with known frauds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lib.console.payment import packaged_version
from lib.records import Decision, Fact, Records
from lib.records.review import ReviewStore
from tests.records.conftest import NOVEMBER, SECOND, decision, fact, keep_decisions
from tests.records.review_factories import HOUR

AT = NOVEMBER - 48 * HOUR
"""When the payment was made that pages are about."""
MAIN, CUSTOMER, DEVICE, MERCHANT = 9000, 9100, 9200, 9300
"""Numbers of their ids."""
ON_DEVICE, AT_MERCHANT, EARLIER = range(9010, 9015), range(9020, 9025), range(9030, 9038)
FRAUDS, FINE = (9010, 9011, 9020), (9021, 9022, 9030)
"""Numbers of payments that are labelled."""
RULE = "device_known_for_fraud"
FEATURES = {
    "amount": 412.5,
    "amount_zscore": 4.25,
    "distance_from_home_km": 880.25,
    "fraud_rate_by_device_30d": 0.61,
    "fraud_rate_by_merchant_30d": 0.04,
    "txn_count_by_user_1h": 3.0,
    "user_count_by_device_30d": 6.0,
    "velocity_kmh": float("nan"),
}
REASONS = [
    {
        "code": "DEVICE_FRAUD",
        "words": "Frauds reported from this device",
        "feature": "fraud_rate_by_device_30d",
        "value": 0.61,
        "contribution": 1.87,
    },
    {
        "code": "AMOUNT_UNUSUAL_FOR_USER",
        "words": "Amount far from this customer's usual amounts",
        "feature": "amount_zscore",
        "value": 4.25,
        "contribution": 0.92,
    },
]


def payment(
    subject_id: str,
    at: int,
    entities: Sequence[str | None],
    amount: int = 4_200,
    location: tuple[float, float] | None = (52.5, 13.4),
    **changes: object,
) -> Decision:
    """The decision about a payment of a customer, at a merchant, from a device."""
    latitude, longitude = location or (None, None)
    names = dict(zip(("user_id", "merchant_id", "device_id"), entities, strict=True))
    request = {
        "event_time": at,
        "transaction_id": subject_id,
        "amount_minor": amount,
        "currency": "EUR",
        "payment_method": "card_not_present",
        "latitude": latitude,
        "longitude": longitude,
        **names,
    }
    moved = {"event_time": at, "received_at": at + SECOND, "decided_at": at + SECOND}
    return decision(subject_id, entities=names, request=request, **(moved | changes))


def label(subject_id: str, is_fraud: bool, at: int, source: str = "chargeback") -> Fact:
    """What became known of a payment."""
    return fact(subject_id, value=is_fraud, observed_at=at, source=source, received_at=at)


def seed_payments(url: str, ids: Callable[[int], str], version: str) -> None:
    """Add them to a database of records."""
    customer, device, merchant = (ids(number) for number in (CUSTOMER, DEVICE, MERCHANT))
    main = payment(
        ids(MAIN),
        AT,
        (customer, merchant, device),
        41_250,
        (48.1, 11.6),
        decision="REVIEW",
        score=0.62,
        model_version=version,
        features=FEATURES,
        reasons=REASONS,
        rule_hits=[RULE],
        rule_id=RULE,
        rules_version=packaged_version(),
        method="rule",
        answer={"decision": "REVIEW", "reason": "more than half of this device's payments"},
    )
    earlier = [
        payment(
            ids(number),
            AT - (1 + index) * 3 * HOUR,
            (customer, ids(MERCHANT + index % 3), ids(DEVICE + index % 2)),
            2_000 + 350 * index,
            (52.5 + index / 50, 13.4 - index / 40),
        )
        for index, number in enumerate(EARLIER)
    ]
    on_device = [
        payment(
            ids(number),
            AT + (index - 2) * HOUR,
            (ids(CUSTOMER + 1 + index), ids(MERCHANT + 5 + index), device),
            9_900 + index,
            None,
            score=0.31 + index / 10,
        )
        for index, number in enumerate(ON_DEVICE)
    ]
    at_merchant = [
        payment(
            ids(number),
            AT - (index + 1) * HOUR,
            (ids(CUSTOMER + 10 + index), merchant, ids(DEVICE + 10 + index)),
            3_000,
            None,
        )
        for index, number in enumerate(AT_MERCHANT)
    ]
    facts = [label(ids(number), True, AT + 5 * HOUR) for number in FRAUDS]
    facts += [label(ids(number), False, AT + 5 * HOUR, "review") for number in FINE]
    payments = [main, *earlier, *on_device, *at_merchant]
    with Records(url) as records, ReviewStore(url, "fraud") as reviews:
        keep_decisions(records, payments)
        records.record_labels(facts)
        # no service runs that would admit them
        reviews.remove_waiting([each.subject_id for each in payments])
