"""Payments to send by hand: a good one and one of each fraud, each with the history it needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Request = dict[str, Any]

_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
_BERLIN = (52.52, 13.405)
_SYDNEY = (-33.8688, 151.2093)


@dataclass(frozen=True, slots=True)
class Example:
    """A story told in payments.

    Attributes:
        name: `good`, one of the simulator's scenarios, or `quiet_takeover`.
        story: one sentence for people.
        history: requests to send before, in order of time.
        request: the payment that the story is about.
        declined: transaction_ids of the history that the issuer refused.
        labels: label requests (transaction_id, is_fraud, observed_at) known before `request`.
    """

    name: str
    story: str
    history: tuple[Request, ...]
    request: Request
    declined: tuple[str, ...] = ()
    labels: tuple[Request, ...] = ()


def scenario_examples(seed: int, now_us: int) -> tuple[Example, ...]:
    """A good payment, one of each fraud and one that no rule sees, as the HTTP API takes them.

    Args:
        seed: names the payments and varies the amounts; two seeds never share an identifier.
        now_us: time of the last payment of each story, microseconds UTC.
    """
    story = _Story(seed, now_us)
    return (
        story.good(),
        story.stolen_card(),
        story.compromised_merchant(),
        story.device_ring(),
        story.account_takeover(),
        story.card_testing(),
        story.quiet_takeover(),
    )


class _Story:
    def __init__(self, seed: int, now_us: int) -> None:
        self._seed = seed
        self._now_us = now_us
        self._generator = np.random.default_rng(seed)

    def good(self) -> Example:
        history = self._habits("good")
        request = self._pay("good", 0, 31.4, merchant="grocer")
        return Example("good", "The usual shop for about the usual sum.", history, request)

    def stolen_card(self) -> Example:
        name = "stolen_card"
        last = self._pay(name, 50 * _MINUTE_US, 12.9, merchant="bakery")
        request = self._pay(name, 0, 48.0, merchant="sydney-store", location=_SYDNEY)
        story = "Paid in Berlin; fifty minutes later the same card pays in Sydney."
        return Example(name, story, (*self._habits(name), last), request)

    def compromised_merchant(self) -> Example:
        name, shop = "compromised_merchant", "leaky-shop"
        history = [
            self._pay(
                name,
                (9 + number % 8) * _DAY_US + number * _HOUR_US,
                40.0 + number,
                shop,
                user=f"victim-{number}",
            )
            for number in range(24)
        ]
        labels = tuple(self._label(payment, _DAY_US) for payment in history[:20])
        request = self._pay(name, 0, 44.0, shop)
        story = "An ordinary sum at a shop where most cards were abused a week ago."
        return Example(name, story, self._after(name, history), request, labels=labels)

    def device_ring(self) -> Example:
        name, device = "device_ring", f"demo{self._seed}-ring-phone"
        history = [
            self._pay_online(
                name,
                (18 - number) * 8 * _HOUR_US,
                25.0 + number,
                f"shop-{number}",
                user=f"victim-{number}",
                device=device,
            )
            for number in range(18)
        ]
        labels = tuple(self._label(payment, 5 * _HOUR_US) for payment in history[:16])
        request = self._pay_online(name, 0, 38.0, "marketplace", device=device)
        story = "One device has paid for eighteen customers, and most of it came back as fraud."
        return Example(name, story, self._after(name, history), request, labels=labels)

    def account_takeover(self) -> Example:
        sums = [90.0 + 11 * number for number in range(13)]
        story = "A device never seen before makes its fourteenth payment within the hour."
        return self._takeover("account_takeover", "unknown-phone", story, 4, 5, sums, 310.0)

    def quiet_takeover(self) -> Example:
        sums = [38.0 + 3 * number for number in range(6)]
        story = "A new device, seven shops within the hour, ordinary sums: no rule sees it."
        return self._takeover("quiet_takeover", "other-phone", story, 8, 6, sums, 62.0)

    def _takeover(
        self,
        name: str,
        phone: str,
        story: str,
        minutes: int,
        shops: int,
        sums: list[float],
        last: float,
    ) -> Example:
        """Payments of `sums` from a new device, `minutes` apart; a little later one of `last`."""
        device = f"demo{self._seed}-{phone}"
        burst = [
            self._pay_online(
                name,
                (len(sums) + 1 - number) * minutes * _MINUTE_US,
                amount,
                f"online-{number % shops}",
                device=device,
            )
            for number, amount in enumerate(sums)
        ]
        request = self._pay_online(name, 0, last, "online-gifts", device=device)
        return Example(name, story, (*self._habits(name), *burst), request)

    def card_testing(self) -> Example:
        name = "card_testing"
        tries = [
            self._pay_online(name, (75 - 3 * number) * _MINUTE_US, 0.5 + 0.25 * number, "top-up")
            for number in range(18)
        ]
        request = self._pay_online(name, 0, 75.0, "electronics")
        story = "Eighteen tiny attempts, nearly all refused, and then a larger payment."
        declined = tuple(payment["transaction_id"] for payment in tries[:-1])
        return Example(name, story, (*self._habits(name), *tries), request, declined)

    def _after(self, name: str, payments: list[Request]) -> tuple[Request, ...]:
        """Payments and the customer's habits, in order of time."""
        requests = (*payments, *self._habits(name))
        return tuple(sorted(requests, key=lambda request: str(request["event_time"])))

    def _habits(self, name: str) -> tuple[Request, ...]:
        """Twelve ordinary payments of the month before, around home in Berlin."""
        sums = self._generator.normal(30.0, 6.0, 12).clip(5.0)
        shops = ("grocer", "bakery", "cafe")
        return tuple(
            self._pay(
                name,
                (26 - 2 * number) * _DAY_US + 3 * _HOUR_US,
                float(amount),
                merchant=shops[number % 3],
            )
            for number, amount in enumerate(sums)
        )

    def _pay_online(
        self, name: str, before_us: int, amount: float, merchant: str, **more: Any
    ) -> Request:
        online: dict[str, Any] = {"method": "card_not_present", "location": None}
        return self._pay(name, before_us, amount, merchant, **online, **more)

    def _pay(
        self,
        name: str,
        before_us: int,
        amount: float,
        merchant: str,
        user: str = "customer",
        method: str = "contactless",
        device: str | None = None,
        location: tuple[float, float] | None = _BERLIN,
    ) -> Request:
        shared = f"demo{self._seed}-{name}"
        own = f"{user}-{merchant}-{before_us // _MINUTE_US}m-before"
        return {
            "transaction_id": f"{shared}-{own}",
            "event_time": iso_time(self._now_us - before_us),
            "user_id": f"{shared}-{user}",
            "merchant_id": f"{shared}-{merchant}",
            "device_id": device if method == "card_not_present" else f"{shared}-{user}-phone",
            "amount": f"{amount:.2f}",
            "currency": "USD",
            "payment_method": method,
            **dict(zip(("latitude", "longitude"), location or (None, None), strict=True)),
        }

    def _label(self, payment: Request, before_us: int) -> Request:
        return {
            "transaction_id": payment["transaction_id"],
            "is_fraud": True,
            "observed_at": iso_time(self._now_us - before_us),
        }


def iso_time(microseconds: int) -> str:
    """ISO 8601 with microseconds and Z.

    >>> iso_time(1_735_689_600_000_000)
    '2025-01-01T00:00:00.000000Z'
    """
    return f"{np.datetime64(microseconds, 'us')}Z"
