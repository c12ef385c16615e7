"""A maintenance model with attributes, from files over training to predictions, rules, reasons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.maintenance import score, train
from jobs.maintenance.score import ScoreConfig
from jobs.maintenance.training_config import TrainConfig
from lib.contract import ContractError
from lib.maintenance.dataset import current_rows
from lib.maintenance.machine_kind import KIND_FILE, kind_text, load_kind
from lib.maintenance.model.model import load_model
from lib.monitoring import REFERENCE_FILE
from lib.registry import Registry
from tests.conftest import on_two_cores
from tests.maintenance.attribute_tables import FEATURES, machines_of, mapping, write_attributes
from tests.maintenance.small_fleet import SETTINGS, tables
from tests.serve.application import iso
from tests.serve.maintenance_app import MACHINES, Running, maintenance, news
from tests.serve.trained_attributes import (
    Trained,
    bad_attributes,
    refusal_of,
    require_words,
    typed_fields,
)

pytestmark = [pytest.mark.anyio, *on_two_cores(minutes=8)]
SENT = {
    "make": "Acme",
    "load_class": "heavy",
    "rated_power": 0.1 + 0.2,
    "indoors": True,
    "alignment": -1e-9,
}
RULES = """
version: 7
rules:
- {id: heavy_acme, when: make == "Acme" and load_class == "heavy" and rated_power < 50,
   action: STOP, reason: heavy load on an Acme, confidence: 0.5, priority: 1, owner: team}
