"""Decisions and labels that others bring as Parquet, in the columns of this repository."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lib.declaration import did_you_mean
from lib.records.decision_table import FEATURE_PREFIX
from lib.storage import StorageError, open_storage, redact_uri

_FEATURE = pa.float64()


class ExportError(ValueError):
    """A Parquet export that has not the columns of decisions or labels; the message says what."""


_CAST_FROM = {
    pa.string(): (pa.types.is_string, pa.types.is_large_string),
    pa.float64(): (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean),
}


def open_export(uri: str, expected: pa.Schema, option: str, *, features: bool) -> ds.Dataset:
    """The Parquet files of a folder or of one file, their columns checked; reads no rows.

    Args:
        uri: a file, a folder or a URI.
        expected: columns; those that may not be null must be there.
        option: by which it was given, for errors, e.g. `--decisions`.
        features: whether columns `feature_NAME` may stand beside them.

    Returns:
        A data set with the columns of all files.

    Raises:
        ExportError: it is no Parquet, or a column is absent, unknown or of a type that cannot hold
            the values; all such columns are named.
    """
    shown = f"{option} {redact_uri(uri)}"
    try:
        storage = open_storage(uri)
        source = ds.dataset(storage.at(), filesystem=storage.filesystem, format="parquet")
        schemas = [fragment.physical_schema for fragment in source.get_fragments()]
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except (StorageError, OSError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ExportError(f"{shown}: expected Parquet files: {error}") from error
    faults = list(_faults(schema, expected, features=features))
    if faults:
        raise ExportError(f"{shown}: these columns are wrong:\n  " + "\n  ".join(faults))
    return ds.dataset(storage.at(), schema=schema, filesystem=storage.filesystem, format="parquet")


def conform(table: pa.Table, expected: pa.Schema, *, features: bool) -> pa.Table:
    """Rows of a checked export with the expected columns and types; optional ones may be null.

    Args:
        table: some rows.
        expected: columns.
        features: whether to keep columns `feature_NAME`, as float64.
    """
    fields = [field.with_nullable(True) for field in expected]
    names = [name for name in table.column_names if features and name.startswith(FEATURE_PREFIX)]
    fields += [pa.field(name, _FEATURE) for name in sorted(names)]
    columns = [
        _cast(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in fields
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def required_names(expected: pa.Schema) -> tuple[str, ...]:
    """Columns in which a row has a value."""
    return tuple(field.name for field in expected if not field.nullable)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(column.type):
        return column.cast(kind, safe=False)  # nanoseconds of others are cut to microseconds
    return pc.cast(column, kind)


def _faults(schema: pa.Schema, expected: pa.Schema, *, features: bool) -> Iterator[str]:
    for name in required_names(expected):
        if name not in schema.names:
            yield f"{name}: absent; {did_you_mean(name, schema.names)}"
    for field in schema:
        if features and field.name.startswith(FEATURE_PREFIX):
            kind = _FEATURE
        elif field.name in expected.names:
            kind = expected.field(field.name).type
        else:
            yield f"{field.name}: unknown; {_hint(field.name, expected.names, features=features)}"
            continue
        if not _holds(kind, field.type):
            yield f"{field.name}: expected {kind}, got {field.type}"


def _hint(name: str, known: Iterable[str], *, features: bool) -> str:
    hint = did_you_mean(name, known)
    return f"{hint}, or {FEATURE_PREFIX}{name} if it is a feature" if features else hint


def _holds(kind: pa.DataType, actual: pa.DataType) -> bool:
    """Whether a column of a type can be cast to the expected one without guessing."""
    types = pa.types
    if types.is_null(actual):
        return True
    if types.is_dictionary(actual):
        actual = actual.value_type
    if types.is_timestamp(kind):
        return bool(types.is_timestamp(actual) and actual.tz is not None)
    if kind in _CAST_FROM:
        return any(is_castable(actual) for is_castable in _CAST_FROM[kind])
    if types.is_list(kind):
        is_list = types.is_list(actual) or types.is_large_list(actual)
        return bool(is_list and _holds(kind.value_type, actual.value_type))
    return bool(actual == kind)
