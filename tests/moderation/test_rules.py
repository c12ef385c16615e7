"""The front rules decide where no model is needed."""

import pyarrow as pa
import pytest

from lib.moderation.author import AUTHORS
from lib.moderation.media.hashes import HashList, Known, pdq_hash, sha256
from lib.moderation.post import Media, Post
from lib.moderation.rules import ACTIONS, RULES_FILE, row_of, rule_fields
from lib.moderation.text_matching.lists import load_lists
from lib.rules import RuleError, load_rules
from tests.moderation.media_factories import decode_image, encoded, scene

LISTS = """
version: 1
entries:
  - {id: vile, word: vile, action: remove, policy: hate}
  - {id: odd, word: odd, action: review, policy: hate}
"""


def rules():
    text = RULES_FILE.read_text(encoding="utf-8")
    return load_rules(text, rule_fields(), actions=ACTIONS)


def verdict(post, history=None, **matches):
    return rules().evaluate(row_of(post, history or {}, **matches))


def post(**fields):
    return Post(**({"post_id": "p", "author_id": "a", "created_at_us": 0, "text": "hi"} | fields))


def test_nothing_special_is_left_to_the_models():
    assert verdict(post()).action is None
    assert verdict(post(), dict.fromkeys(AUTHORS.names, 0.0)).action is None


def test_known_media_are_removed_by_their_bytes_and_by_their_looks():
    content = encoded(scene(1))
    hash_list = HashList(
        [
            Known(hash=sha256(content), kind="sha256", policy="violence"),
            Known(hash=pdq_hash(decode_image(content)).hex, kind="pdq", policy="violence"),
        ]
    )
    same = verdict(post(images=(Media(content),)), known_media=[hash_list.exact(content)])
    assert (same.action, same.rule_id) == ("REMOVE", "known_media")
    again = encoded(scene(1).resize((200, 200)), quality=60)
    assert hash_list.exact(again) is None
    copied = verdict(post(), near=hash_list.nearest([decode_image(again)]))
    assert (copied.action, copied.rule_id) == ("REMOVE", "same_picture_as_known")
    part = scene(1).crop((6, 6, 256, 256))
    cropped = verdict(post(), near=hash_list.nearest([decode_image(encoded(part))]))
    assert (cropped.action, cropped.rule_id) == ("REVIEW", "similar_picture_to_known")


@pytest.mark.parametrize(
    ("text", "history", "expected"),
    [
        ("so v1le", {"removals_by_author_90d": 1.0}, ("REMOVE", "denied_wording")),
        ("so v1le", {"removals_by_author_90d": 0.0}, ("REVIEW", "denied_wording_once")),
        ("so vile", {}, ("REVIEW", "denied_wording_once")),
        ("an odd one", {}, ("REVIEW", "doubtful_wording")),
        ("evil", {}, (None, None)),
    ],
)
def test_wording_decides_with_the_authors_history(text, history, expected):
    decision = verdict(post(text=text), history, hits=load_lists(LISTS).hits(text))
    assert (decision.action, decision.rule_id) == expected


@pytest.mark.parametrize(
    ("history", "fields", "rule"),
    [
        ({"removed_repeats_30d": 3.0}, {}, "said_again_after_removal"),
        (
            {"removals_by_author_30d": 6.0, "removal_rate_by_author_90d": 0.4},
            {},
            "repeated_offender",
        ),
        ({}, {"reports": 20}, "reported_by_many"),
    ],
)
def test_history_and_reports_ask_for_a_person(history, fields, rule):
    decision = verdict(post(**fields), history)
    assert (decision.action, decision.rule_id) == ("REVIEW", rule)


def test_trust_is_only_watched():
    history = {"posts_by_author": 500.0, "posts_by_author_30d": 20.0, "removals_by_author_90d": 0.0}
    decision = verdict(post(), history)
    assert decision.action is None
    assert decision.shadow_hits == ("trusted_author",)


def test_a_row_has_every_field_that_rules_may_read():
    row = row_of(post(language="xx"), {})
    assert set(row) == set(rule_fields())
    assert (row["language_known"], row["language"]) == (0.0, "xx")
    assert row_of(post(), {})["language_known"] == 1.0


def test_rows_and_tables_are_judged_alike():
    rows = [row_of(post(reports=k), {"removed_repeats_30d": float(k)}) for k in (0, 3, 25)]
    table = pa.table(
        {
            name: pa.array(
                [row[name] for row in rows], pa.string() if kind is str else pa.float64()
            )
            for name, kind in rule_fields().items()
        }
    )
    fired = rules().evaluate_table(table)
    for index, row in enumerate(rows):
        hits = {rule.id for rule in rules().rules if fired[rule.id][index].as_py()}
        assert set(rules().evaluate(row).hits) == hits


def test_a_rule_over_an_unknown_field_is_refused_with_a_suggestion():
    text = RULES_FILE.read_text(encoding="utf-8").replace("hash_distance <= 31", "hash_dist <= 31")
    with pytest.raises(RuleError, match="hash_distance"):
        load_rules(text, rule_fields(), actions=ACTIONS)
