"""The features of a customer as of a moment, declared once for training and serving.

Windows end at the moment and leave out whatever happens at it or becomes known later. Money is in
units of the settlement currency. Trends compare a customer with its own past: 1 is unchanged.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial

from lib.churn import formulas
from lib.churn.contracts import SIGNALS
from lib.churn.customer_attributes import CODE_ENDING, attribute_columns, columns_of
from lib.churn.events import ATTRIBUTES, SCHEMA, TABLE_OF
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature import (
    DAY,
    Age,
    Derived,
    Direct,
    DistinctCount,
    Feature,
    FeatureSet,
    LastValue,
    Quantity,
    Sum,
    Window,
)
from lib.feature.attributes import Attribute, AttributeFaultError
from lib.feature.measures import Distinct, Key, Measure, quantities_of

_CUSTOMER: Key = ("customer_id",)
_EVER = 100 * 365 * DAY
_W7, _W30, _W90, _W180, _W365 = (Window(n * DAY, DAY) for n in (7, 30, 90, 180, 365))
_MONEY, _RATIO = "currency units", "ratio"


def _identity(number: int) -> int:
    return number


@cache
def _quantity(name: str) -> Quantity:
    return Quantity(name, (name,), _identity)


@cache
def _remembered(only: str, names: tuple[str, ...]) -> tuple[Quantity, tuple[Quantity, ...]]:
    return _quantity(only), tuple(_quantity(name) for name in names)


CONTRACT = "contract"
"""The group of features of the newest row of a customer."""
AnyFeature = Feature | Derived | Direct


def _sum(
    name: str, unit: str, of: str, window: Window | None, scale: float = 1.0, hidden: bool = False
) -> Feature:
    return Feature(name, unit, _CUSTOMER, Sum(_quantity(of), scale), window, hidden=hidden)


def _distinct(name: str, unit: str, of: str, window: Window) -> Feature:
    return Feature(name, unit, _CUSTOMER, DistinctCount(of), window)


def _last(name: str, unit: str, of: str, only: str, among: tuple[str, ...]) -> Feature:
    quantity, quantities = _remembered(only, among)
    value = _quantity(of)
    return Feature(
        name, unit, _CUSTOMER, LastValue(value, quantities, _EVER, quantity), hidden=True
    )


def _since(name: str, only: str) -> Iterator[AnyFeature]:
    yield Feature(f"{name}_minutes", "minutes", _CUSTOMER, Age(_EVER, _quantity(only)), hidden=True)
    yield Derived(name, "days", (f"{name}_minutes",), formulas.days)


def _derived(name: str, unit: str, formula: Callable[..., object], *inputs: str) -> Derived:
    return Derived(name, unit, inputs, formula)


def _share(name: str, unit: str, part: str, total: str) -> Derived:
    return Derived(name, unit, (part, total), formulas.share)


def _trend(measure: str) -> Derived:
    inputs = (f"{measure}_30d", f"{measure}_90d")
    return Derived(f"{measure}_trend_30d", _RATIO, inputs, formulas.trend_of_month)


def _contract(base: CustomerVocabulary) -> Iterator[AnyFeature]:
    yield Direct("as_of_day", "days since 1970", ("event_time",), formulas.day_of, hidden=True)
    for name in ATTRIBUTES:
        yield _last(f"{name}_told", "as told", name, "told", _told_of(base))
    yield _derived("tenure_days", "days", formulas.days_since, "as_of_day", "start_day_told")
    yield _derived("days_to_renewal", "days", formulas.days_until, "as_of_day", "renewal_day_told")
    yield Derived("mrr_minor", "minor units", ("mrr_minor_told",), formulas.or_missing, hidden=True)
    yield Derived("mrr", _MONEY, ("mrr_minor",), formulas.major)
    yield _derived("seats", "users", formulas.or_missing, "seats_paid_told")
    for attribute, names in (("segment", base.segments), ("plan", base.plans)):
        unit = "place in " + "|".join(names)
        yield _derived(f"{attribute}_code", unit, formulas.or_missing, f"{attribute}_place_told")
    yield _sum("contract_changes_90d", "changes", "told", _W90)


def _told_of(base: CustomerVocabulary) -> tuple[str, ...]:
    """What the newest row of a customer says, attributes of the base included."""
    return (*ATTRIBUTES, *attribute_columns(base))


def _attributes(base: CustomerVocabulary) -> Iterator[AnyFeature]:
    for attribute in base.attributes:
        columns = columns_of(attribute)
        for column in columns:
            yield _last(f"{column}_told", "as told", column, "told", _told_of(base))
        inputs = tuple(f"{column}_told" for column in columns)
        formula = formulas.number_of if attribute.type == "number" else formulas.or_missing
        yield Derived(attribute.feature_name, _unit_of(attribute), inputs, formula)


def _unit_of(attribute: Attribute) -> str:
    if attribute.type == "category":
        return "place in " + "|".join(attribute.vocabulary)
    return "0 or 1" if attribute.type == "flag" else attribute.unit or "number"


def _adoption() -> Iterator[AnyFeature]:
    for window in (_W7, _W30, _W90):
        yield _distinct(f"active_users_{window.label}", "users", "user_id", window)
    for window in (_W30, _W90):
        yield _distinct(f"features_used_{window.label}", "features", "feature", window)
    yield _share("seats_active_share", _RATIO, "active_users_30d", "seats")
    for measure in ("active_users", "features_used"):
        yield _share(f"{measure}_kept_share", _RATIO, f"{measure}_30d", f"{measure}_90d")


def _engagement() -> Iterator[AnyFeature]:
    for window in (_W7, _W30, _W90):
        yield _sum(f"usage_{window.label}", "uses", "used", window)
    for window in (_W30, _W90):
        yield _distinct(f"active_days_{window.label}", "days", "use_day", window)
    yield _share("usage_per_seat_30d", "uses", "usage_30d", "seats")
    yield _trend("usage")
    yield _derived("usage_trend_7d", _RATIO, formulas.trend_of_week, "usage_7d", "usage_30d")
    yield _trend("active_days")
    yield from _since("days_since_use", "used")


def _support() -> Iterator[AnyFeature]:
    for window in (_W30, _W90):
        yield _sum(f"tickets_{window.label}", "tickets", "opened", window)
    yield _sum("urgent_tickets_90d", "tickets", "urgent", _W90)
    yield _sum("escalated_tickets_90d", "tickets", "escalated", _W90)
    yield _sum("opened_ever", "tickets", "opened", None, hidden=True)
    yield _sum("closed_ever", "tickets", "closed", None, hidden=True)
    yield _derived("open_tickets", "tickets", formulas.difference, "opened_ever", "closed_ever")
    yield _sum("closed_90d", "tickets", "closed", _W90, hidden=True)
    yield _sum("resolution_hours_90d", "hours", "resolution_hours", _W90, hidden=True)
    yield _share("resolution_hours_mean_90d", "hours", "resolution_hours_90d", "closed_90d")
    yield _sum("rated_180d", "tickets", "rated", _W180, hidden=True)
    yield _sum("satisfaction_180d", "points", "satisfaction_hundredths", _W180, 100.0, hidden=True)
    yield _share("satisfaction_mean_180d", "points", "satisfaction_180d", "rated_180d")
    yield _trend("tickets")
    yield from _since("days_since_ticket", "opened")


def _payment() -> Iterator[AnyFeature]:
    for window in (_W7, _W30, _W90, _W180, _W365):
        yield _distinct(f"invoices_{window.label}", "invoices", "invoice_id", window)
    for window in (_W30, _W90, _W180, _W365):
        yield _distinct(f"invoice_days_{window.label}", "days", "invoice_day", window)
    for window in (_W90, _W365):
        yield _distinct(f"items_{window.label}", "items", "item", window)
        yield _sum(f"lines_{window.label}", "lines", "invoiced", window)
    for window in (_W30, _W90, _W180, _W365):
        yield _sum(f"invoiced_{window.label}", _MONEY, "amount_minor", window, formulas.MINOR_UNITS)
    yield _share("invoice_mean_365d", _MONEY, "invoiced_365d", "invoices_365d")
    yield _trend("invoiced")
    yield from _since("days_since_invoice", "invoiced")
    yield from _timing()
    yield _derived(
        "invoice_pace", "usual gaps", formulas.against_pace, "days_since_invoice",
        "invoice_days_365d", "tenure_days",
    )  # fmt: skip
    for window in (_W90, _W365):
        yield _sum(
            f"credited_{window.label}", _MONEY, "credited_minor", window, formulas.MINOR_UNITS
        )
    yield _sum("discounts_90d", _MONEY, "discount_minor", _W90, formulas.MINOR_UNITS)
    yield _share("discount_share_90d", _RATIO, "discounts_90d", "invoiced_90d")
    yield _sum("failed_payments_90d", "payments", "failed", _W90)
    yield _sum("timed_payments_180d", "payments", "on_time_known", _W180, hidden=True)
    yield _sum("late_days_180d", "days", "late_days", _W180, hidden=True)
    yield _share("late_days_mean_180d", "days", "late_days_180d", "timed_payments_180d")
    yield _sum("invoiced_ever", _MONEY, "amount_minor", None, formulas.MINOR_UNITS, hidden=True)
    yield _sum("settled_ever", _MONEY, "paid_minor", None, formulas.MINOR_UNITS, hidden=True)
    yield _sum("credited_ever", _MONEY, "credited_minor", None, formulas.MINOR_UNITS, hidden=True)
    yield _sum("payments_ever", "payments", "paid", None, hidden=True)
    yield _derived("balance_due", _MONEY, formulas.balance, "invoiced_ever", "credited_ever",
                   "settled_ever", "payments_ever")  # fmt: skip
    yield _last("newest_due_day", "days since 1970", "due_day", "invoiced",
                ("due_day", "amount_minor"))  # fmt: skip
    yield _last("newest_amount", "minor units", "amount_minor", "invoiced",
                ("due_day", "amount_minor"))  # fmt: skip
    yield _derived("overdue", _MONEY, formulas.overdue, "balance_due", "newest_amount",
                   "newest_due_day", "as_of_day")  # fmt: skip


def _timing() -> Iterator[AnyFeature]:
    """How old a customer's invoices of a year are, in the mean, and how spread in time."""
    squared = Quantity("issued_day_squared", ("issued_day",), _identity, squared=True)
    yield _sum("first_lines_365d", "invoices", "first_line", _W365, hidden=True)
    yield _sum("issued_days_365d", "days", "issued_day", _W365, hidden=True)
    yield Feature(
        "issued_squares_365d", "days squared", _CUSTOMER, Sum(squared), _W365, hidden=True
    )
    # a date means nothing at another moment: only its distance is a feature
    inputs = ("issued_days_365d", "first_lines_365d")
    yield Derived("issued_mean", "days since 1970", inputs, formulas.share, hidden=True)
    yield _derived("invoice_age_mean_365d", "days", formulas.difference, "as_of_day", "issued_mean")
    sums = ("issued_squares_365d", *inputs)
    yield Derived("invoice_age_std_365d", "days", sums, formulas.spread)
    pace = ("tenure_days", "days_since_invoice", "invoice_days_365d")
    yield Derived("invoice_gap_mean_365d", "days", pace, formulas.usual_gap)


