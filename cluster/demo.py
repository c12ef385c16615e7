"""The four systems on one machine: train, deploy, decide.

Starts a local Ray head with a token, submits the training jobs of every system through Ray's Jobs
API on simulated data, deploys the applications on Ray Serve, asks them over HTTP, prints what was
decided, goes through the learning loop with fraud, opens the console, and ends what it started.
Two systems are prepared and shown at a time, fraud first.
"""

import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from cluster import demo_churn, demo_console, demo_fraud, demo_maintenance, demo_moderation
from cluster.demo_index import IndexPage
from cluster.demo_lanes import run_in_lanes
from cluster.demo_replay import KeptBack
from cluster.demo_steps import Runner, Step, program_success
from cluster.demo_system import Application, System
from cluster.local import ROOT, LocalHead, local_head
from lib.durable import make_folder

_LANES = 2
_ORDER = ("fraud", "moderation", "maintenance", "churn")
"""Fraud first, as it is shown first; then the one that trains longest."""


@dataclass(frozen=True)
class Demo:
    """Train, deploy and score on this machine; everything is written below FOLDER."""

    system: Literal["all", "fraud", "maintenance", "churn", "moderation"] = "all"
    """One system alone, or all four."""
    folder: Path = Path("var/demo")
    """Where data, models, reports, logs and stores go; emptied first."""
    users: int = 350
    """Simulated customers."""
    days: int = 90
    """Simulated days to learn from; a week more is kept for the running service."""
    machines: int = 40
    """Simulated machines."""
    accounts: int = 500
    """Simulated business customers."""
    posts: int = 1200
    """Composed posts."""
    seed: int = 7
    """The same seed simulates the same payments."""
    cpus: int = 4
    """Logical cores that the Ray head offers: half for replicas, which wait most of the time."""
    port: int | None = None
    """Port of the service on 127.0.0.1; a free one if not given."""
    keep_running: bool = False
    """Leave the service up after the demonstration, until Ctrl-C."""


def main(options: Demo) -> int:
    """Run the demonstration; 0 when every step went as expected."""
    runner = Runner()
    folder = (ROOT / options.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    logs = folder / "log"
    runner.say(f"starting a Ray head with a token on 127.0.0.1; logs go to {logs}", 5)
    with local_head(logs / "ray.log", options.cpus, options.port) as head:
        index = IndexPage(folder, head.dashboard)
        runner.print(f"dashboard {head.dashboard} (asks for the token)")
        _demonstrate(head, index, options, runner)
        runner.say(f"done; reports, API pages and console: {index.file}")
        if options.keep_running:
            _stay(", ".join(index.addresses.values()))
    return 0


def _demonstrate(head: LocalHead, index: IndexPage, options: Demo, runner: Runner) -> None:
    """Prepares and shows systems side by side, then opens the console over them."""
    serving, paid = threading.Event(), threading.Event()
    names = [name for name in _ORDER if options.system in {"all", name}]

    def system(name: str) -> System:
        folder = index.folder if name == "fraud" else index.folder / name
        logs = index.folder / "log" / name
        # who is deployed takes both cores for a while, which the first payment would wait for
        turn = serving if name == "fraud" or "fraud" not in names else paid
        shown = paid if name == "fraud" else threading.Event()
        return System(name, head, folder, runner.of(name), logs, turn, shown)

    systems = {name: system(name) for name in names}
    shows = _shows(systems, options)

    def show(name: str) -> None:
        index.add(name, shows[name]().url)

    first, *others = (partial(show, name) for name in names)
    start = partial(_start_serve, head, index.folder / "log" / "serve.log", runner, serving)
    run_in_lanes([first, start, *others], _LANES)
    url = demo_console.show(system("console"), list(systems.values()))
    index.add("console", url)


def _shows(systems: Mapping[str, System], options: Demo) -> dict[str, Callable[[], Application]]:
    """What prepares, deploys and asks each system."""
    kept = KeptBack.until_ripe((ROOT / options.folder).resolve(), datetime.now(UTC))

    def fraud() -> Application:
        system = systems["fraud"]
        prepared = demo_fraud.prepare(system, options.users, options.days, options.seed, kept)
        return demo_fraud.show(system, prepared, kept)

    def maintenance() -> Application:
        demo_maintenance.prepare(systems["maintenance"], options.machines)
        return demo_maintenance.show(systems["maintenance"])

    def churn() -> Application:
        demo_churn.prepare(systems["churn"], options.accounts)
        return demo_churn.show(systems["churn"])

    def moderation() -> Application:
        demo_moderation.prepare(systems["moderation"], options.posts)
        return demo_moderation.show(systems["moderation"])

    return {
        "fraud": fraud,
        "maintenance": maintenance,
        "churn": churn,
        "moderation": moderation,
    }


def _start_serve(head: LocalHead, log: Path, runner: Runner, serving: threading.Event) -> None:
    step = Step("starting Ray Serve", partial(head.serve, log), program_success, seconds=8)
    runner.run([step])
    serving.set()


def _stay(url: str) -> None:
    print(f"\nserving at {url} until Ctrl-C", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nending")


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Demo)))
    except RuntimeError as problem:
        raise SystemExit(f"error: {problem}") from problem
