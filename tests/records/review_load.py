"""The review queue under fire: reviewers who pause past their lease, and who are killed.

Each reviewer is a process with connections of its own. Some pause longer than the lease and come
back to decide; some are killed with SIGKILL while they hold items. Afterwards every post must have
exactly one outcome, with as many decisions by different people as its rule asks for.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from lib.moderation.review.items import Doubt
from lib.moderation.review.queue import PostReviewQueue
from lib.records.review import GoldenItem, LeaseLostError, ReviewStore
from lib.review.agreement import cohen_kappa
from lib.review.salt import share_of
from lib.review.settings import ReviewSettings
from tests.records.review_factories import golden_item

# what every reviewer would load for itself otherwise
_SHARED = ["lib.moderation.review", "lib.review", "sklearn.metrics", "tests.records.server"]
_NEEDED = {"single": 1, "agreed": 2, "majority": 3}
_LONG_US = 24 * 3_600_000_000
_POLICIES = {"hate": 0.5, "spam": 0.3}


@dataclass(frozen=True)
class Fire:
    """How much, how hard.

    Attributes:
        posts: of all severities.
        reviewers: processes that claim and decide.
        kills: of them, while they hold items.
        lease_s: seconds that a claim is good for.
        late: share of items that are decided after their lease.
        seed: of posts, opinions and moments.
        patience_s: seconds after which the reviewers are given up.
    """

    posts: int = 1500
    reviewers: int = 8
    kills: int = 4
    lease_s: float = 1.0
    late: float = 0.02
    seed: int = 7
    patience_s: float = 300.0


def queue_of(reviews: ReviewStore, fire: Fire) -> PostReviewQueue:
    """A queue of short leases, and of second opinions of a fifth and of the severest."""
    settings = ReviewSettings(
        salt=f"fire-{fire.seed}",
        lease_us=round(fire.lease_s * 1e6),
        second_opinion_share=0.2,
        second_opinion_severity=5,
        golden_share=0.05,
    )
    return PostReviewQueue(reviews, settings)


def _now() -> int:
    return time.time_ns() // 1000


def says(reviewer: str, post_id: str) -> dict[str, bool]:
    """A reviewer's opinion: the truth, but for a tenth."""
    return {
        policy: (share_of("truth", policy, post_id) < 0.4)
        ^ (share_of("slip", policy, post_id, reviewer) < 0.1)
        for policy in _POLICIES
    }


def review(url: str, fire: Fire, name: str, doomed: bool, holding: Any) -> None:
    """Claim and decide until nothing is left; a doomed reviewer stops while it holds items."""
    reviews = ReviewStore(url)
    queue, draw = queue_of(reviews, fire), np.random.default_rng(hash_of(name, fire))
    turns = int(draw.integers(1, 4))
    while True:
        claims = queue.claim(name, int(draw.integers(1, 4)), _now())
        if doomed and claims and (turns := turns - 1) <= 0:
            holding.set()
            time.sleep(3600)
        if not claims:
            if not reviews.compute_figures(_now(), _LONG_US).waiting:
                return
            time.sleep(0.02)
        for claim in claims:
            time.sleep(fire.lease_s * 1.3 if draw.random() < fire.late else draw.random() * 0.004)
            try:
                queue.decide(claim.item_id, name, claim.token, says(name, claim.post_id), _now())
            except LeaseLostError:
                continue


def hash_of(name: str, fire: Fire) -> int:
    """A seed of the reviewer's own."""
    return int(share_of(str(fire.seed), name) * 2**31)


def run(url: str, fire: Fire) -> dict[str, Any]:
    """Fill the queue, let the reviewers loose, and count what came of it."""
    reviews = ReviewStore(url)
    reviews.migrate()
    queue = queue_of(reviews, fire)
    queue.admit_posts(doubts(fire), _now())
    reviews.insert_golden(golden(fire))
    started = time.perf_counter()
    killed = _let_loose(url, fire, reviews)
    seconds = time.perf_counter() - started
    counts = counted(reviews, fire)
    reviews.close()
    decided = counts["decided"]
    return {
        **counts,
        "killed": killed,
        "seconds": round(seconds, 2),
        "decisions_per_s": round(decided / seconds, 1),
    }


