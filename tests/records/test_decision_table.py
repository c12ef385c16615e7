import math

import pyarrow as pa

from lib.records import Records
from lib.records.decision_table import (
    DECISION_SCHEMA,
    FEATURE_PREFIX,
    LABEL_SCHEMA,
    decision_table,
    label_table,
)
from lib.records.json_codec import read_json
from tests.records.conftest import NOVEMBER, SECOND, decision, fact, keep_decisions


def test_a_decision_becomes_a_row_with_its_entity_texts_and_features(url: str) -> None:
    other = decision("t2", features={"amount": math.nan, "age": 3.0}, score=None, rule_id="r7")
    with Records(url) as records:
        records.migrate()
        keep_decisions(records, [decision("t1"), other])
        table = decision_table(records.decisions("fraud", 0, NOVEMBER + SECOND), "user_id")
    assert table.column_names[: len(DECISION_SCHEMA)] == DECISION_SCHEMA.names
    first, second = table.to_pylist()
    assert (first["subject_id"], first["entity_id"], first["score"]) == ("t1", "u1", 0.125)
    assert first["event_time"].timestamp() * SECOND == NOVEMBER
    assert read_json(first["answer"]) == {"decision": "APPROVE", "fraud_score": 0.125}
    assert first[f"{FEATURE_PREFIX}amount"] == 12.5
    assert math.isnan(first[f"{FEATURE_PREFIX}age"])
    assert second["score"] is None
    assert second["rule_id"] == "r7"
    assert math.isnan(second[f"{FEATURE_PREFIX}amount"])
    assert second[f"{FEATURE_PREFIX}age"] == 3.0


def test_no_decisions_and_no_facts_are_tables_without_rows() -> None:
    assert decision_table([], "user_id") == pa.Table.from_pylist([], DECISION_SCHEMA)
    assert label_table([]) == pa.Table.from_pylist([], LABEL_SCHEMA)


def test_facts_become_rows_in_their_order() -> None:
    rows = label_table([fact("t2"), fact("t1", value=False, source="review")]).to_pylist()
    assert [(row["subject_id"], row["value"], row["source"]) for row in rows] == [
        ("t2", True, "chargeback"),
        ("t1", False, "review"),
    ]