"""


@dataclass(frozen=True)
class TrainedKind(Trained):
    """With the kind of machine that the rows show."""

    @property
    def kind(self) -> Path:
        """The kind of machine that the rows show."""
        return self.output / "rows" / "kind.yaml"

    def serving(
        self, folder: Path, now_us: int, **changes: Any
    ) -> AbstractAsyncContextManager[Running]:
        """The application with the model."""
        settings = {"registry": str(self.registry), "kind": str(self.kind), **changes}
        return maintenance(None, folder, now_us, **settings)


@pytest.fixture(scope="module")
def trained(small_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedKind:
    folder = tmp_path_factory.mktemp("trained")
    fleet = {name: str(small_fleet / f"{name}.parquet") for name in ("errors", "maintenance")}
    options = {
        "telemetry": str(small_fleet / "telemetry"),
        "mapping_telemetry": str(small_fleet / "telemetry.yaml"),
        **fleet,
        **write_attributes(small_fleet, folder / "own"),
    }
    changes: dict[str, Any] = {
        **options,
        "failures": str(small_fleet / "failures.parquet"),
        "kind": str(KIND_FILE),
        "every_hours": 48.0,
        "output": str(folder / "out"),
        "registry": str(folder / "registry"),
        "alias": "champion",
        "model": SETTINGS,
        "engine": "process",
        "bootstrap": 5,
        "test_proportionality": False,
        "progress": "none",
    }
    train.main(TrainConfig(**changes))
    return TrainedKind(options, folder / "out", folder / "registry")


@pytest.fixture
async def app(trained: TrainedKind, tmp_path: Path, at: int) -> AsyncIterator[Running]:
    async with trained.serving(tmp_path, at) as running:
        yield running


async def features_of(app: Running, answer: dict[str, Any]) -> dict[str, Any]:
    decision = await app.service.decision_store.find(answer["prediction_id"])
    return dict(decision.features)


async def predicted(app: Running, **news: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    await app.post("readings", {"machine_id": "new", **news})
    answer = await app.post("predict", {"machine_id": "new"})
    return answer, await features_of(app, answer)


def test_a_trained_model_carries_attributes_and_their_reference(trained: TrainedKind) -> None:
    model = load_model(trained.output / "model")
    assert model.features == load_kind(trained.kind)
    assert model.features.names[-5:] == FEATURES
    for scaling in (model.main_half.cox.scaling, model.main_half.network.scaling):
        assert set(scaling.coded[:, 0].tolist()) == set(model.features.codes)
        assert {"make_code = 1", "make_code = 2"} <= set(scaling.columns)
        assert "make_code" not in scaling.columns
    reference = (trained.output / "model" / REFERENCE_FILE).read_text()
    assert all(f'"{name}"' in reference for name in FEATURES)
    row = model.usual.copy()
    risks = []
    for code in (1.0, 2.0, 0.0, np.nan):
        row[model.features.codes[0]] = code
        risks.append(float(model.risk(row[None])[0]))
    assert risks[0] != risks[1]
    assert risks[2] == pytest.approx(risks[3], rel=0.2)


async def test_attributes_of_a_request_are_in_the_prediction(app: Running) -> None:
    answer, features = await predicted(app, attributes=SENT)
    assert answer["model_version"] is not None
    assert [features[name] for name in FEATURES] == [1.0, 1.0, 0.1 + 0.2, 1.0, -1e-9]
    _, kept = await predicted(app, installed_at="2024-01-01T00:00:00Z")
    assert [kept[name] for name in FEATURES] == [features[name] for name in FEATURES]
    _, other = await predicted(app, attributes={"make": "Bolt"})
    assert other["make_code"] == 2.0
    assert np.isnan([other[name] for name in FEATURES[1:]]).all()


async def test_attributes_that_are_left_out_or_never_seen(app: Running) -> None:
    _, features = await predicted(app, attributes={"make": "Cord", "rated_power": None})
    assert features["make_code"] == 0.0
    assert np.isnan([features[name] for name in FEATURES[1:]]).all()
    counted = app.meter.text()
    head = "forewarn_maintenance_attributes_total"
    assert f'{head}{{attribute="make",state="unknown"}} 1.0' in counted
    assert f'{head}{{attribute="rated_power",state="missing"}} 1.0' in counted
    assert 'attribute="make",state="missing"' not in counted


async def test_a_service_computes_the_attributes_of_the_files(
    trained: TrainedKind, small_fleet: Path, tmp_path: Path, at: int
) -> None:
    features = load_kind(trained.kind)
    own_tables = replace(tables(small_fleet), machines=machines_of(small_fleet))
    names, rows, _ = current_rows(features, own_tables, at)
    listed = {row["machine_id"]: row for row in own_tables.machines.to_pylist()}
    compared = 0
    async with trained.serving(tmp_path / "app", at) as app:
        for machine in MACHINES[:3]:
            sent = {each.name: listed[machine][each.name] for each in features.attributes}
            installed = listed[machine]["installed_at"]
            more = {"installed_at": installed.isoformat()} if installed else {}
            await app.post("readings", news(small_fleet, machine, attributes=sent, **more))
            answer = await app.post("predict", {"machine_id": machine, "at": iso(at)})
            values = await features_of(app, answer)
            computed = dict(zip(features.names, rows[names.index(machine)].tolist(), strict=True))
            served = np.array([values[name] for name in FEATURES])
            np.testing.assert_array_equal(served, [computed[name] for name in FEATURES])
            compared += int(np.isfinite(served).sum())
    assert compared > 10


@pytest.mark.parametrize(
    ("attributes", "field"), bad_attributes("attributes", "make", "rated_power", "indoors")
)
async def test_bad_attributes_are_refused_by_name(
    app: Running, attributes: dict[str, Any], field: str
) -> None:
    body = {"machine_id": "new", "attributes": attributes}
    refused = await app.post("readings", body, status=422)
    assert field in str(refused)
    many = await app.post("readings", [{**body, "attributes": {}}, body], status=422)
    assert f"1.{field}" in str(many)
    assert (await app.post("predict", {"machine_id": "new"}, status=404))["status"] == 404


async def test_nothing_at_all_is_refused_with_what_may_be_sent(app: Running) -> None:
    refused = await app.post("readings", {"machine_id": "new"}, status=422)
    assert "waveforms, attributes or installed_at, got none" in str(refused)


async def test_rules_read_attributes_as_texts_and_numbers(app: Running) -> None:
    await app.service.reconfigure({"rules": RULES})
    answer, _ = await predicted(app, attributes=SENT)
    assert (answer["rule_id"], answer["decision"]) == ("heavy_acme", "STOP")
    decision = await app.service.decision_store.find(answer["prediction_id"])
    assert decision.request["make"] == "Acme"
    other, _ = await predicted(app, attributes={**SENT, "make": "Cord"})
    assert other["rule_id"] is None


async def test_drivers_name_attributes_in_the_words_of_the_mapping(
    app: Running, small_fleet: Path
) -> None:
    words: dict[str, str] = {}
    for machine, make in zip(MACHINES, ("Acme", "Bolt", "Acme", "Bolt", "Acme"), strict=True):
        sent = {**SENT, "make": make, "rated_power": 999.0, "alignment": 1.0}
        await app.post("readings", news(small_fleet, machine, attributes=sent))
        answer = await app.post("predict", {"machine_id": machine})
        words |= {each["feature"]: each["words"] for each in answer["drivers"]}
    starts = {
        "make_code": "make of the machine ",
        "load_class_code": "load class ",
        "rated_power": "rated power ",
        "indoors": "stands in a hall ",
        "alignment": "alignment ",
    }
    require_words(words, starts)


async def test_the_api_page_has_a_typed_field_for_each_attribute(app: Running) -> None:
    types = {"make": "string", "rated_power": "number", "indoors": "boolean"}
    fields = await typed_fields(app.client, "maintenance", "MachineAttributes", **types)
    assert fields["rated_power"]["anyOf"][0]["maximum"] == 1000
    assert fields["rated_power"]["description"] == "Rated power; kW; null if unknown."


async def test_a_model_of_other_attributes_is_refused_with_what_to_do(
    trained: TrainedKind, small_fleet: Path, tmp_path: Path, at: int
) -> None:
    async with maintenance(small_fleet, tmp_path, at) as app:
        version = Registry(tmp_path / "registry").publish(trained.output / "model", "maintenance")
        refusal = await refusal_of(app.service, version)
        assert "reads other attributes of machines" in refusal
        assert "attribute 'make': category (values Acme|Bolt) against none" in refusal
        body = {"machine_id": "new", "attributes": {"make": "Acme"}}
        assert "attributes" in str(await app.post("readings", body, status=422))


async def test_readings_and_attributes_outlive_another_vocabulary(
    trained: TrainedKind, tmp_path: Path, at: int
) -> None:
    reading = {"event_time": iso(at - 60_000_000), "sensors": {"rpm": 900.0}}
    async with trained.serving(tmp_path, at) as app:
        await predicted(app, readings=[reading], attributes={**SENT, "make": "Cord"})
    kind = load_kind(trained.kind)
    make = replace(kind.attributes[0], vocabulary=("Acme", "Bolt", "Cord"))
    later = tmp_path / "kind.yaml"
    later.write_text(kind_text(replace(kind, attributes=(make, *kind.attributes[1:]))))
    async with trained.serving(tmp_path, at, kind=str(later)) as app:
        answer = await app.post("predict", {"machine_id": "new"})
        features = await features_of(app, answer)
        assert answer["method"] == "fallback"  # the model is of the other vocabulary
        assert "reads other attributes" in app.service.model_slot.error
        assert (features["make_code"], features["rpm_last_rpm"]) == (3.0, 900.0)


def test_machines_are_scored_by_their_attributes(
    trained: TrainedKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ScoreConfig(
        **trained.options,
        output=str(tmp_path / "scores"),
        registry=str(trained.registry),
        progress="none",
    )
    score.main(config)
    scored = pq.read_table(tmp_path / "scores" / "data")
    assert scored.num_rows == machines_rows(trained)
    changed = tmp_path / "machines.yaml"
    columns = pq.read_schema(trained.options["machines"]).names
    changed.write_text(mapping(columns, "  load_class: {from: load_class, type: category}"))
    with pytest.raises(ContractError, match=r"attribute 'make'.*under 'attributes'"):
        score.main(replace(config, mapping_machines=str(changed)))
    with pytest.raises(ContractError, match=r"--machines is missing.*'make', 'load_class'"):
        score.main(replace(config, machines=None, mapping_machines=None))


def machines_rows(trained: TrainedKind) -> int:
    """How many machines are listed."""
    return int(pq.read_table(trained.options["machines"]).num_rows)
