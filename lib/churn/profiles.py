"""Features and standing of customers in a profile store.

Standing is no feature: that someone has given notice is what is foreseen, not a sign of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lib.churn.events import content_of, probes
from lib.churn.features import churn_features, untold
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature import (
    DAY,
    SECOND,
    Event,
    Feature,
    FeatureSet,
    LastValue,
    OnlineFeatures,
    ProfileReply,
    ProfileRequest,
    Quantity,
    events,
)
from lib.feature.attributes import Attribute
from lib.feature.measures import measure_columns

_DIGITS = 8
_EVER = 100 * 365 * DAY
_HAPPENS = (
    *("told", "used", "opened", "closed", "invoiced", "credited_minor", "paid", "failed"),
    *("surveyed", "noticed", "leaving"),
)


def _second_of(event_time: int) -> int:
    return event_time // SECOND


def _identity(number: int) -> int:
    return number


def _any(*numbers: int) -> int:
    flag = numbers[0] != 0
    for number in numbers[1:]:
        flag = flag | (number != 0)
    return flag * 1


_SECOND = Quantity("second", ("event_time",), _second_of)
_ENDS = Quantity("ends_day", ("ends_day",), _identity)
_NOTICE = Quantity("told", ("told",), _identity)
_LEAVING = Quantity("leaving", ("leaving",), _identity)
_HAPPENED = Quantity("happened", _HAPPENS, _any)
_WHEN, _WHEN_LEAVING = (_SECOND,), (_SECOND, _ENDS)
_SECONDS = "seconds since 1970"


STANDING = FeatureSet(
    name="churn_standing",
    version=1,
    features=tuple(
        Feature(name, unit, ("customer_id",), LastValue(value, when, _EVER, only))
        for name, unit, value, when, only in (
            ("newest", _SECONDS, _SECOND, _WHEN, _HAPPENED),
            ("told", _SECONDS, _SECOND, _WHEN, _NOTICE),
            ("noticed", _SECONDS, _SECOND, _WHEN_LEAVING, _LEAVING),
            ("ends", "days since 1970", _ENDS, _WHEN_LEAVING, _LEAVING),
        )
    ),
    id_column="event_id",
)
"""Keyed by customer like the features of `churn_features`."""


@dataclass(frozen=True)
class CustomerStatus:
    """Where a customer stands. Times in microseconds since 1970 UTC, None where nothing is told.

    Attributes:
        newest_us: of the newest happening, to the second.
        told_us: from when on the newest row of the customer itself holds.
        noticed_us: of the newest notice.
        ends_us: when the contract ends by it, where that is told.
    """

    newest_us: int | None
    told_us: int | None
    noticed_us: int | None
    ends_us: int | None

    @property
    def leaving(self) -> bool:
        """Whether the customer gave notice and has not come back; see `Leaving.returns`."""
        if self.noticed_us is None:
            return False
        ended = self.noticed_us if self.ends_us is None else max(self.ends_us, self.noticed_us)
        return self.told_us is None or self.told_us <= ended


def status_of(values: Mapping[str, float]) -> CustomerStatus:
    """Where a customer stands, from the values of `STANDING`."""

    def time(name: str, unit: int) -> int | None:
        value = values[name]
        return None if value != value or value <= 0 else int(value) * unit  # noqa: PLR0124

    return CustomerStatus(
        time("newest", SECOND), time("told", SECOND), time("noticed", SECOND), time("ends", DAY)
    )


def online_features(base: CustomerVocabulary) -> FeatureSet:
    """The features of `churn_features`, under a name that no other vocabulary has.

    Profiles hold codes of segments, plans and attributes, whose meaning is the base's, and what
    its feature file counts: after another base is put in force they are empty, not wrong, until
    rows are sent again.
    """
    features = churn_features(base)
    text = "\x00".join(("", *base.segments, "", *base.plans))
    if base.attributes:
        text = "\x00".join((text, "", *(repr(_stored(each)) for each in base.attributes)))
    if base.feature_file:
        kept = (column for measure in features.measures() for column in measure_columns(measure))
        text = "\x00".join((text, "", *kept))
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return replace(features, name=f"{features.name}-{digest}")


def _stored(attribute: Attribute) -> tuple[object, ...]:
    """What the meaning of a stored number depends on."""
    return attribute.name, attribute.type, attribute.vocabulary


@dataclass(frozen=True)
class CustomerFeatures:
    """A customer as of a moment.

    Attributes:
        customer_id, at_us: who and when.
        values: features by name, NaN where nothing is told.
        standing: whether it is there at all.
    """

    customer_id: str
    at_us: int
    values: Mapping[str, float]
    standing: CustomerStatus

    @property
    def known(self) -> bool:
        """Whether a row of the customer itself was ever told."""
        return self.standing.told_us is not None


class OnlineCustomers:
    """Plans the exchanges of customers' features and standing, one exchange for both.

    Args:
        base: vocabularies.
        receipt_seconds: how long a row that is told again is recognised.
    """

    def __init__(self, base: CustomerVocabulary, receipt_seconds: int) -> None:
        self._features = OnlineFeatures(online_features(base), receipt_seconds)
        self._standing = OnlineFeatures(STANDING, receipt_seconds)
        self._untold = frozenset(untold(base))

    def request(self, event: Event) -> ProfileRequest:
        """The exchange that tells a happening; one of the same id with other content is another."""
        features = self._features.request(event, content_of(event))
        return _both(features, self._standing.request(event))

    def look(self, event: Event) -> ProfileRequest:
        """The exchange that asks at a probe, and changes nothing."""
        return _both(self._features.look(event), self._standing.look(event))

    def read(self, event: Event, reply: ProfileReply) -> CustomerFeatures:
        """The customer of an event, as it was before it."""
        cut = len(reply.profiles) - 1
        features = self._features.read(event, reply._replace(profiles=reply.profiles[:cut]))
        stands = self._standing.read(event, reply._replace(profiles=reply.profiles[cut:]))
        values = {
            name: float("nan") if name in self._untold else features.values[name]
            for name in self._features.features.names
        }
        return CustomerFeatures(
            str(event["customer_id"]),
            int(event["event_time"]),
            values,
            status_of(stands.values),
        )


def _both(features: ProfileRequest, standing: ProfileRequest) -> ProfileRequest:
    return features._replace(parts=features.parts + standing.parts)


def probe(
    customer_id: str, at_us: int, request_id: str, base: CustomerVocabulary | None = None
) -> dict[str, Any]:
    """The event at which a customer is looked at; one asked again sees what the first one saw.

    Args:
        customer_id: who.
        at_us: microseconds UTC.
        request_id: names the request.
        base: in whose stream it stands.
    """
    event = events(probes([customer_id], np.array([at_us], dtype=np.int64), base))[0]
    return {**event, "event_id": f"{event['event_id']}:{request_id}"}
