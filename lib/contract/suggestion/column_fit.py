"""How well the values of a source column can stand for a column of a contract."""

import pyarrow as pa
import pyarrow.types as pat

from lib.contract.declaration import Column
from lib.contract.suggestion.column_names import Candidate
from lib.contract.suggestion.column_profile import FALSE_WORDS, TRUE_WORDS, ColumnProfile

_CODE = 3
_LONG_TEXT = 3.0
_FEW_ROWS = 20
_MANY_TEXTS = 50
_MOST_OF_FLAG, _USUAL_SHARE = 4, 0.98
_MOST_DECIMALS = 3
_POOR, _FAIR = 0.3, 0.6


def fit(column: Column, profile: ColumnProfile, candidate: Candidate) -> float:
    """How well the values of a source column can stand for a column of the contract, 0 to 1."""
    if profile.kind in ("empty", "other"):
        return 0.0
    if pat.is_timestamp(column.type):
        return 0.0 if profile.time is None else 0.8 if profile.time.is_counter else 1.0
    stored = {"list": pat.is_list(column.type), "bytes": pat.is_large_binary(column.type)}
    if any(stored.values()) or profile.kind in stored:
        return float(stored.get(profile.kind, False))
    if column.type == pa.bool_():
        return _of_flag(profile)
    is_text = column.type == pa.string()
    return _of_text(column, profile, candidate) if is_text else _of_number(column, profile)


def _of_flag(profile: ColumnProfile) -> float:
    if profile.kind == "flag":
        return 1.0
    if profile.distinct == 1 and profile.different[0].lower() in TRUE_WORDS | FALSE_WORDS:
        return 0.9
    if profile.time is not None or not 2 <= profile.distinct <= _MOST_OF_FLAG:
        return 0.0
    usual = sum(count for _, count in profile.texts[:2])
    return 0.8 if usual >= _USUAL_SHARE * profile.present else 0.0


def _of_number(column: Column, profile: ColumnProfile) -> float:
    if profile.kind not in ("number", "flag") or profile.low is None or profile.high is None:
        return 0.0
    if column.is_money:
        return _of_money(profile)
    if pat.is_integer(column.type) and not profile.is_whole:
        return 0.0
    low, high = column.low, column.high
    if (low is not None and profile.high < low) or (high is not None and profile.low > high):
        return 0.0
    inside = (low is None or profile.low >= low) and (high is None or profile.high <= high)
    return 1.0 if inside else _FAIR


def _of_money(profile: ColumnProfile) -> float:
    if profile.kind == "flag" and profile.present > _FEW_ROWS:
        return _POOR
    return 0.5 if profile.decimals > _MOST_DECIMALS else 1.0


def _of_text(column: Column, profile: ColumnProfile, candidate: Candidate) -> float:
    if column.values:
        spelt = spelt_values(column, candidate)
        return float(any(text.lower() in spelt for text in profile.different))
    if column.name == "currency":
        codes = [text for text in profile.different if len(text) == _CODE and text.isalpha()]
        return float(bool(codes) and len(codes) == len(profile.different))
    if column.multiline:
        return (1.0 if profile.mean_words > _LONG_TEXT else _FAIR) * (profile.kind == "text")
    is_time = profile.time is not None and not profile.time.is_counter
    is_measure = profile.kind == "number" and not profile.is_whole
    is_long = profile.mean_words > 2 * _LONG_TEXT or profile.longest > column.max_length
    if is_time or is_measure or is_long:
        return 0.0 if is_time or is_measure else _POOR
    if column.is_identifier:
        return _of_identifier(column, profile, candidate)
    return _FAIR if profile.kind != "text" and profile.distinct > _MANY_TEXTS else 1.0


def _of_identifier(column: Column, profile: ColumnProfile, candidate: Candidate) -> float:
    many = profile.present > _FEW_ROWS
    # a machine is read more than once
    is_of_row = candidate.contract.extras is not None and profile.is_unique
    if many and (profile.kind == "flag" or is_of_row):
        return _POOR
    is_key = candidate.contract.key == (column.name,)
    return 0.5 if is_key and profile.distinct * 2 < profile.present else 1.0


def spelt_values(column: Column, candidate: Candidate) -> dict[str, str]:
    """The value of a column with fixed values that a text in lower case stands for."""
    own = {value: value for value in column.values}
    return {**candidate.values.get(column.name, {}), **own}
