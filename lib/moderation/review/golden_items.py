"""Golden items made of posts and of labels that are right."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.moderation.policies import Policies
from lib.moderation.review.content import model_reason, post_content
from lib.moderation.text_matching.folding import shows
from lib.records.review import GoldenItem
from lib.review.salt import opaque_id

_UNKNOWN_PROBABILITY = 0.5

Row = Mapping[str, Any]
Probabilities = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class GoldenBatch:
    """Golden items, and why the other posts are none.

    Attributes:
        items: one for each post whose answer is known.
        set_aside: posts that are no item, by reason.
        unmatched: labels of a post that is not among the posts.
    """

    items: tuple[GoldenItem, ...]
    set_aside: Counter[str]
    unmatched: int


def build_golden_items(
    posts: Sequence[Row],
    labels: Iterable[Row],
    policies: Policies,
    probabilities: Probabilities | None = None,
) -> GoldenBatch:
    """One golden item for each post with a text and labels that do not contradict each other.

    An id depends on the post and on the version of the policies alone: the same post again is the
    same item, and a new version of the policies asks again.

    Args:
        posts: rows of the contract `posts`, each post once.
        labels: rows of the contract `labels`; an item asks about the policies that are labelled.
        policies: in force; items are mixed in among posts judged by the same version.
        probabilities: the model's, by post and policy; None shows 0.5 for all of them.
    """
    labels_by_post: defaultdict[str, list[Row]] = defaultdict(list)
    for label in labels:
        labels_by_post[label["post_id"]].append(label)
    items: list[GoldenItem] = []
    set_aside: Counter[str] = Counter()
    for post in posts:
        post_labels = labels_by_post.pop(post["post_id"], [])
        fault = _fault(post, post_labels, policies, probabilities)
        if fault is None:
            items.append(_golden_item(post, post_labels, policies, probabilities))
        else:
            set_aside[fault] += 1
    return GoldenBatch(tuple(items), set_aside, sum(map(len, labels_by_post.values())))


def _fault(
    post: Row, labels: Sequence[Row], policies: Policies, probabilities: Probabilities | None
) -> str | None:
    if not shows(post["text"]):
        return "text: expected some, got none; media of golden items are not stored"
    if not labels:
        return "labels: expected one or more of the post, got none"
    if probabilities is not None and post["post_id"] not in probabilities:
        return "scores: expected one of the post, got none"
    faults = (_label_fault(label, policies) for label in labels)
    return next((fault for fault in faults if fault is not None), _contradiction(labels))


def _label_fault(label: Row, policies: Policies) -> str | None:
    name, version = label["policy"], label["policy_version"]
    if name not in policies.ids:
        return f"policy: expected one of {', '.join(policies.ids)}, got {name!r}"
    current = policies.named(name).version
    if version not in (None, current):
        return f"policy_version: expected {current} of {name}, got {version}"
    return None


def _contradiction(labels: Sequence[Row]) -> str | None:
    verdicts: defaultdict[str, set[bool]] = defaultdict(set)
    for label in labels:
        verdicts[label["policy"]].add(label["violates"])
    names = sorted(name for name, values in verdicts.items() if len(values) > 1)
    return f"violates: labels contradict each other about {', '.join(names)}" if names else None


def _golden_item(
    post: Row, labels: Sequence[Row], policies: Policies, probabilities: Probabilities | None
) -> GoldenItem:
    known = {label["policy"]: bool(label["violates"]) for label in labels}
    post_id = str(post["post_id"])
    by_policy = {} if probabilities is None else probabilities[post_id]
    shown = {name: float(by_policy.get(name, _UNKNOWN_PROBABILITY)) for name in known}
    most_probable = max(sorted(shown), key=shown.__getitem__)
    return GoldenItem(
        id=opaque_id("", "golden item", post_id, policies.label),
        system="moderation",
        subject_id=post_id,
        policies=shown,
        severity=max(policies.named(name).severity for name in known),
        reach=int(post["reach"] or 0),
        policy_version=policies.label,
        shown=post_content(
            post["text"],
            int(post["reports"] or 0),
            model_reason(most_probable, shown[most_probable]),
        ),
        known=known,
        language=post["language"],
    )
