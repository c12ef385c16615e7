"""Features in words, for people who act on them."""

import re
from dataclasses import dataclass

import numpy as np

from lib.churn.features import CONTRACT, added_features, group_of
from lib.churn.target import Floats
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature.attributes import Attribute

_SPECIAL = {
    "tenure_days": "days since the first contract",
    "days_to_renewal": "days to renewal",
    "mrr": "revenue a month",
    "seats": "seats paid for",
    "seats_active_share": "share of paid seats that were active in the last 30 days",
    "active_users_kept_share": "share of the quarter's users who were active in the last 30 days",
    "features_used_kept_share": "share of the quarter's features used in the last 30 days",
    "usage_trend_30d": "usage of the last 30 days against the 60 before (1 is unchanged)",
    "usage_trend_7d": "usage of the last week against the weeks before (1 is unchanged)",
    "active_days_trend_30d": "days of use in the last 30 against the 60 before (1 is unchanged)",
    "tickets_trend_30d": "tickets of the last 30 days against the 60 before (1 is unchanged)",
    "invoiced_trend_30d": "amounts of the last 30 days against the 60 before (1 is unchanged)",
    "invoice_pace": "time since the last invoice, in usual gaps between two",
    "invoice_age_mean_365d": "mean age of the year's invoices in days",
    "invoice_age_std_365d": "spread of the year's invoices in days",
    "invoice_gap_mean_365d": "usual days between two invoices",
    "nps_last": "last survey score (0 to 10)",
    "nps_mean_365d": "mean survey score of the year",
    "nps_change": "last survey score against the year's mean",
    "competitor_mention": "mentions of a competitor",
    "champion_left": "champions who left",
    "price_complaint": "complaints about the price",
    "other": "other signals",
    "balance_due": "balance due",
    "overdue": "amount overdue",
    "segment_code": "segment",
    "plan_code": "plan",
}
_WINDOW = re.compile(r"_(\d+)d$")


def words_for(name: str, base: CustomerVocabulary | None = None) -> str:
    """A feature's name as people say it.

    Args:
        name: of the feature.
        base: whose attributes it may be made of, and whose feature file may declare it.

    >>> words_for("active_users_30d")
    'active users in the last 30 days'
    """
    if (attribute := _attribute_of(name, base)) is not None:
        return attribute.words or attribute.name.replace("_", " ")
    file = None if base is None else added_features(base)
    if file is not None and name in file.words:
        return file.words[name]
    if name in _SPECIAL:
        return _SPECIAL[name]
    window = _WINDOW.search(name)
    stem = _WINDOW.sub("", name)
    plain = _SPECIAL.get(stem, stem.replace("_", " "))
    return f"{plain} in the last {window[1]} days" if window else plain


def _attribute_of(name: str, base: CustomerVocabulary | None) -> Attribute | None:
    """The attribute that a feature is made of."""
    attributes = () if base is None else base.attributes
    return next((each for each in attributes if each.feature_name == name), None)


@dataclass(frozen=True)
class Reason:
    """What raises (above 0) or lowers a chance to leave.

    Attributes:
        feature, group: which.
        effect: added to the log-odds.
        value: of this customer, None where nothing is told.
        usual: median of training.
        words: a sentence.
    """

    feature: str
    group: str
    effect: float
    value: float | None
    usual: float
    words: str


def reasons_of(
    names: tuple[str, ...],
    row: Floats,
    contributions: Floats,
    usual: Floats,
    base: CustomerVocabulary | None = None,
    most: int = 5,
) -> tuple[Reason, ...]:
    """The strongest contributions of one customer, the strongest first.

    Args:
        names: of the features.
        row: (features,) of the customer.
        contributions: (features,) added to the log-odds.
        usual: (features,) medians of training.
        base: whose attributes are among the features.
        most: reasons at most.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")[:most]
    return tuple(
        _reason(names[k], float(row[k]), float(contributions[k]), float(usual[k]), base)
        for k in order.tolist()
        if contributions[k] != 0.0
    )


def _reason(
    name: str, value: float, effect: float, usual: float, base: CustomerVocabulary | None
) -> Reason:
    number = None if np.isnan(value) else value
    more = "raises" if effect > 0 else "lowers"
    attribute = _attribute_of(name, base)
    value_text = "no data" if number is None else _value_text(number, attribute)
    is_code = name.endswith("_code") or (attribute is not None and attribute.type != "number")
    beside = "" if np.isnan(usual) or is_code else f", usually {usual:,.4g}"
    words = f"{words_for(name, base)}: {value_text}{beside}; {more} the risk"
    return Reason(name, group_of(base).get(name, CONTRACT), effect, number, usual, words)


def _value_text(number: float, attribute: Attribute | None) -> str:
    if attribute is not None and attribute.type == "category":
        return attribute.vocabulary[int(number) - 1] if number >= 1.0 else "another value"
    if attribute is not None and attribute.type == "flag":
        return "yes" if number else "no"
    return f"{number:,.4g}"
