"""How fast rules are: `python -m tests.benchmarks.rules`. Last line: one JSON object.

The five fraud rules on made-up payments, of which about 2% hit a rule: one row at a time through
`RuleSet.evaluate`, the same conditions through rule-engine's own `matches`, and a whole table
through `RuleSet.evaluate_table`.
"""

import json
import os
import platform
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import rule_engine
import tyro

from lib.fraud.features import FRAUD
from lib.fraud.rules import RULES_FILE, rule_fields
from lib.rules import RuleSet, load_rules

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Config:
    """What to measure on."""

    rows: int = 1_000_000
    """Rows of the table."""
    single_rows: int = 20_000
    """Rows of the one-by-one runs."""
    repeats: int = 7
    """Runs of each; the median counts."""


def made_up(rows: int, names: frozenset[str], seed: int = 7) -> pa.Table:
    """Return exponential values with 5% holes, scaled so that each rule hits rarely."""
    random = np.random.default_rng(seed)
    scale = {"amount_zscore": 2.0, "txn_count_by_user_1h": 2.0, "txn_count_by_user_30d": 40.0}
    columns = {}
    for name in sorted(names):
        values = random.exponential(scale.get(name, 0.06), rows)
        if name == "impossible_velocity":
            values = (random.random(rows) < 0.005).astype(float)
        columns[name] = np.where(random.random(rows) < 0.05, np.nan, values)
    return pa.table(columns)


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median wall time of `run`, warmed up once."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def per_row_us(run: Callable[[dict[str, object]], object], rows: Rows, repeats: int) -> float:
    """Return microseconds per row of `run`."""
    return 1e6 * median_seconds(lambda: [run(row) for row in rows], repeats) / len(rows)


def rule_engine_runner(rules: RuleSet) -> Callable[[dict[str, object]], object]:
    """Return rule-engine's own answer to all conditions of a row; holes are left as zero."""
    parsed = [rule_engine.Rule(rule.when) for rule in rules.rules]
    return lambda row: [rule.matches(row) for rule in parsed]


def measure(config: Config) -> dict[str, object]:
    """Run everything and return the figures."""
    start = time.perf_counter()
    rules = load_rules(RULES_FILE.read_text(), rule_fields(FRAUD.names))
    table = made_up(config.rows, rules.fields)
    rows = table.slice(0, config.single_rows).to_pylist()
    complete_rows = [
        {name: 0.0 if value != value else value for name, value in row.items()} for row in rows
    ]
    row_us = per_row_us(rules.evaluate, rows, config.repeats)  # type: ignore[arg-type]
    engine_us = per_row_us(rule_engine_runner(rules), complete_rows[:2000], 3)
    table_s = median_seconds(lambda: rules.evaluate_table(table), config.repeats)
    return {
        "rules": len(rules.rules),
        "row_us": round(row_us, 3),
        "row_us_per_rule": round(row_us / len(rules.rules), 3),
        "rule_engine_row_us": round(engine_us, 1),
        "table_rows_per_s": round(config.rows / table_s),
        "share_hit": round(float(np.mean([bool(rules.evaluate(row).hits) for row in rows])), 4),
        "rows_read": config.rows,
        "seconds": round(time.perf_counter() - start, 2),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
        "version": tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"],
    }


def main() -> None:
    """Print the figures, one a line, then as JSON."""
    figures = measure(tyro.cli(Config, description=__doc__))
    for name, value in figures.items():
        print(f"{name:20} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
