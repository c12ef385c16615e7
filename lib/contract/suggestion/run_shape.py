"""Machines and their cycles in a table whose columns have no names: told by the values alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.contract.coercion import as_array
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.number_guess import read_numbers

_MOST_TRIED = 4
_ROWS_OF_RUN = 3
Floats = npt.NDArray[np.float64]


def runs(profiles: Sequence[ColumnProfile]) -> tuple[ColumnProfile, ColumnProfile] | None:
    """The column that stays the same within a run, and the one that counts its rows by 1.

    Args:
        profiles: of all source columns.
    """
    counters = [p for p in profiles if p.kind == "number" and p.is_whole and p.present == p.rows]
    for name in counters[:_MOST_TRIED]:
        for count in counters[:_MOST_TRIED]:
            if name is not count and _is_run(_numbers(name), _numbers(count)):
                return name, count
    return None


def _numbers(profile: ColumnProfile) -> Floats:
    values = as_array(profile.values) if profile.values is not None else pa.array([], pa.float64())
    if profile.number is not None:
        values = read_numbers(values, profile.number.form)
    numbers: Floats = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers


def _is_run(
    names: Floats,
    counts: Floats,
) -> bool:
    if len(names) < _ROWS_OF_RUN:
        return False
    same = names[1:] == names[:-1]
    steps = np.diff(counts)
    is_long = same.sum() * _ROWS_OF_RUN > 2 * len(same)
    return bool(is_long and not same.all() and (steps[same] == 1).all() and counts[0] <= 1)
