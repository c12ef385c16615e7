"""Pieces of JSON that are read and written at a time, made so small that examples have several."""

from collections.abc import Callable, Iterator

import pytest

from lib.concurrency import piecewise_json


def tiny_pieces(short: int, batch: int) -> Callable[[], Iterator[None]]:
    """A fixture for a module: texts of `short` characters are read at once, others by `batch`."""

    @pytest.fixture(scope="module", autouse=True)
    def pieces() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(piecewise_json, "_SHORT", short)
            patch.setattr(piecewise_json, "_BATCH", batch)
            yield

    return pieces
