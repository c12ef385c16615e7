"""Monitored daily, retrained on an incident, compared, promoted, rolled back: nobody touches it."""

from __future__ import annotations

import contextlib
import datetime
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from jobs.experiments import judge, start
from jobs.framework.monitoring import INCIDENT_OPEN
from jobs.fraud import monitor, retrain, train
from jobs.registry import promote, rollback
from lib.experiment.models import ExperimentDecision, StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.fraud.model.policy import DECISIONS, Costs
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.monitoring.repository import MonitoringRepository
from lib.registry import Registry
from serve.framework.guardrail import Breach, GuardrailMonitor
from tests.benchmarks.cycle.world import PaymentWorld

BY = "unattended"
HISTORY_DAYS = 130
"""Days before the first model. It learns from the last of them: at first everything is new."""
_SHADOW_DAYS, _AB_DAYS, _RETRAIN_EVERY = 2, 28, 3
_GUARDED_AFTER_DAYS = 7
_SECONDS = 1_000_000
_FITTED = {
    "engine": "process",
    "trees": TreeSettings(trees=80),
    "network": NetworkSettings(epochs=3),
    "slices": Lengths(label_delay=5.0, test=6.0, calibrate=6.0, train=60.0, folds=2),
    "baselines": False,
    "bootstrap": 100,
    "simulated": True,
    "progress": "none",
}
_ABSURD = Costs(
    chargeback_fee_minor=10_000_000.0, blocked_share=0.0, blocked_fee_minor=0.0, review_minor=0.0,
    most_disturbed=1.0, reviews_per_day=1_000_000.0,
)  # fmt: skip


