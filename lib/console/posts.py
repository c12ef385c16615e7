"""Posts as moderators see them: text with what matched, media, policies, author, reviews."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from lib.console.decision_search import (
    DecidedSubject,
    DecisionFilter,
    DecisionLine,
    Key,
    WaitingItem,
    line_of,
)
from lib.console.rows_csv import rows_csv
from lib.console.source import SystemSource
from lib.console.subject_history import HistoryLine, read_history
from lib.moderation.author import AUTHORS
from lib.moderation.effective_decision import standing_of
from lib.moderation.policies import POLICIES_FILE, Policies, load_policies
from lib.records import Decision
from lib.records.models import Json
from lib.registry import to_iso

MODERATION, AUTHOR = "moderation", "author_id"
MOST_EXPORTED = 5_000
_COLUMNS = ("post", "event_time", "author", "decision", "stands", "by", "score", "text", "waits")
_MOST_HITS = 400
_EXCERPT = 140
_BEFORE, _AFTER = 10, 5
_UNITS = {feature.name: feature.unit for feature in AUTHORS.features}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text, and what matched there; nothing of most."""

    text: str
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Medium:
    """An image or a video of a post.

    Attributes:
        key: where it is in the request, e.g. `images.0`.
        digest: SHA-256 under which it is kept; "" where it is not.
        matched: the policies of known media that it looks like.
        fault: why it could not be looked at; "" where it could.
    """

    key: str
    digest: str
    matched: tuple[str, ...] = ()
    fault: str = ""

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.key != "video"


