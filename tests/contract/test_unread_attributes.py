"""Attributes of tables of which nothing reads any: refused by name and line, never dropped."""

from __future__ import annotations

import pytest

from lib.churn import contracts as churn
from lib.contract import Contract, ContractError, parse_mapping
from lib.fraud import contracts as fraud
from lib.maintenance import contracts as maintenance
from lib.moderation import contracts as moderation
from lib.static_table import contracts as static_table

ALL = (
    *(*fraud.CONTRACTS, *churn.CONTRACTS, *maintenance.CONTRACTS, *moderation.CONTRACTS),
    *static_table.CONTRACTS,
)


def text(contract: Contract) -> str:
    """A mapping file with two attributes in its lines 4 and 5."""
    units = {name: ", unit: minor" for name in contract.names if name.endswith("_minor")}
    columns = [f"  {name}: {{from: {name}{units.get(name, '')}}}" for name in contract.names]
    return "\n".join(
        [
            *(f"contract: {contract.name}", "", "attributes:"),
            "  colour: {from: colour, type: category}",
            "  weight: {from: weight, type: number}",
            *("columns:", *columns),
        ]
    )


READ = ("transactions", "customers", "machines", "posts", "rows")


@pytest.mark.parametrize("contract", [c for c in ALL if c.name not in READ], ids=lambda c: c.name)
def test_attributes_that_nothing_reads_are_refused(contract: Contract) -> None:
    with pytest.raises(ContractError) as refused:
        parse_mapping(text(contract), [contract], "own.yaml")
    message = str(refused.value)
    assert message.startswith("own.yaml:4: attributes.colour:")
    assert f"attributes of table '{contract.name}' are not read yet" in message
    assert "leave out 'colour', 'weight'" in message
    assert ("sensors under 'columns'" in message) == (contract.extras is not None)


@pytest.mark.parametrize("contract", [c for c in ALL if c.name in READ], ids=lambda c: c.name)
def test_attributes_of_tables_with_subjects_are_read(contract: Contract) -> None:
    mapping = parse_mapping(text(contract), [contract], "own.yaml")
    assert mapping.contract.attributes == ("colour", "weight")
