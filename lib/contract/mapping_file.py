"""Mapping files: YAML into a `Mapping`, every mistake refused with its line."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from lib.contract import attribute_section, mapping_keys
from lib.contract.aggregate_section import read_aggregation, row_rules
from lib.contract.column_rule import ColumnRule
from lib.contract.contract import Contract
from lib.contract.declaration import TIME, Column, ContractError
from lib.contract.file_format import FileFormat
from lib.contract.lookup import looked_up
from lib.contract.mapping import Mapping
from lib.contract.mapping_sections import (
    read_conditions,
    read_currencies,
    read_file_format,
    read_file_parts,
    read_number,
    read_reshape,
)
from lib.contract.money import Currencies
from lib.contract.reading_keys import reading_keys, with_reading
from lib.contract.reshape import Pivot
from lib.contract.yaml_section import Scalar, Section, parse_section
from lib.declaration import did_you_mean, read_yaml_text


def load_mapping(
    path: str | Path, contracts: Iterable[Contract], beside: str | None = None
) -> Mapping:
    """The mapping in the file at `path`, for one of `contracts`.

    Args:
        path: of the YAML file.
        contracts: it fills one of these.
        beside: folder or URI of the data, where files of a `lookup` lie; default: the mapping's.

    Raises:
        ContractError: the file is absent or wrong, with the place and what to do.
    """
    file = Path(path)
    if not file.is_file():
        raise ContractError(f"there is no mapping file '{path}'; give the path of a YAML file")
    text = read_yaml_text(file, file.name, ContractError)
    return parse_mapping(text, contracts, file.name, str(file.parent) if beside is None else beside)


def parse_mapping(
    text: str, contracts: Iterable[Contract], origin: str = "mapping", beside: str = "."
) -> Mapping:
    """The mapping in `text` (YAML), for one of `contracts`; see `load_mapping`.

    ```yaml
    contract: transactions
    columns:
      transaction_id: {from: TRANSACTION_ID}
      event_time: {from: TX_DATETIME, timezone: UTC}
      amount_minor: {from: TX_AMOUNT, unit: major, currency_digits: 2}
      currency: {value: USD}
    ```

    Raises:
        ContractError: unknown key, column, unit or zone; a required column that nothing fills;
            a value that cannot be meant. The message has the line and a suggestion.
    """
    top = parse_section(text, origin)
    top.only(mapping_keys.TOP)
    by_name = {contract.name: contract for contract in contracts}
    top.choice("contract", tuple(by_name))
    contract = by_name[top.required_text("contract")]
    columns = top.section("columns")
    if columns is None:
        top.fail("needs the section 'columns'")
    currencies = read_currencies(top.section("currencies"))
    file = read_file_format(top.section("file"))
    targets = {name: _target(columns, name, contract) for name in columns.entries}
    reader = _RuleReader(currencies, beside, file)
    rules = tuple(
        reader.rule(columns, target, () if target.name in contract.names else mapping_keys.EXTRA)
        for target in targets.values()
    )
    _all_filled(columns, contract, targets)
    rules += _attribute_rules(top.section("attributes"), contract, targets, reader)
    own = tuple(rule.target.name for rule in rules[len(targets) :])
    bound = replace(contract.replacing(rule.target for rule in rules), attributes=own)
    targets |= {rule.target.name: rule.target for rule in rules}
    aggregation = read_aggregation(top.section("aggregate"), bound, targets)
    rules += row_rules(aggregation, tuple(text for text in file.missing if text))
    reshape = read_reshape(top, [name for rule in rules for name in rule.needs])
    if aggregation is not None and isinstance(reshape, Pivot):
        top.fail("give either 'pivot' or 'aggregate'", "aggregate")
    if isinstance(reshape, Pivot):
        # a long row holds one value: nothing is left of it where that cannot be read
        rules = tuple(replace(rule, target=replace(rule.target, lenient=False)) for rule in rules)
        bound = replace(contract.replacing(rule.target for rule in rules), merges=True)
    return Mapping(
        contract=replace(bound, mapped=True),
        rules=rules,
        where=read_conditions(top.section("where"), file.number),
        file=file,
        currencies=currencies,
        origin=origin,
        reshape=reshape,
        aggregation=aggregation,
    )


def _target(columns: Section, name: str, contract: Contract) -> Column:
    if name in contract.names:
        return contract[name]
    if contract.extras is None:
        columns.fail(
            f"contract '{contract.name}' has no such column; {did_you_mean(name, contract.names)}",
            name,
        )
    entry = columns.entries[name]
    if not isinstance(entry, Section):
        return replace(contract.extras, name=name)
    low, high = (read_number(entry, key) for key in ("low", "high"))
    return replace(
        contract.extras, name=name, unit=entry.text("unit", "") or "", low=low, high=high
    )


def _attribute_rules(
    attributes: Section | None, contract: Contract, targets: Iterable[str], reader: "_RuleReader"
) -> tuple[ColumnRule, ...]:
    """Rules of columns that the contract does not have."""
    if attributes is None:
        return ()
    attribute_section.require_readers(attributes, contract)
    filled = contract.replacing(replace(contract.columns[0], name=name) for name in targets)
    return tuple(
        reader.rule(
            attributes,
            attribute_section.read_attribute(attributes, name, filled),
            mapping_keys.ATTRIBUTE,
        )
        for name in attributes.entries
    )


@dataclass(frozen=True)
class _RuleReader:
    """Reads entries into rules.

    Args:
        currencies: of the mapping.
        beside: where files of a `lookup` lie.
        file: how the files are written.
    """

    currencies: Currencies | None
    beside: str
    file: FileFormat

    def rule(self, columns: Section, target: Column, more_keys: Iterable[str]) -> ColumnRule:
        """The rule of one entry, which may have these keys beside those of its type."""
        entry = columns.entries[target.name]
        if isinstance(entry, Scalar):
            section = Section(
                columns.origin, f"{columns.path}.{target.name}", entry.line, {"from": entry}
            )
        elif isinstance(entry, Section):
            section = entry
        else:
            columns.fail("expected {from: ...} or {value: ...}", target.name)
        section.only((*mapping_keys.COLUMN, *reading_keys(target), *more_keys))
        if "" in section.texts("from"):
            section.fail("expected the name of a source column, got nothing", "from")
        sources, constant = section.texts("from"), section.text("value")
        file_parts = read_file_parts(section)
        if bool(sources or file_parts) == (constant is not None):
            section.fail(
                "give either 'from' (a source column), 'from_file' (of the file's name) or 'value' "
                "(a constant)"
            )
        rule = ColumnRule(
            target=target,
            sources=sources,
            file_parts=file_parts,
            constant=constant,
            join=section.text("join", " " if target.type == TIME else "-") or "",
            missing=(*section.texts("missing"), *(text for text in self.file.missing if text)),
            values=_values(section, self.beside),
            otherwise=section.text("otherwise"),
            when=read_conditions(section.section("when"), self.file.number),
        )
        _joinable(section, rule)
        return _constant_fits(
            section, with_reading(section, rule, self.currencies, self.file.number)
        )


def _joinable(section: Section, rule: ColumnRule) -> None:
    several = len(rule.sources) + len(rule.file_parts) > 1
    if several and rule.target.type not in {pa.string(), TIME}:
        section.fail("only texts and times can be joined out of several columns", "from")
    if rule.otherwise is not None and not rule.values:
        section.fail("stands for what 'values' does not list; add 'values'", "otherwise")


def _constant_fits(section: Section, rule: ColumnRule) -> ColumnRule:
    fault = None if rule.constant is None else rule.text_fault(rule.constant)
    if fault is not None:
        section.fail(f"cannot stand for {rule.target.type}: {fault}", "value")
    if "values" in section.entries:
        for source, text in rule.values.items():
            fault = rule.text_fault(text)
            if fault is not None:
                section.fail(f"'{text}' cannot stand for '{source}': {fault}", "values")
    return rule


def _values(section: Section, beside: str) -> dict[str, str]:
    listed, elsewhere = section.section("values"), section.section("lookup")
    if listed is not None and elsewhere is not None:
        section.fail("give either 'values' or 'lookup'", "lookup")
    if elsewhere is not None:
        return looked_up(elsewhere, beside)
    return {key: listed.required_text(key) for key in listed.entries} if listed else {}


def _all_filled(columns: Section, contract: Contract, filled: Iterable[str]) -> None:
    filled_names = tuple(filled)
    for column in contract.columns:
        if column.required and column.name not in filled_names:
            columns.fail(
                f"nothing fills '{column.name}' ({column.type}: {column.description}); "
                f"add {column.name}: {{from: ...}} or {column.name}: {{value: ...}}"
            )
