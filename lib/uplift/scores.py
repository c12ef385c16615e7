"""Effects by customer as a table, and what a plan reads of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lib.contract import ContractError
from lib.declaration import did_you_mean
from lib.static_table.contracts import ROW_ID
from lib.storage import open_storage, read_noted
from lib.uplift.comparison import Floats
from lib.uplift.model import ExperimentModel

NOTE = "uplift.json"
CUSTOMER = "customer_id"


def uplift_table(model: ExperimentModel, rows: pa.Table) -> pa.Table:
    """A row per customer and intervention: `customer_id`, `arm`, `uplift`.

    `uplift` is what the intervention gains: the change of the chance of the outcome, of one that is
    not wanted its fall.

    Args:
        model: of the experiment.
        rows: customers that passed the contract, with the model's attributes.
    """
    matrix, customers = model.inputs.encode(rows), rows[ROW_ID].to_pylist()
    tables = [
        pa.table(
            {
                CUSTOMER: pa.array(customers, pa.string()),
                "arm": pa.array([arm] * len(customers), pa.string()),
                "uplift": pa.array(model.uplift(arm, matrix), pa.float64()),
            }
        )
        for arm in model.arms
    ]
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class UpliftScores:
    """What jobs.churn.score_uplift wrote.

    Attributes:
        table: see `uplift_table`.
        suffices: by intervention, whether its experiment tells customers apart.
        is_unwanted: whether the outcome is to be prevented.
    """

    table: pa.Table
    suffices: Mapping[str, bool]
    is_unwanted: bool

    def falls(self, customers: Sequence[str], playbooks: Sequence[str]) -> Floats:
        """Falls of the chance (customers, playbooks); NaN where an experiment says nothing.

        Raises:
            ContractError: the outcome was wanted, or no intervention is a playbook.
        """
        if not self.is_unwanted:
            raise ContractError(
                "--uplift: expected an experiment whose outcome is to be prevented, got one whose "
                "outcome is wanted; train it with --unwanted on notices"
            )
        unknown = [arm for arm in self.suffices if arm not in playbooks]
        if len(unknown) == len(self.suffices):
            raise ContractError(
                f"--uplift: no playbook is called {unknown[0]!r}, as the intervention of the "
                f"experiment is; {did_you_mean(unknown[0], playbooks)}"
            )
        positions = {name: position for position, name in enumerate(customers)}
        falls = np.full((len(customers), len(playbooks)), np.nan)
        for row in self.table.to_pylist():
            position = positions.get(row[CUSTOMER])
            if position is not None and self.suffices.get(row["arm"]) and row["arm"] in playbooks:
                falls[position, playbooks.index(row["arm"])] = row["uplift"]
        return falls


def read_uplift(folder: str) -> UpliftScores:
    """The effects that jobs.churn.score_uplift wrote.

    Args:
        folder: or URI.

    Raises:
        ContractError: there are none.
    """
    noted = read_noted(open_storage(folder), NOTE)
    if noted is None:
        raise ContractError(
            f"{folder}: no {NOTE} is there: expected output of jobs.churn.score_uplift"
        )
    effects, note = noted
    return UpliftScores(effects.to_table(), note["suffices"], bool(note["is_unwanted"]))
