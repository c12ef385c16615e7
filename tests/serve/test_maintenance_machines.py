"""Readings in, predictions out: the same features as offline, rules first, bad input refused."""

import asyncio
from typing import Any

import numpy as np
import pytest

from lib.maintenance.dataset import Tables, current_rows
from lib.maintenance.model.model import load_model
from lib.maintenance.waveform import waveform_features
from tests.maintenance.small_fleet import tables
from tests.serve.application import iso
from tests.serve.maintenance_app import Running, maintenance, news

pytestmark = pytest.mark.anyio
MINUTE = 60_000_000


async def rescored(app: Running, answer: dict[str, Any]) -> Any:
    """A prediction that was made without the model, once the model has answered."""
    for _ in range(200):
        again = app.service.decision_store.records.rescore("maintenance", answer["prediction_id"])
        if again is not None and again.answer is not None:
            break
        await asyncio.sleep(0.05)
    return again


async def test_a_prediction_equals_what_the_job_says_of_the_same_past(small_fleet, tmp_path, at):
    source_tables = tables(small_fleet)
    machine = "M00002"
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        for start in (0, 300):  # in two parts, the second overlapping the first
            body = news(small_fleet, machine)
            body["readings"] = body["readings"][start : start + 500]
            await app.post("readings", body)
        answer = await app.post("predict", {"machine_id": machine, "at": iso(at)})
        record = await app.service.decision_store.find(answer["prediction_id"])
        model = load_model(next((app.folder / "models").rglob("manifest.json")).parent)
    telemetry = source_tables.telemetry.filter(
        np.array(source_tables.telemetry["machine_id"].to_pylist()) == machine
    )
    own_tables = Tables(
        telemetry, source_tables.errors, source_tables.maintenance, source_tables.failures, None
    )
    names, rows, _ = current_rows(model.features, own_tables, at)
    row = rows[names.index(machine)]
    served = np.array([record.features[name] for name in model.features.names])
    # hours run and hours since any service reach back further than what was told here
    same = (served == row) | (np.isnan(served) & np.isnan(row))
    differing = {name for name, ok in zip(model.features.names, same, strict=True) if not ok}
    assert differing <= {"operating_hours_since_service"}
    expected = model.predict(served[None])[0]
    assert answer["failure_within"] == pytest.approx(expected.probabilities)
    assert answer["median_hours"] == pytest.approx(expected.median_hours)
    assert answer["method"] == ("rule" if answer["rule_id"] else "model")
    curve = answer["survival"]
    assert curve[0] == {"hours": 0.0, "survival": 1.0, "low": 1.0, "high": 1.0}
    assert all(point["low"] <= point["survival"] <= point["high"] for point in curve)


async def test_a_rule_decides_before_the_model(small_fleet, tmp_path, at):
    body = news(small_fleet, "M00001")
    body["readings"][-1]["sensors"]["temperature"] = 140.0
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        await app.post("readings", body)
        answer = await app.post("predict", {"machine_id": "M00001"})
    assert (answer["decision"], answer["method"]) == ("STOP", "rule")
    assert answer["rule_id"] == "temperature_above_bound"
    assert answer["failure_within"]["7d"] is not None  # the model is asked all the same


async def test_a_stuck_sensor_is_named_and_asks_for_a_look(small_fleet, tmp_path, at):
    body = news(small_fleet, "M00001")
    for reading in body["readings"][-10:]:
        reading["sensors"]["vibration"] = 2.5
        reading["sensors"]["noise"] = None
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        response = await app.post("readings", body)
        answer = await app.post("predict", {"machine_id": "M00001"})
    faults = {fault["sensor"]: fault["fault"] for fault in response["machines"][0]["sensor_faults"]}
    assert faults == {"vibration": "stuck", "noise": "missing"}
    assert answer["rule_id"] == "vibration_sensor_stuck"
    assert answer["decision"] == "INSPECT"