def _sentiment() -> Iterator[AnyFeature]:
    yield _last("score_told", "points", "score", "surveyed", ("score",))
    yield Derived("nps_last", "points", ("score_told",), formulas.or_missing)
    yield _sum("surveys_365d", "surveys", "surveyed", _W365, hidden=True)
    yield _sum("scores_365d", "points", "score", _W365, hidden=True)
    yield _share("nps_mean_365d", "points", "scores_365d", "surveys_365d")
    yield _derived("nps_change", "points", formulas.difference, "nps_last", "nps_mean_365d")
    yield from _since("days_since_survey", "surveyed")
    for name in SIGNALS:
        for window in (_W30, _W90):
            yield _sum(f"{name}_{window.label}", "signals", name, window)


_MAKERS: dict[str, Callable[[], Iterator[AnyFeature]]] = {
    "adoption": _adoption,
    "engagement": _engagement,
    "support": _support,
    "payment": _payment,
    "sentiment": _sentiment,
}
"""Groups of features, which are the components of a health score; a sixth is `contract`."""


def churn_features(base: CustomerVocabulary) -> FeatureSet:
    """The features of a base's customers, keyed by customer alone; attributes come last.

    Raises:
        AttributeFaultError: an attribute has a name that is taken.
    """
    features = [*_contract(base), *(feature for maker in _MAKERS.values() for feature in maker())]
    _require_free_names(base, {feature.name for feature in features})
    features += _attributes(base)
    return FeatureSet(name="churn", version=1, features=tuple(features), id_column="event_id")


