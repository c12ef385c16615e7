"""The lines of a contract's columns: where each comes from, how it is written, what is not sure."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pat

from lib.contract.declaration import Column
from lib.contract.number_text import NumberFormat
from lib.contract.suggestion.column_choice import Choice, Match
from lib.contract.suggestion.column_fit import spelt_values
from lib.contract.suggestion.column_names import SURE, Candidate, words_of
from lib.contract.suggestion.column_profile import FALSE_WORDS, TRUE_WORDS, ColumnProfile
from lib.contract.suggestion.entry import Entry, Value, flow
from lib.contract.suggestion.money_guess import money_keys
from lib.contract.suggestion.number_guess import number_keys

_FALSE_MEANINGS = frozenset(
    ("no", "non", "nein", "nao", "não", "not", "false", "ham", "legit", "genuine", "good", "normal")
)
_TRUE_MEANINGS = frozenset(
    (
        *("fraud", "fraudulent", "churned", "churn", "attrited", "left", "exited", "spam"),
        *("hateful", "hate", "toxic", "abusive", "offensive", "violation", "failed"),
        *("failure", "broken", "ja", "oui", "si", "sí", "sim", "positive", "bad", "yes"),
        *("y", "true"),
    )
)


def column_entry(
    match: Match, choice: Choice, usual: NumberFormat, profiles: Sequence[ColumnProfile]
) -> Entry:
    """The line of a column that the source has.

    Args:
        match: of the column.
        choice: that it belongs to.
        usual: how numbers are written in the file.
        profiles: of all source columns.
    """
    column, profile = match.column, match.profile
    keys: dict[str, Value] = {"from": list(profile.sources) or profile.name}
    unsure: list[str] = []
    if match.nearness < SURE:
        unsure.append(f"chosen {match.reason}")
    if pat.is_timestamp(column.type) and profile.time is not None:
        keys |= profile.time.entry_keys
        unsure += profile.time.doubts
        if profile.time.missing:
            keys["missing"] = list(profile.time.missing)
            unsure.append(f"{', '.join(profile.time.missing)} is taken for no time")
    elif column.is_money:
        money, doubts = money_keys(match, choice, usual, profiles)
        keys, unsure = {**keys, **money}, [*unsure, *doubts]
    elif column.type == pa.bool_():
        values, doubts = flag_values(profile)
        keys, unsure = {**keys, **values}, [*unsure, *doubts]
    elif column.values:
        keys |= _fixed(column, profile, choice.candidate)
    elif (
        column.type != pa.string() and pat.is_primitive(column.type) and profile.number is not None
    ):
        keys |= number_keys(profile.number.form, usual)
        unsure += ["its marks may be decimal or group marks"] * profile.number.is_unsure
    unsure += _of_rows(column, profile, choice)
    return Entry(column.name, keys, f"{match.reason}: {profile.shape}", tuple(unsure))


def _of_rows(column: Column, profile: ColumnProfile, choice: Choice) -> list[str]:
    """What rows will be set aside for."""
    doubts = []
    if column.required and profile.present < profile.rows:
        share = f"{1 - profile.present / profile.rows:.1%}"
        doubts.append(
            f"{share} of the rows have none and will be set aside; "
            f"'where: {flow({profile.name: {'present': True}})}' leaves them out instead"
        )
    if choice.candidate.contract.key == (column.name,) and not profile.is_unique:
        doubts.append("it comes more than once, and names a row: other content is set aside")
    return doubts


def flag_values(profile: ColumnProfile) -> tuple[dict[str, Value], list[str]]:
    """The key `values` of a flag whose texts are not read as true and false by themselves."""
    texts = profile.different[:2] if profile.distinct > 2 else profile.different
    if all(text.lower() in TRUE_WORDS | FALSE_WORDS for text in texts):
        return {}, []
    true = [text for text in texts if _means_true(text)]
    if len(true) != 1:
        true = [min(texts, key=lambda text: (dict(profile.texts)[text], text))]
        doubt = f"which of {', '.join(texts)} is true is not known; the rarer is taken"
    else:
        doubt = f"{true[0]} is taken for true by its meaning"
    return {"values": {text: str(text in true).lower() for text in sorted(texts)}}, [doubt]


def is_worded_flag(profile: ColumnProfile) -> bool:
    """Whether the two texts of a column mean yes and no."""
    texts = profile.different
    if profile.kind != "text" or profile.distinct != 2:
        return False
    true = [text for text in texts if _means_true(text)]
    return len(true) == 1 and all(
        (words_of(text)[:1] or ("",))[0] in _FALSE_MEANINGS for text in texts if text not in true
    )


def _means_true(text: str) -> bool:
    words = words_of(text)
    return bool(words) and words[0] in _TRUE_MEANINGS


def _fixed(column: Column, profile: ColumnProfile, candidate: Candidate) -> dict[str, Value]:
    spelt = spelt_values(column, candidate)
    values = {text: spelt[text.lower()] for text in profile.different if text.lower() in spelt}
    if all(text == value for text, value in values.items()):
        return {}
    return {"values": values}
