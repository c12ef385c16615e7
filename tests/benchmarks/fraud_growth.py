"""What features of 1 and 10 million simulated payments cost, by the product's own jobs.

`python -m tests.benchmarks.fraud_growth`. For each size `jobs.fraud.simulate` makes the payments,
as several platforms of up to ten million each, and `jobs.fraud.features` computes their features
from file to file. The last line is one JSON object: for each size the seconds of both jobs, rows
per second, the most memory that the job and all its processes held, and the bytes that Ray wrote
to disk for want of memory; and the cost of a row relative to that at the smallest size, in seconds
(the start of Ray included) and in processor time of all processes.

The files of a size are deleted before the next one begins. Of ten million payments, files and
shuffles take 5.3 GB at their most.
"""

import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import tyro

from tests.benchmarks.process_tree import Usage, run_job
from tests.benchmarks.result import print_result

PLATFORM_ROWS = 10_000_000
DAYS = 90
_PAYMENTS_OF_A_USER = 1.66  # a day, sprees and frauds included


@dataclass(frozen=True)
class Config:
    """Measure how the cost of a payment grows with their number."""

    sizes: tuple[int, ...] = (1_000_000, 10_000_000)
    """About how many payments, ascending."""
    folder: Path | None = None
    """Where files are kept meanwhile, of a short name; a temporary folder if absent."""
    partitions: int = 0
    """Blocks per shuffle of the job; 0 lets it choose."""
    seed: int = 7
    """Of the first platform; the next ones count up from it."""


def simulate(folder: Path, size: int, seed: int) -> tuple[int, Usage]:
    """Payments and labels of some platforms; how many payments, and what the largest run took."""
    platforms = -(-size // PLATFORM_ROWS)
    rows, usage = 0, Usage()
    for number in range(platforms):
        users = round(size / platforms / DAYS / _PAYMENTS_OF_A_USER)
        output = folder / "platform"
        options = {
            "users": users,
            "days": DAYS,
            "seed": seed + number,
            "name-prefix": f"p{number}",
            "output": output,
        }
        own = run_job("jobs.fraud.simulate", _options(options), folder / "tmp")
        usage.seconds += own.seconds
        usage.peak_mb = max(usage.peak_mb, own.peak_mb)
        for table in ("transactions", "labels"):
            (folder / table).mkdir(exist_ok=True)
            (output / f"{table}.parquet").rename(folder / table / f"{number:03}.parquet")
        rows += pq.read_metadata(folder / "transactions" / f"{number:03}.parquet").num_rows
    return rows, usage


def features(folder: Path, partitions: int) -> Usage:
    """What the features of the payments in a folder took."""
    tables = {name: folder / name for name in ("transactions", "labels")}
    options = {**tables, "output": folder / "features", "partitions": partitions}
    return run_job("jobs.fraud.features", _options(options), folder / "tmp")


def _options(values: dict[str, Any]) -> list[str]:
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def measure(config: Config, folder: Path, size: int) -> dict[str, Any]:
    """Both jobs at one size; leaves nothing behind."""
    rows, simulated = simulate(folder, size, config.seed)
    source_mb = _megabytes(folder / "transactions")
    print(
        f"{rows:,} payments simulated in {simulated.seconds:.0f} s, {source_mb:,.0f} MB", flush=True
    )
    used = features(folder, config.partitions)
    output_mb = _megabytes(folder / "features" / "data")
    print(
        f"{rows:,} payments with features in {used.seconds:.0f} s: {rows / used.seconds:,.0f} "
        f"rows/s, {used.peak_mb:,.0f} MB of memory, {used.spilled_mb:,.0f} MB spilled "
        f"({used.most_spilled_mb:,.0f} MB at once), {output_mb:,.0f} MB written",
        flush=True,
    )
    shutil.rmtree(folder)
    public = {name: round(value, 1) for name, value in asdict(used).items() if name[0] != "_"}
    return {
        "rows": rows,
        **public,
        "rows_per_s": round(rows / used.seconds),
        "simulation_s": round(simulated.seconds, 1),
        "simulation_peak_mb": round(simulated.peak_mb),
        "source_mb": round(source_mb),
        "output_mb": round(output_mb),
    }


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(config: Config) -> None:
    """Measure each size, print a line for each and the JSON line."""
    started = time.perf_counter()
    above = config.folder or Path(tempfile.gettempdir())
    sizes: dict[str, dict[str, Any]] = {}
    for size in config.sizes:
        folder = Path(tempfile.mkdtemp(prefix="grow", dir=above))
        try:
            sizes[str(size)] = measure(config, folder, size)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    growth, cpu_growth = cost_growth(sizes, "seconds"), cost_growth(sizes, "cpu_seconds")
    print(f"cost of a payment relative to the smallest size: {growth}, of processors: {cpu_growth}")
    print_result(
        sum(used["rows"] for used in sizes.values()),
        time.perf_counter() - started,
        sizes=sizes,
        cost_growth=growth,
        cpu_growth=cpu_growth,
    )


def cost_growth(sizes: dict[str, dict[str, Any]], measured: str) -> dict[str, float]:
    """What a payment took at each size, relative to the first of them."""
    costs = {size: used[measured] / used["rows"] for size, used in sizes.items()}
    first = next(iter(costs.values()))
    return {size: round(cost / first, 3) for size, cost in costs.items()}


if __name__ == "__main__":
    main(tyro.cli(Config))
