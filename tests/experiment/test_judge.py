import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lib.experiment.errors import ExperimentError
from lib.experiment.judge import ExperimentRecords, Judge, Judgement
from lib.experiment.models import ExperimentChange, StoredExperiment
from lib.experiment.recorded import RECORDED_SCHEMA
from lib.experiment.report import facts, verdict_report
from lib.fraud.outcomes import FraudOutcomes
from lib.report.page import render_page
from tests.experiment.factories import DAY
from tests.experiment.payments import LABEL_DAYS, Payments, payments, started
from tests.records.conftest import NOVEMBER

JUDGE = Judge(FraudOutcomes(label_days=LABEL_DAYS))
END = NOVEMBER + (14 + LABEL_DAYS + 1) * DAY


def judged(
    data: Payments,
    stored: StoredExperiment,
    as_of: int = END,
    changes: tuple[ExperimentChange, ...] = (),
) -> Judgement:
    known = ExperimentRecords(stored, changes, data.decisions, data.labels, data.recorded)
    return JUDGE.judge(known, as_of)


def as_change(judgement: Judgement, as_of: int) -> ExperimentChange:
    """As the records keep it, by way of JSON."""
    detail = json.loads(json.dumps(judgement.detail()))
    return ExperimentChange(
        experiment_id="fraud/november", action="judged", by="ann", at=as_of, detail=detail
    )


def looked_at(data: Payments, stored: StoredExperiment, days: list[int]) -> list[Judgement]:
    judgements: list[Judgement] = []
    changes: tuple[ExperimentChange, ...] = ()
    for day in days:
        as_of = NOVEMBER + day * DAY
        judgements.append(judged(data, stored, as_of, changes))
        changes = (*changes, as_change(judgements[-1], as_of))
    return judgements


def test_a_better_challenger_is_promoted_with_a_sentence_in_money() -> None:
    stored = started()
    judgement = judged(payments(stored, caught=(0.2, 0.9)), stored)
    assert judgement.verdict.action == "promote"
    assert judgement.gain.low > 0.0
    assert judgement.verdict.sentence.startswith("the challenger keeps ")
    assert judgement.verdict.sentence.endswith("; promote")
    assert judgement.evidence.is_last
    assert judgement.evidence.bound == pytest.approx(1.96, abs=0.001)  # a single look spends all


def test_a_worse_one_is_not() -> None:
    stored = started()
    judgement = judged(payments(stored, caught=(0.9, 0.2)), stored)
    assert judgement.verdict.action == "keep the champion"
    assert judgement.gain.high < 0.0


def test_two_that_are_the_same_show_nothing() -> None:
    stored = started()
    data = payments(stored, seed=3)
    last = judged(data, stored)
    assert last.verdict.action == "keep the champion"
    assert "which chance alone can bring" in last.verdict.sentence
    early = judged(data, stored, NOVEMBER + (LABEL_DAYS + 4) * DAY)
    assert early.verdict.action == "go on"
    assert early.verdict.sentence.endswith("go on until 2026-12-07")


def test_the_gain_is_that_of_the_true_difference() -> None:
    stored = started()
    data = payments(stored, users=2_000, caught=(0.2, 0.6))
    judgement = judged(data, stored)
    outcomes = JUDGE.outcomes.outcomes(data.decisions, data.labels, END)
    is_fraud = pc.equal(outcomes["label"], 1.0)
    cost = pc.sum(pc.add(outcomes["amount_minor"].filter(is_fraud), 1_500.0)).as_py() / 100.0
    true_gain = 0.4 * cost / 42 * 7  # of 42 days, a week
    assert judgement.gain.low < true_gain < judgement.gain.high


def test_ripe_outcomes_alone_count() -> None:
    stored = started()
    judgement = judged(payments(stored), stored, NOVEMBER + (LABEL_DAYS + 5) * DAY)
    assert 4.5 < judgement.looks[-1].days <= 5.0
    assert judgement.looks[-1].fraction == pytest.approx(judgement.looks[-1].days / 14)


def test_later_looks_have_lower_bounds_and_are_correlated_with_those_before() -> None:
    stored = started()
    judgements = looked_at(payments(stored, caught=(0.3, 0.5)), stored, [12, 15, 18, 22])
    looks = judgements[-1].looks
    assert [look.as_of for look in looks] == [NOVEMBER + d * DAY for d in (12, 15, 18, 22)]
    bounds = [look.bound for look in looks]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 2.2
    for before, look in pairwise(looks):
        expected = np.sqrt(before.days / look.days)
        assert look.correlation == pytest.approx(expected, abs=0.12)


def test_nothing_new_is_no_new_look() -> None:
    stored = started()
    data = payments(stored)
    first, again = looked_at(data, stored, [24, 25])
    assert first.is_new
    assert not again.is_new
    assert again.looks == first.looks
    assert again.evidence.bound == pytest.approx(first.evidence.bound)


def test_an_experiment_without_an_end_has_a_wider_interval() -> None:
    endless, planned = started(until=None), started()
    data = payments(planned, caught=(0.2, 0.9))
    as_of = NOVEMBER + 20 * DAY
    judgement = judged(data, endless, as_of)
    assert judgement.verdict.action == "promote"
    assert judgement.evidence.bound > 2.5
    assert not judgement.evidence.is_last


