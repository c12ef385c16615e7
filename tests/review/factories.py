"""Payments that people look at, and the rules of their queue."""

from lib.records import Decision
from lib.review.settings import ReviewSettings
from tests.records.conftest import decision

SETTINGS = ReviewSettings(salt="tests")


def payment(amount_minor: int = 10_000, **changes: object) -> Decision:
    request = {"amount_minor": amount_minor, "currency": "EUR", "payment_method": "card"}
    fields = {"decision": "REVIEW", "score": 0.5, "request": request, **changes}
    return decision("t1", **fields)
