"""Posts, media and labels come in by contract; what is no post says why."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from lib.contract import ContractError, parse_mapping
from lib.moderation.contracts import LABELS, MEDIA, POSTS
from lib.moderation.post import MODALITIES, Media, Post, PostError
from lib.moderation.rules import language_known

US = pa.timestamp("us", tz="UTC")
AT = 1_700_000_000_000_000


def posts(**columns):
    rows = len(columns["post_id"])
    return pa.table(
        {
            "author_id": ["a"] * rows,
            "event_time": pa.array([AT] * rows, US),
            **columns,
        }
    )


def media(rows, content=None):
    names = ("post_id", "kind", "place", "content", "uri")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    types = {"content": content or pa.large_binary(), "place": pa.int64()}
    return pa.table({k: pa.array(list(v), types.get(k, pa.string())) for k, v in columns.items()})


def test_a_post_says_which_modalities_it_has():
    photo = Media(b"x")
    assert Post("p", "a", 0, "hello", (photo,), photo).present == MODALITIES
    assert Post("p", "a", 0, " \n", video=photo).present == ("video",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": None}, "the post is empty: expected a text, an image or a video"),
        ({"text": "  \n"}, "the post is empty"),
        ({"text": "x" * 100_001}, "text: expected at most 100,000 characters, got 100,001"),
        ({"post_id": ""}, "post_id: expected 1 to 128 bytes, got 0"),
        ({"author_id": "ä" * 65}, "author_id: expected 1 to 128 bytes, got 130"),
        ({"reports": -1}, "reports: expected 0 or more, got -1"),
        ({"reach": -5}, "reach: expected 0 or more, got -5"),
        ({"created_at_us": -1}, "created_at_us: expected 0 or more"),
        ({"images": (Media(b"x"),) * 11}, "images: expected at most 10, got 11"),
    ],
)
def test_a_post_that_cannot_be_meant_is_refused(changes, message):
    fields = {"post_id": "p", "author_id": "a", "created_at_us": 1, "text": "x"} | changes
    with pytest.raises(PostError, match=message):
        Post(**fields)


def test_media_without_bytes_need_an_address():
    assert Media(None, "https://cdn.example.com/a.png").content is None
    for wrong in ((None, "bytes"), (None, ""), (b"", "bytes")):
        with pytest.raises(PostError):
            Media(*wrong)


def test_bad_posts_are_quarantined_with_a_reason():
    table = posts(
        post_id=["ok", "long", "negative", "again", "again", "silent"],
        text=["hi", "x" * 400_001, "hi", "one", "two", None],
        reach=pa.array([0, 0, -1, 0, 0, None]),
    )
    checked = POSTS.check(table)
    assert checked.good["post_id"].to_pylist() == ["ok", "again", "silent"]
    assert checked.reasons == {
        "post_id: came before with other content": 1,
        "reach: below 0": 1,
        "text: longer than 400000 bytes": 1,
    }
    assert checked.good["known_at"].to_pylist() == checked.good["event_time"].to_pylist()


@pytest.mark.parametrize("content", [pa.binary(), pa.large_binary()])
def test_media_have_bytes_or_an_address_and_not_both(content):
    table = media(
        [
            ("p", "image", 0, b"x", None),
            ("p", "image", 1, None, "https://cdn.example.com/a.png"),
            ("p", "image", 2, b"x", "https://cdn.example.com/a.png"),
            ("p", "image", 3, None, None),
            ("p", "sound", 4, b"x", None),
            ("p", "image", 10, b"x", None),
            ("p", "image", 0, b"x", None),
        ],
        content,
    )
    checked = MEDIA.check(table)
    assert checked.good["place"].to_pylist() == [0, 1]
    assert checked.repeats == 1
    assert checked.reasons == {
        "content, uri: more than one of these is given": 1,
        "content, uri: none of these is given": 1,
        "kind: not one of image, video": 1,
        "place: above 9": 1,
    }


def test_media_may_come_as_addresses_alone_or_bytes_alone():
    rows = media([("p", "video", 0, b"x", "file:///a")])
    assert MEDIA.check(rows.drop_columns(["uri"])).good.num_rows == 1
    assert MEDIA.check(rows.drop_columns(["content"])).good.num_rows == 1
    assert MEDIA.check(rows.drop_columns(["content", "uri"])).good.num_rows == 0


def test_labels_say_who_judged_by_which_version():
    table = pa.table(
        {
            "post_id": ["p", "p", "q"],
            "policy": ["hate", "hate", "spam"],
            "violates": pa.array([True, False, True]),
            "by": ["anna", "ben", "anna"],
            "event_time": pa.array([AT] * 3, US),
            "policy_version": [1, 1, 0],
        }
    )
    checked = LABELS.check(table)
    assert checked.good.num_rows == 2
    assert checked.reasons == {"policy_version: below 1": 1}
    with pytest.raises(ContractError, match="needs column 'violates'"):
        LABELS.check(table.drop_columns(["violates"]))


def test_a_foreign_data_set_is_brought_in_by_a_mapping_file():
    labels = parse_mapping(
        """
        contract: labels
        columns:
          post_id: {from: tweet}
          policy: {value: hate}
          violates: {from: class, values: {0: true, 1: false, 2: false}}
          by: {value: annotators}
          event_time: {from: seen, timezone: UTC}
        """,
        [LABELS],
    )
    times = [datetime(2020, 1, 1)] * 3
    checked = labels.check(pa.table({"tweet": [7, 8, 9], "class": [0, 1, 5], "seen": times}))
    assert checked.good["violates"].to_pylist() == [True, False]
    assert checked.reasons == {"violates: a value the mapping does not list": 1}


@pytest.mark.parametrize("content", [pa.binary(), pa.large_binary()])
def test_images_of_a_foreign_data_set_are_brought_in_by_a_mapping_file(content):
    images = parse_mapping(
        """
        contract: media
        columns:
          post_id: {from: path}
          kind: {value: image}
          place: {value: 0}
          content: {from: jpeg}
        """,
        [MEDIA],
    )
    table = pa.table({"path": ["a", "b"], "jpeg": pa.array([b"x", None], content)})
    checked = images.check(table)
    assert checked.good["content"].to_pylist() == [b"x"]
    assert checked.reasons == {"content, uri: none of these is given": 1}
    texts = images.check(pa.table({"path": ["a"], "jpeg": ["no bytes"]}))
    assert texts.reasons == {"content: not bytes": 1}


@pytest.mark.parametrize(
    ("tag", "known"),
    [
        ("de", True),
        ("de-AT", True),
        ("zh-Hant-TW", True),
        ("sr-Latn", True),
        ("EN-us", True),
        ("gsw", True),
        ("es-419", True),
        ("sl-rozaj", True),
        ("en-x-pirate", True),
        ("xx", False),
        ("german", False),
        ("de_AT", False),
        ("und", False),
        ("qaa", False),
        ("", False),
        ("e", False),
        ("en-", False),
        ("d\u0435", False),
    ],
)
def test_languages_are_known_by_their_tags(tag, known):
    assert language_known(tag) is known


def test_unknown_languages_are_kept():
    tags = ["de", "xx", "xx", "klingon", None]
    table = posts(post_id=list("abcde"), text=["t"] * 5, language=tags)
    checked = POSTS.check(table)
    assert checked.good["language"].to_pylist() == tags
    assert np.sum(checked.good["language"].is_valid().to_numpy()) == 4
    assert MEDIA.key == ("post_id", "kind", "place")
