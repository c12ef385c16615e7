"""An author's history is the same offline, online, and counted the slow obvious way."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.feature import DAY, HOUR, MINUTE, OnlineFeatures, SqliteStore, compute, events, replay
from lib.moderation.author import (
    AUTHORS,
    SHORTEST_WORDING,
    wording_key,
)

US = pa.timestamp("us", "UTC")
AT = 1_700_000_000_000_000
FACTS = ("removed_from", "removed_until", "restored_from")


@st.composite
def streams(draw):
    """Posts of few authors who say few things, some removed later and restored later still."""
    rows = []
    for number in range(draw(st.integers(1, 40))):
        at = AT + draw(st.integers(0, 120 * 24 * 60)) * 60_000_000
        removed = draw(st.none() | st.integers(0, 20 * 24 * 60))
        restored = None if removed is None else draw(st.none() | st.integers(0, 30 * 24 * 60))
        removed_at = None if removed is None else at + removed * 60_000_000
        restored_at = None if restored is None else removed_at + restored * 60_000_000
        rows.append(
            {
                "post_id": f"p{number:03}",
                "author_id": draw(st.sampled_from("abc")),
                "wording_key": draw(st.sampled_from(("x", "y", None))),
                "event_time": at,
                "removed_from": removed_at,
                "removed_until": restored_at,
                "restored_from": restored_at,
                "restored_until": None,
            }
        )
    return rows


def table_of(rows):
    times = {"event_time", *FACTS, "restored_until"}
    return pa.table(
        {
            name: pa.array([row[name] for row in rows], US if name in times else pa.string())
            for name in rows[0]
        }
    )


def before(rows, me, window=None, hop=None):
    """Posts before this one, in the window [floor(t - w, hop), t)."""
    rank = (me["event_time"], me["post_id"])
    earlier = [row for row in rows if (row["event_time"], row["post_id"]) < rank]
    if window is None:
        return earlier
    start = (me["event_time"] - window) // hop * hop
    return [row for row in earlier if row["event_time"] >= start]


def removed_by(row, at):
    is_removed = row["removed_from"] is not None and row["removed_from"] <= at
    return is_removed and not (row["removed_until"] is not None and row["removed_until"] <= at)


def slow(rows, me):
    """Some of the features, the obvious way."""
    own_posts = [row for row in rows if row["author_id"] == me["author_id"]]
    same = [row for row in rows if row["wording_key"] == me["wording_key"]]
    at = me["event_time"]
    last_90d = before(own_posts, me, 90 * DAY, DAY)
    removals = sum(removed_by(row, at) for row in last_90d)
    day = before(same, me, DAY, HOUR)
    has_text = me["wording_key"] is not None
    ages = [at - row["event_time"] for row in before(own_posts, me)]
    return {
        "posts_by_author": len(before(own_posts, me)),
        "posts_by_author_1h": len(before(own_posts, me, HOUR, MINUTE)),
        "posts_by_author_30d": len(before(own_posts, me, 30 * DAY, DAY)),
        "removals_by_author_90d": removals,
        "removal_rate_by_author_90d": (removals + 0.02 * 20.0) / (len(last_90d) + 20.0),
        "restored_by_author_90d": sum(
            row["restored_from"] is not None and row["restored_from"] <= at for row in last_90d
        ),
        "is_new_author": float(not ages),
        "minutes_since_last_post": min(ages) / MINUTE if ages else math.nan,
        "repeats_24h": len(day) if has_text else math.nan,
        "repeating_authors_24h": len({row["author_id"] for row in day}) if has_text else math.nan,
    }


@settings(max_examples=25)
@given(streams())
def test_offline_counts_what_the_slow_way_counts(rows):
    features = compute(AUTHORS, table_of(rows))
    for index, row in enumerate(rows):
        for name, expected in slow(rows, row).items():
            value = features[name][index].as_py()
            value = math.nan if value is None else value
            assert value == pytest.approx(expected, nan_ok=True, rel=1e-12), name


@settings(max_examples=15)
@given(streams())
def test_online_sees_what_offline_sees(tmp_path_factory, rows):
    table = table_of(rows)
    offline = compute(AUTHORS, table)
    expected = {
        row["post_id"]: [offline[name][index].as_py() for name in AUTHORS.names]
        for index, row in enumerate(rows)
    }
    online = OnlineFeatures(AUTHORS)
    store = SqliteStore(tmp_path_factory.mktemp("store") / "profiles.sqlite")
    try:
        for exchange, event in replay(online, events(table)):
            reply = store.exchange(exchange)
            if event is not None:
                values = online.read(event, reply).values
                online_row = [values[name] for name in AUTHORS.names]
                np.testing.assert_array_equal(
                    online_row, np.array(expected[event["post_id"]], float)
                )
    finally:
        store.close()


def test_the_same_words_in_disguise_are_the_same_wording():
    plain = wording_key("Cheap watches, click here!")
    assert wording_key("CHEAP  watches  c\u200bliсk here") == plain
    assert wording_key("ｃｈｅａｐ watches → click here") == plain
    assert wording_key("cheap matches, click here") != plain
    assert len(plain) == 32


@pytest.mark.parametrize("text", [None, "", "thank you", "!" * 50, "x" * (SHORTEST_WORDING - 1)])
def test_what_is_too_short_is_nobodys_own_wording(text):
    assert wording_key(text) is None


def test_a_model_of_before_reads_the_same_features():
    assert AUTHORS.digest.startswith("cece736f3c9c0770")
