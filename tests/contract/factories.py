"""Contracts of parcels and of places, which no system owns: the tests' own examples."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from lib.contract import (
    MINOR_UNITS,
    Column,
    Contract,
    ContractError,
    Precedes,
    parse_mapping,
    time_column,
)

PARCELS = Contract(
    name="parcels",
    columns=(
        Column("parcel_id", pa.string(), "names the parcel", max_length=12),
        time_column("sent_at", "when it left"),
        time_column("arrived_at", "when it came", required=False, fallback="sent_at"),
        Column("weight_kg", pa.float64(), "weight", unit="kg", low=0.0, high=100.0),
        Column("postage_minor", pa.int64(), "postage", unit=MINOR_UNITS, low=0, high=10**8),
        Column("kind", pa.string(), "size", values=("small", "large")),
        Column("fragile", pa.bool_(), "handle with care", required=False),
        Column("latitude", pa.float64(), "where to", required=False, low=-90.0, high=90.0),
        Column("longitude", pa.float64(), "where to", required=False, low=-180.0, high=180.0),
    ),
    key=("parcel_id",),
    retry_may_differ=("arrived_at",),
    first_by=("arrived_at",),
    together=(("latitude", "longitude"),),
    precedes=(Precedes("sent_at", "arrived_at", 3_600_000_000),),
)

PLACES = Contract(
    name="places",
    columns=(
        Column("place_id", pa.string(), "names the place", max_length=20),
        time_column("seen_at", "when it was seen"),
        time_column("until", "until when, if known", required=False, lenient=True),
        Column("seats", pa.int64(), "seats", required=False, low=0, high=1e6, lenient=True),
        Column("turned_away", pa.int64(), "0 where nothing is said", required=False, low=0),
        Column("latitude", pa.float64(), "", False, low=-90.0, high=90.0, lenient=True),
        Column("longitude", pa.float64(), "", False, low=-180.0, high=180.0, lenient=True),
    ),
    key=("place_id",),
    together=(("latitude", "longitude"),),
)

MACHINES = Contract(
    name="telemetry",
    columns=(
        Column("machine_id", pa.string(), "names the machine"),
        time_column("event_time", "when it was read"),
    ),
    key=("machine_id", "event_time"),
    extras=Column("", pa.float64(), "a sensor", required=False),
)


UNCONVERTIBLE = (
    ("kelvinn", "degC", "unknown unit 'kelvinn'"),
    ("kHZ", "Hz", "unknown unit 'kHZ'; did you mean 'kHz'"),
    ("bar", "hPa", "unknown unit 'hPa'; did you mean"),
    ("bar", "degC", "'bar' measures pressure, 'degC' measures temperature"),
)
"""Unit of a source, unit to be converted into, and what the refusal says."""
TEXT = """
contract: parcels
{file}
columns:
  parcel_id: ID
  sent_at: {{from: SENT, timezone: UTC}}
  weight_kg: WEIGHT
  postage_minor: {{from: PAID, unit: major, currency_digits: 2}}
  kind: {{value: small}}
"""


SUBSCRIPTIONS = """
contract: customers
currencies: {settlement: USD, rates: {JPY: {per_million: 6700}}}
columns:
  customer_id: account
  event_time: {from: since, timezone: UTC}
  contract_start: {from: since, timezone: UTC}
  segment: {value: small}
  plan: plan
  seats: seats
  mrr_minor: {from: mrr, unit: major, currency_from: currency}
"""
"""A mapping of accounts with several subscriptions, whose `aggregate` section is still to come."""


def refusal(attempt: Callable[[], object]) -> str:
    """What a contract says against what is tried."""
    with pytest.raises(ContractError) as stopped:
        attempt()
    return str(stopped.value)


def parcels(file: str = ""):
    return parse_mapping(TEXT.format(file=file), [PARCELS], "p.yaml")
