"""Features in words, for people who act on them."""

import re
from dataclasses import dataclass

import numpy as np

from lib.churn.features import CONTRACT, declared_words, group_of
from lib.churn.target import Floats
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature.attributes import Attribute

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
    named = declared_words(base)
    if name in named:
        return named[name]
    window = _WINDOW.search(name)
    plain = _WINDOW.sub("", name).replace("_", " ")
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
