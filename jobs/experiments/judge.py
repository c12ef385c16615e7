"""Judge an experiment in money: `python -m jobs.experiments.judge --system fraud ...`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from jobs.experiments.options import (
    EventOptions,
    PricedOptions,
    decisions_and_labels,
    named_experiment,
)
from jobs.framework.command import run_job
from jobs.framework.decision_source import DecisionOptions, window_time
from jobs.framework.options import time_text
from jobs.framework.paths import InputPath, LocalOutput
from lib.experiment.effect import WINSOR_QUANTILE
from lib.experiment.errors import ExperimentError
from lib.experiment.exposure import DAY
from lib.experiment.judge import ExperimentRecords, Judge, Judgement
from lib.experiment.models import StoredExperiment
from lib.experiment.recorded import recorded_table
from lib.experiment.replay import NOTE as REPLAYED
from lib.experiment.replay import on_event_times
from lib.experiment.report import verdict_report
from lib.experiment.repository import ExperimentRepository
from lib.report.page import write_report

EXIT_CODES = {
    "go on": 0,
    "promote": 10,
    "start ab": 10,
    "keep the champion": 11,
    "stop: futile": 12,
    "void": 13,
}


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(PricedOptions, EventOptions):
    """Say in a sentence what the challenger keeps more, with an interval, and what to do.

    May be run as often as you like: each look is kept in the audit and costs its part of the
    allowed error. OUTPUT/report.html and OUTPUT/report.json hold the verdict.
    """

    output: LocalOutput
    """folder for report.html and report.json"""
    name: str | None = None
    """of the experiment; default: the one that runs, else the one started last"""
    decisions: InputPath | None = None
    """decisions in place of those of --records: a Parquet file, folder or URI with the columns of
    lib/records/decision_table.py"""
    labels: InputPath | None = None
    """labels in place of those of --records: likewise, with the columns of LABEL_SCHEMA there"""
    as_of: str | None = None
    """time of the look: a date (UTC) or a time in ISO 8601 with offset; default: now"""
    before_days: float = 28.0
    """days before the start that explain a part of the variance (CUPED); 0 for none"""
    winsor_quantile: float = WINSOR_QUANTILE
    """money per entity beyond this quantile on either side counts as that at the quantile"""
    replayed: bool = False
    """requests of the past were sent again: days and weeks are those of their events, not of their
    decisions; needs an experiment that was ended"""
    stop: bool = False
    """end the experiment where the verdict decides it: promote, keep the champion, futile, void"""
    exit_codes: bool = False
    """end with 10 to promote, 11 to keep the champion, 12 where it is futile and 13 where it is
    void, for schedulers; 0 is go on"""

    def check(self) -> None:
        """See `JobOptions`."""
        if not 0.0 <= self.before_days <= 365.0:
            raise ExperimentError(f"--before-days: expected 0 to 365, got {self.before_days}")
        if not 0.5 < self.winsor_quantile <= 1.0:
            raise ExperimentError(
                f"--winsor-quantile: expected above 0.5 and up to 1, got {self.winsor_quantile}"
            )
        self.time_of_look(0)
        self.require_events_of(self.system)
        super().check()

    def time_of_look(self, now: int) -> int:
        """Microseconds since 1970 of the look."""
        return now if self.as_of is None else window_time("--as-of", self.as_of)

    def source(self, stored: StoredExperiment, recorded: pa.Table, as_of: int) -> DecisionOptions:
        """Options that read the decisions of an experiment and of the days before.

        Args:
            stored: the experiment.
            recorded: `RECORDED_SCHEMA`.
            as_of: time of the look, microseconds since 1970 UTC.

        Raises:
            ExperimentError: the look is before the start.
        """
        if as_of <= stored.started_at:
            raise ExperimentError(
                f"--as-of: expected after the start ({time_text(stored.started_at)}), got "
                f"{time_text(as_of)}; do the clocks agree?"
            )
        begin = pc.min(recorded["event_time"]).as_py() if self.replayed else None
        since = (begin or stored.started_at) - round(self.before_days * DAY)
        return DecisionOptions(
            records=self.records,
            decisions=self.decisions,
            labels=self.labels,
            since=time_text(since),
            until=time_text(as_of + DAY),
            progress=self.progress,
        )


def main(config: JudgeConfig, now: int) -> Judgement:
    """Judge it, write the page, keep the look in the audit, and print the sentence.

    Args:
        config: options.
        now: microseconds since 1970 UTC.

    Raises:
        ExperimentError: there is nothing to judge; nothing is written.
    """
    as_of = config.time_of_look(now)
    with config.repository() as repository:
        stored = named_experiment(repository, config.system, config.name)
        judgement, lines = _judged(config, repository, stored, as_of)
        page, _ = write_report(verdict_report(judgement), config.output)
        if judgement.is_new:
            repository.record_judgement(stored.id, judgement.detail(), by=config.by, at=now)
        print("\n".join([*lines, "", *judgement.notes, f"page: {page}"]))
        print(judgement.verdict.sentence)
        if config.stop and judgement.verdict.action != "go on" and stored.ended_at is None:
            repository.end(stored.id, by=config.by, reason=judgement.verdict.sentence, at=now)
            print(f"experiment {stored.id} ended")
    return judgement


def _judged(
    config: JudgeConfig, repository: ExperimentRepository, stored: StoredExperiment, as_of: int
) -> tuple[Judgement, list[str]]:
    recorded = recorded_table(repository.recorded(stored.id, as_of + 1))
    source = config.source(stored, recorded, as_of)
    decisions, labels, lines = decisions_and_labels(source, config, config.system, as_of)
    known = ExperimentRecords(
        stored=stored,
        changes=repository.changes(stored.id),
        decisions=decisions,
        labels=labels,
        recorded=recorded,
    )
    judge = Judge(config.outcomes(), config.currency, config.winsor_quantile)
    if not config.replayed:
        return judge.judge(known, as_of), lines
    judgement = judge.judge(on_event_times(known), as_of)
    return replace(judgement, notes=(REPLAYED, *judgement.notes)), lines


def exit_code(config: JudgeConfig, judgement: Judgement) -> int:
    """The code that the job ends with."""
    return EXIT_CODES[judgement.verdict.action] if config.exit_codes else 0


def _run(config: JudgeConfig) -> None:
    judgement = main(config, time.time_ns() // 1000)
    if code := exit_code(config, judgement):
        raise SystemExit(code)


if __name__ == "__main__":
    run_job(JudgeConfig, _run)
