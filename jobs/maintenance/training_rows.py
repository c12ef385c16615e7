"""Reading what `jobs.maintenance.train` and `tune` learn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jobs import intake
from lib.contract import ContractError
from lib.maintenance.feature_set import FeatureSet
from lib.maintenance.kind import parse_kind
from lib.maintenance.model.rows import KEYS, OUTCOMES, TrainingRows, from_table
from lib.storage import Storage, open_dataset, open_storage, split_address


@dataclass(frozen=True)
class RowsSource:
    """Rows, what they are made of, and where they lie."""

    rows: TrainingRows
    features: FeatureSet
    fingerprint: str
    note: dict[str, Any]
    address: str


def find_rows(folder: str, preventive: str) -> RowsSource:
    """All rows of a folder that `jobs.maintenance.features` wrote, or of its `data`.

    Raises:
        ContractError: it is not there, or not finished.
        FeatureError: rows lack columns, or were computed with another choice for services.
    """
    given = open_storage(folder)
    if not given.files("data"):
        above, last = split_address(given.address())
        given = open_storage(above) if last == "data" else given
    note = _note(given, folder)
    features = parse_kind(note["kind"], f"{folder}/features.json")
    names = [*KEYS, *OUTCOMES, *features.names]
    data = open_dataset(given, "data")
    present = [name for name in names if name in data.schema.names]
    rows = from_table(data.to_table(columns=present), features.names, preventive)
    fingerprint = note.get("data_fingerprint") or intake.fingerprint_of([given.address("data")])
    return RowsSource(rows, features, str(fingerprint), note, given.address("data"))


def _note(given: Storage, folder: str) -> dict[str, Any]:
    content = given.read("features.json")
    if content is None:
        state = "is not finished" if given.exists("work") else "is not there"
        raise ContractError(
            f"--features: {folder} {state}: expected the output of jobs.maintenance.features"
        )
    note: dict[str, Any] = json.loads(content)
    return note
