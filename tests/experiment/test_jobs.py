"""The commands of experiments on a database of records, as a person runs them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.experiments import judge, plan, raise_share, start, stop
from jobs.experiments.judge import JudgeConfig
from jobs.experiments.plan import PlanConfig
from jobs.experiments.raise_share import RaiseShareConfig
from jobs.experiments.start import StartConfig
from jobs.experiments.stop import StopConfig
from lib.experiment.errors import ExperimentEndedError, ExperimentError
from lib.experiment.models import ExperimentDecision, StoredExperiment
from lib.experiment.repository import ExperimentRepository
from lib.records import Fact, Records
from lib.records.json_codec import read_json
from lib.registry import Registry
from tests.experiment.factories import DAY, experiment
from tests.experiment.payments import Payments, payments
from tests.records.conftest import NOVEMBER, decision, empty_records, keep_decisions
from tests.registry.conftest import WriteModel, write_model

__all__ = ["write_model"]
LATER = NOVEMBER + 30 * DAY
QUIET = {"progress": "none", "by": "ann"}


@pytest.fixture
def registry(tmp_path: Path, write_model: WriteModel) -> Registry:
    opened = Registry(tmp_path / "registry")
    for number, alias in enumerate(("champion", "challenger")):
        write_model(tmp_path / alias, code_version=f"0.{number}.0")
        version = opened.publish(tmp_path / alias, "fraud")
        opened.set_alias("fraud", alias, version, at=NOVEMBER + number, by="ann")
    return opened


@pytest.fixture
def address(tmp_path: Path) -> str:
    return empty_records(tmp_path)


def start_config(address: str, tmp_path: Path, **changes: object) -> StartConfig:
    options: dict[str, object] = {
        "records": address,
        "registry": str(tmp_path / "registry"),
        "system": "fraud",
        "name": "november",
        "mode": "ab",
        "share": 0.5,
        "until": "2026-12-07T10:15:00Z",
        **QUIET,
    }
    return StartConfig(**(options | changes))  # type: ignore[arg-type]


def judge_config(address: str, tmp_path: Path, **changes: object) -> JudgeConfig:
    options: dict[str, object] = {
        "records": address,
        "system": "fraud",
        "output": tmp_path / "verdict",
        "prices": label_days_file(tmp_path),
        **QUIET,
    }
    return JudgeConfig(**(options | changes))  # type: ignore[arg-type]


def label_days_file(tmp_path: Path) -> Path:
    file = tmp_path / "prices.yaml"
    file.write_text("label_days: 7\ncosts:\n  review_minor: 250\n")
    return file


def stored_payments(address: str, stored: StoredExperiment, **options: object) -> Payments:
    """Payments of the experiment in the records: decisions, labels, and what both models said."""
    data = payments(stored, **{"users": 150, **options})
    rows = data.decisions.to_pylist()
    times = data.decisions["decided_at"].cast("int64").to_pylist()
    with Records(address) as records:
        keep_decisions(
            records,
            [
                decision(
                    row["subject_id"],
                    entities={"user_id": row["entity_id"]},
                    event_time=at,
                    received_at=at,
                    decided_at=at,
                    decision=row["decision"],
                    request=read_json(row["request"]),
                )
                for row, at in zip(rows, times, strict=True)
            ],
        )
        observed = data.labels["observed_at"].cast("int64").to_pylist()
        records.record_labels(
            Fact(
                system="fraud",
                subject_id=subject,
                kind="fraud",
                value=True,
                observed_at=at,
                received_at=at,
                source="chargeback",
            )
            for subject, at in zip(data.labels["subject_id"].to_pylist(), observed, strict=True)
        )
    with ExperimentRepository(address) as repository:
        repository.insert_decisions(
            ExperimentDecision(
                system="fraud",
                experiment_id=stored.id,
                decided_at=row["event_time"],
                **row,
            )
            for row in data.recorded.to_pylist()
        )
    return data


def running(address: str) -> StoredExperiment:
    with ExperimentRepository(address) as repository:
        running_now = repository.running("fraud")
    assert running_now is not None
    return running_now


def test_start_resolves_aliases_and_runs(address: str, tmp_path: Path, registry: Registry) -> None:
    text = start.main(start_config(address, tmp_path), NOVEMBER)
    assert "fraud/november runs since 2026-11-23T10:15:00Z, until 2026-12-07T10:15:00Z" in text
    declared = running(address).declaration
    aliases = registry.aliases("fraud")
    assert (declared.champion, declared.challenger) == (aliases["champion"], aliases["challenger"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"challenger": "champion"}, "nothing could differ"),
        ({"share": 0.0}, "use shadow mode"),
        ({"share": 1.0}, "promote the challenger instead"),
        ({"share": None}, "--share: expected a share between 0 and 1"),
        ({"until": "2026-12-01T00:00:00"}, "--until: expected a date"),
        ({"name": "Two Words"}, "experiment: name"),
        ({"fault_share": 2.0}, "guardrails.fault_share"),
    ],
)
def test_an_experiment_that_cannot_be_is_not_started(
    address: str, tmp_path: Path, registry: Registry, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        start.main(start_config(address, tmp_path, **changes), NOVEMBER)
    with ExperimentRepository(address) as repository:
        assert repository.list_of_system("fraud") == []


def test_an_experiment_with_itself_or_an_unknown_version_is_not_started(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    champion = registry.aliases("fraud")["champion"]
    for challenger, message in (
        (champion, "an experiment with itself"),
        ("20200101T000000Z-00000000", "20200101T000000Z-00000000"),
    ):
        with pytest.raises(ValueError, match=message):
            start.main(start_config(address, tmp_path, challenger=challenger), NOVEMBER)


def test_the_cycle_of_an_experiment(address: str, tmp_path: Path, registry: Registry) -> None:
    start.main(start_config(address, tmp_path), NOVEMBER)
    stored_payments(address, running(address), caught=(0.1, 0.95))
    early = judge.main(judge_config(address, tmp_path), NOVEMBER + 10 * DAY)
    assert early.verdict.action == "go on"
    late = judge.main(judge_config(address, tmp_path, stop=True), LATER)
    assert late.verdict.action == "promote"
    assert len(late.looks) == 2
    written = json.loads((tmp_path / "verdict/report.json").read_text())
    assert written["sentence"] == late.verdict.sentence
    assert late.verdict.sentence[1:] in (tmp_path / "verdict/report.html").read_text()
    with ExperimentRepository(address) as repository:
        stored = repository.find("fraud/november")
        actions = [change.action for change in repository.changes(stored.id)]
    assert stored.reason == late.verdict.sentence
    assert actions == ["started", "judged", "judged", "ended"]
    assert judge.exit_code(judge_config(address, tmp_path, exit_codes=True), late) == 10
    again = judge.main(judge_config(address, tmp_path), LATER + DAY)
    assert any("had already decided: promote" in note for note in again.notes)


def test_an_alias_that_moves_changes_no_running_experiment(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    start.main(start_config(address, tmp_path), NOVEMBER)
    before = running(address)
    champion = registry.aliases("fraud")["champion"]
    registry.set_alias("fraud", "challenger", champion, at=LATER, by="ann")
    assert running(address) == before


def test_a_share_is_raised_and_the_end_comes_once(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    common = {"records": address, "system": "fraud", **QUIET}
    with pytest.raises(ExperimentError, match="no experiment of fraud runs; none was ever started"):
        raise_share.main(RaiseShareConfig(share=0.6, **common), NOVEMBER)
    start.main(start_config(address, tmp_path, share=0.1), NOVEMBER)
    text = raise_share.main(RaiseShareConfig(share=0.3, **common), NOVEMBER + DAY)
    assert text.endswith("share 0.1 -> 0.3")
    with pytest.raises(ExperimentError, match="never lowered"):
        raise_share.main(RaiseShareConfig(share=0.2, **common), NOVEMBER + DAY)
    assert "enough" in stop.main(StopConfig(reason="enough", **common), NOVEMBER + 2 * DAY)
    with pytest.raises(ExperimentEndedError, match=r"ended before, at .* by ann: enough"):
        stop.main(StopConfig(reason="again", **common), NOVEMBER + 3 * DAY)
    with pytest.raises(ExperimentError, match="fraud/november ended before, by ann: enough"):
        raise_share.main(RaiseShareConfig(share=0.4, **common), NOVEMBER + 3 * DAY)


def test_nothing_is_written_where_there_is_nothing_to_judge(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    config = judge_config(address, tmp_path)
    with pytest.raises(ExperimentError, match="no experiment of fraud was ever started"):
        judge.main(config, LATER)
    start.main(start_config(address, tmp_path), NOVEMBER)
    with pytest.raises(ValueError, match="no decisions of fraud"):
        judge.main(config, LATER)
    stored_payments(address, running(address), users=20)
    with pytest.raises(ExperimentError, match="expected after the start"):
        judge.main(config, NOVEMBER - DAY)
    with pytest.raises(ExperimentError, match="no outcome is ripe yet"):
        judge.main(config, NOVEMBER + DAY)
    assert not (tmp_path / "verdict").exists()
    with ExperimentRepository(address) as repository:
        assert [change.action for change in repository.changes("fraud/november")] == ["started"]


def test_no_labels_are_no_frauds_and_no_difference(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    start.main(start_config(address, tmp_path), NOVEMBER)
    data = payments(running(address), users=60)
    pq.write_table(data.decisions, tmp_path / "decisions.parquet")
    pq.write_table(data.labels.slice(0, 0), tmp_path / "labels.parquet")
    config = judge_config(
        address,
        tmp_path,
        decisions=str(tmp_path / "decisions.parquet"),
        labels=str(tmp_path / "labels.parquet"),
    )
    judgement = judge.main(config, LATER)
    assert judgement.verdict.action == "keep the champion"
    assert any("decisions have no row" in note for note in judgement.notes)


def test_a_look_before_the_last_one_is_refused(
    address: str, tmp_path: Path, registry: Registry
) -> None:
    start.main(start_config(address, tmp_path), NOVEMBER)
    stored_payments(address, running(address), users=40)
    judge.main(judge_config(address, tmp_path), LATER)
    with pytest.raises(ExperimentError, match="as_of: expected no earlier than the last look"):
        judge.main(judge_config(address, tmp_path, as_of="2026-12-05"), LATER)


def test_a_wrong_price_is_named_with_its_line(address: str, tmp_path: Path) -> None:
    config = judge_config(address, tmp_path)
    assert config.outcomes().label_days == 7  # type: ignore[attr-defined]
    for text, message in (
        ("label_day: 3\n", "prices.yaml:1: label_day: unknown field; did you mean 'label_days'"),
        ("costs:\n  review_minor: -1\n", "review_minor: expected 0 or more"),
    ):
        (tmp_path / "prices.yaml").write_text(text)
        with pytest.raises(ValueError, match=message.replace(".", r"\.")):
            replace(config).check()


def test_a_plan_from_past_decisions(address: str, tmp_path: Path, registry: Registry) -> None:
    start.main(start_config(address, tmp_path), NOVEMBER)
    data = payments(running(address), users=200)
    past = data.decisions.filter(pc.less(data.decisions["decided_at"].cast("int64"), NOVEMBER))
    pq.write_table(past, tmp_path / "decisions.parquet")
    pq.write_table(data.labels, tmp_path / "labels.parquet")
    config = PlanConfig(
        system="fraud",
        smallest_gain=1_500.0,
        output=tmp_path / "plan",
        decisions=str(tmp_path / "decisions.parquet"),
        labels=str(tmp_path / "labels.parquet"),
        since="2026-10-20",
        until="2026-11-23",
        prices=str(label_days_file(tmp_path)),
        progress="none",
    )
    config.check()
    text = plan.main(config, NOVEMBER)
    assert "a gain of 1,500 USD a week is shown with a probability of 80% by " in text
    written = json.loads((tmp_path / "plan/report.json").read_text())
    assert written["chosen"]["power"] >= 0.8
    assert np.isfinite(written["cost_if_worse"])


def test_the_command_line_says_what_to_change(address: str) -> None:
    program = [sys.executable, "-m", "jobs.experiments.stop", "--records", address]
    program += ["--system", "fraud", "--reason", "r"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: system: no experiment of fraud was ever started"


def visited(address: str, system: str, entity: str) -> StoredExperiment:
    """An experiment on 60 entities, each decided about once a day for two weeks."""
    declared = experiment(system=system, entity=entity, share=0.5)
    with ExperimentRepository(address) as repository:
        stored = repository.start(declared, by="ann", at=NOVEMBER)
    with Records(address) as records:
        keep_decisions(
            records,
            [
                decision(
                    f"{number} {day}",
                    system=system,
                    entities={entity: f"e{number}"},
                    decision="MONITOR",
                    features={"mrr": 100.0},
                    **dict.fromkeys(("event_time", "received_at", "decided_at"), at),
                )
                for number in range(60)
                for day in range(14)
                for at in (NOVEMBER + day * DAY + number,)
            ],
        )
    return stored


EVENTS = pytest.mark.parametrize(
    ("system", "entity", "option", "more"),
    [
        ("maintenance", "machine_id", "failures", {"failure_mode": "bearing"}),
        ("churn", "customer_id", "notices", {}),
    ],
)


@EVENTS
def test_events_of_a_log_of_ones_own_count(
    address: str, tmp_path: Path, system: str, entity: str, option: str, more: dict[str, str]
) -> None:
    stored = visited(address, system, entity)
    harmed = [f"e{k}" for k in range(60) if stored.deciding_arm(f"e{k}") == "champion"][:20]
    times = [f"2026-12-0{1 + k % 5}T12:00:00Z" for k in range(len(harmed))]
    rows = [
        {entity: name, "event_time": at, **more} for name, at in zip(harmed, times, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "events.parquet")
    config = judge_config(address, tmp_path, system=system, prices=None, before_days=0.0)
    with_file = replace(config, **{option: str(tmp_path / "events.parquet")})  # type: ignore[arg-type]
    with_file.check()
    late = NOVEMBER + 150 * DAY
    judgement = judge.main(with_file, late)
    assert judgement.gain.low > 0.0
    assert judgement.verdict.action == "promote"
    assert judge.main(config, late).gain.estimate == 0.0  # nothing happened, as far as is known


@EVENTS
def test_a_log_of_another_system_is_refused(
    address: str, tmp_path: Path, system: str, entity: str, option: str, more: dict[str, str]
) -> None:
    other = {"maintenance": "churn", "churn": "fraud"}[system]
    config = judge_config(address, tmp_path, system=other, prices=None)
    for changes, message in (
        ({option: "events.parquet"}, f"--{option}: expected none for {other}; it is of {system}"),
        ({option: str(tmp_path / "none.parquet"), "system": system}, "none.parquet"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            replace(config, **changes).check()  # type: ignore[arg-type]
