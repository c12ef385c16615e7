"""The section `aggregate` of a mapping file: several rows of one thing become one row."""

from collections.abc import Iterable

import pyarrow.types as pat

from lib.contract.aggregation import OPERATIONS, ROW_ENDS, ROW_ID, SUM, Aggregation, fits
from lib.contract.column_rule import ColumnRule
from lib.contract.contract import Contract
from lib.contract.mapping_keys import AGGREGATE
from lib.contract.yaml_section import Section
from lib.declaration import did_you_mean

_NO_ID = "none"


def read_aggregation(
    section: Section | None, contract: Contract, filled: Iterable[str]
) -> Aggregation | None:
    """`aggregate: {by: [customer_id], distinct: subscription, sum: [mrr_minor], first: [plan]}`.

    Args:
        section: None where the file has none.
        contract: of the mapping.
        filled: columns that the mapping fills.

    Raises:
        ContractError: a column or an operation is not possible, or something is missing.
    """
    if section is None:
        return None
    section.only(AGGREGATE)
    if not contract.key:
        section.fail(f"rows of '{contract.name}' have no key: each of them stays as it is")
    by = _key_columns(section, contract)
    operations = _operations(section, contract, by, tuple(filled))
    for name in contract.key:
        if name not in by and name not in operations:
            section.fail(
                f"'{name}' names a row of '{contract.name}', too: list it under 'by', or say what "
                f"becomes of it, as earliest: [{name}]"
            )
    distinct = section.texts("distinct")
    if not distinct:
        section.fail(
            "needs 'distinct': the source column with each row's own id, so that a row that is "
            f"sent twice counts once; write distinct: {_NO_ID} where rows have no id and every "
            "row counts"
        )
    aggregation = Aggregation(
        by,
        operations,
        () if distinct == (_NO_ID,) else distinct,
        section.flag("running") is True,
        _ends(section.section("ends")),
    )
    _running_is_possible(section, aggregation, contract)
    return aggregation


def row_rules(aggregation: Aggregation | None, missing: tuple[str, ...]) -> tuple[ColumnRule, ...]:
    """The rules that read each row's own id, and whether it ends what another row began.

    Args:
        aggregation: None has no rules.
        missing: source texts that mean "no value".
    """
    if aggregation is None:
        return ()
    rules: list[ColumnRule] = []
    if aggregation.distinct:
        rules.append(ColumnRule(ROW_ID, aggregation.distinct, join="|", missing=missing))
    if aggregation.ends is not None:
        column, texts = aggregation.ends
        values = dict.fromkeys(texts, "true")
        rules.append(ColumnRule(ROW_ENDS, (column,), values=values, otherwise="false"))
    return tuple(rules)


def _key_columns(section: Section, contract: Contract) -> tuple[str, ...]:
    by = section.texts("by")
    for name in by:
        if name not in contract.key:
            section.fail(
                f"'{name}' is not possible; expected of {', '.join(contract.key)}, which name a "
                f"row of '{contract.name}'",
                "by",
            )
    if contract.key[0] not in by:
        section.fail(f"needs 'by: [{contract.key[0]}]', of what several rows become one")
    return tuple(dict.fromkeys(by))


def _operations(
    section: Section, contract: Contract, by: tuple[str, ...], filled: tuple[str, ...]
) -> dict[str, str]:
    operations: dict[str, str] = {}
    for operation in OPERATIONS:
        for name in section.texts(operation):
            if name not in filled:
                section.fail(
                    f"the mapping fills no column '{name}'; {did_you_mean(name, filled)}", operation
                )
            if name in by or name in operations:
                section.fail(f"'{name}' is listed twice", operation)
            if not fits(operation, contract[name].type):
                section.fail(f"not possible for '{name}' ({contract[name].type})", operation)
            operations[name] = operation
    return operations


def _ends(section: Section | None) -> tuple[str, tuple[str, ...]] | None:
    if section is None:
        return None
    if len(section.entries) != 1:
        section.fail("expected one source column and its texts, as {change: [end_date]}")
    (column,) = section.entries
    return column, section.texts(column)


def _running_is_possible(section: Section, aggregation: Aggregation, contract: Contract) -> None:
    if not aggregation.running:
        if aggregation.ends is not None:
            section.fail("stands with running: true only", "ends")
        return
    times = [name for name in contract.key[1:] if pat.is_timestamp(contract[name].type)]
    if len(contract.key) != 2 or not times or set(aggregation.by) != set(contract.key):
        section.fail(
            f"needs rows that are named by a thing and a time, and by: [{', '.join(contract.key)}]",
            "running",
        )
    for name, operation in aggregation.operations.items():
        if operation == SUM and not pat.is_integer(contract[name].type):
            section.fail(f"'{name}' is no whole number: it has no running sum", SUM)
