"""A simulated history as three Parquet files, and its summary."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import ContractError, write_parquet
from lib.fraud.simulation.simulate import Simulated

FILES = ("transactions", "labels", "truth")


def write_simulated(simulated: Simulated, directory: str | Path) -> dict[str, Path]:
    """Write `transactions.parquet`, `labels.parquet` and `truth.parquet`, each whole or not at all.

    Raises:
        ContractError: `directory` is a file.
    """
    folder = Path(directory)
    if folder.exists() and not folder.is_dir():
        raise ContractError(f"'{folder}' is a file; give a folder for {', '.join(FILES)}")
    return {
        name: write_parquet(getattr(simulated, name), folder / f"{name}.parquet") for name in FILES
    }


def summary(simulated: Simulated) -> Iterator[tuple[str, int, float]]:
    """(scenario, payments, share of all payments), the largest first; `fraud` is their sum."""
    total = max(1, simulated.transactions.num_rows)
    counted = pc.value_counts(pa.chunked_array(simulated.truth["scenario"].chunks, pa.string()))
    pairs = [(str(entry["values"]), int(entry["counts"].as_py())) for entry in counted]
    for name, count in sorted(pairs, key=lambda pair: (-pair[1], pair[0])):
        yield name, count, count / total
    frauds = simulated.truth.num_rows
    yield "fraud", frauds, frauds / total
