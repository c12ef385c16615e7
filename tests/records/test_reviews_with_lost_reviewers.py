"""Reviewers who pause past their lease or are killed lose nothing and decide nothing twice."""

from tests.records.review_load import Fire, run


def test_no_item_is_lost_or_decided_twice_when_reviewers_are_lost(url):
    fire = Fire(posts=60, kills=2, lease_s=0.8, late=0.05, patience_s=120.0)
    counts = run(url, fire)
    assert counts["killed"] == 2
    assert (counts["lost"], counts["decided_twice"], counts["labels_doubled"]) == (0, 0, 0)
    assert counts["labels"] == 2 * counts["items"]
    assert counts["expired_leases"] > 0
    assert counts["kappa_equals_sklearn"]
