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
from lib.static_table.contracts import CONTRACTS as ROWS
from lib.static_table.contracts import SYSTEM as STATIC_TABLE
from lib.uplift.contracts import EXPERIMENT

_LIB = Path(__file__).parents[2] / "lib"
CONTRACTS: dict[str, tuple[Contract, ...]] = {
    "fraud": FRAUD,
    "maintenance": MAINTENANCE,
    "churn": CHURN,
    "moderation": MODERATION,
}
"""By system."""
ON_REQUEST: dict[str, tuple[Contract, ...]] = {STATIC_TABLE: ROWS, "uplift": (EXPERIMENT,)}
"""Contracts of tables without times: any table with a label fits, so none is guessed."""


def candidates(name: str | None = None, *, on_request: bool = False) -> list[Candidate]:
    """The contracts of that name, of all systems; all contracts where none is named.

    Args:
        name: of a contract, or of system and contract (`fraud.labels`).
        on_request: those that are never guessed, too; they are, in any case, where one is named.

    Raises:
        ContractError: there is none of that name.
    """
    listed = [
        candidate
        for system, contracts in (CONTRACTS | (ON_REQUEST if on_request or name else {})).items()
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
