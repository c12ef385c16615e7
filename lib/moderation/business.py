"""What decisions about posts came to, in the rows that a platform asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.measures import EntityBootstrap
from lib.business.outcomes import Flags, Floats, column_values, microseconds
from lib.business.period import NOT_KNOWN, Period, make_measure
from lib.business.statement import Measure, Wording
from lib.evaluation import Interval
from lib.moderation.outcomes import PENDING, PostOutcomes
from lib.records.json_codec import read_json
from lib.records.review import OpinionPair

WORDING = Wording(
    "Moderation", "posts", "authors", "violations that were allowed",
    "posts without a violation that were removed or reviewed", "violations",
)  # fmt: skip
_SECOND_US, _MS = 1_000_000.0, 1_000.0


def moderation_measures(
    period: Period, verdicts: int | None, pairs: Sequence[OpinionPair]
) -> list[Measure]:
    """The rows of the page.

    Args:
        period: of posts.
        verdicts: decisions of people about posts in the period, None where they are not known.
        pairs: of independent opinions of the period.
    """
    automatic = period.decided("ALLOW", "REMOVE")
    right = (period.label == (period.decided("REMOVE"))) & automatic
    checked = automatic & period.ripe & period.rows["observed_at"].is_valid().to_numpy()
    seconds = seconds_to_decision(period)
    boot = period.bootstrap
    # silence alone says nothing: without a single check it would confirm whatever was decided
    is_checked = bool(checked.any())
    accuracy = boot.ratio(period.ripe & right, period.ripe & automatic)
    violations = boot.ratio((period.label == 1.0) & period.is_acting, period.label == 1.0)
    return [
        _time(period, "median_seconds", "Time to decision of half of the posts", seconds, 0.5),
        _time(period, "p95_seconds", "Time to decision of 95 of 100 posts", seconds, 0.95),
        period.counted(
            "coverage", "Posts decided without a person", "share", "more",
            boot.ratio(automatic, 1.0),
        ),
        period.labelled(
            "automatic_accuracy", "Right among these, where silence is consent", "share", "more",
            accuracy if is_checked else NOT_KNOWN,
        ),
        period.labelled(
            "checked_accuracy", "Right among those of these that a person checked", "share", "more",
            boot.ratio(right & checked, checked),
        ),
        period.labelled(
            "violations_found", "Violations that were removed or reviewed", "share", "more",
            violations if is_checked else NOT_KNOWN,
        ),
        period.counted(
            "workload", "Posts sent to a person, of 1,000", "posts", "less",
            boot.ratio(period.decided("REVIEW"), 1.0, 1_000.0),
        ),
        make_measure(
            "verdicts_per_day", "Decisions of moderators a day", "decisions", "less",
            NOT_KNOWN
            if verdicts is None
            else Interval(verdicts / period.days, float("nan"), float("nan")),
            "needs the review queue of the records (--records)"
            if verdicts is None
            else f"{verdicts:,} decisions about posts of {period.days:,.4g} days",
        ),
        *_agreement(period, pairs),
        period.per_day(
            "cost", "Cost of harm, wrong removals and reviews a day", "currency", "less",
            -column_values(period.rows, "money"),
        ),
    ]  # fmt: skip


def seconds_to_decision(period: Period) -> Floats:
    """(n,) seconds from the post's receipt to its decision; of a person where it went to review.

    A post that waits has waited until now: its time is at least that.
    """
    received = microseconds(period.rows["received_at"])
    observed = np.minimum(microseconds(period.rows["observed_at"]), period.as_of)
    by_person = period.decided("REVIEW", PENDING)
    waited = np.maximum(observed - received, 0) / _SECOND_US
    return np.where(by_person, waited, column_values(period.rows, "latency_ms") / _MS)


def moderation_segments(decisions: pa.Table) -> dict[str, Sequence[str | None]]:
    """Parts of the posts: language, media, the policy that decided."""
    requests = [read_json(text or "{}") for text in decisions["request"].to_pylist()]
    answers = [read_json(text or "{}") for text in decisions["answer"].to_pylist()]
    return {
        "language": [request.get("language") for request in requests],
        "media": [_media(request) for request in requests],
        "policy": [answer.get("policy") for answer in answers],
    }


def moderation_notes(period: Period, system: PostOutcomes) -> list[str]:
    """What the figures assume."""
    automatic = period.decided("ALLOW", "REMOVE") & period.ripe
    checked = automatic & period.rows["observed_at"].is_valid().to_numpy()
    return [
        f"Silence confirms: of {int(automatic.sum()):,} posts decided without a person "
        f"{int(checked.sum()):,} were checked by one; the others count as right after "
        f"{system.silent_days:g} days, so their accuracy is an upper limit.",
        "Posts are checked where an author appeals or a reviewer draws them, so those checked are "
        "wrong more often than others.",
        "Costs are those of the policies; a policy with thresholds has none.",
    ]


def _media(request: Mapping[str, Any]) -> str:
    media = request.get("media") or {}
    kinds = {"video" if name == "video" else "images" for name in media}
    return " and ".join(sorted({*kinds, *(["text"] if request.get("text") else [])})) or "none"


def _time(period: Period, name: str, label: str, seconds: Floats, q: float) -> Measure:
    waiting = period.decided("REVIEW", PENDING) & ~period.rows["observed_at"].is_valid().to_numpy()
    interval = period.bootstrap.quantile(seconds, q)
    rests_on = f"{len(seconds):,} posts, {int(waiting.sum()):,} of them still wait"
    return make_measure(name, label, "seconds", "less", interval, rests_on)


def _agreement(period: Period, pairs: Sequence[OpinionPair]) -> list[Measure]:
    """Share of equal opinions of two reviewers, and Cohen's kappa over all policies together."""
    about = [(pair, policy) for pair in pairs for policy in pair.first]
    names = [pair.subject_id for pair, _ in about]
    a = np.array([pair.first[policy] for pair, policy in about], dtype=np.bool_)
    b = np.array([pair.second[policy] for pair, policy in about], dtype=np.bool_)
    bootstrap = EntityBootstrap(pa.array(names, pa.string()), period.seed, period.repeats)
    rests_on = f"{len(pairs):,} posts that two reviewers decided apart"
    return [
        make_measure(
            "agreement", "Equal answers of two reviewers", "share", "more",
            bootstrap.ratio(a == b, 1.0), rests_on,
        ),
        make_measure(
            "kappa", "The same beyond chance (Cohen's kappa)", "ratio", "more",
            bootstrap.interval(lambda weights: _kappa(a, b, weights[bootstrap.codes])), rests_on,
        ),
    ]  # fmt: skip


def _kappa(first: Flags, second: Flags, weights: Floats) -> float:
    """Kappa of weighted answers; NaN where both gave one answer throughout."""
    total = weights.sum()
    if not total:
        return float("nan")
    yes, other = float(weights @ first) / total, float(weights @ second) / total
    by_chance = yes * other + (1.0 - yes) * (1.0 - other)
    equal = float(weights @ (first == second)) / total
    return (equal - by_chance) / (1.0 - by_chance) if by_chance < 1.0 else float("nan")
