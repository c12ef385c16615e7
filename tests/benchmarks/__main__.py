"""All benchmarks in turn: `python -m tests.benchmarks`, with a page of their figures.

Benchmarks on real data need `--transactions FILE` (payments), `--machines FOLDER` (with azure_pdm,
cmapss_fd001 and cwru_bearing in it), `--retail FILE` (UCI Online Retail as Parquet) or
`--posts FOLDER` (pieces of posts); without it they are left out and said so.
Every benchmark runs in a process of its own; one that fails is reported, and the status is 1.
"""

import sys
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import tyro

from tests.benchmarks.process import run
from tests.benchmarks.result import ROOT

ALWAYS: dict[str, tuple[str, ...]] = {
    "rules": (),
    "fraud_scoring": (),
    "fraud_latency": (),
    "cluster": (),
    "survival_classic": (),
    "maintenance_parity": (),
    "maintenance_schedule": (),
    "maintenance_year": (),
    "churn_accounts": (),
    "churn_interventions": (),
    "moderation_latency": (),
    "systems_latency": (),
    "moderation_queue": (),
    "moderation_bad_input": (),
    "media_bombs": (),
    "fuzz": (),
    "strangers": (),
    "challenger": (),
    "fraud_attributes": (),
    "moderation_attributes": (),
    "outages": (),
    "console": ("--rounds", "4"),
}
ON_PAYMENTS: dict[str, tuple[str, ...]] = {
    "fraud_handbook": (),
    "fraud_features": (),
    "fraud_parity": ("--store", "redis"),
    "delayed_labels": (),
}
ON_MACHINES = {
    "maintenance_azure": "azure_pdm",
    "maintenance_cmapss": "cmapss_fd001",
    "maintenance_cwru": "cwru_bearing",
}


@dataclass(frozen=True)
class Config:
    """Run the benchmarks and write a page of their figures."""

    transactions: str | None = None
    """Parquet file of payments (the Fraud Detection Handbook's) for those that need real ones."""
    machines: str | None = None
    """Folder of real data about machines for those that need it."""
    retail: str | None = None
    """Parquet file of UCI Online Retail for the benchmark of churn."""
    posts: str | None = None
    """Folder of real pieces of posts (davidson, hatecheck, cifar10, fight_clips) for moderation."""
    output: Path = Path("var/benchmarks.html")
    """The page."""
    only: tuple[str, ...] = ()
    """Names of the benchmarks to run; all if empty."""


def main(config: Config) -> int:
    """Run and write; returns the exit status."""
    chosen = dict(ALWAYS)
    if config.transactions:
        extra = ("--transactions", config.transactions)
        chosen |= {name: (*extra, *options) for name, options in ON_PAYMENTS.items()}
    else:
        print(f"left out, they need --transactions FILE: {', '.join(ON_PAYMENTS)}")
    if config.machines:
        folder = Path(config.machines)
        chosen |= {name: ("--data", str(folder / part)) for name, part in ON_MACHINES.items()}
    else:
        print(f"left out, they need --machines FOLDER: {', '.join(ON_MACHINES)}")
    if config.retail:
        chosen["churn_online_retail"] = ("--data", config.retail)
    else:
        print("left out, it needs --retail FILE: churn_online_retail")
    if config.posts:
        chosen["moderation"] = ("--data", config.posts)
        chosen["moderation_hatecheck"] = ("--data", config.posts)
        chosen["moderation_active_learning"] = ("--data", f"{config.posts}/davidson")
    else:
        print(
            "left out, they need --posts FOLDER: moderation, moderation_hatecheck, "
            "moderation_active_learning"
        )
    results: dict[str, dict[str, Any]] = {}
    failed: list[str] = []
    for name, options in chosen.items():
        if config.only and name not in config.only:
            continue
        print(f"\n== {name} {' '.join(options)}", flush=True)
        result = run(name, options)
        if result is None:
            failed.append(name)
        else:
            results[name] = result
    output = ROOT / config.output
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    partial.write_text(page(results, failed))
    partial.replace(output)
    print(f"\nfigures: {output}")
    if failed:
        print(f"error: failed: {', '.join(failed)}")
    return 1 if failed else 0


def page(results: dict[str, dict[str, Any]], failed: list[str]) -> str:
    """A self-contained page: a table and a plot of each benchmark."""
    parts = [
        f"<h2>{escape(name)}</h2>{plot(result)}{table(result)}" for name, result in results.items()
    ]
    parts += [f"<h2>{escape(name)}</h2><p>failed</p>" for name in failed]
    style = (
        "body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
        "table{border-collapse:collapse}td{padding:.15rem .8rem;border-bottom:1px solid #ddd}"
        "svg{max-width:100%;height:auto}"
    )
    head = f"<meta charset=utf-8><title>Forewarn: benchmarks</title><style>{style}</style>"
    body = f"<body><h1>Benchmarks</h1>{''.join(parts)}</body>"
    return f"<!doctype html><html lang=en><head>{head}</head>{body}</html>"


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested results as one level, names joined by dots."""
    if not isinstance(value, dict):
        return {name: value}
    entries: dict[str, Any] = {}
    for key, inner in value.items():
        entries |= flat(inner, f"{name}.{key}" if name else str(key))
    return entries


def table(result: dict[str, Any]) -> str:
    """Every figure of a result."""
    rows = (
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in flat(result).items()
    )
    return f"<table>{''.join(rows)}</table>"


def plot(result: dict[str, Any]) -> str:
    """Bars of the figures that can be compared: those of the same last name in several places."""
    mpl.use("Agg")

    groups: dict[str, dict[str, float]] = {}
    for name, value in flat(result).items():
        prefix, _, figure = name.rpartition(".")
        if isinstance(value, int | float) and prefix:
            groups.setdefault(figure, {})[prefix] = float(value)
    groups = {figure: group for figure, group in groups.items() if len(group) > 1}
    if not groups:
        groups = {
            "per second": {
                name: float(value)
                for name, value in result.items()
                if "per_s" in name and isinstance(value, int | float)
            }
        }
    height = sum(0.6 + 0.24 * len(group) for group in groups.values())
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(9, max(height, 1.5)),
        squeeze=False,
        gridspec_kw={"height_ratios": [max(len(group), 1) for group in groups.values()]},
    )
    for axis, (title, bars) in zip(axes[:, 0], groups.items(), strict=True):
        axis.barh(list(bars), list(bars.values()), color="#3b6ea5")
        axis.invert_yaxis()
        axis.set_title(title, loc="left", fontsize=10)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    drawn = StringIO()
    figure.savefig(drawn, format="svg")
    plt.close(figure)
    return drawn.getvalue().partition("<svg")[1] + drawn.getvalue().partition("<svg")[2]


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config)))
