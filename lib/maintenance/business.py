"""What predictions and services came to, in the rows that a plant asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.measures import EntityBootstrap, change
from lib.business.outcomes import Flags, Floats, column_values, microseconds
from lib.business.period import DAY_US, NOT_KNOWN, Better, Period, make_measure
from lib.business.spans import EntityRows
from lib.business.statement import Measure, Statement, Wording
from lib.evaluation import Interval
from lib.maintenance.model.alarms import MONTH_HOURS
from lib.maintenance.outcomes import SAME_FAILURE_US, SERVICES, MachineOutcomes
from lib.records.json_codec import read_json

WORDING = Wording(
    "Maintenance", "predictions", "machines", "without a warning of a failure that came",
    "alarms without a failure", "failures",
)  # fmt: skip
_UNPLANNED = ("corrective", "emergency")
_HOURS_A_DAY = 24.0


@dataclass(frozen=True)
class Stops:
    """Services and repairs of a period, by machine; all arrays (m,).

    Attributes:
        machines: that are watched.
        hours: that each was watched.
        planned, unplanned: hours that each stood.
        cost: labour and parts, currency units.
        failures: how often each failed.
        known_hours, known_cost: share of the services and repairs that report it.
    """

    machines: tuple[str, ...]
    hours: Floats
    planned: Floats
    unplanned: Floats
    cost: Floats
    failures: Floats
    known_hours: float
    known_cost: float
    bootstrap: EntityBootstrap = field(repr=False)

    @classmethod
    def of(cls, period: Period, services: pa.Table, failures: pa.Table) -> "Stops":
        """Of machines with decisions, watched for the whole period.

        Args:
            period: of predictions.
            services: rows of the contract `MAINTENANCE`.
            failures: `standing_events`, `subject_id` is the machine.
        """
        machines = pc.unique(period.rows["entity_id"].combine_chunks())
        times = microseconds(services["event_time"])
        inside = (times >= period.since) & (times < min(period.until, period.as_of))
        rows = services.filter(pa.array(inside))
        owner = pc.index_in(rows["machine_id"], value_set=machines)
        rows = rows.filter(owner.is_valid())
        places = owner.drop_null().to_numpy().astype(np.int64)
        unplanned = np.asarray(
            pc.fill_null(pc.is_in(rows["maintenance_type"], value_set=pa.array(_UNPLANNED)), False)
        )
        stood = np.asarray(rows["downtime_hours"].to_numpy(), np.float64)
        cost = np.asarray(rows["cost"].to_numpy(), np.float64)

        def sums(values: Floats) -> Floats:
            return np.bincount(places, np.nan_to_num(values), len(machines)).astype(np.float64)

        failed = _failures(period, failures)
        return cls(
            machines=tuple(machines.to_pylist()),
            hours=np.full(len(machines), _watched_days(period) * _HOURS_A_DAY),
            planned=sums(np.where(unplanned, 0.0, stood)),
            unplanned=sums(np.where(unplanned, stood, 0.0)),
            cost=sums(cost),
            failures=failed,
            known_hours=_known(stood, unplanned, float(failed.sum())),
            known_cost=_known(cost, unplanned, float(failed.sum())),
            bootstrap=EntityBootstrap(machines, period.seed, period.repeats),
        )


def maintenance_measures(period: Period, system: MachineOutcomes, stops: Stops) -> list[Measure]:
    """The rows of the page: stops as work orders and services report them, by machine.

    Time between failures is hours watched over failures; utilisation is the share of hours in which
    a machine did not stand for a failure or a service.
    """
    months = stops.hours / MONTH_HOURS
    stood = stops.unplanned + stops.planned
    spent = system.costs.service * column_values(period.rows, SERVICES)
    return [
        stop_measure(
            period, stops, "unplanned_hours", "Unplanned downtime, hours a machine and month",
            "hours", "less", stops.unplanned, months, stops.known_hours,
        ),
        stop_measure(
            period, stops, "maintenance_cost", "Maintenance cost a machine and month", "currency",
            "less", stops.cost, months, stops.known_cost,
        ),
        stop_measure(
            period, stops, "utilisation", "Share of hours in which machines could run", "share",
            "more", stops.hours - stood, stops.hours, stops.known_hours,
        ),
        stop_measure(
            period, stops, "days_between_failures", "Days between failures of a machine", "days",
            "more", stops.hours / _HOURS_A_DAY, stops.failures, 1.0,
        ),
        period.counted(
            "safety_stops",
            "Safety stops a machine and year",
            "stops",
            "less",
            period.bootstrap.ratio(
                _first_of_day(period, period.decided("STOP")),
                _once(period) * _watched_days(period) / 365.25,
            ),
        ),
        period.labelled(
            "failures_foreseen",
            "Failures that a decision foresaw",
            "share",
            "more",
            period.foreseen(),
        ),
        period.labelled(
            "decision_cost",
            "Cost of failures and services called for, a machine and month",
            "currency",
            "less",
            _per_month(period, -column_values(period.rows, "money")),
        ),
        period.labelled(
            "service_cost",
            "Cost of the services called for, a machine and month",
            "currency",
            "neither",
            _per_month(period, spent),
        ),
    ]  # fmt: skip


def stop_measure(
    period: Period,
    stops: Stops,
    name: str,
    label: str,
    unit: str,
    better: Better,
    above: Floats,
    below: Floats,
    known: float,
) -> Measure:
    """A ratio of sums over machines, drawn as machines."""
    rests_on = (
        f"{len(stops.machines):,} machines, {period.days:,.4g} days, {stops.failures.sum():,.0f} "
        f"failures; reported by {known:.0%} of the services and repairs"
    )
    interval = stops.bootstrap.ratio(above, below) if known else NOT_KNOWN
    return make_measure(name, label, unit, better, interval, rests_on)


def return_on_cost(now: Statement, before: Statement | None) -> Measure:
    """What was saved against the period before, for each unit of money spent on services.

    The cost of services is taken as it is; the interval is that of the saving.
    """
    name, label = "return_on_cost", "Saved for each unit of money spent on services"
    spent = now.named()["service_cost"].value
    if before is None or "decision_cost" not in before.named() or not spent:
        text = "needs the figures of the time before (--before)"
        return make_measure(name, label, "ratio", "more", NOT_KNOWN, text)
    saved = change(before.named()["decision_cost"].interval, now.named()["decision_cost"].interval)
    interval = Interval(saved.value / spent, saved.low / spent, saved.high / spent)
    text = f"against {before.since.date()} to {before.until.date()}"
    return make_measure(name, label, "ratio", "more", interval, text)


def maintenance_segments(decisions: pa.Table) -> dict[str, Sequence[str | None]]:
    """Parts of the predictions: by likely mode of failure."""
    answers = [read_json(text or "{}") for text in decisions["answer"].to_pylist()]
    return {"likely failure": [answer.get("likely_mode") for answer in answers]}


def maintenance_notes(system: MachineOutcomes) -> list[str]:
    """What the figures assume."""
    costs = system.costs
    return [
        f"A prediction is right where the machine failed within {system.horizon_hours:g} hours; a "
        "service that prevented a failure makes its alarm look false.",
        f"Assumed: a failure costs {costs.failure:,.0f}, a planned service {costs.service:,.0f}; a "
        f"service is called for once in {costs.credit_hours:g} hours.",
        "Downtime and maintenance cost are those that work orders and services report, so they "
        "hold only as far as these are reported.",
    ]


def _watched_days(period: Period) -> float:
    return max((min(period.until, period.as_of) - period.since) / DAY_US, 1e-9)


def _known(values: Floats, unplanned: Flags, failures: float) -> float:
    """Share of services and repairs that report a value; a failure without repair has none."""
    unreported = max(failures - float(unplanned.sum()), 0.0)
    stops = len(values) + unreported
    return float(np.isfinite(values).sum()) / stops if stops else 1.0


def _failures(period: Period, failures: pa.Table) -> Floats:
    """(machines,) how often each failed in the period."""
    rows = EntityRows.of(period.rows, failures).merged(SAME_FAILURE_US)
    inside = rows.event_times >= period.since
    inside &= rows.event_times < min(period.until, period.as_of)
    counts = np.bincount(rows.event_codes[inside], minlength=period.bootstrap.count)
    return counts.astype(np.float64)


def _once(period: Period) -> Floats:
    """(n,) 1 for the first row of each machine, so that sums count machines."""
    first = np.unique(period.bootstrap.codes, return_index=True)[1]
    once = np.zeros(len(period.ripe))
    once[first] = 1.0
    return once


def _first_of_day(period: Period, chosen: Flags) -> Floats:
    """(n,) 1 for the first of the chosen rows of a machine and day."""
    rows = np.flatnonzero(chosen)
    keys = np.stack([period.bootstrap.codes[rows], period.times[rows] // DAY_US])
    first = np.zeros(len(chosen))
    if len(rows):
        first[rows[np.unique(keys, axis=1, return_index=True)[1]]] = 1.0
    return first


def _per_month(period: Period, values: Floats) -> Interval:
    """Of ripe days, by machine and month."""
    months = _once(period) * period.ripe_days * _HOURS_A_DAY / MONTH_HOURS
    return period.bootstrap.ratio(np.where(period.in_ripe_days, values, 0.0), months)
