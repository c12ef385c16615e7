import math

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.records import LabelOutcome, Records, RecordsError
from tests.records.conftest import NOVEMBER, SECOND, decision, fact

FOREVER = NOVEMBER * 2


def labelled(records: Records, **options: object) -> pa.Table:
    return records.labelled("fraud", 0, FOREVER, **options)


def test_a_label_is_stored_once_however_often_it_comes(records: Records) -> None:
    records.record_decisions([decision("t1")])
    assert records.record_labels([fact("t1")]) == LabelOutcome(stored=1, repeated=0, unknown=0)
    again = fact("t1", received_at=NOVEMBER + 99 * SECOND)
    assert records.record_labels([again]) == LabelOutcome(stored=0, repeated=1, unknown=0)
    assert records.labels_for("fraud", "t1") == (fact("t1"),)


def test_a_changed_label_keeps_the_one_before(records: Records) -> None:
    withdrawn = fact("t1", value=False, observed_at=NOVEMBER + 20 * SECOND, source="review")
    records.record_labels([withdrawn, fact("t1")])
    assert records.labels_for("fraud", "t1") == (fact("t1"), withdrawn)
    assert records.current_label("fraud", "t1") == withdrawn


def test_a_confirmation_does_not_move_when_the_label_became_known(records: Records) -> None:
    confirmed = fact("t1", observed_at=NOVEMBER + 30 * SECOND, source="review")
    records.record_labels([fact("t1"), confirmed])
    assert records.current_label("fraud", "t1") == fact("t1")


def test_a_late_older_fact_does_not_overrule_a_newer_one(records: Records) -> None:
    records.record_labels([fact("t1", value=False, observed_at=NOVEMBER + 50 * SECOND)])
    records.record_labels([fact("t1", observed_at=NOVEMBER + 20 * SECOND)])
    current = records.current_label("fraud", "t1")
    assert current is not None
    assert current.value is False


def test_a_label_that_comes_before_its_decision_joins_it_later(records: Records) -> None:
    assert records.record_labels([fact("t1")]) == LabelOutcome(stored=1, repeated=0, unknown=1)
    records.record_decisions([decision("t1")])
    assert labelled(records)["subject_id"].to_pylist() == ["t1"]


def test_a_declined_attempt_is_no_fraud_label(records: Records) -> None:
    records.record_decisions([decision("t1")])
    records.record_labels([fact("t1", kind="declined")])
    assert records.current_label("fraud", "t1") is None
    assert labelled(records).num_rows == 0
    assert labelled(records, kind="declined").num_rows == 1


def test_an_unknown_kind_of_fact_is_refused() -> None:
    with pytest.raises(RecordsError, match="kind: expected fraud or declined, got 'rumour'"):
        fact("t1", kind="rumour")


def test_learning_gets_features_label_and_when_it_was_known(records: Records) -> None:
    records.record_decisions(
        [
            decision("t2", event_time=NOVEMBER + SECOND, features={"amount": math.nan}),
            decision("t1", features={"amount": 5.0, "hour_of_day": 3.0}),
        ]
    )
    records.record_labels([fact("t1"), fact("t2", value=False)])
    table = labelled(records)
    assert table["subject_id"].to_pylist() == ["t1", "t2"]
    assert table["label"].to_pylist() == [True, False]
    assert table["event_time"].cast(pa.int64()).to_pylist() == [NOVEMBER, NOVEMBER + SECOND]
    assert table["label_observed_at"].type == pa.timestamp("us", tz="UTC")
    assert table["amount"].to_pylist()[0] == 5.0
    assert math.isnan(table["amount"].to_pylist()[1])
    assert math.isnan(table["hour_of_day"].to_pylist()[1])


def test_a_label_counts_only_from_when_it_was_observed(records: Records) -> None:
    records.record_decisions([decision("t1")])
    records.record_labels([fact("t1"), fact("t1", value=False, observed_at=NOVEMBER + 60 * SECOND)])
    assert labelled(records, known_by=NOVEMBER).num_rows == 0
    assert labelled(records, known_by=NOVEMBER + 30 * SECOND)["label"].to_pylist() == [True]
    assert labelled(records, known_by=NOVEMBER + 60 * SECOND)["label"].to_pylist() == [False]


def test_the_range_is_half_open(records: Records) -> None:
    records.record_decisions([decision("t1"), decision("t2", event_time=NOVEMBER + SECOND)])
    records.record_labels([fact("t1"), fact("t2")])
    table = records.labelled("fraud", NOVEMBER, NOVEMBER + SECOND)
    assert table["subject_id"].to_pylist() == ["t1"]


def test_payments_without_a_label_come_only_when_asked_for(records: Records) -> None:
    records.record_decisions([decision("t1"), decision("t2")])
    records.record_labels([fact("t2")])
    assert labelled(records)["subject_id"].to_pylist() == ["t2"]
    assert labelled(records, include_unlabelled=True)["label"].to_pylist() == [None, True]


def test_two_feature_sets_are_never_mixed(records: Records) -> None:
    records.record_decisions([decision("t1"), decision("t2", feature_set_digest="cd" * 32)])
    records.record_labels([fact("t1"), fact("t2")])
    with pytest.raises(RecordsError, match=r"expected one feature set, got .*1 decisions"):
        labelled(records)
    chosen = labelled(records, feature_set_digest="cd" * 32)
    assert chosen["subject_id"].to_pylist() == ["t2"]


def test_no_decisions_make_an_empty_table_with_its_columns(records: Records) -> None:
    table = labelled(records)
    assert table.num_rows == 0
    assert "label" in table.column_names


def test_more_rows_than_one_batch_keep_their_order(records: Records) -> None:
    batch = [decision(f"t{n:05}", event_time=NOVEMBER + n % 7) for n in range(6_000)]
    records.record_decisions(batch)
    records.record_labels([fact(record.subject_id) for record in batch])
    expected = sorted((record.event_time, record.subject_id) for record in batch)
    assert labelled(records)["subject_id"].to_pylist() == [subject for _, subject in expected]


histories = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from(["review", "chargeback"])),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories, known_by=st.integers(0, 5))
def test_the_table_and_the_single_subject_agree_on_every_history(
    records: Records, history: list[tuple[bool, int, str]], known_by: int
) -> None:
    subject = f"t{records.decision_count('fraud')}"
    records.record_decisions([decision(subject)])
    records.record_labels(
        fact(subject, value=value, observed_at=NOVEMBER + at * SECOND, source=source)
        for value, at, source in history
        if at <= known_by
    )
    current = records.current_label("fraud", subject)
    records.record_labels(
        fact(subject, value=value, observed_at=NOVEMBER + at * SECOND, source=source)
        for value, at, source in history
        if at > known_by
    )
    table = labelled(records, known_by=NOVEMBER + known_by * SECOND)
    rows = table.filter(pa.compute.equal(table["subject_id"], subject))
    observed = rows["label_observed_at"].cast(pa.int64()).to_pylist()
    labels = list(zip(rows["label"].to_pylist(), observed, strict=True))
    assert labels == ([] if current is None else [(current.value, current.observed_at)])


def test_facts_come_in_the_order_in_which_they_were_stored_whatever_clocks_say(
    records: Records,
) -> None:
    first = fact("t1", received_at=NOVEMBER + 100 * SECOND)
    second = fact("t1", value=False, observed_at=NOVEMBER + 20 * SECOND, received_at=NOVEMBER)
    records.record_labels([first])
    records.record_labels([second])
    assert records.labels_as_stored("fraud", "t1") == (first, second)
