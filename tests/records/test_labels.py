import pytest

from lib.records import LabelOutcome, Records, RecordsError
from tests.records.conftest import NOVEMBER, SECOND, decision, fact, keep_decisions


def test_a_label_is_stored_once_however_often_it_comes(records: Records) -> None:
    keep_decisions(records, [decision("t1")])
    assert records.record_labels([fact("t1")]) == LabelOutcome(stored=1, repeated=0, unknown=0)
    again = fact("t1", received_at=NOVEMBER + 99 * SECOND)
    assert records.record_labels([again]) == LabelOutcome(stored=0, repeated=1, unknown=0)
    assert records.labels_for("fraud", "t1") == (fact("t1"),)


def test_a_changed_label_keeps_the_one_before(records: Records) -> None:
    withdrawn = fact("t1", value=False, observed_at=NOVEMBER + 20 * SECOND, source="review")
    records.record_labels([withdrawn, fact("t1")])
    assert records.labels_for("fraud", "t1") == (fact("t1"), withdrawn)


def test_facts_about_a_subject_come_in_the_order_in_which_they_became_known(
    records: Records,
) -> None:
    newer = fact("t1", value=False, observed_at=NOVEMBER + 50 * SECOND)
    older = fact("t1", observed_at=NOVEMBER + 20 * SECOND)
    records.record_labels([newer])
    records.record_labels([older])
    assert records.labels_for("fraud", "t1") == (older, newer)


def test_a_label_may_come_before_its_decision(records: Records) -> None:
    assert records.record_labels([fact("t1")]) == LabelOutcome(stored=1, repeated=0, unknown=1)
    keep_decisions(records, [decision("t1")])
    assert records.labels_for("fraud", "t1") == (fact("t1"),)


def test_an_unknown_kind_of_fact_is_refused() -> None:
    with pytest.raises(RecordsError, match="kind: expected fraud or declined, got 'rumour'"):
        fact("t1", kind="rumour")


def test_facts_come_in_the_order_in_which_they_were_stored_whatever_clocks_say(
    records: Records,
) -> None:
    first = fact("t1", received_at=NOVEMBER + 100 * SECOND)
    second = fact("t1", value=False, observed_at=NOVEMBER + 20 * SECOND, received_at=NOVEMBER)
    records.record_labels([first])
    records.record_labels([second])
    assert records.labels_as_stored("fraud", "t1") == (first, second)
