"""The simulated fleet obeys its own laws, and the same chance meets every policy."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lib.contract import Checked
from lib.maintenance.contracts import ERRORS, TELEMETRY
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.simulation.config import SENSORS, FleetConfig
from lib.maintenance.simulation.fleet import Fleet, Service
from lib.maintenance.simulation.policies import FixedInterval, run, run_to_failure
from lib.maintenance.simulation.readings import observe
from lib.maintenance.simulation.wear import WEEK_HOURS

SMALL = FleetConfig(machines=30, plants=3, seed=4, sudden_per_year=0.5)


def test_wear_never_falls_but_by_a_replacement():
    fleet = Fleet(SMALL)
    for _ in range(12):
        before = fleet.wear.copy()
        passed = fleet.advance()
        path = np.concatenate([before[:, :, None], passed.wear], axis=2)
        replaced = {(event.machine, event.component) for event in passed.events}
        for machine, component in np.argwhere((np.diff(path, axis=2) < 0).any(axis=2)).tolist():
            assert (machine, component) in replaced


def test_components_begin_at_any_age_up_to_the_oldest():
    young, old = (Fleet(replace(SMALL, oldest_start=oldest)).machines.age for oldest in (0.55, 1.0))
    np.testing.assert_allclose(old, young / 0.55)
    assert 0.9 < old.max() <= 1.0
    assert old.min() < 0.1


def test_a_machine_is_the_same_in_a_larger_fleet():
    large = FleetConfig(machines=60, plants=3, seed=4, sudden_per_year=0.5)
    few, many = Fleet(SMALL), Fleet(large)
    for _ in range(3):
        first, other = few.advance(), many.advance()
    assert other.wear[:30].tobytes() == first.wear.tobytes()
    (read, _), (all_read, _) = observe(few, first), observe(many, other)
    shared_rows = all_read.filter([name < "M00030" for name in all_read["machine_id"].to_pylist()])
    assert shared_rows.equals(read)


def test_two_policies_meet_the_same_chance():
    idle, busy = Fleet(SMALL), Fleet(SMALL)
    services = [Service(machine, 0, 10 + machine) for machine in range(0, 30, 2)]
    alone, served = idle.advance(), busy.advance(services)
    untouched = [m for m in range(1, 30, 2) if m not in {e.machine for e in alone.events}]
    assert served.wear[untouched].tobytes() == alone.wear[untouched].tobytes()
    seals = [m for m in range(0, 30, 2) if m not in {e.machine for e in alone.events}]
    grown = np.diff(alone.wear[seals, 1], axis=1)
    stood = ~served.running[seals, 1:]
    assert np.allclose(np.diff(served.wear[seals, 1], axis=1)[~stood], grown[~stood])


def test_a_served_component_begins_anew_and_the_machine_stands_meanwhile():
    fleet = Fleet(SMALL)
    passed = fleet.advance([Service(3, 1, 20)])
    (event,) = [candidate for candidate in passed.events if candidate.planned]
    part = SMALL.components[1]
    assert (event.machine, event.component, event.hour) == (3, 1, 20)
    assert (~passed.running[3]).sum() == part.service_hours
    assert fleet.wear[3, 1] < 0.1 < event.wear + 0.1
    assert fleet.wear[3, 1] == pytest.approx(passed.wear[3, 1, -1])


def test_no_planned_service_vanishes():
    fleet = Fleet(FleetConfig(machines=150, plants=3, seed=2, sudden_per_year=5.0))
    requested, done, failed = 0, 0, 0
    for week in range(14):
        services = [] if week == 13 else [Service(m, week % 3, 160 + m % 8) for m in range(150)]
        requested += len(services)
        passed = fleet.advance(services)
        done += sum(event.planned for event in passed.events)
        ours = {(service.machine, service.component) for service in services}
        failed += sum((e.machine, e.component) in ours for e in passed.events if not e.planned)
    assert requested - failed <= done <= requested
    assert failed < 0.1 * requested


def test_a_repair_goes_on_into_the_next_week():
    config = FleetConfig(machines=200, plants=3, seed=2)
    fleet = Fleet(config)
    for _ in range(30):
        passed = fleet.advance()
        late = [e for e in passed.events if e.hour + e.hours > (passed.week + 1) * WEEK_HOURS]
        if late:
            break
    event = late[0]
    rest = int(event.hour + event.hours - (passed.week + 1) * WEEK_HOURS)
    following = fleet.advance()
    assert (~following.running[event.machine, :rest]).all()
    assert following.running[event.machine, rest]


def test_every_failure_is_where_wear_reaches_the_end_of_life():
    fleet = Fleet(replace(SMALL, sudden_per_year=0.0))
    count = 0
    for _ in range(25):
        passed = fleet.advance()
        for event in passed.events:
            hour = event.hour - passed.week * WEEK_HOURS
            assert passed.wear[event.machine, event.component, hour - 1] >= 1.0
            if hour > 1:
                assert (passed.wear[event.machine, :, hour - 2] < 1.0).all()
            count += 1
    assert count > 5


def test_failures_without_warning_come_as_often_as_said_and_to_every_policy():
    config = FleetConfig(machines=300, seed=5, sudden_per_year=2.0)
    year = run(config, run_to_failure, 26)
    plain = run(replace(config, sudden_per_year=0.0), run_to_failure, 26)
    early = [event for event in year.events if event.wear < 0.99]
    assert len(early) == pytest.approx(300 * 2.0 / 2.0, rel=0.12)
    assert min(event.wear for event in plain.events) >= 0.99


def test_service_by_calendar_prevents_failures_and_costs_the_rest():
    config = FleetConfig(machines=100, seed=3, sudden_per_year=0.0)
    none = run(config, run_to_failure, 52)
    interval = FixedInterval(config, [0.7 * part.life_hours for part in config.components])
    fixed = run(config, interval, 52, interval.note)
    assert fixed.failures.sum() < 0.15 * none.failures.sum()
    assert fixed.unplanned_hours.sum() < 0.15 * none.unplanned_hours.sum()
    assert np.mean([event.wear for event in none.events]) == pytest.approx(1.0, abs=0.03)
    assert 0.4 < np.mean([event.wear for event in fixed.events]) < 0.75


def test_telemetry_has_gaps_spikes_and_stuck_sensors_as_often_as_said():
    config = FleetConfig(
        machines=120, plants=3, seed=6, spikes_per_year=200.0, stuck_per_year=50.0, gap_share=0.3
    )
    fleet = Fleet(config)
    telemetry, _ = observe(fleet, fleet.advance())
    hours = config.machines * WEEK_HOURS
    assert 1.0 - telemetry.num_rows / hours == pytest.approx(0.3, abs=0.03)
    values = np.stack([telemetry[sensor.name].to_numpy() for sensor in SENSORS], axis=1)
    out = sum(
        int(((values[:, k] > s.high) | (values[:, k] < s.low)).sum()) for k, s in enumerate(SENSORS)
    )
    assert out == pytest.approx(0.7 * 120 * 200 * 7 / 365.25, rel=0.15)
    # temperatures are drawn from a continuous distribution: they repeat only where a sensor sticks
    assert (np.diff(values[:, 0]) == 0.0).sum() > 100


def test_its_tables_keep_their_contracts():
    fleet = Fleet(SMALL)
    telemetry, errors = observe(fleet, fleet.advance())
    contract = TELEMETRY.with_columns(
        [type(TELEMETRY.extras)(s.name, TELEMETRY.extras.type, "", required=False) for s in SENSORS]
    )
    for checked, table in (
        (contract.check(telemetry), telemetry),
        (ERRORS.check(errors), errors),
    ):
        assert isinstance(checked, Checked)
        assert checked.good.num_rows == table.num_rows


def test_sensors_say_something_of_what_will_fail_but_not_all():
    config = FleetConfig(machines=150, seed=8)
    fleet = Fleet(config)
    passed = fleet.advance()
    scores, failed = [], []
    for _ in range(20):
        telemetry, _ = observe(fleet, passed)
        ids, heat = telemetry["machine_id"].to_numpy(), telemetry["temperature"].to_numpy()
        last = {name: value for name, value in zip(ids, heat, strict=True) if value < 1000}
        passed = fleet.advance()
        soon = {event.machine for event in passed.events}
        numbers = [number for number in range(150) if f"M{number:05d}" in last]
        scores += [last[f"M{number:05d}"] - fleet.machines.base[number, 0] for number in numbers]
        failed += [number in soon for number in numbers]
    assert 0.6 < roc_auc_score(failed, scores) < 0.98


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"machines": 0}, "machines: expected 1 to 100000, got 0"),
        ({"oldest_start": 1.5}, "oldest_start: expected 0.0 to 1.0, got 1.5"),
        ({"gap_share": 2.0}, "gap_share"),
        ({"components": ()}, "components"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(changes, message):
    with pytest.raises(FeatureError, match=message):
        FleetConfig(**changes)


def test_a_service_of_nothing_is_refused():
    with pytest.raises(FeatureError, match="within 168 hours"):
        Fleet(SMALL).advance([Service(30, 0, 1)])
