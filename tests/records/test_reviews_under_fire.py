"""Reviewers who pause past their lease or are killed lose nothing and decide nothing twice."""

from tests.benchmarks.moderation_queue import Fire, run


def test_no_item_is_lost_or_decided_twice_under_fire(url):
    fire = Fire(posts=60, kills=2, lease_s=0.8, late=0.05, patience_s=120.0)
    found = run(url, fire)
    assert found["killed"] == 2
    assert (found["lost"], found["decided_twice"], found["labels_doubled"]) == (0, 0, 0)
    assert found["labels"] == 2 * found["items"]
    assert found["expired_leases"] > 0
    assert found["kappa_equals_sklearn"]
