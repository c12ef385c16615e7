"""Categories of subjects as codes in frozen vocabularies, and how lists of attributes differ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lib.feature.attributes import (
    MOST_CODES,
    Attribute,
    AttributeFaultError,
    describe_attribute,
)


def frozen_by_subject(
    attributes: Sequence[Attribute], rows: pa.Table | None, id_column: str, fewest: int
) -> tuple[Attribute, ...]:
    """The attributes with the vocabularies that a table of subjects shows, by name.

    Args:
        attributes: as a mapping file declares them.
        rows: checked, with a column of the name of each attribute; None shows no value.
        id_column: names the subject of a row, e.g. `customer_id`.
        fewest: subjects of a value that has a code of its own; rarer ones share that of unknown
            values.

    Raises:
        AttributeFaultError: a category has more values than codes can be told apart.
    """
    return tuple(
        _frozen(each, rows, id_column, fewest) if each.type == "category" else each
        for each in attributes
    )


def _frozen(attribute: Attribute, rows: pa.Table | None, id_column: str, fewest: int) -> Attribute:
    counts: list[dict[str, Any]] = []
    if rows is not None:
        pairs = rows.select([id_column, attribute.name])
        pairs = pairs.filter(pc.is_valid(pairs[attribute.name]))
        once = pairs.group_by([id_column, attribute.name]).aggregate([])
        counts = pc.value_counts(once[attribute.name].combine_chunks()).to_pylist()
    if len(counts) > MOST_CODES:
        raise AttributeFaultError(
            attribute.name,
            f"expected a category of at most {MOST_CODES} values, got {len(counts):,} among the "
            f"{id_column.removesuffix('_id')}s; group them into fewer ('values' in its entry, or "
            "a 'lookup'), or leave it out",
        )
    usual = [entry["values"] for entry in counts if entry["counts"] >= fewest]
    return replace(attribute, encoding="code", vocabulary=tuple(sorted(usual)))


def attribute_texts(
    attributes: Sequence[Attribute], values: Mapping[str, float]
) -> dict[str, str | None]:
    """Values of categories as texts, for rules; None where missing or not in the vocabulary.

    Args:
        attributes: with the vocabularies.
        values: features by name; those of a subject that is not known are not there.
    """
    return {
        each.name: text_of_code(each, values.get(each.feature_name))
        for each in attributes
        if each.type == "category"
    }


def text_of_code(attribute: Attribute, code: float | None) -> str | None:
    """The value of a category that a code stands for; None for one that the vocabulary lacks."""
    if code is None or not code >= 1.0:
        return None
    return attribute.vocabulary[int(code) - 1]


def attribute_difference(
    attributes: Sequence[Attribute], others: Sequence[Attribute], *, with_words: bool
) -> str:
    """What attributes others are instead, in words; empty where they are the same.

    Args:
        attributes: of one side.
        others: of the other side.
        with_words: whether attributes that differ in their words alone are different.
    """
    by_name = [
        {each.name: each if with_words else replace(each, words="") for each in side}
        for side in (attributes, others)
    ]
    if by_name[0] == by_name[1]:
        if list(by_name[0]) == list(by_name[1]):
            return ""
        return "attributes: " + " against ".join(", ".join(each) for each in by_name)
    pairs = {
        name: [known.get(name) for known in by_name]
        for name in dict.fromkeys((*by_name[0], *by_name[1]))
    }
    described = {
        name: " against ".join(describe_attribute(each, with_words=with_words) for each in pair)
        for name, pair in pairs.items()
        if pair[0] != pair[1]
    }
    return "; ".join(f"attribute '{name}': {words}" for name, words in described.items())