async def test_repeats_late_and_old_readings_are_counted(small_fleet, tmp_path, at):
    body = news(small_fleet, "M00001", 200)
    first, rest = body["readings"][:1], body["readings"][1:]
    other = [{**rest[-1], "sensors": {**rest[-1]["sensors"], "power": 1.0}}]
    old = [{**rest[0], "event_time": iso(at - 60 * 86_400_000_000)}]
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        new = await app.post("readings", {"machine_id": "M00001", "readings": rest})
        again = await app.post("readings", {"machine_id": "M00001", "readings": rest[:10]})
        mixed = await app.post(
            "readings", {"machine_id": "M00001", "readings": [*first, *other, *old]}
        )
        machine = await app.get("machines/M00001")
    counts = ("new_machine", "readings", "late", "repeated", "contradicting", "too_old")
    assert [new["machines"][0][name] for name in counts] == [True, len(rest), 0, 0, 0, 0]
    assert [again["machines"][0][name] for name in counts] == [False, 0, 0, 10, 0, 0]
    assert [mixed["machines"][0][name] for name in counts] == [False, 1, 1, 0, 1, 1]
    assert machine["readings"] == len(rest) + 1
    assert machine["latest"]["power"] == rest[-1]["sensors"]["power"]


async def test_what_replicas_tell_of_one_machine_at_once_is_all_remembered(
    small_fleet, tmp_path, at
):
    readings = news(small_fleet, "M00001", 240)["readings"]
    async with (
        maintenance(small_fleet, tmp_path / "a", at) as first,
        maintenance(
            None,
            tmp_path / "b",
            at,
            machine_store=f"sqlite:///{tmp_path}/a/machines.sqlite",
        ) as other,
    ):
        await asyncio.gather(
            *(
                app.post("readings", {"machine_id": "M00001", "readings": readings[k : k + 20]})
                for k, app in zip(range(0, 240, 20), [first, other] * 6, strict=True)
            )
        )
        assert (await first.get("machines/M00001"))["readings"] == 240


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"sensors": {"vibraton": 1.0}}, "readings.0.sensors.vibraton", "did you mean 'vibration'"),
        ({"sensors": {"vibration": "high"}}, "readings.0.sensors.vibration", "valid number"),
        ({"sensors": {}}, "readings.0.sensors", "at least 1"),
        ({"event_time": "2025-01-06T00:00:00"}, "readings.0.event_time", "timezone"),
        ({"event_time": "2099-01-01T00:00:00Z"}, "readings.0.event_time", "seconds ahead"),
    ],
)
async def test_bad_readings_are_named_and_nothing_is_kept(tmp_path, at, change, field, words):
    reading = {"event_time": iso(at - MINUTE), "sensors": {"vibration": 1.0}} | change
    async with maintenance(None, tmp_path / "a", at) as app:
        answer = await app.post("readings", {"machine_id": "m", "readings": [reading]}, 422)
        assert answer["errors"][0]["field"] == field
        assert words in answer["errors"][0]["message"]
        assert (await app.get("machines/m", 404))["type"] == "urn:forewarn:unknown-machine"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(tmp_path, at, value):
    text = '{"machine_id": "m", "readings": [{"event_time": "%s", "sensors": {"rpm": %s}}]}'
    async with maintenance(None, tmp_path / "a", at) as app:
        answer = await app.post("readings", text % (iso(at), value), 422)
    assert "readings.0.sensors.rpm" in answer["detail"] or "body" in answer["detail"]


async def test_other_bad_news_and_questions(small_fleet, tmp_path, at):
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        await app.post("readings", {"machine_id": "m"}, 422)
        wrong = {"machine_id": "m", "errors": [{"event_time": iso(at), "error_code": "E9"}]}
        assert "unknown error code" in (await app.post("readings", wrong, 422))["detail"]
        wrong = {"machine_id": "m", "services": [{"event_time": iso(at), "component": "belt"}]}
        assert "unknown component" in (await app.post("readings", wrong, 422))["detail"]
        unknown = await app.post("predict", {"machine_id": "nobody"}, 404)
        assert "send its readings" in unknown["detail"]
        await app.post("readings", news(small_fleet, "M00001", 50))
        early = {"machine_id": "M00001", "at": iso(at - 3600 * 1_000_000 * 5)}
        assert "last reading" in (await app.post("predict", early, 422))["detail"]
        late = {"machine_id": "M00001", "at": iso(at + 3600 * 1_000_000)}
        assert "seconds ahead" in (await app.post("predict", late, 422))["detail"]


