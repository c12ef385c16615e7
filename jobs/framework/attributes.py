"""Attributes of a table in jobs: what a model needs of a mapping, and faults with their line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib.contract import Contract, ContractError
from lib.declaration import did_you_mean, locate, read_yaml_text
from lib.feature.attributes import Attribute, AttributeFaultError, attributes_of


def require_attributes(expected: Sequence[Attribute], contract: Contract) -> None:
    """Refuse a table that lacks what a model reads.

    Args:
        expected: the model's attributes.
        contract: as the mapping of the table has it.

    Raises:
        ContractError: an attribute is not there, or is of another type.
    """
    present = {attribute.name: attribute.type for attribute in attributes_of(contract)}
    for attribute in expected:
        if attribute.name not in present:
            raise ContractError(
                f"the model reads attribute '{attribute.name}' ({attribute.type}), which the "
                f"mapping of {contract.name} does not have; add it under 'attributes'; "
                f"{did_you_mean(attribute.name, present)}"
            )
        if present[attribute.name] != attribute.type:
            raise ContractError(
                f"attribute '{attribute.name}': expected type {attribute.type}, as the model was "
                f"trained with, got {present[attribute.name]}"
            )


def attribute_fault(mapping: str | None, fault: BaseException) -> ContractError:
    """The fault of an attribute with the line that declares it.

    Args:
        mapping: path of the mapping file.
        fault: what is wrong.
    """
    if mapping is None or not isinstance(fault, AttributeFaultError):
        return ContractError(str(fault))
    path = Path(mapping)
    text = read_yaml_text(path, path.name, ContractError)
    line = locate(text, path.name, ("attributes", fault.name))
    return ContractError(f"{line}: {fault}")
