"""Bring a column to the exact type of its contract where nothing can be lost, or refuse it."""

from collections.abc import Callable
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.declaration import Column, ContractError


def as_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One contiguous array out of a table's column."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    return column


def plain(values: pa.Array) -> pa.Array:
    """Dictionary-encoded values decoded, long and view strings as plain strings, UUIDs as text."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = _of_extension(values)
    if pat.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pat.is_large_string(values.type) or pat.is_string_view(values.type):
        values = values.cast(pa.string())
    return values


def each_once(texts: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    """`change` of every text, null for null; each different text is changed once."""
    encoded = texts if pat.is_dictionary(texts.type) else texts.dictionary_encode()
    changed = [change(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(changed, pa.string()).take(encoded.indices)


def _of_extension(values: pa.Array) -> pa.Array:
    if values.type.extension_name != "arrow.uuid":
        return values.storage
    texts = [
        None if uuid_bytes is None else str(UUID(bytes=uuid_bytes))
        for uuid_bytes in values.storage.to_pylist()
    ]
    return pa.array(texts, pa.string())


def to_contract_type(column: Column, values: pa.Array, contract: str) -> pa.Array:
    """`values` in `column.type`; only changes that keep every value are made.

    Narrower integers and floats widen, times of another resolution become microseconds, a column
    of nulls takes any type. Everything else, a time without a time zone above all, is refused.

    Raises:
        ContractError: the type cannot stand for the declared one.
    """
    values = plain(values)
    if values.type == column.type:
        return values
    if not _widens(values.type, column.type):
        raise ContractError(_wrong_type(column, values.type, contract))
    return values.cast(column.type, safe=not pat.is_timestamp(column.type))


def nan_to_null(values: pa.Array) -> pa.Array:
    """NaN and infinities of a floating column as nulls: missing has one spelling."""
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, type=values.type))


def _widens(source_type: pa.DataType, target_type: pa.DataType) -> bool:
    if pat.is_null(source_type):
        return True
    if pat.is_timestamp(target_type):
        return bool(pat.is_timestamp(source_type) and source_type.tz is not None)
    if pat.is_floating(target_type):
        return bool(pat.is_floating(source_type) or pat.is_integer(source_type))
    if pat.is_list(target_type):
        return bool(
            pat.is_list(source_type)
            or pat.is_large_list(source_type)
            or pat.is_fixed_size_list(source_type)
        )
    if pat.is_int64(target_type):
        return bool(pat.is_integer(source_type) and not pat.is_uint64(source_type))
    return bool(pat.is_large_binary(target_type) and pat.is_binary(source_type))


def _wrong_type(column: Column, source_type: pa.DataType, contract: str) -> str:
    return (
        f"column '{column.name}' of contract '{contract}': expected {column.type}"
        f"{f' ({column.unit})' if column.unit else ''}, came {source_type}; "
        f"{_way_out(column, source_type)}"
    )


def _way_out(column: Column, source_type: pa.DataType) -> str:
    name = column.name
    if pat.is_timestamp(source_type) and source_type.tz is None:
        return (
            f"say which time zone its times are in, in the mapping file: "
            f"{name}: {{from: {name}, timezone: Europe/Berlin}}"
        )
    if column.is_money:
        return (
            f"declare the unit in the mapping file: "
            f"{name}: {{from: {name}, unit: major, currency_digits: 2}}"
        )
    return f"convert it with a mapping file: {name}: {{from: {name}}}"
