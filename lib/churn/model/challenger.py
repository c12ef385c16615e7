"""A challenger of customers as its own process loads and asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgpack

from lib.churn.model.model import ChurnModel, load_model
from lib.churn.model.scores import score_customers
from lib.churn.profiles import CustomerFeatures, CustomerStatus
from lib.churn.vocabulary import parse_vocabulary
from lib.experiment.challenger import Challenger

_UNTOLD = CustomerStatus(None, None, None, None)
_OWN = ("customer_id", "as_of")
"""Columns of a score that whoever asks knows better."""


@dataclass(frozen=True)
class ContactSettings:
    """What a decision needs of a model beside its score.

    Attributes:
        version: in the registry.
        window_days: within which a customer may leave.
        capacity: share of customers that the team can look after.
        threshold: probability from which one is among them.
    """

    version: str | None
    window_days: int
    capacity: float
    threshold: float

    @classmethod
    def of(cls, model: ChurnModel) -> ContactSettings:
        """Those of a model."""
        return cls(model.version, model.target.window_days, model.capacity, model.threshold)


def _answers(model: ChurnModel, inputs: Sequence[bytes]) -> list[dict[str, Any]]:
    """`score`, the probability to leave, and the model's columns of `scores_table`."""
    rows = score_customers(model, [_customer(packed) for packed in inputs]).to_pylist()
    return [{"score": row["chance"], "row": _columns(row)} for row in rows]


def load(directory: Path, options: Mapping[str, Any]) -> Challenger:
    """See `lib.experiment.challenger.Loader`; `base`: YAML of the vocabulary of customers."""
    model = load_model(directory, parse_vocabulary(options["base"]))
    return Challenger(asdict(ContactSettings.of(model)), partial(_answers, model))


def pack_customer(customer: CustomerFeatures) -> bytes:
    """A customer's features, as bytes."""
    packed: bytes = msgpack.packb([customer.customer_id, customer.at_us, dict(customer.values)])
    return packed


def score_of(
    answer: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ContactSettings]:
    """What the challenger says of a customer: columns of `scores_table` without its features."""
    return answer["row"], ContactSettings(**about)


def _customer(packed: bytes) -> CustomerFeatures:
    customer_id, at_us, values = msgpack.unpackb(packed)
    return CustomerFeatures(customer_id, at_us, values, _UNTOLD)


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without the features and what the caller knows."""
    return {
        name: value
        for name, value in row.items()
        if name not in _OWN and not name.startswith("feature:")
    }
