"""Loops over rows, compiled to machine code when first called and kept on disk after that."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Loop = TypeVar("Loop", bound=Callable[..., Any])


IS_COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # read from the environment
"""Whether loops are compiled; with NUMBA_DISABLE_JIT=1 they run as Python, slowly."""


def compiled(loop: Loop) -> Loop:
    """Compiles a function of arrays and numbers.

    Whole numbers are exact, and of floating-point numbers the compiler neither changes the order of
    operations nor merges two into one (`fastmath` stays off): results are those of Python.
    """
    return cast(Loop, numba.njit(cache=True, nogil=True)(loop))
