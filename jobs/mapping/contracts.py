"""The contracts of all systems, with how their columns are usually spelt elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from lib.churn.contracts import CONTRACTS as CHURN
from lib.contract import Contract, ContractError
from lib.contract.suggestion.column_names import Candidate, load_candidates
from lib.declaration import did_you_mean
from lib.fraud.contracts import CONTRACTS as FRAUD
from lib.maintenance.contracts import CONTRACTS as MAINTENANCE
from lib.moderation.contracts import CONTRACTS as MODERATION

_LIB = Path(__file__).parents[2] / "lib"
CONTRACTS: dict[str, tuple[Contract, ...]] = {
    "fraud": FRAUD,
    "maintenance": MAINTENANCE,
    "churn": CHURN,
    "moderation": MODERATION,
}
"""By system."""


def candidates(name: str | None = None) -> list[Candidate]:
    """The contracts of that name, of all systems; all contracts where none is named.

    Args:
        name: of a contract, or of system and contract (`fraud.labels`).

    Raises:
        ContractError: there is none of that name.
    """
    listed = [
        candidate
        for system, contracts in CONTRACTS.items()
        for candidate in load_candidates(_LIB / system / "column_names.yaml", system, contracts)
    ]
    chosen = [c for c in listed if name in (None, c.contract.name, c.name)]
    if not chosen:
        names = dict.fromkeys([*(c.contract.name for c in listed), *(c.name for c in listed)])
        raise ContractError(
            f"--contract: unknown contract {name!r}; {did_you_mean(str(name), names)}"
        )
    return chosen


def systems_of(contract: str) -> Sequence[str]:
    """The systems that have a contract of that name."""
    return [
        system
        for system, contracts in CONTRACTS.items()
        if contract in (other.name for other in contracts)
    ]
