"""Appeals over the console: how urgent they are, whatever policies the console has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib.console.post_appeal import appeal_post
from lib.console.queue import Reviewer
from lib.moderation.review.items import AppealError
from lib.records import Records
from lib.records.review import ReviewKey
from tests.console.seeded import NOW, Seeded
from tests.records.conftest import keep_decisions

ANN = Reviewer("ann", ReviewKey("k1", bound=True), "")


def test_an_appeal_is_as_urgent_as_the_policies_that_removed_the_post(own: Seeded) -> None:
    with own.source("moderation") as source:
        known = source.records.find_decision("t8003")
        assert known is not None
        other = replace(
            known, subject_id="t8900", answer={**known.answer, "policies_version": "7-other"}
        )
        with Records(own.records("moderation")) as records:
            keep_decisions(records, [other])
        for post_id in ("t8003", "t8900"):
            assert appeal_post(source, ANN, post_id, "a quotation", NOW)
            assert not appeal_post(source, replace(ANN, name="bob"), post_id, "again", NOW)
        severities = [source.records.list_items(name)[0].severity for name in ("t8003", "t8900")]
    assert severities == [4, 5]


def test_what_is_not_removed_cannot_be_appealed(own: Seeded) -> None:
    with own.source("moderation") as source, pytest.raises(AppealError, match="not removed: ALLOW"):
        appeal_post(source, ANN, "t8001", "a quotation", NOW)