async def test_a_machine_with_no_history_is_judged_by_what_is_usual(small_fleet, tmp_path, at):
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        await app.post("readings", {"machine_id": "new", "installed_at": iso(at - MINUTE)})
        answer = await app.post("predict", {"machine_id": "new"})
    assert answer["method"] == "model"
    assert 0.0 < answer["failure_within"]["7d"] < 1.0
    assert answer["last_reading"] is None


async def test_without_a_model_rules_decide_and_the_rest_is_inspected_then_redone(
    small_fleet, tmp_path, at
):
    folder = tmp_path / "a"
    async with maintenance(None, folder, at) as app:
        await app.post("readings", news(small_fleet, "M00002"))
        answer = await app.post("predict", {"machine_id": "M00002"})
        assert (await app.get("readyz"))["out"] == ["model"]
    assert (answer["decision"], answer["method"]) == ("INSPECT", "fallback")
    assert answer["failure_within"] is None
    async with maintenance(small_fleet, folder, at) as app:
        again = await rescored(app, answer)
    assert again.answer["decision"] in ("MONITOR", "SERVICE")
    assert again.answer["failure_within"]["7d"] > 0.0


async def test_while_the_store_is_out_nothing_is_lost_and_the_service_is_up(
    small_fleet, tmp_path, at, redis_process
):
    url = redis_process.url
    async with maintenance(
        small_fleet, tmp_path / "a", at, machine_store=url, store_timeout_ms=300.0
    ) as app:
        await app.post("readings", news(small_fleet, "M00002"))
        before = await app.post("predict", {"machine_id": "M00002"})
        redis_process.stop()
        refused = await app.post("readings", news(small_fleet, "M00002", 5), 503)
        assert "send the same request again" in refused["detail"]
        blind = await app.post("predict", {"machine_id": "M00002"})
        assert (blind["decision"], blind["method"]) == ("INSPECT", "fallback")
        redis_process.start()
        again = await rescored(app, blind)
        after = await app.post("predict", {"machine_id": "M00002"})
    assert again.answer["failure_within"] == pytest.approx(before["failure_within"])
    assert after["failure_within"] == before["failure_within"]


async def test_a_model_of_other_features_is_refused_and_named(small_fleet, tmp_path, at):
    kind = tmp_path / "kind.yaml"
    kind.write_text("sensors: {temperature: {unit: degC}, rpm: {}}\n")
    rules = "version: 1\npass_share: 0\nrules: []\n"
    async with maintenance(small_fleet, tmp_path / "a", at, kind=kind, rules=rules) as app:
        ready = await app.get("status")
    error = ready["parts"]["model"]["error"]
    assert "another feature set" in error
    assert "vibration" in error


async def test_values_in_another_unit_are_converted_or_refused(small_fleet, tmp_path, at):
    readings = news(small_fleet, "M00001", 20)
    fahrenheit = {
        **readings,
        "machine_id": "F",
        "units": {"temperature": "degF", "pressure": "bar"},
    }
    fahrenheit["readings"] = [
        {
            **reading,
            "sensors": {
                **reading["sensors"],
                "temperature": reading["sensors"]["temperature"] * 1.8 + 32.0,
            },
        }
        for reading in readings["readings"]
        if reading["sensors"]["temperature"] is not None
    ]
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        await app.post("readings", readings)
        await app.post("readings", fahrenheit)
        latest = [(await app.get(f"machines/{name}"))["latest"] for name in ("M00001", "F")]
        for unit, message in (("bar", "measures pressure"), ("F", "unknown unit"), ("", "unknown")):
            refused = await app.client.post(
                "/maintenance/readings", json={**readings, "units": {"temperature": unit}}
            )
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "units.temperature"
            assert message in refused.json()["detail"]
    assert latest[0] == pytest.approx(latest[1], nan_ok=True)