@dataclass(frozen=True)
class PostContent:
    """What was posted.

    Attributes:
        pieces: of the text, in order; none without a text.
        media: by their place in the request.
        reports: by users, at the time.
        reason: why people look at it, or why it was decided so.
        rule_id: of the rule that asked for it; "" for none.
        appeal: what the author says; "" where there is no appeal.
    """

    pieces: tuple[Piece, ...]
    media: tuple[Medium, ...]
    reports: int
    reason: str
    rule_id: str
    appeal: str = ""


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A policy beside a post.

    Attributes:
        id: of the policy.
        description: what it forbids; "" where its text is not at hand.
        severity: 1 to 5; 0 likewise.
        probability: that the post violates it; None where no model ran.
        action: that it alone would take; "" likewise.
    """

    id: str
    description: str = ""
    severity: int = 0
    probability: float | None = None
    action: str = ""


@dataclass(frozen=True, slots=True)
class PostLine(DecidedSubject):
    """A post in a list.

    Attributes:
        line: its first decision.
        standing: the decision that holds; "" while an opinion is due.
        by: who made it.
        excerpt: of the text.
        waiting: its undecided item of the queue, if there is one.
    """

    standing: str
    by: str
    excerpt: str
    waiting: WaitingItem | None

    @property
    def author(self) -> str:
        """Who posted it."""
        return str(self.line.entities.get(AUTHOR) or "")


@dataclass(frozen=True)
class PostList:
    """A part of a search; `after` and `is_cut` as in `DecisionPart`."""

    posts: tuple[PostLine, ...]
    after: Key | None
    is_cut: bool


@dataclass(frozen=True)
class PostPage:
    """All that the page of a post shows.

    Attributes:
        post: with the decision that holds.
        decision: the first.
        content: what was posted.
        policies: those that the post may break first.
        has_policy_texts: whether it was decided by the policies whose texts are shown.
        author: what was known of the author then: name, value (None is missing), unit.
        attributes: of the post, by name, as they were sent.
        timeline: posts of the author around it, the latest first.
        history: what people did, the latest first.
    """

    post: PostLine
    decision: Decision
    content: PostContent
    policies: tuple[PolicyLine, ...]
    has_policy_texts: bool
    author: tuple[tuple[str, float | None, str], ...]
    attributes: tuple[tuple[str, str], ...]
    timeline: tuple[PostLine, ...]
    history: tuple[HistoryLine, ...]


def mark_spans(text: str, hits: Sequence[Mapping[str, Any]]) -> tuple[Piece, ...]:
    """Cut a text where matches begin and end; the pieces joined are the text.

    Args:
        text: of a post.
        hits: with `start`, `end`, `policy` and `entry`; those outside of the text are left out.

    >>> mark_spans("you vermin", [{"start": 4, "end": 10, "policy": "hate", "entry": "vermin"}])
    (Piece(text='you ', matched=()), Piece(text='vermin', matched=('hate',)))
    """
    spans = [
        (hit["start"], hit["end"], str(hit.get("policy") or hit.get("entry") or "listed"))
        for hit in hits[:_MOST_HITS]
        if _is_span(hit, len(text))
    ]
    cuts = sorted({0, len(text), *(at for span in spans for at in span[:2])})
    pieces = []
    for start, end in pairwise(cuts):
        matched = dict.fromkeys(name for low, high, name in spans if low <= start and end <= high)
        pieces.append(Piece(text[start:end], tuple(matched)))
    return tuple(pieces)


def content_of(shown: Mapping[str, Json]) -> PostContent:
    """What was posted, as an item of the queue keeps it (`post_content`)."""
    text, kept = shown.get("text"), shown.get("media")
    hits, undecoded = _mappings(shown.get("hits")), _mappings(shown.get("undecoded"))
    faults = {str(fault.get("place")): str(fault.get("words") or "") for fault in undecoded}
    digests = dict(kept) if isinstance(kept, Mapping) else {}
    looks: dict[str, list[str]] = {}
    for hit in hits:
        if hit.get("kind") == "hash":
            looks.setdefault(str(hit.get("entry")), []).append(str(hit.get("policy") or "known"))
    keys = sorted({*map(str, digests), *faults})
    reports = shown.get("reports")
    return PostContent(
        pieces=mark_spans(text, hits) if isinstance(text, str) else (),
        media=tuple(
            Medium(key, str(digests.get(key) or ""), tuple(looks.get(key, ())), faults.get(key, ""))
            for key in keys
        ),
        reports=reports if isinstance(reports, int) else 0,
        reason=str(shown.get("reason") or ""),
        rule_id=str(shown.get("rule_id") or ""),
        appeal=str(shown.get("appeal") or ""),
    )


def policy_lines(names: Mapping[str, float | None]) -> tuple[PolicyLine, ...]:
    """Policies by their ids with a probability each, with their texts."""
    known = {policy.id: policy for policy in packaged_policies().policies}
    return tuple(
        PolicyLine(name, known[name].description, known[name].severity, probability)
        if name in known
        else PolicyLine(name, probability=probability)
        for name, probability in names.items()
    )


@cache
def packaged_policies() -> Policies:
    """The policies that are shipped, whose texts are at hand."""
    return load_policies(POLICIES_FILE.read_text(encoding="utf-8"))


def read_posts(
    source: SystemSource, sought: DecisionFilter, most: int, before: Key | None, reviewer: str
) -> PostList:
    """Search posts, the latest first; see `DecisionSearch.search`.

    One that measures the reviewer looks like any that waits.
    """
    part = source.records.search(sought, most, before)
    return PostList(_described(source, part.lines, reviewer), part.after, part.is_cut)


def posts_csv(posts: Sequence[PostLine]) -> str:
    """Posts as CSV (RFC 4180) with a header; see `rows_csv`."""
    rows = [
        (
            post.id,
            to_iso(post.line.event_time),
            post.author,
            post.line.decision,
            post.standing,
            post.by,
            post.line.score_text,
            post.excerpt,
            "yes" if post.waiting else "no",
        )
        for post in posts
    ]
    return rows_csv(_COLUMNS, rows)


def read_post(source: SystemSource, post_id: str, reviewer: str) -> PostPage | None:
    """Read a post as a reviewer sees it; None where no decision is recorded about it."""
    decision = source.records.find_decision(post_id)
    if decision is None:
        return None
    own, author = line_of(decision), decision.entities.get(AUTHOR)
    lines = [own]
    if author:
        lines = source.records.list_around(author, own.key, _BEFORE, _AFTER)
    if all(line.subject_id != post_id for line in lines):
        lines = [own, *lines]
    posts = {post.id: post for post in _described(source, lines, reviewer)}
    return PostPage(
        post=posts[post_id],
        decision=decision,
        content=_content(source, decision),
        policies=_policies(decision),
        has_policy_texts=decision.answer.get("policies_version") == packaged_policies().label,
        author=tuple(
            (name, value if math.isfinite(value) else None, _UNITS[name])
            for name, value in decision.features.items()
            if name in _UNITS
        ),
        attributes=_attributes(decision),
        timeline=tuple(posts.values()),
        history=read_history(source, post_id),
    )


def _attributes(decision: Decision) -> tuple[tuple[str, str], ...]:
    """Attributes of a post by name, as texts."""
    sent = decision.request.get("attributes")
    if not isinstance(sent, Mapping):
        return ()
    return tuple((name, _attribute_text(value)) for name, value in sent.items())


def _attribute_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _content(source: SystemSource, decision: Decision) -> PostContent:
    """What was posted, from its decision, with the latest appeal."""
    appeals = [
        str(item.shown.get("appeal") or "")
        for item in source.records.list_items(decision.subject_id)
        if item.kind == "appeal"
    ]
    answer, request = decision.answer, decision.request
    return content_of(
        {
            **{name: request.get(name) for name in ("text", "media", "reports")},
            "undecoded": answer.get("undecoded"),
            "hits": answer.get("hits") or decision.reasons,
            "reason": answer.get("reason"),
            "rule_id": decision.rule_id,
            "appeal": appeals[0] if appeals else "",
        }
    )


def _described(
    source: SystemSource, lines: Sequence[DecisionLine], reviewer: str
) -> tuple[PostLine, ...]:
    subjects, records = [line.subject_id for line in lines], source.records
    waiting = records.list_waiting_items(subjects, reviewer)
    outcomes = records.list_latest_outcomes(subjects)
    later = records.list_later_answers(subjects)
    posts = []
    for line in lines:
        name, text = line.subject_id, line.request.get("text")
        standing = standing_of(line.decision, line.method, later.get(name), outcomes.get(name))
        if name in waiting:  # what people said before would sway the next one
            standing = ("", "")
        excerpt = " ".join(text.split())[:_EXCERPT] if isinstance(text, str) else ""
        posts.append(PostLine(line, *standing, excerpt, waiting.get(name)))
    return tuple(posts)


def _policies(decision: Decision) -> tuple[PolicyLine, ...]:
    answers = decision.answer.get("policies")
    known = {line.id: line for line in policy_lines(dict.fromkeys(packaged_policies().ids))}
    if isinstance(answers, Mapping):
        for name, answer in answers.items():
            if isinstance(answer, Mapping):
                line = known.get(name, PolicyLine(name))
                probability = answer.get("probability")
                known[name] = PolicyLine(
                    name,
                    line.description,
                    line.severity,
                    float(probability) if isinstance(probability, int | float) else None,
                    str(answer.get("action") or ""),
                )
    return tuple(sorted(known.values(), key=lambda line: (-(line.probability or 0.0), line.id)))


def _is_span(hit: Mapping[str, Any], length: int) -> bool:
    start, end = hit.get("start"), hit.get("end")
    return type(start) is int and type(end) is int and 0 <= start < end <= length


def _mappings(value: Json) -> list[Mapping[str, Any]]:
    parts = value if isinstance(value, list | tuple) else ()
    return [part for part in parts if isinstance(part, Mapping)]
