"""The contract of a randomised experiment: a row per customer, what it got, what came of it."""

import pyarrow as pa

from lib.contract import Column, Contract, text_column
from lib.static_table.contracts import ROW_ID

ARM, OUTCOME, PROPENSITY = "arm", "outcome", "propensity"

EXPERIMENT = Contract(
    name="experiment_rows",
    columns=(
        text_column(ROW_ID, "id of the customer"),
        text_column(ARM, "what chance gave the customer: a name for each intervention, and one for "
                    "nothing"),
        Column(OUTCOME, pa.bool_(), "whether it came to what is counted: a visit, or a notice"),
        Column(PROPENSITY, pa.float64(), "chance that the customer had to get the intervention; "
               "default: the share that got it", required=False, low=0.0, high=1.0),
    ),
    key=(ROW_ID,),
    takes_attributes=True,
)  # fmt: skip
"""Attributes are what was known of the customer before chance decided."""
