"""What scores and interventions came to, in the rows that a subscription business asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.measures import EntityBootstrap
from lib.business.outcomes import Flags, Floats, Ints, column_values
from lib.business.period import DAY_US, NOT_KNOWN, Period, make_measure, to_time
from lib.business.spans import EntityRows
from lib.business.statement import Measure, Wording
from lib.churn.intervention_repository import Intervention
from lib.churn.outcomes import LEAVING, VALUE, CustomerOutcomes
from lib.churn.vocabulary import CustomerVocabulary
from lib.evaluation import Interval
from lib.records.decision_table import FEATURE_PREFIX

WORDING = Wording(
    "Churn", "scores", "customers", "without a warning of a notice that came",
    "contacts with customers who stayed", "leavers",
)  # fmt: skip
_YEAR_DAYS, _MONTH_DAYS, _MONTHS_A_YEAR, _WEEK_DAYS = 365.25, 30.4375, 12.0, 7.0


@dataclass(frozen=True)
class InterventionLog:
    """Interventions of a period; all arrays (m,).

    Attributes:
        customers: of each.
        known_at: when its window is over, microseconds since 1970 UTC.
        treated: whether it was not held out.
        propensity: probability of treatment.
        probability: foreseen, to leave untreated.
        revenue: of the customer, a year, currency units.
        hours, cost: of it, where treated.
        left: 1, 0, or NaN while the window is not over.
    """

    customers: pa.Array
    known_at: Ints
    treated: Flags
    propensity: Floats
    probability: Floats
    revenue: Floats
    hours: Floats
    cost: Floats
    left: Floats

    @classmethod
    def of(
        cls,
        interventions: Sequence[Intervention],
        notices: pa.Table,
        system: CustomerOutcomes,
        as_of: int,
    ) -> "InterventionLog":
        """Of interventions, and notices as `lib.business.spans.standing_events`."""

        def column(name: str) -> Floats:
            return np.array([getattr(row, name) for row in interventions], dtype=np.float64)

        customers = pa.array([row.customer_id for row in interventions], pa.string())
        planned = np.array([row.planned_at for row in interventions], dtype=np.int64)
        times = pa.array(planned).cast(pa.timestamp("us", tz="UTC"))
        rows = EntityRows.of(
            pa.table({"entity_id": customers, "subject_id": customers, "event_time": times}),
            notices,
        )
        window = system.target.window_days * DAY_US
        left = (rows.first_after() <= planned + window).astype(np.float64)
        worth = (column("value") + column("cost")) / np.maximum(column("expected_fall"), 1e-12)
        share = system.economics.margin * system.economics.months
        return cls(
            customers=customers,
            known_at=planned + window,
            treated=~np.array([row.held_out for row in interventions], dtype=np.bool_),
            propensity=column("propensity"),
            probability=column("chance"),
            revenue=np.where(column("expected_fall") > 0, worth / share * _MONTHS_A_YEAR, 0.0),
            hours=column("hours"),
            cost=column("cost"),
            left=np.where(planned + window <= as_of, left, np.nan),
        )

    @property
    def known(self) -> Flags:
        """(m,) whose window is over."""
        return np.isfinite(self.left)


def churn_measures(period: Period, system: CustomerOutcomes, log: InterventionLog) -> list[Measure]:
    """The rows of the page; customers count once, at their first decision of the period."""
    first = _first_ripe(period)
    window, economics = system.target.window_days, system.economics
    left, customers = np.where(first, period.label, 0.0), first.astype(np.float64)
    margin = np.where(first, column_values(period.rows, VALUE), 0.0) / economics.months

    def yearly(weights: Floats) -> float:
        share = _divided(weights @ by_leaver, weights @ by_customer)
        return float(1.0 - (1.0 - share) ** (_YEAR_DAYS / window))

    def lifetime(weights: Floats) -> float:
        return _divided(weights @ by_margin * window / _MONTH_DAYS, weights @ by_leaver)

    by_customer, by_leaver, by_margin = map(period.bootstrap.by_entity, (customers, left, margin))
    label = f"Customers who gave notice within {window} days"
    return [
        period.labelled(
            "churn_rate", label, "share", "less", period.bootstrap.ratio(left, customers)
        ),
        period.labelled(
            "churn_rate_year", "The same, at this pace for a year", "share", "less",
            period.bootstrap.interval(yearly),
        ),
        revenue_kept(period, log),
        period.labelled(
            "lifetime_value", "Lifetime margin of a customer", "currency", "more",
            period.bootstrap.interval(lifetime),
        ),
        *_spent(period, log),
        period.labelled(
            "leavers_foreseen", "Leavers whom a decision foresaw", "share", "more",
            period.foreseen(),
        ),
        period.labelled(
            "margin_lost", "Margin lost to notices a day, with the cost of contacts", "currency",
            "less", _daily_loss(period),
        ),
    ]  # fmt: skip


def revenue_kept(period: Period, log: InterventionLog) -> Measure:
    """Yearly revenue of customers who stayed because they were treated, against the holdout.

    Those treated and those held out differ by chance alone; each is weighed by the inverse of its
    known probability, less what was foreseen for it (augmented inverse propensity weighting:
    Robins, Rotnitzky and Zhao, 1994), so the estimate is unbiased however poor the forecast is.
    """
    name, label = "revenue_kept", "Revenue of a year kept by interventions, against the holdout"
    known = log.known
    known_from = None if known.all() else to_time(int(log.known_at[~known].max()))
    treated, held_out = int((known & log.treated).sum()), int((known & ~log.treated).sum())
    rests_on = f"{treated:,} treated and {held_out:,} held out customers whose window is over"
    is_certain = known & ((log.propensity <= 0.0) | (log.propensity >= 1.0))
    if not treated or not held_out or is_certain.any():
        text = f"{rests_on}; needs both, with a known probability of treatment"
        return make_measure(name, label, "currency", "more", NOT_KNOWN, text, known_from)
    propensity = np.where(known, log.propensity, 0.5)
    weight = np.where(log.treated, 1.0 / propensity, -1.0 / (1.0 - propensity))
    fall = np.where(known, -weight * (np.nan_to_num(log.left) - log.probability) * log.revenue, 0.0)
    bootstrap = EntityBootstrap(log.customers, period.seed, period.repeats)
    mean = bootstrap.ratio(fall, known)
    kept = Interval(*(value * treated for value in (mean.value, mean.low, mean.high)))
    return make_measure(name, label, "currency", "more", kept, rests_on, known_from)


def churn_segments(
    decisions: pa.Table, base: CustomerVocabulary
) -> dict[str, Sequence[str | None]]:
    """Parts of the customers: segment, plan, revenue; features that are missing give none."""
    names = [
        name
        for name in ("segment_code", "plan_code", "mrr")
        if _column(name) in decisions.column_names
    ]
    values = {name: column_values(decisions, _column(name)) for name in names}
    parts: dict[str, Sequence[str | None]] = {}
    if "segment_code" in values:
        parts["segment"] = _named(values["segment_code"], base.segments, "segment")
    if "plan_code" in values:
        parts["plan"] = _named(values["plan_code"], base.plans, "plan")
    if "mrr" in values:
        parts["monthly revenue"] = [_revenue_band(value) for value in values["mrr"].tolist()]
    return parts


def churn_notes(system: CustomerOutcomes, log: InterventionLog) -> list[str]:
    """What the figures assume."""
    economics = system.economics
    few = int((log.known & ~log.treated).sum())
    return [
        f"A customer counts as kept where no notice came within {system.target.window_days} days.",
        f"Assumed: {economics.margin:.0%} of the revenue is margin, and a customer who stays does "
        f"so for {economics.months:g} months.",
        f"Revenue kept compares with {few:,} customers who were chosen and left alone at random; "
        "with few of them its interval is wide, and no figure of the model stands in for it.",
    ]


def _spent(period: Period, log: InterventionLog) -> list[Measure]:
    weeks = period.days / _WEEK_DAYS
    rests_on = f"{int(log.treated.sum()):,} interventions of {period.days:,.4g} days, as planned"
    bootstrap = EntityBootstrap(log.customers, period.seed, period.repeats)
    return [
        make_measure(
            name, label, unit, "less",
            bootstrap.total(np.where(log.treated, values, 0.0), weeks)
            if len(values)
            else Interval(0.0, float("nan"), float("nan")),
            rests_on,
        )
        for name, label, unit, values in (
            ("hours", "Hours of the team a week", "hours", log.hours),
            ("intervention_cost", "Cost of interventions a week", "currency", log.cost),
        )
    ]  # fmt: skip


def _first_ripe(period: Period) -> Flags:
    """(n,) the first ripe row of each customer who had not given notice."""
    rows = np.flatnonzero(period.ripe & ~period.decided(LEAVING))
    order = rows[np.argsort(period.times[rows], kind="stable")]
    first = np.zeros(len(period.ripe), dtype=np.bool_)
    first[order[np.unique(period.bootstrap.codes[order], return_index=True)[1]]] = True
    return first


def _daily_loss(period: Period) -> Interval:
    if not period.ripe_days:
        return NOT_KNOWN
    loss = np.where(period.in_ripe_days, -column_values(period.rows, "money"), 0.0)
    return period.bootstrap.total(loss, period.ripe_days)


def _divided(above: Any, below: Any) -> float:
    return float(above / below) if below else float("nan")


def _column(name: str) -> str:
    return f"{FEATURE_PREFIX}{name}"


def _named(codes: Floats, names: Sequence[str], kind: str) -> list[str | None]:
    def name(code: float) -> str | None:
        if not np.isfinite(code):
            return None
        index = int(code) - 1
        return names[index] if 0 <= index < len(names) else f"another {kind}"

    return [name(code) for code in codes.tolist()]


def _revenue_band(mrr: float) -> str | None:
    if not np.isfinite(mrr):
        return None
    bands = (("below 200", 200.0), ("200 to 1,000", 1_000.0), ("1,000 to 5,000", 5_000.0))
    return next((text for text, end in bands if mrr < end), "5,000 and more")
