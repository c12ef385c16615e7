"""What a challenger does to the champion's answers: `python -m tests.benchmarks.challenger`.

One running fraud service, constant arrivals, latency from when a payment was due. In one run,
interleaved: no experiment, a good challenger in shadow, and challengers in shadow that sleep 5 s,
raise, answer NaN, take 2 GB and die. `p99_ratio` holds each against the phases without an
experiment; its 95% interval draws seconds of payments anew. Then an A/B at 10% raised to 30%, a
challenger that declines everybody until a guardrail ends it, and a rollback of the champion by
`jobs.registry.rollback`, all under load. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tyro
from numpy.typing import NDArray

from lib.access import add_key, new_key
from lib.experiment.assignment import Assignment
from lib.experiment.declaration import Experiment
from lib.experiment.models import StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.registry import MANIFEST, Registry, TrainingRecord, verify_artifact, write_artifact
from tests.benchmarks.challenger_target import LOADER
from tests.benchmarks.fraud_latency import (
    HOST,
    free_port,
    payments,
    redis_server,
    requests,
    require_model,
    train_model,
)
from tests.benchmarks.latency.load import Answer, Load
from tests.benchmarks.result import ROOT, print_result
from tests.serve.bad_challengers import loader
from tests.serve.ray_server import environment

GOOD = "good"
BAD = ("Sleeping", "Raising", "NotANumber", "Hungry", "Dying")
UNWATCHED = dict.fromkeys(
    ("p99_ms", "p99_increase_ms", "fault_share", "blocked_increase", "reviewed_increase")
)
DRAWS = 2_000
ENTITIES = 100_000
GOAL = 1.05


@dataclass(frozen=True)
class Config:
    """Measure what challengers do to answers."""

    target: str = "ray"
    """ray: one replica on Ray Serve; bare: uvicorn alone."""
    model: str = ""
    """Registry with a fraud champion, directory; none trains one on simulated payments."""
    seconds: float = 10.0
    """Length of a phase, seconds."""
    rounds: int = 6
    """Phases of each kind."""
    rate: float = 100.0
    """Payments a second."""
    users: int = 2_000
    """Simulated customers whose payments are sent."""
    kinds: tuple[str, ...] = (GOOD, *BAD)
    """Challengers in shadow, beside phases without an experiment."""


@dataclass
class Phase:
    """What was answered in one kind of phase."""

    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)

    def hear(self, request: bytes, answer: Answer | None) -> None:
        """One answer's model and method."""
        if answer is None or answer.status != 200:
            self.errors += 1
            return
        body = json.loads(answer.body)
        for counts, name in ((self.versions, "model_version"), (self.methods, "method")):
            counts[str(body[name])] = counts.get(str(body[name]), 0) + 1

    def quantile_ms(self, share: float) -> float:
        """A quantile of the latencies, milliseconds."""
        return round(1000.0 * float(np.quantile(self.latencies, share, method="higher")), 3)

    def drawn(self, share: float, block: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """A quantile of `DRAWS` draws (DRAWS,) of blocks of latencies."""
        blocks = len(self.latencies) // block
        table = np.array(self.latencies[: blocks * block]).reshape(blocks, block)
        drawn = table[rng.integers(0, blocks, (DRAWS, blocks))].reshape(DRAWS, -1)
        return np.quantile(drawn, share, axis=1)


class Bench:
    """A running service, its load and its experiments.

    Args:
        config: of the run.
        folder: of the service.
        port: of the service.
        requests: payments without end.
        versions: champion and challenger.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        port: int,
        requests: Iterator[bytes],
        versions: tuple[str, str],
    ) -> None:
        self.config, self.folder, self.versions = config, folder, versions
        self.load = Load(HOST, port, requests)
        self.repository = ExperimentRepository(f"sqlite:///{folder}/records.sqlite")
        self._number = 0

    async def phase(self, phase: Phase, seconds: float | None = None) -> None:
        """Sends payments for a phase."""
        tally = await self.load.open(
            self.config.rate, seconds or self.config.seconds, heard=phase.hear
        )
        phase.latencies += tally.latencies

    def start(self, kind: str, **changes: Any) -> StoredExperiment:
        """Starts an experiment whose challenger is of a kind."""
        (self.folder / LOADER).write_text("" if kind == GOOD else loader(kind))
        self._number += 1
        first, second = self.versions
        fields = {"guardrails": UNWATCHED, **changes}
        declaration = Experiment(
            name=f"{kind.lower()}-{self._number}", system="fraud", champion=first,
            challenger=second, **fields,
        )  # fmt: skip
        return self.repository.start(declaration, by="benchmark", at=now_us())

    def end(self, stored: StoredExperiment) -> None:
        """Ends an experiment, and waits until the replica has left it."""
        self.repository.end(stored.id, by="benchmark", reason="the phase is over", at=now_us())
        time.sleep(2.0)


async def shadow(bench: Bench) -> dict[str, Phase]:
    """Phases of each kind, each round in another order."""
    kinds = ("none", *bench.config.kinds)
    phases = {kind: Phase() for kind in kinds}
    await bench.phase(Phase(), 5.0)
    for turn in range(bench.config.rounds):
        order = kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]
        for kind in order:
            stored = None if kind == "none" else bench.start(kind)
            # until the process has loaded, and has met its first fault
            await bench.phase(Phase(), 6.0)
            await bench.phase(phases[kind])
            if stored is not None:
                bench.end(stored)
            print(f"round {turn} {kind:10} p99 {phases[kind].quantile_ms(0.99)} ms", flush=True)
    return phases


def summary(phases: dict[str, Phase], block: int, champion: str) -> dict[str, dict[str, Any]]:
    """Quantiles, their ratios to phases without an experiment, and answers that differ."""
    result = {}
    for kind, phase in phases.items():
        ratios = {}
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            rng = np.random.default_rng(7)
            drawn = phase.drawn(share, block, rng) / phases["none"].drawn(share, block, rng)
            ratios[f"{name}_ratio"] = round(
                phase.quantile_ms(share) / phases["none"].quantile_ms(share), 3
            )
            ratios[f"{name}_ratio_interval"] = np.quantile(drawn, (0.025, 0.975)).round(3).tolist()
        result[kind] = {
            "p50_ms": phase.quantile_ms(0.5),
            "p99_ms": phase.quantile_ms(0.99),
            **ratios,
            "payments": len(phase.latencies),
            "errors": phase.errors,
            "answers_not_of_the_champion": sum(phase.versions.values()) - phase.versions[champion],
            "methods": phase.methods,
        }
    return result


async def arms(bench: Bench) -> dict[str, Any]:
    """An A/B at 10% raised to 30% under load, and the same over many entities."""
    stored = bench.start(GOOD, mode="ab", share=0.1)
    await bench.phase(Phase(), 6.0)
    at_10, at_30 = Phase(), Phase()
    await bench.phase(at_10)
    bench.repository.raise_share(stored.id, 0.3, by="benchmark", at=now_us())
    await bench.phase(Phase(), 2.0)
    await bench.phase(at_30)
    bench.end(stored)
    rows = list(bench.repository.decisions(stored.id))
    drawn = {share: Assignment(stored.key, stored.declaration.name, share) for share in (0.1, 0.3)}
    names = [f"user-{k}" for k in range(ENTITIES)]
    before, after = ([drawn[share].arm(name) for name in names] for share in (0.1, 0.3))
    share_of = {
        name: round(phase.versions.get(bench.versions[1], 0) / sum(phase.versions.values()), 4)
        for name, phase in (("served_at_10", at_10), ("served_at_30", at_30))
    }
    return {
        **share_of,
        "errors": at_10.errors + at_30.errors,
        "served_rows": len(rows),
        "served_entities": len({row.entity_id for row in rows}),
        "rows_in_another_arm": sum(
            row.arm not in {each.arm(row.entity_id) for each in drawn.values()} for row in rows
        ),
        "entities": ENTITIES,
        "share_of_entities_at_10": before.count("challenger") / ENTITIES,
        "share_of_entities_at_30": after.count("challenger") / ENTITIES,
        "moved_back": sum(
            old == "challenger" and new == "champion"
            for old, new in zip(before, after, strict=True)
        ),
    }


async def breach(bench: Bench) -> dict[str, Any]:
    """Seconds until a guardrail ends a challenger that declines everybody."""
    stored = bench.start("Declining", mode="ab", share=0.1, guardrails={})
    began, phase = time.monotonic(), Phase()
    over = bench.repository.find(stored.id)
    while over.ended_at is None and time.monotonic() - began < 120.0:
        await bench.phase(phase, 1.0)
        over = bench.repository.find(stored.id)
    ended = (over.ended_at or 0) / 1e6 - over.started_at / 1e6
    later = Phase()
    await bench.phase(later, 3.0)
    return {
        "ended_by": over.ended_by,
        "reason": over.reason,
        "seconds": round(ended, 1),
        "decided_by_the_challenger": phase.versions.get(bench.versions[1], 0),
        "decided_by_the_challenger_later": later.versions.get(bench.versions[1], 0),
        "errors": phase.errors + later.errors,
    }


async def rollback(bench: Bench, registry: str) -> dict[str, Any]:
    """A promotion and its rollback under load."""
    first, second = bench.versions
    Registry(registry).set_alias("fraud", "champion", second, at=now_us(), by="benchmark")
    await bench.phase(Phase(), 5.0)
    promoted, phase, later = Phase(), Phase(), Phase()
    await bench.phase(promoted, 2.0)
    command = [sys.executable, "-m", "jobs.registry.rollback", "--registry", registry]
    rolling = asyncio.create_task(bench.phase(phase, 20.0))
    process = await asyncio.create_subprocess_exec(
        *command, "--system", "fraud", "--by", "benchmark",
        cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    code = await process.wait()
    await rolling
    await bench.phase(later, 2.0)
    return {
        "exit_code": code,
        "promoted_first": promoted.versions == {second: sum(promoted.versions.values())},
        "rolled_back": later.versions == {first: sum(later.versions.values())},
        "payments": sum(phase.versions.values()) + phase.errors,
        "errors": phase.errors,
        "fallbacks": phase.methods.get("fallback", 0),
        "p99_ms": phase.quantile_ms(0.99),
    }


def second_version(registry: Path, folder: Path) -> tuple[str, str]:
    """The champion's version, and another one with the same weights."""
    book = Registry(registry)
    first = book.resolve("fraud", "champion")
    source = registry / "fraud" / "versions" / first
    manifest = verify_artifact(source).manifest
    record = TrainingRecord(now_us(), manifest.data_fingerprint, manifest.code_version, {}, {})
    write_artifact(
        folder / "second", record, system="fraud",
        feature_set_digest=manifest.feature_set_digest, feature_names=manifest.feature_names,
        files={name: source / name for name in manifest.files if name != MANIFEST},
        thresholds=manifest.thresholds,
    )  # fmt: skip
    return first, book.publish(folder / "second", "fraud")


@contextmanager
def served(config: Config, folder: Path, options: dict[str, Any]) -> Iterator[None]:
    """The service in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.challenger_target", "--kind", config.target]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    own = {**environment(folder), "FOREWARN_REQUESTS_PER_REPLICA": "0"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        if not any(line.strip() == "ready" for line in process.stdout):
            raise RuntimeError("the service did not start")
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=120)


async def measure(bench: Bench, registry: str) -> dict[str, Any]:
    """Everything, one after the other."""
    phases = await shadow(bench)
    result: dict[str, Any] = {
        "shadow": summary(phases, int(bench.config.rate), bench.versions[0]),
        "payments": sum(len(phase.latencies) for phase in phases.values()),
    }
    for name, part in (("ab", arms(bench)), ("guardrail", breach(bench))):
        result[name] = await part
        print(name, json.dumps(result[name]), flush=True)
    result["rollback"] = await rollback(bench, registry)
    return result


def main(config: Config) -> None:
    """Prints a line per phase and then everything as JSON."""
    began, sent = time.perf_counter(), payments(config.users)
    with tempfile.TemporaryDirectory(prefix="fw-") as temporary:
        folder = Path(temporary)
        registry = Path(_registry(config, folder, sent))
        versions = second_version(registry, folder)
        token, record = new_key(["fraud:score"], now_us())
        add_key(folder / "keys.json", record)
        with redis_server(folder) as store:
            port = free_port()
            options = {"port": port, "store": store, "registry": registry}
            options |= {"keys": folder / "keys.json", "folder": folder}
            with served(config, folder, options):
                require_model(port)
                bench = Bench(config, folder, port, requests(sent, token, "c"), versions)
                result = asyncio.run(measure(bench, str(registry)))
    print_result(
        result.pop("payments"), time.perf_counter() - began,
        benchmark="challenger", target=config.target, rate=config.rate, goal_p99_ratio=GOAL,
        **result,
    )  # fmt: skip


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def _registry(config: Config, folder: Path, sent: pa.Table) -> str:
    registry = folder / "registry"
    if config.model:
        subprocess.run(["cp", "-r", config.model, registry], check=True)
    else:
        train_model(registry, folder, sent)
    return str(registry)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
