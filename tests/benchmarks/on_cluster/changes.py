"""What callers notice of a minute of mishaps: `python -m tests.benchmarks.on_cluster.changes`.

While payments arrive at a constant rate, a replica is killed, the application gets other rules, a
model is promoted, the profile store restarts and all replicas are replaced by new ones. Afterwards
every payment that was not answered is sent again, as its sender would, and everything is counted
against what was sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from lib.registry import Registry
from tests.benchmarks.fraud_latency import HOST, payments, requests
from tests.benchmarks.latency.load import Answer, Load
from tests.benchmarks.on_cluster.ledger import Ledger, wrong_answers, wrong_counts
from tests.benchmarks.on_cluster.served import USERS, ModelChoice, Served, served
from tests.serve.small_fraud_model import CREATED_AT, publish, small

_SHADOW_RULE = """
version: 2
rules:
  - id: large
    when: amount > 500
    action: REVIEW
    reason: a large amount
    confidence: 0.5
    priority: 10
    owner: fraud-analysts
    status: shadow
"""


@dataclass(frozen=True)
class Config(ModelChoice):
    """Count what callers notice of mishaps and changes under load."""

    rate: float = 100.0
    """Payments per second."""
    seconds: float = 90.0
    """How long they arrive; mishaps come at ninths of it, or once the one before is over."""
    colocated: bool = True
    """Model and front node in one replica."""


@dataclass
class Timeline:
    """What happened when, and what was answered in between."""

    began: float
    marks: list[tuple[float, str]] = field(default_factory=list)
    phase: str = "undisturbed"
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    def enter(self, phase: str) -> None:
        """From now on, answers belong to `phase`."""
        self.phase = phase
        self.marks.append((round(time.perf_counter() - self.began, 2), phase))

    def count(self, answer: Answer | None) -> None:
        """One answer as its caller saw it."""
        counts = self.outcomes.setdefault(self.phase, Counter())
        counts["lost connection" if answer is None else str(answer.status)] += 1

    def errors(self, phase: str) -> int:
        """Answers of a phase that were no 200."""
        return sum(n for outcome, n in self.outcomes.get(phase, {}).items() if outcome != "200")


def measure(config: Config) -> dict[str, Any]:
    """The figures; see the keys."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        registry = folder / "registry"
        shutil.copytree(config.registry(folder / "trained"), registry)
        challenger = publish(small(seed=2), registry, folder, 1)
        args = {
            "colocated": config.colocated,
            "front": {"min": 2, "cpus": 0.1},
            "ensemble": {"min": 2, "cpus": 0.1},
            "follow_seconds": 1.0,
        }
        with served(registry, args) as app:
            return asyncio.run(_measured(app, config, challenger))


async def _measured(app: Served, config: Config, challenger: str) -> dict[str, Any]:
    ledger = Ledger()
    load = Load(HOST, app.server.port, requests(payments(USERS), app.token, "p"))
    await load.open(20, 5.0, ledger.heard)
    timeline = Timeline(time.perf_counter())

    def heard(request: bytes, answer: Answer | None) -> None:
        timeline.count(answer)
        ledger.heard(request, answer)

    mishaps = asyncio.create_task(_mishaps(app, config.seconds / 9, challenger, timeline))
    tally = await load.open(config.rate, config.seconds, heard)
    await mishaps
    first_time = ledger.unanswered
    lost = await ledger.send_again(app)
    figures = {
        "requests": len(ledger.requests),
        "summary": tally.summary(),
        "timeline": timeline.marks,
        "outcomes": {phase: dict(counts) for phase, counts in timeline.outcomes.items()},
        "unanswered_at_first": first_time,
        "lost": lost,
        "kill_replica_errors": timeline.errors("replica killed"),
        "reload_errors": timeline.errors("other rules") + timeline.errors("model promoted"),
        "replace_errors": timeline.errors("replicas replaced"),
        "store_errors": timeline.errors("store restarted"),
    }
    return {**figures, **await wrong_counts(app, ledger), **wrong_answers(app, ledger)}


async def _mishaps(app: Served, pause: float, challenger: str, timeline: Timeline) -> None:
    """One after the other; between them the service is left alone."""

    def kill() -> None:
        os.kill(app.server.replicas("Front")[0], signal.SIGKILL)

    def other_rules() -> None:
        app.server.deploy(front={"rules": _SHADOW_RULE})

    def promote() -> None:
        at = CREATED_AT + 1
        Registry(app.registry).set_alias("fraud", "champion", challenger, at=at, by="benchmark")

    def restart() -> None:
        app.store.stop()
        app.store.start()

    def replace() -> None:
        app.server.deploy(front={"rules": _SHADOW_RULE}, deadline_ms=1_900.0)

    happenings: tuple[tuple[str, Callable[[], None]], ...] = (
        ("replica killed", kill),
        ("other rules", other_rules),
        ("model promoted", promote),
        ("store restarted", restart),
        ("replicas replaced", replace),
    )
    for number, (phase, happen) in enumerate(happenings, 1):
        due = timeline.began + number * pause
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        timeline.enter(phase)
        await asyncio.to_thread(happen)


if __name__ == "__main__":
    print(json.dumps(measure(tyro.cli(Config, description=__doc__))))
