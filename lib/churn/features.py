"""The features of a customer as of a moment, declared once for training and serving.

`features.yaml` declares them. What depends on the customers, their vocabulary and attributes, is
added here.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from lib.churn import formulas
from lib.churn.customer_attributes import CODE_ENDING, columns_of
from lib.churn.events import SCHEMA, TABLE_OF
from lib.churn.feature_library import (
    COLUMNS,
    CUSTOMER,
    column_quantity,
    customer_library,
    remembered_of_customer,
)
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature import Derived, Feature, FeatureSet, LastValue
from lib.feature.aggregate_reader import LONGEST_HORIZON
from lib.feature.attributes import Attribute, AttributeFaultError
from lib.feature.declaration import Declaration
from lib.feature.feature_file import FeatureFileError
from lib.feature.feature_reader import FeatureFile, load_features, locate_feature, read_packaged
from lib.feature.measures import Distinct, Measure, quantities_of

FEATURES_YAML = Path(__file__).with_name("features.yaml")
CONTRACT = "contract"
"""The group of features of the newest row of a customer."""
_EMPTY = FeatureSet(name="churn", version=1, features=(), id_column="event_id")


@cache
def churn_features(base: CustomerVocabulary) -> FeatureSet:
    """The features of a base's customers, keyed by customer alone.

    Attributes come after the packaged ones, and the feature file after them.

    Raises:
        AttributeFaultError: an attribute has a name that is taken.
        FeatureFileError: of the feature file, with its line.
    """
    features = _with_attributes(base)
    file = added_features(base)
    return features if file is None else file.extend(features)


@cache
def added_features(base: CustomerVocabulary, origin: str = "feature_file") -> FeatureFile | None:
    """What the feature file of a base declares; None without one.

    Args:
        base: with the text of the file.
        origin: its name, for messages.

    Raises:
        FeatureFileError: the first fault, with its line.
    """
    if not base.feature_file:
        return None
    features, library = _with_attributes(base), customer_library(base)
    reserved = ROW_COLUMNS.union(SCHEMA.names)
    file = load_features(base.feature_file, origin, features, COLUMNS, reserved, library)
    for name in file.names:
        if name.endswith(CODE_ENDING):
            line = locate_feature(base.feature_file, origin, name)
            raise FeatureFileError(
                f"{line}: names that end in {CODE_ENDING} are those of categories; give it another "
                "name"
            )
    return file


@cache
def _with_attributes(base: CustomerVocabulary) -> FeatureSet:
    features = [_with_places(feature, base) for feature in _packaged(base).features]
    _require_free_names(base, {feature.name for feature in features})
    return replace(_EMPTY, features=(*features, *_attributes(base)))


def _packaged(base: CustomerVocabulary) -> FeatureFile:
    return read_packaged(FEATURES_YAML, _EMPTY, COLUMNS, customer_library(base))


def _with_places(feature: Declaration, base: CustomerVocabulary) -> Declaration:
    """A feature that is a place in a vocabulary with the vocabulary as its unit."""
    names = {"segment_code": base.segments, "plan_code": base.plans}.get(feature.name)
    return feature if names is None else replace(feature, unit=_place_in(names))


def _place_in(names: tuple[str, ...]) -> str:
    return "place in " + "|".join(names)


def _attributes(base: CustomerVocabulary) -> Iterator[Declaration]:
    record = remembered_of_customer(base)
    for attribute in base.attributes:
        columns = columns_of(attribute)
        for column in columns:
            value = LastValue(
                column_quantity(column), record.quantities, LONGEST_HORIZON, record.only
            )
            yield Feature(f"{column}_told", "as told", (CUSTOMER,), value, hidden=True)
        inputs = tuple(f"{column}_told" for column in columns)
        formula = formulas.number_of if attribute.type == "number" else formulas.or_missing
        yield Derived(attribute.feature_name, _unit_of(attribute), inputs, formula)


def _unit_of(attribute: Attribute) -> str:
    if attribute.type == "category":
        return _place_in(attribute.vocabulary)
    return "0 or 1" if attribute.type == "flag" else attribute.unit or "number"


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
def group_of(base: CustomerVocabulary | None = None) -> dict[str, str]:
    """The group of each packaged feature and of those that a base's file puts into one, by name.

    Attributes and other features of the file are of the group `CONTRACT`.
    """
    packaged = _packaged(CustomerVocabulary())
    file = None if base is None else added_features(base)
    added = {} if file is None else file.groups
    return {name: packaged.groups[name] for name in packaged.names} | dict(added)


@cache
def declared_words(base: CustomerVocabulary | None = None) -> dict[str, str]:
    """How people name features, of the packaged file and of a base's, by name."""
    file = None if base is None else added_features(base)
    return dict(_packaged(CustomerVocabulary()).words) | dict(file.words if file else {})