def test_what_cannot_win_any_more_is_futile() -> None:
    data = payments(started(), caught=(0.35, 0.3), seed=5)
    stored = started(smallest_gain=3_000.0)
    futile = judged(data, stored, NOVEMBER + 19 * DAY)
    assert futile.verdict.action == "stop: futile"
    assert "3,000 USD a week" in futile.verdict.sentence


def test_arms_that_lose_entities_void_the_verdict() -> None:
    stored = started()
    data = payments(stored, users=2_000, caught=(0.2, 0.9))
    users = data.decisions["entity_id"].to_pylist()
    lost = [stored.deciding_arm(user) == "challenger" and hash_of(user) < 3 for user in users]
    data = replace(data, decisions=data.decisions.filter(pc.invert(np.array(lost))))
    judgement = judged(data, stored)
    assert judgement.ratio is not None
    assert not judgement.ratio.is_even
    assert judgement.verdict.action == "void"
    assert "where 1," in judgement.verdict.sentence or "where 8" in judgement.verdict.sentence


def hash_of(user: str) -> int:
    return int(user[1:]) % 10


def test_a_raised_share_is_compared_within_each_time() -> None:
    stored = started()
    raised = replace(stored, declaration=started(name="november").declaration, share=0.5)
    low = replace(raised, declaration=raised.declaration.model_copy(update={"share": 0.2}))
    change = ExperimentChange(
        experiment_id=stored.id,
        action="share raised",
        by="ann",
        at=NOVEMBER + 7 * DAY,
        detail={"before": 0.2, "after": 0.5},
    )
    judgement = judged(payments(low, users=1_000, caught=(0.3, 0.3)), low, changes=(change,))
    assert [piece.share for piece in judgement.exposure.pieces] == [0.2, 0.5]
    assert 200 < judgement.exposure.moved < 400
    assert judgement.ratio is not None
    assert judgement.ratio.is_even
    assert any("entities moved to the challenger" in note for note in judgement.notes)


def test_lost_rows_faults_and_wrong_arms_are_counted() -> None:
    stored = started()
    data = payments(stored)
    rows = data.recorded.to_pylist()
    kept = rows[100:]
    for row in kept[:50]:
        row["arm"] = "challenger" if row["arm"] == "champion" else "champion"
    faulty = [row for row in kept[50:] if row["arm"] == "challenger"][:20]
    for row in faulty:
        row["fault"] = "TimeoutError"
    data = replace(data, recorded=data.recorded.from_pylist(kept, schema=RECORDED_SCHEMA))
    judgement = judged(data, stored)
    arms = judgement.arms
    assert (sum(arms.lost), arms.otherwise, arms.faults) == (100, 50, 20)
    text = " ".join(judgement.notes)
    assert "100 of" in text
    assert "Contamination: 50 of" in text
    assert "no score for 20 of" in text


def test_a_gain_that_fades_is_noted() -> None:
    stored = started()
    strong = payments(stored, users=2_000, caught=(0.1, 0.95))
    weak = payments(stored, users=2_000, caught=(0.1, 0.1))
    in_first_half = pc.less(strong.decisions["decided_at"].cast("int64"), NOVEMBER + 7 * DAY)
    first = strong.decisions.filter(in_first_half)
    second = weak.decisions.filter(pc.invert(in_first_half))
    data = replace(strong, decisions=pa.concat_tables([first, second]))
    assert any(note.startswith("Novelty: ") for note in judged(data, stored).notes)
    assert not any(note.startswith("Novelty: ") for note in judged(weak, stored).notes)


def test_in_shadow_mode_both_are_priced_on_the_same_payments() -> None:
    stored = started(mode="shadow")
    data = payments(stored, users=1_000, caught=(0.2, 0.6))
    judgement = judged(data, stored)
    assert judgement.verdict.action == "start ab"
    assert "would keep" in judgement.verdict.sentence
    assert judgement.ratio is None
    assert judgement.effect.challenger_entities == pytest.approx(500, abs=80)


def test_the_page_says_all_of_it() -> None:
    stored = started(smallest_gain=100.0)
    judgement = looked_at(payments(stored, caught=(0.2, 0.5)), stored, [12, 22])[-1]
    report = verdict_report(judgement)
    page = render_page(report)
    assert judgement.verdict.sentence[1:] in page
    assert "What was assumed" in page
    assert "<svg" in page
    assert stored.key.hex() not in page
    numbers = json.loads(json.dumps(facts(judgement)))
    assert numbers["verdict"] == judgement.verdict.action
    assert len(numbers["looks"]) == 2


def test_bad_input_is_named() -> None:
    stored = started()
    data = payments(stored)
    none = replace(data, decisions=data.decisions.slice(0, 0))
    with pytest.raises(ExperimentError, match="decisions: there are none of fraud"):
        judged(none, stored)
    with pytest.raises(ExperimentError, match="no outcome is ripe yet"):
        judged(data, stored, NOVEMBER + DAY)
    before = payments(stored, days=(-28, 0))
    with pytest.raises(ExperimentError, match=r"none was decided in the experiment.*clocks agree"):
        judged(before, stored)
    alone = data.decisions.filter(
        pc.equal(
            np.array([stored.deciding_arm(u) for u in data.decisions["entity_id"].to_pylist()]),
            "champion",
        )
    )
    with pytest.raises(ExperimentError, match="the challenger's arm has 0 entities"):
        judged(replace(data, decisions=alone), stored)
