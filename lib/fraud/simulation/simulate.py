"""One seeded run of the simulator: payments, their labels and the truth."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import TIME, ContractError, write_parquet
from lib.fraud.contracts import TRANSACTIONS
from lib.fraud.simulation.config import SCENARIOS, SECOND_US, SimulationConfig
from lib.fraud.simulation.context import SimulationContext, World
from lib.fraud.simulation.data_faults import arrivals, with_data_faults
from lib.fraud.simulation.fraud_patterns import all_fraud
from lib.fraud.simulation.honest import honest_payments
from lib.fraud.simulation.outcomes import make_labels
from lib.fraud.simulation.payments import METHODS, NO_DEVICE, Floats, Ints, Payments, joined

CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated history.

    Attributes:
        transactions: in order of event_time (of arrival where retries or malformed rows are in),
            columns of `TRANSACTIONS`.
        labels: in order of observed_at, columns of `LABELS`.
        truth: transaction_id and scenario of every fraud, reported or not; the rest is honest.
    """

    transactions: pa.Table
    labels: pa.Table
    truth: pa.Table

    def write(self, directory: str | Path) -> list[Path]:
        """Write `transactions.parquet`, `labels.parquet` and `truth.parquet`, each at once.

        Raises:
            ContractError: `directory` is a file.
        """
        folder = Path(directory)
        tables = {"transactions": self.transactions, "labels": self.labels, "truth": self.truth}
        if folder.exists() and not folder.is_dir():
            raise ContractError(f"'{folder}' is a file; give a folder for {', '.join(tables)}")
        return [write_parquet(rows, folder / f"{name}.parquet") for name, rows in tables.items()]

    def summary(self) -> Iterator[tuple[str, int, float]]:
        """(scenario, payments, share of all payments), the largest first; `fraud` is their sum."""
        total = max(1, self.transactions.num_rows)
        counts = Counter(self.truth["scenario"].to_pylist())
        for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            yield name, count, count / total
        yield "fraud", self.truth.num_rows, self.truth.num_rows / total


def simulate(config: SimulationConfig, seed: int) -> Simulated:
    """Simulate a payment platform; the same configuration and seed give the same tables.

    What it assumes: customers of one city with twelve favourite merchants, gamma-distributed
    payment rates, log-normal amounts around each merchant's price, hours around each category's
    usual one in the customer's solar time, journeys at 700 km/h. Honest oddities make it hard:
    afternoons of many purchases, renewed and shared devices, refusals for lack of funds, sudden
    dear purchases, wrong places. The crimes are in `lib.fraud.simulation.fraud_patterns`. Of all
    numbers none is fitted to real payments; figures measured on it must say so.
    """
    generator = np.random.default_rng(seed)
    world = World.draw(generator, config)
    honest = honest_payments(world)
    crimes = all_fraud(SimulationContext(**vars(world), honest=honest))
    payments = joined([honest, crimes])
    payments = payments.take(np.argsort(payments.time, kind="stable"))
    ids = _numbered(f"{config.name_prefix}t", np.arange(len(payments)), width=9)
    transactions = _transactions(generator, config, payments, ids)
    return Simulated(
        transactions=with_data_faults(generator, config, transactions),
        labels=make_labels(generator, payments, ids),
        truth=_truth(payments, ids),
    )


def _transactions(
    generator: np.random.Generator, config: SimulationConfig, payments: Payments, ids: pa.Array
) -> pa.Table:
    count = len(payments)
    refused = payments.time + 2 * SECOND_US
    columns = {
        "transaction_id": ids,
        "event_time": pa.array(payments.time).cast(TIME),
        "received_at": pa.array(arrivals(generator, config, payments.time)).cast(TIME),
        "user_id": _pooled(f"{config.name_prefix}u", payments.user, 6),
        "merchant_id": _pooled(f"{config.name_prefix}m", payments.merchant, 6),
        "device_id": _devices(generator, config.name_prefix, payments.device),
        "amount_minor": pa.array(payments.amount),
        "currency": pa.repeat(CURRENCY, count),
        "payment_method": pa.array(METHODS).take(pa.array(payments.method)),
        "latitude": _rounded(payments.latitude),
        "longitude": _rounded(payments.longitude),
        "declined_from": pa.array(refused, mask=~payments.declined).cast(TIME),
    }
    return pa.table(columns, schema=TRANSACTIONS.schema)


def _numbered(letters: str, numbers: Ints, width: int) -> pa.Array:
    """Identifiers such as `u000042`; null where the number is negative."""
    texts = pc.utf8_lpad(pa.array(numbers, mask=numbers < 0).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(letters), texts, "")


def _pooled(letters: str, numbers: Ints, width: int) -> pa.Array:
    pool = _numbered(letters, np.arange(int(numbers.max(initial=0)) + 1), width)
    return pool.take(pa.array(numbers))


def _devices(generator: np.random.Generator, prefix: str, device: Ints) -> pa.Array:
    """Devices under shuffled numbers, so that no name tells whose they are."""
    devices, code = np.unique(device, return_inverse=True)
    names = generator.permutation(devices.size)
    names[devices == NO_DEVICE] = NO_DEVICE
    return _numbered(f"{prefix}d", names, 7).take(pa.array(code))


def _rounded(degrees: Floats) -> pa.Array:
    """Four decimals, some eleven metres; unknown is null."""
    return pa.array(np.round(degrees, 4), mask=np.isnan(degrees))


def _truth(payments: Payments, ids: pa.Array) -> pa.Table:
    fraud = np.flatnonzero(payments.scenario >= 0)
    names = pa.array(SCENARIOS).take(pa.array(payments.scenario[fraud]))
    return pa.table({"transaction_id": ids.take(pa.array(fraud)), "scenario": names})