async def test_rules_and_model_reload_without_a_restart(small_fleet, tmp_path, at):
    text = (
        "version: 2\npass_share: 0\nrules:\n  - id: always\n    when: age_hours >= 0 or "
        "hours_since_reading >= 0\n    action: INSPECT\n    reason: all are looked at today\n"
        "    confidence: 0.5\n    owner: test\n"
    )
    async with maintenance(small_fleet, tmp_path / "a", at) as app:
        await app.post("readings", news(small_fleet, "M00002", 100))
        await app.service.reconfigure({"rules": text})
        assert (await app.post("predict", {"machine_id": "M00002"}))["rule_id"] == "always"
        await app.service.reconfigure({"rules": text.replace("age_hours", "agehours")})
        assert (await app.post("predict", {"machine_id": "M00002"}))["rule_id"] == "always"
        assert "agehours" in (await app.get("status"))["parts"]["rules"]["error"]


async def test_scopes_are_asked_for(tmp_path, at):
    async with maintenance(None, tmp_path / "a", at) as app:
        app.client.headers.pop("Authorization")
        assert (await app.client.post("/maintenance/readings", content="{}")).status_code == 401
        assert (await app.client.get("/maintenance/machines/m")).status_code == 401
        assert (await app.client.get("/maintenance/docs")).status_code == 200


async def test_waveforms_are_measured_or_refused(tmp_path, at):
    kind = tmp_path / "kind.yaml"
    kind.write_text("sensors: {rpm: {unit: rpm}}\nwaveforms: {}\n")
    tone = np.sin(np.arange(4096) * 2 * np.pi * 157 / 12_000).tolist()
    good = {"event_time": iso(at - MINUTE), "sampling_rate_hz": 12_000, "samples": tone}
    async with maintenance(None, tmp_path / "a", at, kind=kind) as app:
        response = await app.post("readings", {"machine_id": "m", "waveforms": [good]})
        past = await app.service.machines.get("m")
        index = app.service.features.wave_measures.index("dominant_hz")
        for change, message in (
            ({"sampling_rate_hz": None}, "waveforms.0.sampling_rate_hz"),
            ({"sampling_rate_hz": 0}, "greater than 0"),
            ({"samples": [1.0] * 5}, "at least 64"),
            ({"samples": [*tone[:100], None]}, "waveforms.0.samples.100"),
        ):
            wrong = {"machine_id": "m", "waveforms": [{**good, **change}]}
            assert message in (await app.post("readings", wrong, 422))["detail"]
        no_rate = {name: value for name, value in good.items() if name != "sampling_rate_hz"}
        refused = await app.post("readings", {"machine_id": "m", "waveforms": [no_rate]}, 422)
        assert "sampling_rate_hz: this field is required" in refused["detail"]
    assert response["machines"][0]["waveforms"] == 1
    assert past.wave_measures[0, index] == pytest.approx(157.0, abs=12_000 / 4096)
    async with maintenance(None, tmp_path / "b", at) as app:
        refused = await app.post("readings", {"machine_id": "m", "waveforms": [good]}, 422)
    assert "declares no waveforms" in refused["detail"]


async def test_a_long_waveform_is_taken_whole_and_its_faults_are_named_by_their_place(tmp_path, at):
    kind = tmp_path / "kind.yaml"
    kind.write_text("sensors: {rpm: {unit: rpm}}\nwaveforms: {}\n")
    tone = np.sin(np.arange(50_001) * 2 * np.pi * 157 / 12_000).round(6).tolist()
    good = {"event_time": iso(at - MINUTE), "sampling_rate_hz": 12_000, "samples": tone}
    async with maintenance(None, tmp_path / "a", at, kind=kind) as app:
        for number in (0, 25_000, 50_000):
            wrong = {**good, "samples": [*tone[:number], "no number", *tone[number + 1 :]]}
            refused = await app.post("readings", {"machine_id": "m", "waveforms": [wrong]}, 422)
            assert f"waveforms.0.samples.{number}" in refused["detail"]
        await app.post("readings", {"machine_id": "m", "waveforms": [good]})
        past = await app.service.machines.get("m")
        expected = waveform_features(tone, 12_000)
    assert past.wave_measures[0] == pytest.approx(expected, nan_ok=True)
