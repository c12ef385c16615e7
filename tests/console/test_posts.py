"""Posts as the console reads them: search, text with what matched, who may be swayed by what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.console.decision_search import DecisionFilter
from lib.console.posts import content_of, mark_spans, policy_lines, posts_csv, read_post, read_posts
from tests.console.seeded import NOW, Seeded
from tests.console.seeded_posts import FEATURES, HIT, OTHERS, TEXT
from tests.records.review_factories import HOUR, LEASE, AlwaysGolden, close, golden_item, item

POST, AUTHOR = "t8000", "t8100"
spans = st.fixed_dictionaries(
    {
        "start": st.integers(-3, 60) | st.none(),
        "end": st.integers(-3, 60) | st.none(),
        "policy": st.sampled_from(["hate", "spam", None]),
        "entry": st.just("word"),
    }
)


@given(st.text(max_size=50), st.lists(spans, max_size=12))
@settings(deadline=None)
def test_the_pieces_of_a_text_are_the_text_and_marked_where_it_matched(
    text: str, hits: list[dict[str, object]]
) -> None:
    pieces = mark_spans(text, hits)
    assert "".join(piece.text for piece in pieces) == text
    marked = [bool(piece.matched) for piece in pieces for _ in piece.text]
    expected = [
        any(
            isinstance(hit["start"], int)
            and isinstance(hit["end"], int)
            and 0 <= hit["start"] <= at < hit["end"] <= len(text)
            for hit in hits
        )
        for at in range(len(text))
    ]
    assert marked == expected


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"text": None, "media": None, "hits": None, "undecoded": None},
        {"text": 5, "media": [1], "hits": "x", "undecoded": {"a": 1}, "reports": "many"},
        {"hits": [HIT, 3, {"kind": "hash"}], "media": {"video": 7}, "undecoded": [{}]},
    ],
)
def test_content_that_is_damaged_is_shown_as_far_as_it_goes(shown: dict[str, object]) -> None:
    content = content_of(shown)
    assert content.pieces == ()
    assert content.reports == 0


def test_a_post_shows_what_matched_its_media_and_the_policies(lived: Seeded) -> None:
    with lived.source("moderation") as source:
        shown = read_post(source, POST, "ann")
        assert read_post(source, "nothing", "ann") is None
    assert shown is not None
    assert [piece.text for piece in shown.content.pieces if piece.matched] == ["vermin"]
    assert "".join(piece.text for piece in shown.content.pieces) == TEXT
    media = {medium.key: medium for medium in shown.content.media}
    assert media["images.0"].matched == ("violence",)
    assert media["images.1"].fault == "expected 10 MB, got 20 MB"
    assert not media["video"].is_image
    assert (shown.policies[0].id, shown.policies[0].action) == ("hate", "REVIEW")
    assert shown.policies[0].description.startswith("Attacks or dehumanises people")
    assert shown.has_policy_texts
    assert ("removals_by_author_90d", 2.0, "posts") in shown.author
    assert [name for name, _, _ in shown.author] == list(FEATURES)
    sent = (("group", "garden & home"), ("account_age", "3.5"), ("is_verified", "yes"))
    assert shown.attributes == sent
    assert [post.id for post in shown.timeline] == [POST, *(f"t{number}" for number in OTHERS)]


def test_posts_are_found_by_author_and_exported(lived: Seeded) -> None:
    with lived.source("moderation") as source:
        part = read_posts(source, DecisionFilter(entity_id=AUTHOR), 3, None, "")
        rest = read_posts(source, DecisionFilter(entity_id=AUTHOR), 30, part.after, "")
    listed = [post.id for post in (*part.posts, *rest.posts)]
    assert listed == [POST, *(f"t{number}" for number in OTHERS)]
    removed = next(post for post in (*part.posts, *rest.posts) if post.line.decision == "REMOVE")
    assert (removed.standing, removed.by) == ("REMOVE", "model")
    assert len(posts_csv(part.posts).splitlines()) == 4


def test_what_people_said_stands_and_is_not_shown_while_an_opinion_is_due(own: Seeded) -> None:
    about = {
        "system": "moderation",
        "subject_id": POST,
        "created_at": NOW - HOUR,
        "rank_us": 0,
        "due_at": NOW,
    }
    with own.source("moderation") as source:
        records = source.records
        records.admit([item(700, **about)], "routing")
        claim = records.take("i700", "ann", now=NOW, lease=LEASE)
        verdicts = {"hate": True, "spam": False}
        records.decide("i700", "ann", claim.token, verdicts, now=NOW, next_step=close, note="clear")
        shown = read_post(source, POST, "ann")
        assert shown is not None
        assert (shown.post.standing, shown.post.by) == ("REMOVE", "people")
        decided = next(line for line in shown.history if line.action == "decided")
        assert (decided.verdicts, decided.note) == (verdicts, "clear")
        appeal = {**about, "kind": "appeal", "shown": {"appeal": "it is a quotation"}}
        records.admit([item(701, **appeal)], "author")
        shown = read_post(source, POST, "ann")
        assert shown is not None
        assert shown.content.appeal == "it is a quotation"
        assert shown.post.standing == ""
        assert shown.history == ()


def test_a_post_that_measures_somebody_shows_no_verdict_either(own: Seeded) -> None:
    with own.source("moderation") as source:
        source.records.insert_golden([golden_item(1, subject_id=POST)])
        claims = source.records.claim("bob", 1, now=NOW, lease=LEASE, mixer=AlwaysGolden())
        assert [claim.subject_id for claim in claims] == [POST]
        measured, other = (read_post(source, POST, name) for name in ("bob", "ann"))
        listed = read_posts(source, DecisionFilter(subject_id=POST), 1, None, "bob").posts
    assert measured is not None
    assert other is not None
    assert (measured.post.standing, measured.history) == ("", ())
    assert measured.post.waiting is not None
    assert [post.standing for post in listed] == [""]
    assert (other.post.standing, other.post.waiting) == ("REVIEW", None)


def test_policies_of_another_version_are_named_without_their_text() -> None:
    known, unknown = policy_lines({"hate": 0.5, "astroturfing": None})
    assert known.severity == 4
    assert (unknown.description, unknown.probability) == ("", None)
