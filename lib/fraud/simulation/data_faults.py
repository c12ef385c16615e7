"""What goes wrong on the way to us: late arrivals, retries, rows that no contract accepts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import TIME
from lib.contract.coercion import as_array
from lib.fraud.simulation.config import DAY_US, HOUR_US, MINUTE_US, SECOND_US, SimulationConfig
from lib.fraud.simulation.payments import Flags, Ints

FAULTS = (
    "latitude of 200",
    "negative amount",
    "no user",
    "empty merchant",
    "time of 1970",
    "amount beyond the largest",
)


def arrivals(generator: np.random.Generator, config: SimulationConfig, time: Ints) -> Ints:
    """When each payment reaches us: within two seconds, or up to a day late for some."""
    prompt = generator.exponential(0.3 * SECOND_US, time.size).clip(max=2.0 * SECOND_US)
    late = np.exp(generator.normal(np.log(30 * MINUTE_US), 1.2, time.size)).clip(max=DAY_US)
    is_late = generator.random(time.size) < config.late_share
    return time + np.where(is_late, late, prompt).astype(np.int64)


def with_data_faults(
    generator: np.random.Generator, config: SimulationConfig, table: pa.Table
) -> pa.Table:
    """`table` with retries and malformed rows put in, in the order of arrival."""
    parts = [table]
    if config.retry_share:
        parts.append(_retries(generator, config, table))
    if config.malformed_share:
        parts.append(_malformed(generator, config, table))
    if len(parts) == 1:
        return table
    all_rows = pa.concat_tables(parts)
    received = as_array(all_rows["received_at"]).cast(pa.int64()).to_numpy()
    return all_rows.take(pa.array(np.argsort(received, kind="stable")))


def _retries(generator: np.random.Generator, config: SimulationConfig, table: pa.Table) -> pa.Table:
    """The same payments again, seconds later, under the same transaction_id."""
    again = np.flatnonzero(generator.random(table.num_rows) < config.retry_share)
    rows = table.take(pa.array(again))
    received = as_array(rows["received_at"]).cast(pa.int64())
    later = generator.uniform(SECOND_US, MINUTE_US, again.size).astype(np.int64)
    return _replaced(rows, "received_at", pc.add(received, pa.array(later)).cast(TIME))


def _malformed(
    generator: np.random.Generator, config: SimulationConfig, table: pa.Table
) -> pa.Table:
    """Copies of payments under ids of their own, each with one of `FAULTS`, in turn."""
    count = max(len(FAULTS), round(config.malformed_share * table.num_rows))
    rows = table.take(pa.array(np.sort(generator.integers(0, table.num_rows, count))))
    kind = np.arange(count) % len(FAULTS)
    names = pa.array([f"bad{number:07d}" for number in range(count)])
    rows = _replaced(rows, "transaction_id", names)
    rows = _spoiled(rows, "latitude", kind == 0, 200.0)
    rows = _spoiled(rows, "longitude", kind == 0, 0.0)
    rows = _spoiled(rows, "amount_minor", kind == 1, -500)
    rows = _spoiled(rows, "user_id", kind == 2, None)
    rows = _spoiled(rows, "merchant_id", kind == 3, "")
    rows = _spoiled(rows, "event_time", kind == 4, pa.scalar(HOUR_US, TIME))
    return _spoiled(rows, "amount_minor", kind == 5, 10**12)


def _spoiled(table: pa.Table, name: str, mask: Flags, value: object) -> pa.Table:
    scalar = value if isinstance(value, pa.Scalar) else pa.scalar(value, table[name].type)
    return _replaced(table, name, pc.if_else(pa.array(mask), scalar, table[name]))


def _replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)
