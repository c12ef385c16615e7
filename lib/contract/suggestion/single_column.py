"""How well a column alone tells an outcome apart: whoever knows it need not predict."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract.coercion import as_array
from lib.contract.suggestion.column_profile import TRUE_WORDS, ColumnProfile
from lib.contract.suggestion.number_guess import read_numbers

LEAK_AUC = 0.98
_FEWEST = 10
_MOST_CATEGORIES = 50
Floats = npt.NDArray[np.float64]


def outcome_mask(profile: ColumnProfile) -> npt.NDArray[np.bool_] | None:
    """Rows in which a flag is true; None where that cannot be told, or of too few rows.

    Args:
        profile: of a column with two values.
    """
    if profile.values is None or profile.distinct != 2 or profile.present < profile.rows:
        return None
    texts = [str(value) for value in as_array(profile.values).to_pylist()]
    true = [text for text in set(texts) if text.lower() in TRUE_WORDS]
    chosen = true[0] if len(true) == 1 else min(set(texts))
    mask = np.array([text == chosen for text in texts], dtype=np.bool_)
    return mask if _FEWEST <= mask.sum() <= len(mask) - _FEWEST else None


def single_auc(profile: ColumnProfile, outcome: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve of a column alone, .5 to 1; .5 where it has no order.

    Categories are ordered by their share of the outcome in every other row and judged on the rest.
    """
    if profile.values is None or profile.present < _FEWEST:
        return 0.5
    values = as_array(profile.values)
    if profile.kind in ("number", "flag") and profile.low is not None:
        numbers = _numbers(profile, values)
        known = np.isfinite(numbers)
        return _auc(numbers[known], outcome[known])
    if profile.distinct > _MOST_CATEGORIES or profile.kind not in ("text", "flag"):
        return 0.5
    texts = pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())
    codes = texts.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1
    learnt = np.arange(len(codes)) % 2 == 0
    count = np.bincount(codes[learnt], minlength=codes.max() + 1)
    hits = np.bincount(codes[learnt], weights=outcome[learnt], minlength=codes.max() + 1)
    shares = np.where(count > 0, hits / np.maximum(count, 1), outcome.mean())
    return _auc(shares[codes[~learnt]], outcome[~learnt])


def implies(profile: ColumnProfile, outcome: npt.NDArray[np.bool_]) -> bool:
    """Whether an outcome is true wherever a flag is, though it seldom is."""
    if profile.kind != "flag" or profile.values is None or outcome.mean() > 0.5:
        return False
    true = _numbers(profile, as_array(profile.values)) == 1.0
    hits = int(true.sum())
    return hits >= _FEWEST // 2 and float(outcome[true].mean()) >= LEAK_AUC


def _numbers(profile: ColumnProfile, values: pa.Array) -> Floats:
    if profile.number is not None:
        trimmed = pc.utf8_trim_whitespace(values)
        values = read_numbers(trimmed, profile.number.form)
    elif pa.types.is_string(values.type):
        values = pc.is_in(pc.utf8_lower(values), value_set=pa.array(sorted(TRUE_WORDS)))
    numbers: Floats = (
        values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    )
    return numbers


def _auc(scores: Floats, outcome: npt.NDArray[np.bool_]) -> float:
    positives, negatives = int(outcome.sum()), int((~outcome).sum())
    if min(positives, negatives) < _FEWEST // 2:
        return 0.5
    _, codes, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    area = (ranks[outcome].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))
