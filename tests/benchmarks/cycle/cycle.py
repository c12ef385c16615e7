"""Monitored daily, retrained on an incident, compared, promoted, rolled back: nobody touches it."""

from __future__ import annotations

import contextlib
import datetime
import io
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from jobs.experiments import judge, start, stop
from jobs.framework.monitoring import INCIDENT_OPEN
from jobs.registry import promote, rollback
from lib.experiment.errors import ExperimentError
from lib.experiment.models import StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.monitoring.repository import MonitoringRepository, RecordedIncident
from lib.registry import Registry
from tests.benchmarks.cycle.live import LiveExperiment
from tests.benchmarks.cycle.world import DAY, HARMED_AFTER, World

BY = "unattended"
_LOOK_EVERY = 2
_MARGIN, _MEASURE_MARGIN = "5%", 0.15
"""What a challenger must be worth; measures of a few days with few positives are noisy."""
Step = Literal[
    "trained", "incident", "kept", "retrained", "shadow", "ab", "verdict", "promoted",
    "bad challenger", "guardrail", "rolled back", "false incident",
]  # fmt: skip


@dataclass(frozen=True)
class Event:
    """What happened: which step, when (microseconds since 1970 UTC, simulated), in words."""

    step: Step
    at: int
    words: str


@dataclass
class Cycle:
    """One platform under its learning loop.

    Args:
        world: the platform.

    Attributes:
        events: in order.
        seconds: wall time of each run of each job.
    """

    world: World
    events: list[Event] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.system, folder = self.world.system, self.world.folder
        self.records = f"sqlite:///{folder / 'records.sqlite'}"
        self.registry = folder / "registry"
        self.decisions = folder / "decisions"
        self.decisions.mkdir()
        with ExperimentRepository(self.records) as repository:
            repository.migrate()
        self._step: Callable[[int], None] | None = self._watch
        self._since = 0
        self._live: LiveExperiment | None = None
        self._is_harmed = False
        self._count = 0
        self._models: dict[str, Path] = {}

    def run(self) -> None:
        """All days from the first model on; after the rollback they are decided and no more."""
        self._train(self.world.pace.history, "champion")
        self.first = self._alias("champion")
        self._note("trained", self.world.time_of(self.world.pace.history), self.first)
        for day in range(self.world.pace.history, self.world.days):
            self._decide(day)
            if self._step is not None:
                self._monitor(day + 1)
                self._step(day + 1)

    def model(self, version: str) -> Path:
        """Folder of a published version."""
        if version not in self._models:
            models = self.world.folder / "models"
            fetched = Registry(self.registry).fetch(self.system, version, models)
            self._models[version] = fetched
        return self._models[version]

    def false_incidents(self) -> list[Event]:
        """Incidents that were opened before the world changed."""
        change = self.world.time_of(self.world.change_day)
        return [
            Event("false incident", own.opened_at, f"{own.kind} of {own.measure}")
            for own in self._incidents()
            if own.opened_at <= change
        ]

    # days

    def _decide(self, day: int) -> None:
        """Decisions of a day by the champion, or by the arms of the experiment that runs."""
        subjects, live = self.world.subjects(day), self._follow_experiment(day)
        versions = [self._alias("champion")] * len(subjects)
        deciding = {*versions} if live is None else {*live.versions.values()}
        answers = {each: self.world.answers(day, self.model(each)) for each in deciding}
        if live is not None:
            versions, at, breach = live.decide(subjects, answers)
            with ExperimentRepository(self.records) as repository:
                repository.insert_decisions(live.rows)
            if breach is not None:
                self._end_by_guardrail(live.stored, at, f"{breach.guardrail}: {breach.reason}")
                self._after_guardrail(day + 1)
        table = self.world.decide(day, versions, answers)
        pq.write_table(table, self.decisions / f"day-{day:04}.parquet")

    def _follow_experiment(self, day: int) -> LiveExperiment | None:
        with ExperimentRepository(self.records) as repository:
            running = repository.running(self.system)
        if running is None or running.is_past(self.world.time_of(day)):
            self._live = None
        elif self._live is None or self._live.stored.id != running.id:
            self._live = LiveExperiment(running, self.world.blocking, self.world.reviewing)
        return self._live

    def _monitor(self, day: int) -> None:
        pace, now = self.world.pace, self.world.time_of(day)
        options = self.world.monitor.Options(
            records=self.records,
            decisions=str(self.decisions),
            labels=str(self.world.write_facts(day)),
            since=_date(self.world.time_of(max(pace.history, day - pace.monitored))),
            until=_date(now),
            registry=str(self.registry),
            output=str(self.world.folder / "monitored"),
            engine="process",
            pictures=False,
            progress="none",
            **self.world.monitoring,
        )
        try:
            self._run("monitor", lambda: self.world.monitor.main(options, now))
        except SystemExit as ended:
            if ended.code != INCIDENT_OPEN:
                raise

    # steps of the loop; each is called when a day has ended

    def _watch(self, day: int) -> None:
        change = self.world.time_of(self.world.change_day)
        incidents = [own for own in self._incidents() if own.opened_at > change]
        if not any(own.closed_at is None for own in incidents):
            return
        for own in incidents[:3]:
            self._note("incident", own.opened_at, f"{own.kind} of {own.measure}")
        self._go_on(self._retrain, day)

    def _retrain(self, day: int) -> None:
        waited = day - self._since - self.world.pace.retrain_after
        if waited < 0 or waited % self.world.pace.retrain_every:
            return
        self._count += 1
        config = self.world.retrain.RetrainConfig(
            **self.world.write_known(day),
            **self.world.settings,
            records=self.records,
            registry=str(self.registry),
            on_incident=True,
            least=self.world.pace.least_labels,
            margin=_MARGIN,
            measure_margin=_MEASURE_MARGIN,
            pause_hours=0.0,
            output=str(self.world.folder / f"retrained-{self._count}"),
        )
        try:
            outcome = self._run("retrain", lambda: self.world.retrain.main(config))
        except ValueError as error:  # too little is known yet; the next one is due as planned
            outcome = {"won": False, "decision": f"failed: {str(error).splitlines()[0]}"}
        step: Step = "retrained" if outcome["won"] else "kept"
        self._note(step, self.world.time_of(day), outcome["decision"])
        if outcome["won"]:
            self._start(day, "shadow", 1.0)
            self._go_on(self._shadow, day)

    def _shadow(self, day: int) -> None:
        if day - self._since < self.world.pace.shadow:
            return
        config = stop.StopConfig(
            system=self.system,
            records=self.records,
            by=BY,
            reason="both models answered for days; the comparison follows",
        )
        self._run("shadow", lambda: stop.main(config, self.world.time_of(day)))
        self._start(day, "ab", 0.5)
        self._go_on(self._compare_arms, day)

    def _compare_arms(self, day: int) -> None:
        if (day - self._since) % _LOOK_EVERY:
            return
        action, sentence = self._judge(day)
        if action == "go on":
            return
        self._note("verdict", self.world.time_of(day), sentence)
        if action == "promote":
            self._promote(day)
        self._go_on(self._harm if action == "promote" else self._watch, day)

    def _harm(self, day: int) -> None:
        """Days later somebody compares a model that was trained with absurd options."""
        if day - self._since == HARMED_AFTER:
            self._is_harmed = True
            self._train(day, "challenger", **self.world.absurd)
            self._start(day, "bad challenger", 0.1)

    def _end_by_guardrail(self, experiment: StoredExperiment, at: int, reason: str) -> None:
        self._note("guardrail", at, reason)
        with ExperimentRepository(self.records) as repository:
            repository.end(experiment.id, by="guardrail", reason=reason, at=at)
        if not self._is_harmed:
            return
        options = rollback.Rollback(
            registry=str(self.registry),
            system=self.system,
            by=BY,
            alias="challenger",
            reason=reason,
        )
        self._run("rollback", lambda: rollback.main(options, at))
        self._note("rolled back", at, f"challenger is {self._alias('challenger')}")

    def _after_guardrail(self, day: int) -> None:
        """The loop is over once the bad challenger is gone; after another it begins again."""
        if self._is_harmed:
            self._step = None
        else:
            self._go_on(self._watch, day)

    # commands

    def _train(self, day: int, alias: str, **changes: Any) -> None:
        config = self.world.train.TrainConfig(
            **self.world.write_known(day),
            **{**self.world.settings, **changes},
            alias=alias,
            registry=str(self.registry),
            output=str(self.world.folder / f"trained-{day}"),
        )
        self._run("train", lambda: self.world.train.main(config))

    def _start(self, day: int, step: Step, share: float) -> None:
        self._count += 1
        now, ends = self.world.time_of(day), self.world.time_of(day + self.world.pace.ab)
        config = start.StartConfig(
            system=self.system,
            records=self.records,
            registry=str(self.registry),
            by=BY,
            name=f"loop-{self._count}",
            mode="shadow" if step == "shadow" else "ab",
            share=share,
            until=None if step == "shadow" else _date(ends),
            **self.world.guardrails,
        )
        self._run(step, lambda: start.main(config, now))
        self._note(step, now, f"{config.name} started")

    def _judge(self, day: int) -> tuple[str, str]:
        """What the verdict says to do, and its sentence; go on while no outcome is ripe."""
        now = self.world.time_of(day)
        config = judge.JudgeConfig(
            system=self.system,
            records=self.records,
            by=BY,
            name=f"loop-{self._count}",
            output=self.world.folder / "verdict",
            decisions=str(self.decisions),
            labels=str(self.world.write_facts(day)),
            as_of=_date(now),
            prices=self.world.prices,
            stop=True,
            progress="none",
        )
        try:
            verdict = self._run("verdict", lambda: judge.main(config, now)).verdict
        except ExperimentError:
            if day - self._since > 2 * self.world.pace.ripening:
                raise
            return "go on", ""
        return str(verdict.action), verdict.sentence

    def _promote(self, day: int) -> None:
        options = promote.Promote(
            registry=str(self.registry),
            system=self.system,
            by=BY,
            version="challenger",
            alias="champion",
            evidence=f"loop-{self._count}",
            records=self.records,
        )
        now = self.world.time_of(day)
        self._run("promote", lambda: promote.main(options, now))
        self._note("promoted", now, self._alias("champion"))

    def _run(self, name: str, job: Callable[[], Any]) -> Any:
        """What a job returns; it prints to nobody, and its wall time is kept."""
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return job()
            finally:
                self.seconds[name].append(time.perf_counter() - began)

    # what is known

    def _incidents(self) -> list[RecordedIncident]:
        with MonitoringRepository(self.records) as repository:
            return repository.incidents(self.system, 0, self.world.time_of(self.world.days + 1))

    def _alias(self, name: str) -> str:
        return Registry(self.registry).aliases(self.system)[name]

    def _go_on(self, step: Callable[[int], None], day: int) -> None:
        self._step, self._since = step, day

    def _note(self, step: Step, at: int, words: str) -> None:
        self.events.append(Event(step, at, words))

    def day_of(self, at: int) -> float:
        """Days since the change of the world."""
        return (at - self.world.time_of(self.world.change_day)) / DAY


def _date(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1e6, datetime.UTC).isoformat()
