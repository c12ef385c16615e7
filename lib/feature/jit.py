"""Loops over rows, compiled to machine code when first called and kept on disk after that."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compiles a function of arrays and whole numbers.

    Only whole numbers are added in such loops, so the result does not depend on the compiler.
    """
    return cast(Loop, numba.njit(cache=True, nogil=True)(loop))
