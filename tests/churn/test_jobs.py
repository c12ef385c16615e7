"""The jobs from tables to a plan on a small Ray: what they write, and what they refuse."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.churn import features, plan, score, simulate, train, tune
from jobs.churn.features import FeaturesConfig
from jobs.churn.plan import PlanConfig
from jobs.churn.score import ScoreConfig
from jobs.churn.scoring import keep_health
from jobs.churn.simulate import Simulate
from jobs.churn.training_config import TrainConfig
from jobs.churn.tune import TuneConfig
from jobs.framework.row_folder import RowFolder
from lib.churn.consistency import NOTICE_WITHOUT_FLAG
from lib.churn.events import stream
from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE, PlaybookError
from lib.churn.model.model import load_model
from lib.churn.model.scores import NOTE, PROBABILITIES, features_in
from lib.churn.overrides import set_override
from lib.churn.snapshots import features_at, snapshots, to_table
from lib.churn.standing_repository import StandingFilter, StandingRepository
from lib.churn.target import Target
from lib.churn.vocabulary import ChurnError
from lib.contract import ContractError
from lib.feature import DAY
from lib.records import RecordsError
from lib.registry import Registry
from lib.storage import open_storage
from tests.churn.small_model import SMALL_TREES
from tests.churn.tables import base_in
from tests.conftest import on_two_cores

pytestmark = on_two_cores(minutes=10)
NAMES = ("customers", "usage", "tickets", "invoices", "payments", "surveys", "signals", "churn")
MODEL = SMALL_TREES


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    simulate.main(Simulate(folder, accounts=130, days=360, seed=4, leave_a_year=0.7))
    return folder


def sources(dataset: Path, output: Path, **changes: object) -> dict[str, object]:
    named = {name: str(dataset / f"{name}.parquet") for name in NAMES}
    return {**named, "output": str(output), **changes}


def tables(dataset: Path) -> dict[str, pa.Table]:
    return {name: pq.read_table(dataset / f"{name}.parquet") for name in NAMES}


def values(table: pa.Table, name: str) -> np.ndarray:
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64()).fill_null(0)
    return column.to_pandas().to_numpy()


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    options = sources(dataset, output, registry=str(output / "registry"), alias="champion")
    train.main(TrainConfig(**options, every_days=20, model=MODEL, bootstrap=20, simulated=True))
    return output


@pytest.fixture(scope="module")
def scored(dataset, trained, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("scored")
    records = f"sqlite:///{output}/records.sqlite"
    score.main(
        ScoreConfig(**sources(dataset, output), registry=str(trained / "registry"), records=records)
    )
    return output


def test_rows_of_the_job_are_those_of_the_library_however_they_are_spread(dataset, tmp_path):
    outputs = {}
    for partitions in (1, 3):
        output = tmp_path / str(partitions)
        config = FeaturesConfig(**sources(dataset, output), every_days=40, partitions=partitions)
        features.main(config)
        outputs[partitions] = pq.read_table(output / "data").sort_by(
            [("as_of", "ascending"), ("customer_id", "ascending")]
        )
    for name in outputs[1].column_names:
        np.testing.assert_array_equal(values(outputs[1], name), values(outputs[3], name), name)
    note = json.loads((tmp_path / "3" / "features.json").read_text())
    base = base_in(tables(dataset))
    moments = np.unique(outputs[1]["as_of"].cast(pa.int64()).to_numpy()).tolist()
    until = max(
        int(np.max(table["event_time"].cast(pa.int64()).to_numpy()))
        for table in tables(dataset).values()
    )
    ours = to_table(snapshots(stream(tables(dataset), base), base, moments, Target(), until))
    ours = ours.sort_by([("as_of", "ascending"), ("customer_id", "ascending")])
    for name in ours.column_names:
        np.testing.assert_array_equal(values(outputs[1], name), values(ours, name), name)
    assert note["rows"] == ours.num_rows


def test_training_ends_with_model_report_and_quarantine(trained, capsys):
    report = json.loads((trained / "report.json").read_text())
    assert report["simulated"] is True
    assert set(report["methods"]) >= {"ours", "recency alone", "logistic regression"}
    assert "Beside simpler methods" in (trained / "report.html").read_text()
    model = load_model(trained / "model")
    assert Registry(trained / "registry").resolve("churn", "champion") == model.version


def test_training_again_continues_and_says_where_everything_is(dataset, trained, capsys):
    options = sources(dataset, trained)
    train.main(TrainConfig(**options, every_days=20, model=MODEL, bootstrap=20, simulated=True))
    output = capsys.readouterr().out
    assert "rows are there already" in output
    assert "workers with" not in output  # no trees are grown again
    last = [line.split(":")[0].strip() for line in output.strip().splitlines()[-5:]]
    assert last == ["model", "registry", "report", "report", "quarantine"]


def test_this_process_trains_without_ray(dataset, trained, tmp_path):
    rows = trained / "rows"
    config = TrainConfig(
        output=str(tmp_path), features=str(rows), engine="process", model=MODEL, bootstrap=10
    )
    train.main(config)
    ours = load_model(trained / "model")
    assert load_model(tmp_path / "model").linear.weights.tolist() == ours.linear.weights.tolist()


def test_scores_are_those_of_the_features_at_the_moment(dataset, trained, scored):
    model, base = load_model(trained / "model"), base_in(tables(dataset))
    table = pq.read_table(scored / "data").sort_by("customer_id")
    names = table["customer_id"].to_pylist()
    at_us = table["as_of"].cast(pa.int64()).to_numpy()
    matrix = features_at(base, stream(tables(dataset), base), names, at_us)
    np.testing.assert_array_equal(features_in(table, model.names), matrix)
    assert table["chance"].to_pylist() == model.probabilities(matrix).tolist()
    left = set(tables(dataset)["churn"]["customer_id"].to_pylist())
    assert left.isdisjoint(names)


def test_scores_are_added_to_the_history_of_health(scored):
    table = pq.read_table(scored / "data").sort_by("customer_id")
    with StandingRepository(f"sqlite:///{scored}/records.sqlite") as standings:
        listed = standings.list_standings(StandingFilter(), "id", table.num_rows + 1)
    assert [standing.customer_id for standing in listed] == table["customer_id"].to_pylist()
    assert [standing.score for standing in listed] == table["score"].to_pylist()
    assert [standing.segment for standing in listed] == table["segment"].to_pylist()
    assert [standing.mrr for standing in listed] == table["mrr"].to_pylist()


def test_health_of_a_day_that_has_not_ended_counts_from_now_on(scored, tmp_path):
    records, before = f"sqlite:///{tmp_path}/records.sqlite", time.time_ns() // 1000
    folder = RowFolder(open_storage(str(scored)), NOTE)
    assert keep_health(folder, records, before + DAY, "v1")
    with StandingRepository(records) as standings:
        listed = standings.list_standings(StandingFilter(), "id", 1000)
    assert {before <= standing.at <= time.time_ns() // 1000 for standing in listed} == {True}


def test_a_day_is_planned_from_scores(scored, tmp_path, capsys):
    config = PlanConfig(scores=str(scored), output=str(tmp_path), hours=30, budget=3000)
    first = pq.read_table(plan.main(config))
    assert first.num_rows > 0
    assert float(np.sum(first["hours"].to_numpy())) <= 30
    assert float(np.sum(first["cost"].to_numpy())) <= 3000
    assert "expected gain" in capsys.readouterr().out
    assert "Evidence of the effects" in (tmp_path / "report.html").read_text()
    again = pq.read_table(plan.main(config))
    assert again.equals(first)  # the same day is planned anew, not on top of itself


def test_all_interventions_can_be_switched_off(scored, tmp_path, capsys):
    off = tmp_path / "off.yaml"
    off.write_text(PLAYBOOKS_FILE.read_text().replace("enabled: true", "enabled: false"))
    config = PlanConfig(
        scores=str(scored), output=str(tmp_path / "p"), hours=30, budget=3000, playbooks=off
    )
    assert pq.read_table(plan.main(config)).num_rows == 0
    assert "switched off" in capsys.readouterr().out


def with_probabilities(scored: Path, folder: Path, worth: list[float] | None) -> str:
    """The same scores, with other probabilities that health scores are worth, or without any."""
    shutil.copytree(scored, folder)
    note = json.loads((scored / NOTE).read_text())
    assert len(note[PROBABILITIES]) == 101
    changed = {name: value for name, value in (note | {PROBABILITIES: worth}).items() if value}
    (folder / NOTE).write_text(json.dumps(changed))
    return str(folder)


def test_a_plan_obeys_scores_that_people_set_and_their_stop(scored, tmp_path, capsys):
    now, records = time.time_ns() // 1000, f"sqlite:///{tmp_path}/records.sqlite"
    by = {"author": "ann", "key_id": "k", "reason": "prices were wrong"}
    scores = with_probabilities(scored, tmp_path / "s", np.linspace(0.0, 1.0, 101).tolist())
    config = PlanConfig(scores=scores, output=str(tmp_path / "p"), hours=30, budget=3000)
    first = pq.read_table(plan.main(config))["customer_id"].to_pylist()
    with InterventionRepository(records) as repository:
        repository.migrate()
        health = repository.sharing(HealthRepository)
        for customer_id, until in ((first[0], DAY), (first[1], 1), ("unknown", DAY)):
            set_override(health, customer_id, 100.0, **by, now=now, until=now + until)
        capsys.readouterr()
        obeying = replace(config, records=records)
        second = pq.read_table(plan.main(obeying))["customer_id"].to_pylist()
        assert first[0] not in second
        assert first[1] in second
        words = "by the score that a person set, not by the model's: 1; not chosen of them: 1"
        assert words in capsys.readouterr().out
        repository.set_switch(stopped=True, at=now, request_id="r", **by)
        assert pq.read_table(plan.main(obeying)).num_rows == 0
    count = pq.read_table(scored / "data").num_rows
    left_out = f"all {count} customers are left out: ann stopped all interventions (prices"
    assert left_out in capsys.readouterr().out
    assert left_out in json.loads((tmp_path / "p" / "report.json").read_text())["notes"][0]
    assert left_out in (tmp_path / "p" / "report.html").read_text()


def test_older_scores_are_refused_where_people_set_some(scored, tmp_path):
    older, records = (
        with_probabilities(scored, tmp_path / "s", None),
        f"sqlite:///{tmp_path}/r.sqlite",
    )
    config = PlanConfig(
        scores=older, output=str(tmp_path / "p"), hours=30, budget=3000, records=records
    )
    with pytest.raises(RecordsError, match="expected a database that a service wrote"):
        config.check()
    customer_id = pq.read_table(scored / "data")["customer_id"][0].as_py()
    now = time.time_ns() // 1000
    with HealthRepository(records) as health:
        health.migrate()
        plan.main(config)
        by = {"author": "ann", "key_id": "k", "reason": "met", "now": now, "until": now + DAY}
        set_override(health, customer_id, 9.0, **by)
    with pytest.raises(ChurnError, match=r"\(there are 1\), got older ones"):
        plan.main(config)


def test_a_plan_is_refused_for_what_cannot_be_meant(scored, tmp_path):
    config = PlanConfig(scores=str(scored), output=str(tmp_path), hours=30, budget=-1)
    with pytest.raises(ChurnError, match="budget: expected 0 or more, got -1"):
        plan.main(config)
    typo = tmp_path / "typo.yaml"
    typo.write_text(PLAYBOOKS_FILE.read_text().replace("hours: 5", "hors: 5"))
    with pytest.raises(PlaybookError, match=r"training: playbooks\.hors: unknown field"):
        plan.main(replace(config, budget=1, playbooks=typo))
    with pytest.raises(ContractError, match=r"expected output of jobs\.churn\.score"):
        plan.main(replace(config, budget=1, scores=str(tmp_path / "nowhere")))


def test_a_search_writes_settings_that_training_reads(trained, tmp_path):
    best = tune.main(
        TuneConfig(features=str(trained / "rows"), output=str(tmp_path), trials=2, concurrent=2)
    )
    settings = yaml.safe_load(Path(best).read_text())["model"]
    assert set(settings) == {"ridge", "linear_share", "trees"}
    assert settings["ridge"] > 0


def test_customers_alone_with_invoices_are_enough(dataset, tmp_path):
    only = {
        "customers": str(dataset / "customers.parquet"),
        "invoices": str(dataset / "invoices.parquet"),
    }
    config = FeaturesConfig(
        **only,
        output=str(tmp_path),
        target=Target(means="no_invoice", active_days=60),
        every_days=40,
    )
    table = pq.read_table(features.main(config))
    assert table["usage_30d"].to_pandas().isna().all()
    assert table["invoices_90d"].to_pandas().notna().all()
    assert "usage_30d" in json.loads((tmp_path / "features.json").read_text())["untold"]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"customers": None}, ContractError, "--customers is missing"),
        ({"churn": None}, ChurnError, "--churn is missing, which --target.means notice needs"),
        ({"every_days": 0}, ChurnError, "--every-days"),
        ({"warm_up_days": 5000}, ChurnError, "too few for --warm-up-days 5000"),
        ({"until": "soon"}, ContractError, "--until: expected a time in ISO 8601, got 'soon'"),
    ],
)
def test_what_cannot_be_meant_is_refused(dataset, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        features.main(FeaturesConfig(**sources(dataset, tmp_path / "x", **changes)))


def test_rows_dated_in_the_future_are_left_out_and_counted(dataset, tmp_path):
    usage = pq.read_table(dataset / "usage.parquet")
    far = pa.array([4_000_000_000_000_000]).cast(pa.timestamp("us", "UTC"))
    odd = usage.slice(0, 1).set_column(1, "event_time", far).set_column(2, "known_at", far)
    pq.write_table(pa.concat_tables([usage, odd.cast(usage.schema)]), tmp_path / "usage.parquet")
    changes = {"usage": str(tmp_path / "usage.parquet"), "until": "2024-12-27"}
    features.main(FeaturesConfig(**sources(dataset, tmp_path / "x", **changes), every_days=60))
    note = json.loads((tmp_path / "x" / "features.json").read_text())
    assert note["contradictions"]["rows dated after --until"] == 1


def test_an_empty_table_and_bad_rows_are_told(dataset, tmp_path):
    churn = pq.read_table(dataset / "churn.parquet")
    customers = pq.read_table(dataset / "customers.parquet")
    flags = pa.array([False] * customers.num_rows)
    position = customers.column_names.index("churned")
    pq.write_table(customers.set_column(position, "churned", flags), tmp_path / "customers.parquet")
    pq.write_table(
        pq.read_table(dataset / "surveys.parquet").slice(0, 0), tmp_path / "surveys.parquet"
    )
    tickets = pq.read_table(dataset / "tickets.parquet")
    bad = tickets.set_column(
        tickets.column_names.index("satisfaction"),
        "satisfaction",
        pa.array([99.0] * 3 + [None] * (tickets.num_rows - 3), pa.float64()),
    )
    pq.write_table(bad, tmp_path / "tickets.parquet")
    changes = {name: str(tmp_path / f"{name}.parquet") for name in ("customers", "tickets")}
    features.main(FeaturesConfig(**sources(dataset, tmp_path / "x", **changes), every_days=60))
    note = json.loads((tmp_path / "x" / "features.json").read_text())
    assert note["contradictions"][NOTICE_WITHOUT_FLAG] == churn.num_rows
    assert sum(note["tables"]["tickets"]["adjustments"].values()) == 3
    assert pq.read_table(tmp_path / "x" / "data")["nps_last"].null_count == 0
    empty = {"surveys": str(tmp_path / "surveys.parquet")}
    data = features.main(FeaturesConfig(**sources(dataset, tmp_path / "y", **empty), every_days=60))
    assert pq.read_table(data)["nps_last"].to_pandas().isna().all()