def doubts(fire: Fire) -> list[Doubt]:
    """Posts of all severities."""
    draw = np.random.default_rng(fire.seed)
    return [
        Doubt(
            post_id=f"p{number}",
            policies=_POLICIES,
            severity=int(draw.integers(1, 6)),
            reach=int(draw.integers(0, 10**6)),
            policy_version="v1",
            model_version="m1",
            shown={"text": f"post {number}"},
        )
        for number in range(fire.posts)
    ]


def golden(fire: Fire) -> list[GoldenItem]:
    """Posts with known answers, a tenth as many."""
    return [
        golden_item(
            number,
            subject_id=f"g{number}",
            policies=_POLICIES,
            shown={"text": f"known {number}"},
            known={policy: share_of("truth", policy, f"g{number}") < 0.4 for policy in _POLICIES},
        )
        for number in range(max(fire.posts // 10, 5))
    ]


def counted(reviews: ReviewStore, fire: Fire) -> dict[str, Any]:
    """What was lost, what was decided too often, and whether kappa is scikit-learn's."""
    lost = twice = 0
    for number in range(fire.posts):
        verdicts, outcomes = (
            reviews.list_verdicts(f"p{number}"),
            reviews.list_outcomes(f"p{number}"),
        )
        lost += len(outcomes) != 1
        reviewers = {verdict.reviewer for verdict in verdicts}
        needed = _NEEDED[outcomes[0].rule] if outcomes else len(verdicts)
        twice += len(verdicts) != needed or len(reviewers) != len(verdicts)
    labels = list(reviews.iterate_labels())
    figures = reviews.compute_figures(_now(), _LONG_US)
    return {
        "items": fire.posts,
        "decided": round(figures.decisions_per_hour * 24),
        "golden_decided": len(reviews.list_golden_answers()),
        "lost": lost,
        "decided_twice": twice,
        "labels": len(labels),
        "labels_doubled": len(labels) - len({(label.post_id, label.policy) for label in labels}),
        "expired_leases": figures.expired_leases,
        **_kappa(reviews),
    }


def _kappa(reviews: ReviewStore) -> dict[str, Any]:
    pairs = reviews.list_opinion_pairs()
    first, second = (
        np.array([getattr(pair, side)["hate"] for pair in pairs]) for side in ("first", "second")
    )
    ours = cohen_kappa(first, second)
    sklearn_kappa = float(cohen_kappa_score(first, second))
    return {
        "pairs": len(pairs),
        "kappa": ours,
        "kappa_equals_sklearn": abs(ours - sklearn_kappa) < 1e-12,
    }


def _let_loose(url: str, fire: Fire, reviews: ReviewStore) -> int:
    """Run the reviewers until the queue is empty; each one that is killed is replaced."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_SHARED)
    holding = [context.Event() for _ in range(fire.kills)]

    def begin(name: str, doom: Any | None) -> BaseProcess:
        process = context.Process(target=review, args=(url, fire, name, doom is not None, doom))
        process.start()
        return process

    victims = [begin(f"v{number}", event) for number, event in enumerate(holding)]
    for event in holding:
        event.wait(fire.patience_s)
    people = [begin(f"r{number}", None) for number in range(fire.reviewers - fire.kills)]
    until, killed = time.monotonic() + fire.patience_s, 0
    while time.monotonic() < until and (
        reviews.compute_figures(_now(), _LONG_US).waiting
        or any(person.is_alive() for person in people)
    ):
        for index, (process, event) in enumerate(zip(victims, holding, strict=True)):
            if event.is_set() and process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                killed += 1
                people.append(begin(f"r-after-{index}", None))
        time.sleep(0.05)
    for process in (*people, *victims):
        if process.is_alive():
            process.kill()
        process.join()
    return killed
