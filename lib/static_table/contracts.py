"""The contract of a table with one row per customer or machine, a label, and no times."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lib.contract import Column, Contract, text_column
from lib.contract.suggestion.column_names import Candidate, load_candidates, words_of

SYSTEM = "static_table"
ROW_ID, LABEL, GROUP = "row_id", "label", "group_id"

ROWS = Contract(
    name="rows",
    columns=(
        text_column(ROW_ID, "id of the customer or machine that the row is of"),
        Column(LABEL, pa.bool_(), "whether the customer left, or the machine failed"),
        text_column(
            GROUP, "id of what several rows are of, which stay together when rows are split",
            required=False,
        ),
    ),
    key=(ROW_ID,),
    takes_attributes=True,
)  # fmt: skip
"""Everything else is an attribute of the mapping file."""

UNLABELLED_ROWS = replace(ROWS, columns=ROWS.columns[:1])
"""The same for rows that are scored."""

CONTRACTS = (ROWS,)


def rows_candidate(label_column: str | None = None, id_column: str | None = None) -> Candidate:
    """The contract with how its columns are usually spelt.

    Args:
        label_column: source column of the label, where it is known.
        id_column: source column of the id, where it is known.
    """
    (candidate,) = load_candidates(Path(__file__).with_name("column_names.yaml"), SYSTEM, CONTRACTS)
    spellings = dict(candidate.spellings)
    outcomes = candidate.outcomes
    if label_column is not None:
        spellings[LABEL] = {label_column: 1.0}
        outcomes = (*outcomes, label_column)
    if id_column is not None:
        spellings[ROW_ID] = {id_column: 1.0}
    return replace(candidate, spellings=spellings, outcomes=outcomes)


def is_named_as_outcome(source: str) -> bool:
    """Whether a source column has the name of a label, or of what follows from it.

    >>> is_named_as_outcome("TWF"), is_named_as_outcome("Churn Reason"), is_named_as_outcome("age")
    (True, True, False)
    """
    compact = "".join(words_of(source))
    return compact in {"".join(words_of(name)) for name in rows_candidate().outcomes}
