"""A contract of parcels, which no system owns: the tests' own example."""

import pyarrow as pa

from lib.contract import (
    MINOR_UNITS,
    Column,
    Contract,
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

MACHINES = Contract(
    name="telemetry",
    columns=(
        Column("machine_id", pa.string(), "names the machine"),
        time_column("event_time", "when it was read"),
    ),
    key=("machine_id", "event_time"),
    extras=Column("", pa.float64(), "a sensor", required=False),
)


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


def parcels(file: str = ""):
    return parse_mapping(TEXT.format(file=file), [PARCELS], "p.yaml")
