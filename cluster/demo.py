"""The four systems on one machine: train, deploy, decide.

Starts a local Ray head with a token, submits the training jobs of every system through Ray's Jobs
API on simulated data, deploys the applications on Ray Serve, asks them over HTTP, prints what was
decided, goes through the learning loop with fraud, opens the console, and ends what it started.
"""

import shutil
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tyro

from cluster import demo_churn, demo_console, demo_fraud, demo_maintenance, demo_moderation
from cluster.demo_replay import KeptBack
from cluster.demo_steps import Runner, Step, program_success
from cluster.demo_system import System
from cluster.local import ROOT, LocalHead, local_head
from lib.durable import make_folder
from lib.fraud.simulation import scenario_examples


@dataclass(frozen=True)
class Demo:
    """Train, deploy and score on this machine; everything is written below FOLDER."""

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
    cpus: int = 2
    """Logical cores that the Ray head offers."""
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
    runner.say("starting a Ray head with a token on 127.0.0.1")
    with local_head(folder / "log" / "ray.log", options.cpus, options.port) as head:
        print(f"dashboard {head.dashboard} (asks for the token)")
        urls = _demonstrate(head, folder, options, runner)
        print(f"\ntook {time.monotonic() - runner.started:.0f} s")
        if options.keep_running:
            _stay(", ".join(urls))
    return 0


def _demonstrate(head: LocalHead, folder: Path, options: Demo, runner: Runner) -> list[str]:
    """Prepares all systems before Serve holds cores that a training's workers would wait for."""
    fraud = System("fraud", head, folder, runner)
    maintenance, churn, moderation = (
        System(name, head, folder / name, runner) for name in ("maintenance", "churn", "moderation")
    )
    kept = KeptBack.until_ripe(folder, datetime.now(UTC))
    runner.run(demo_fraud.prepare(fraud, options.users, options.days, options.seed, kept))
    stories = scenario_examples(options.seed, time.time_ns() // 1000)
    runner.run(demo_fraud.backfill(fraud, stories))
    runner.run(demo_maintenance.prepare(maintenance, options.machines))
    runner.run(demo_churn.prepare(churn, options.accounts))
    runner.run(demo_moderation.prepare(moderation, options.posts))
    log = folder / "log" / "serve.log"
    runner.run(
        [Step(f"starting Ray Serve; its log is {log}", lambda: head.serve(log), program_success)]
    )
    applications = [
        demo_fraud.show(fraud, stories, kept),
        demo_maintenance.show(maintenance),
        demo_churn.show(churn),
        demo_moderation.show(moderation),
    ]
    console = System("console", head, folder / "console", runner)
    url = demo_console.show(console, (fraud, maintenance, churn, moderation))
    return [*(application.url for application in applications), f"{url}/"]


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