@dataclass
class Cycle:
    """One platform under its learning loop.

    Attributes:
        world: payments.
        folder: of models, reports and records.
        deciding: (payments,) number in `versions` of the model that decided, -1 before.
        versions: that ever decided.
        events: (day, what happened), in order.
    """

    world: PaymentWorld
    folder: Path
    versions: list[str] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    false_incidents: int = 0

    def __post_init__(self) -> None:
        self.records = f"sqlite:///{self.folder / 'records.sqlite'}"
        self.registry = self.folder / "registry"
        self.decisions = self.folder / "decisions"
        self.decisions.mkdir()
        self.deciding = np.full(len(self.world.times), -1)
        with ExperimentRepository(self.records) as repository:
            repository.migrate()
        self._step: Callable[[int], None] = self._watch
        self._since = 0
        self._numbers = {"experiment": 0, "retraining": 0}

    def run(self) -> None:
        """All days, from the first model on."""
        self._train_first()
        for day in range(HISTORY_DAYS, self.world.days):
            self._decide(day)
            self._step(day + 1)

    def day_of(self, text: str) -> int | None:
        """Day of the first event of that beginning; None where it did not happen."""
        return next((day for day, event in self.events if event.startswith(text)), None)

    def _train_first(self) -> None:
        transactions, labels = self.world.write_known(HISTORY_DAYS)
        config = train.TrainConfig(
            transactions=str(transactions), labels=str(labels), alias="champion",
            registry=str(self.registry), output=str(self.folder / "first"), **_FITTED,
        )  # fmt: skip
        _quietly(lambda: train.main(config))
        self._note(HISTORY_DAYS, f"trained {self._alias('champion')}")

    # days

    def _decide(self, day: int) -> None:
        """Decisions of a day by the champion, or by the arms of the experiment that runs."""
        rows, experiment = self.world.rows_of(day), self._running()
        versions = [self._alias("champion")] * len(rows)
        if experiment is not None:
            users = self.world.users_of.take(rows).to_pylist()
            arms = [experiment.deciding_arm(user) for user in users]
            versions = [getattr(experiment.declaration, arm) for arm in arms]
            breach = self._compare(experiment, day, rows, users, arms)
        self.deciding[rows] = [self._number(version) for version in versions]
        table = self.world.decision_rows(self.registry, rows, versions)
        pq.write_table(table, self.decisions / f"day-{day:04}.parquet")
        if experiment is not None and breach is not None:
            self._end_by_guardrail(experiment, day, breach)

    def _compare(
        self,
        experiment: StoredExperiment,
        day: int,
        rows: np.ndarray,
        users: list[str],
        arms: list[str],
    ) -> Breach | None:
        """Records what both models say of a day's payments; the bound that they break, if one."""
        declared = experiment.declaration
        both = {
            name: self.world.decided_by(self.registry, version)
            for name, version in (
                ("champion", declared.champion),
                ("challenger", declared.challenger),
            )
        }
        clock = _Clock()
        guard = GuardrailMonitor(declared.guardrails, ("DECLINE",), ("REVIEW",), clock)
        breach, stored = None, []
        subjects = self.world.payments["transaction_id"].take(rows).to_pylist()
        for row, user, arm, subject in zip(rows.tolist(), users, arms, subjects, strict=True):
            at = int(self.world.times[row])
            answers = {
                name: (float(scores[row]), DECISIONS[places[row]])
                for name, (scores, places) in both.items()
            }
            stored.append(
                ExperimentDecision(
                    system="fraud", subject_id=subject, experiment_id=experiment.id,
                    entity_id=user, arm=arm, event_time=at, decided_at=at,
                    champion_version=declared.champion,
                    champion_score=answers["champion"][0],
                    champion_decision=answers["champion"][1],
                    challenger_version=declared.challenger,
                    challenger_score=answers["challenger"][0],
                    challenger_decision=answers["challenger"][1],
                    challenger_ms=1.0,
                )
            )  # fmt: skip
            if breach is None:
                clock.seconds = (at - self.world.time_of(day)) / _SECONDS
                guard.add_faults([None])
                guard.add_latency(arm, 5.0)
                guard.add_pair(user, answers["champion"][1], answers["challenger"][1])
                breach = guard.check()
        with ExperimentRepository(self.records) as repository:
            repository.insert_decisions(stored)
        return breach

    # steps of the loop; each is called when a day has ended

    def _watch(self, day: int) -> None:
        if not self._has_incident(day):
            return
        self._note(day, "incident opened")
        self._go_on(self._retrain, day)

    def _retrain(self, day: int) -> None:
        if (day - self._since) % _RETRAIN_EVERY:
            return
        transactions, labels = self.world.write_known(day)
        self._numbers["retraining"] += 1
        config = retrain.RetrainConfig(
            transactions=str(transactions), labels=str(labels), records=self.records,
            registry=str(self.registry), on_incident=True, least=10,
            output=str(self.folder / f"retrained-{self._numbers['retraining']}"), **_FITTED,
        )  # fmt: skip
        outcome = _quietly(lambda: retrain.main(config))
        self._note(day, f"retrained: {outcome['decision']}")
        if outcome.get("won"):
            self._start(day, "shadow", 1.0)
            self._go_on(self._shadow, day)

    def _shadow(self, day: int) -> None:
        if day - self._since < _SHADOW_DAYS:
            return
        self._stop(day, "both models answered for two days; the comparison follows")
        self._start(day, "ab", 0.5, until=day + _AB_DAYS)
        self._go_on(self._compare_arms, day)

    def _compare_arms(self, day: int) -> None:
        judgement = self._judge(day)
        if judgement is None or judgement == "go on":
            if self._running() is None or day - self._since >= _AB_DAYS:
                self._go_on(self._watch, day)
            return
        self._note(day, f"verdict: {judgement}")
        if judgement == "promote":
            self._promote(day)
            self._go_on(self._plant_bad, day)
        else:
            self._go_on(self._watch, day)

    def _plant_bad(self, day: int) -> None:
        """A week later somebody trains with absurd prices and compares that model."""
        if day - self._since < _GUARDED_AFTER_DAYS:
            return
        transactions, labels = self.world.write_known(day)
        config = train.TrainConfig(
            transactions=str(transactions), labels=str(labels), alias="challenger",
            registry=str(self.registry), output=str(self.folder / "bad"), costs=_ABSURD, **_FITTED,
        )  # fmt: skip
        _quietly(lambda: train.main(config))
        self._start(day, "ab", 0.1, until=day + _AB_DAYS)
        self._go_on(self._after_bad, day)

    def _after_bad(self, day: int) -> None:
        """Nothing more is planted; the guardrail ends the experiment while a day is decided."""
        self._since = day

    def _end_by_guardrail(self, experiment: StoredExperiment, day: int, breach: Breach) -> None:
        with ExperimentRepository(self.records) as repository:
            at = self.world.time_of(day + 1) - 1
            repository.end(experiment.id, by="guardrail", reason=breach.reason, at=at)
        self._note(day, f"guardrail {breach.guardrail}: {breach.reason}")
        options = rollback.Rollback(
            registry=str(self.registry), system="fraud", by=BY, alias="challenger",
            reason=breach.reason,
        )  # fmt: skip
        rollback.main(options, self.world.time_of(day + 1))
        self._note(day, "challenger rolled back")

    # commands

    def _has_incident(self, day: int) -> bool:
        facts = self.world.write_facts(day)
        options = monitor.Options(
            records=self.records, decisions=str(self.decisions), labels=str(facts),
            since=_date(self.world.time_of(max(HISTORY_DAYS, day - 28))),
            until=_date(self.world.time_of(day)), registry=str(self.registry),
            output=str(self.folder / "monitored"), label_days=_FITTED["slices"].label_delay,
            engine="process", progress="none",
        )  # fmt: skip
        try:
            _quietly(lambda: monitor.main(options, self.world.time_of(day)))
        except SystemExit as ended:
            if ended.code != INCIDENT_OPEN:
                raise
        with MonitoringRepository(self.records) as repository:
            incidents = repository.open_incidents("fraud")
        if incidents and day <= self.world.change_day:
            self.false_incidents += 1
            return False
        for incident in incidents[:3]:
            self._note(day, f"incident: {incident.kind} of {incident.measure}")
        return bool(incidents)

    def _start(self, day: int, mode: str, share: float, until: int | None = None) -> None:
        self._numbers["experiment"] += 1
        config = start.StartConfig(
            system="fraud", records=self.records, registry=str(self.registry), by=BY,
            name=f"{mode}-{self._numbers['experiment']}", mode=mode, share=share,
            until=None if until is None else _date(self.world.time_of(until)), smallest_gain=1.0,
        )  # fmt: skip
        _quietly(lambda: start.main(config, self.world.time_of(day)))
        self._note(day, f"experiment {config.name} started")

    def _stop(self, day: int, reason: str) -> None:
        running = self._running()
        assert running is not None
        with ExperimentRepository(self.records) as repository:
            repository.end(running.id, by=BY, reason=reason, at=self.world.time_of(day))

    def _judge(self, day: int) -> str | None:
        """What the verdict says to do; None while no outcome is ripe."""
        config = judge.JudgeConfig(
            system="fraud", records=self.records, by=BY, output=self.folder / "verdict",
            decisions=str(self.decisions), labels=str(self.world.write_facts(day)),
            as_of=_date(self.world.time_of(day)), stop=True, progress="none",
        )  # fmt: skip
        try:
            judgement = _quietly(lambda: judge.main(config, self.world.time_of(day)))
        except judge.ExperimentError as early:
            if day - self._since > 2 * _FITTED["slices"].label_delay:
                raise RuntimeError(f"day {day}: {early}") from early
            return None
        if judgement.verdict.action != "go on":
            self._note(day, judgement.verdict.sentence)
        return str(judgement.verdict.action)

    def _promote(self, day: int) -> None:
        options = promote.Promote(
            registry=str(self.registry), system="fraud", by=BY, version="challenger",
            alias="champion", evidence=f"ab-{self._numbers['experiment']}", records=self.records,
        )  # fmt: skip
        promote.main(options, self.world.time_of(day))
        self._note(day, f"promoted {self._alias('champion')}")

    # what is in force

    def _running(self) -> StoredExperiment | None:
        with ExperimentRepository(self.records) as repository:
            return repository.running("fraud")

    def _alias(self, name: str) -> str:
        return Registry(self.registry).aliases("fraud")[name]

    def _number(self, version: str) -> int:
        if version not in self.versions:
            self.versions.append(version)
        return self.versions.index(version)

    def _go_on(self, step: Callable[[int], None], day: int) -> None:
        self._step, self._since = step, day

    def _note(self, day: int, event: str) -> None:
        self.events.append((day, event))


@dataclass
class _Clock:
    """Seconds of a simulated day."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def _quietly(job: Callable[[], object]) -> object:
    """What a job returns; it prints to nobody."""
    with contextlib.redirect_stdout(io.StringIO()):
        return job()


def _date(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1e6, datetime.UTC).isoformat()