ROW_COLUMNS = frozenset(("customer_id", "as_of", "label", "notice_at"))
"""Columns of rows of customers at moments beside their features."""


def _require_free_names(base: CustomerVocabulary, packaged_names: set[str]) -> None:
    for attribute in base.attributes:
        if {attribute.name, attribute.feature_name} & packaged_names:
            raise AttributeFaultError(
                attribute.name, "is the name of a packaged feature; give it another name"
            )
        if {attribute.name, attribute.feature_name} & ROW_COLUMNS:
            raise AttributeFaultError(
                attribute.name, "is the name of a column of training rows; give it another name"
            )
        if attribute.feature_name in SCHEMA.names:
            raise AttributeFaultError(
                attribute.name, "is the name of something that events say; give it another name"
            )
        if attribute.type != "category" and attribute.name.endswith(CODE_ENDING):
            raise AttributeFaultError(
                attribute.name,
                f"names that end in {CODE_ENDING} are those of categories; declare it as a "
                "category, or give it another name",
            )


@cache
def untold(base: CustomerVocabulary) -> tuple[str, ...]:
    """Features of tables that a base is not told, missing for every customer."""
    lost: set[str] = set()
    tables = base_tables(base)
    for feature in churn_features(base).features:
        if isinstance(feature, Feature):
            columns = {column for measure in feature.measures for column in _columns(measure)}
            if any(TABLE_OF.get(column, "customers") not in tables for column in columns):
                lost.add(feature.name)
        elif isinstance(feature, Derived) and lost.intersection(feature.inputs):
            lost.add(feature.name)
    return tuple(name for name in churn_features(base).names if name in lost)


def base_tables(base: CustomerVocabulary) -> frozenset[str]:
    """The tables of a base, the customers' own included."""
    return frozenset(("customers", *base.tables))


def _columns(measure: Measure) -> tuple[str, ...]:
    read = [column for quantity in quantities_of(measure) for column in quantity.columns]
    return (*read, measure.of) if isinstance(measure, Distinct) else tuple(read)


@cache
def group_of() -> dict[str, str]:
    """The group of each packaged feature, by name; attributes are of the group `CONTRACT`."""
    makers: dict[str, Callable[[], Iterator[AnyFeature]]] = {
        CONTRACT: partial(_contract, CustomerVocabulary()),
        **_MAKERS,
    }
    return {
        feature.name: group
        for group, maker in makers.items()
        for feature in maker()
        if not feature.hidden
    }
