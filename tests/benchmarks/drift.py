"""False incidents in months without drift, and how planted drifts are named.

Four systems make an installation: payments of the Handbook (a ninth of the customers, about 1,000
a day), hourly readings of Azure's machines, invoice lines of a wholesaler, tweets (which have no
times and are put into days of 200 at random). A file that is not given is replaced by simulated
rows, and the output says so. A replay draws days for the reference, and months from the other days,
within weekdays, so that nothing drifts. Then twelve changes are planted on the other days.

False incidents are counted over all systems and measures, per 90 days; the interval draws replays
with replacement. A planted drift counts as named where an incident has its measure and its kind
within two windows of its beginning. With `--other-tools`, interpreters that have Evidently and
NannyML, the same windows go through their defaults: for them an incident is a column that is called
drifted in a row of windows, `named` the share of planted drifts whose column is called so within
two windows (their results name no kind, and nothing about rows, hours or duplicates).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.drifting.days import Stream, machines, payments, retail, tweets
from tests.benchmarks.drifting.planted import PLANTED, Planted
from tests.benchmarks.drifting.replay import Replay
from tests.benchmarks.result import print_result

MONTH = 30
CHAIN = 10
QUIET = 21
SYSTEMS = 4
TOOLS = Path(__file__).parent / "drifting" / "other_tools.py"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transactions", type=Path, help="handbook_transactions.parquet")
    parser.add_argument("--machines", type=Path, help="folder of PdM_*.parquet")
    parser.add_argument("--retail", type=Path, help="online_retail.parquet")
    parser.add_argument("--posts", type=Path, help="folder of labeled_data.parquet")
    parser.add_argument("--months", type=int, default=1_000, help="without drift, in all")
    parser.add_argument("--replays", type=int, default=20, help="references drawn")
    parser.add_argument("--planted", type=int, default=20, help="times each drift is planted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--other-tools",
        type=Path,
        nargs="*",
        default=[],
        help="interpreters with Evidently, with NannyML (they ask for different pandas)",
    )
    parser.add_argument("--compared", type=int, default=3, help="replays given to other tools")
    return parser.parse_args()


def quiet_months(replays: list[Replay], months: int, rng: np.random.Generator) -> Counter[str]:
    """False incidents by measure and kind, of an installation, `CHAIN` months in a row."""
    incidents: Counter[str] = Counter()
    for start in range(0, months, CHAIN):
        days = min(CHAIN, months - start) * MONTH
        for replay in replays:
            windows = replay.windows(replay.draw_days(days, rng))
            for incident in replay.incidents(windows, SYSTEMS):
                name = f"{replay.stream.name}: {incident.measure}: {incident.kind}"
                incidents[name] += 1
    return incidents


def interval(counts: list[int], months: int, rng: np.random.Generator) -> tuple[float, ...]:
    """False incidents per 90 days, and 95% of draws of replays."""
    rates = np.array(counts) / months * 3.0
    draws = rng.choice(rates, (2_000, len(rates))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(rates.mean()), float(low), float(high)


def plant(replay: Replay, planted: Planted, rng: np.random.Generator) -> dict[str, object]:
    """What is said of one planted drift."""
    days = replay.draw_days(QUIET + 7, rng)
    windows = replay.windows(days[:QUIET])
    changed = [
        (QUIET + at, planted.change(replay.stream.days[day], rng))
        for at, day in enumerate(days[QUIET:])
        if day is not None
    ]
    windows += [replay.changed(rows, at) for at, rows in changed]
    incidents = replay.incidents(windows, SYSTEMS)
    begins = windows[QUIET].since
    right = [
        sum(window.until <= incident.opened_at for window in windows[QUIET:])
        for incident in incidents
        if incident.measure == planted.measure
        and incident.kind is planted.kind
        and incident.opened_at > begins
    ]
    others = sorted(
        {
            f"{incident.measure}: {incident.kind}"
            for incident in incidents
            if incident.measure != planted.measure or incident.kind is not planted.kind
        }
    )
    return {"delay": min(right, default=None), "others": others}


def compared(
    replay: Replay, changes: list[Planted], tools: list[Path], rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """Other tools on a month without drift and on planted drifts of one replay."""
    month = [replay.stream.days[day] for day in replay.draw_days(MONTH, rng) if day is not None]
    figures: dict[str, dict[str, float]] = {}
    planted = {
        change.column: [
            change.change(replay.stream.days[day], rng)
            for day in replay.draw_days(2, rng)
            if day is not None
        ]
        for change in changes
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = [replay.stream.days[day] for day in replay.reference_days]
        _write(folder / "reference.parquet", reference)
        parts = [month, *planted.values()]
        _write(folder / "windows.parquet", [rows for part in parts for rows in part])
        alarms_by_tool = _answers(tools, folder)
    for tool, alarms in alarms_by_tool.items():
        false = sum(_begins(flags[: len(month)]) for flags in alarms.values())
        figures[tool] = {"false": false, "days": len(month), "named": 0, "planted": 0}
        at = len(month)
        for column, rows in planted.items():
            flags = alarms.get(column, [])[at : at + len(rows)]
            figures[tool]["named"] += any(flags)
            figures[tool]["planted"] += 1
            at += len(rows)
    return figures


def _answers(tools: list[Path], folder: Path) -> dict[str, dict[str, list[bool]]]:
    """What each tool says; what none of the interpreters can compute is left out."""
    answers: dict[str, dict[str, list[bool]]] = {}
    for interpreter in tools:
        command = [str(interpreter), str(TOOLS), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0:
            raise RuntimeError(f"{interpreter}: {done.stderr[-2_000:]}")
        for tool, alarms in json.loads(lines[-1]).items():
            if isinstance(alarms, str):
                print(f"{interpreter}: {tool}: {alarms}")
            else:
                answers[tool] = alarms
    return answers


def _write(path: Path, days: list[pd.DataFrame]) -> None:
    tables = [
        rows.drop(columns=["entity_id", "at"]).assign(window=at) for at, rows in enumerate(days)
    ]
    pd.concat(tables, ignore_index=True).to_parquet(path)


def _begins(flags: list[bool]) -> int:
    """Runs of windows that are called drifted."""
    return sum(flag and not (at and flags[at - 1]) for at, flag in enumerate(flags))


def false_incidents(
    streams: list[Stream], options: argparse.Namespace, rng: np.random.Generator
) -> tuple[list[list[Replay]], dict[str, float]]:
    """All replays, and the rate of false incidents in their months."""
    months = max(1, options.months // options.replays)
    installations, counts, kinds = [], [], Counter[str]()
    for number in range(options.replays):
        replays = [Replay.draw(stream, rng) for stream in streams]
        incidents = quiet_months(replays, months, rng)
        kinds.update(incidents)
        counts.append(sum(incidents.values()))
        installations.append(replays)
        print(f"replay {number + 1}: {counts[-1]} false incidents in {months} months", flush=True)
    rate, low, high = interval(counts, months, rng)
    print(f"false incidents per 90 days: {rate:.2f} ({low:.2f} to {high:.2f})")
    for name, count in kinds.most_common(12):
        print(f"  {count:4d}  {name}")
    return installations, {
        "false_incidents_per_90_days": rate,
        "false_incidents_per_90_days_low": low,
        "false_incidents_per_90_days_high": high,
        "months": months * options.replays,
    }


def planted_drifts(
    installations: list[list[Replay]], times: int, rng: np.random.Generator
) -> dict[str, object]:
    """Share that is named within two windows, and the delay of those that are named at all."""
    by_name: dict[str, list[dict[str, object]]] = {}
    for planted in PLANTED:
        for number in range(times):
            replays = installations[number % len(installations)]
            replay = next(each for each in replays if each.stream.name == planted.stream)
            by_name.setdefault(planted.name, []).append(plant(replay, planted, rng))
    print(f"{'planted':<20}{'named':>8}{'delay':>8}  other incidents")
    shares, delays = {}, []
    for name, answers in by_name.items():
        delay = [answer["delay"] for answer in answers if answer["delay"] is not None]
        shares[name] = sum(each <= 2 for each in delay) / len(answers)
        delays += delay
        others = Counter(other for answer in answers for other in answer["others"])
        text = ", ".join(f"{other} {count}" for other, count in others.most_common(3))
        middle = float(np.mean(delay)) if delay else float("nan")
        print(f"{name:<20}{shares[name]:>8.0%}{middle:>8.2f}  {text}")
    named = float(np.mean(list(shares.values())))
    print(f"named within two windows: {named:.1%}")
    return {
        "named": named,
        "delay_windows": float(np.mean(delays)),
        "named_by_drift": shares,
        "planted": times * len(PLANTED),
    }


def other_tools(
    installations: list[list[Replay]], options: argparse.Namespace, rng: np.random.Generator
) -> dict[str, object]:
    """Evidently and NannyML on the same kind of windows, or that they are not installed."""
    if not options.other_tools:
        print("Evidently, NannyML: not installed (--other-tools)")
        return {"evidently": "not installed", "nannyml": "not installed"}
    sums: dict[str, Counter[str]] = {}
    for replays in installations[: options.compared]:
        for replay in replays:
            changes = [
                each for each in PLANTED if each.stream == replay.stream.name and each.column
            ]
            for tool, figures in compared(replay, changes, options.other_tools, rng).items():
                sums.setdefault(tool, Counter()).update(figures)
    answer: dict[str, object] = {"evidently": "failed", "nannyml": "failed"}
    for tool, figures in sums.items():
        days = figures["days"] / len(installations[0])
        rate = figures["false"] / days * 90.0
        named = figures["named"] / max(figures["planted"], 1)
        print(f"{tool}: {rate:.0f} false incidents per 90 days, {named:.0%} of columns flagged")
        answer[tool] = {
            "false_incidents_per_90_days": rate,
            "named": named,
            "days": days,
            "kind_named": False,
        }
    return answer


def main() -> None:
    """Replay, plant, compare."""
    options, started = arguments(), time.perf_counter()
    rng = np.random.default_rng(options.seed)
    streams = [
        payments(options.transactions, rng),
        machines(options.machines, rng),
        retail(options.retail, rng),
        tweets(options.posts, rng),
    ]
    for stream in streams:
        rows = np.median([len(day) for day in stream.days])
        print(f"{stream.name}: {stream.source}; {len(stream.days)} days of about {rows:.0f} rows")
    installations, quiet = false_incidents(streams, options, rng)
    drifts = planted_drifts(installations, options.planted, rng)
    others = other_tools(installations, options, rng)
    read = sum(stream.rows_read for stream in streams)
    seconds = time.perf_counter() - started
    sources = {stream.name: stream.source for stream in streams}
    print_result(read, seconds, **quiet, **drifts, **others, sources=sources)


if __name__ == "__main__":
    main()
