"""JSON as the records write it: numbers come back bit for bit, NaN and infinity become null."""

from typing import Any

from pydantic_core import from_json, to_json


def write_json(value: object) -> bytes:
    """Write compact JSON in UTF-8.

    Raises:
        ValueError: a value is nothing JSON can hold, or text with half a surrogate pair.
    """
    return to_json(value, inf_nan_mode="null")


def read_json(text: bytes | str) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is malformed.
    """
    return from_json(text, allow_inf_nan=False)
