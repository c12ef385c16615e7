"""What a job says of labels that are set aside or match nothing."""

from jobs.fraud.label_counts import label_lines, label_warnings

LABELS = {
    "rows_in": 400,
    "repeats": 0,
    "left_out": 0,
    "quarantined": 0,
    "reasons": {},
    "matches": {"rows": 400, "unmatched": 0, "example": "", "subject_example": "1001"},
    "before_payment": 0,
    "known_frauds": 40,
    "withdrawn": 0,
}


def test_labels_that_match_need_no_warning() -> None:
    assert label_warnings(LABELS) == []
    assert "frauds known                40   (0 withdrawn)" in label_lines(LABELS)


def test_labels_of_no_payment_are_told_with_an_identifier_of_each_side() -> None:
    matches = {"rows": 400, "unmatched": 400, "example": "1001.0", "subject_example": "1001"}
    (line,) = label_warnings({**LABELS, "matches": matches})
    assert line.startswith(
        "warning: labels: 400 of 400 match no payment; e.g. labels have '1001.0', payments '1001'"
    )


def test_labels_that_are_set_aside_are_told_with_the_most_frequent_reason() -> None:
    reasons = {"is_fraud: neither true nor false": 2_999, "observed_at: missing": 1}
    aside = {**LABELS, "rows_in": 3_000, "quarantined": 3_000, "reasons": reasons}
    (line,) = label_warnings(aside)
    assert line == (
        "warning: labels: 3,000 of 3,000 rows are quarantined, 2,999 of them because of: "
        "is_fraud: neither true nor false"
    )


def test_a_file_of_labels_without_rows_is_told() -> None:
    (line,) = label_warnings({**LABELS, "rows_in": 0})
    assert "no row was read" in line
    assert label_warnings(None) == []
    assert label_lines(None) == ["labels: none are given, so no payment is known as fraud"]
