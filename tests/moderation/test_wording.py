"""Text is folded so that disguises fall away, and every place is still known in the original."""

import time
from itertools import pairwise

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from lib.moderation.policies import POLICIES_FILE, load_policies
from lib.moderation.text_matching.folding import fold, shows
from lib.moderation.text_matching.lists import LISTS_FILE, MOST_HITS, ListError, load_lists
from lib.moderation.text_matching.readings import readings, visual_order
from lib.moderation.text_matching.words import words

anything = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("aé\u0301ßﬃ\u200d\u200b\u202e\u00ad👍🏽👩🚀🇩🇪\ufe0fक्षि가ﾊﾞİ0$! 我\u0600"),
    ),
    max_size=40,
)

LISTS = """
version: 1
entries:
  - {id: all, word: lie, action: review, policy: hate}
  - {id: vile, word: vile, action: remove, policy: hate, spaced: true}
  - {id: grot, word: grot, action: review, policy: hate, whole_words: false}
  - {id: grotto, word: Grotto, action: allow}
  - {id: kill_all, pattern: "kill (?:them|you) all", action: remove, policy: hate}
  - {id: exact, word: mark, action: review, policy: hate, alike: false, leet: false}
  - {id: foreign, word: гадкий, action: remove, policy: hate}
"""


def hits_of(text):
    return [(hit.entry, hit.text) for hit in load_lists(LISTS).hits(text)]


@given(anything, st.booleans(), st.booleans())
def test_every_folded_character_has_its_place_in_the_original(text, alike, leet):
    folded = fold(text, alike=alike, leet=leet)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    assert (np.diff(folded.starts) >= 0).all()
    assert (np.diff(folded.ends) >= 0).all()
    assert (folded.starts < folded.ends).all()
    if len(folded.text):
        assert folded.starts[0] >= 0
        assert folded.ends[-1] <= len(text)


@given(anything, anything, st.booleans())
def test_folding_in_pieces_is_folding_the_whole(left, right, alike):
    full, first, second = (fold(part, alike=alike) for part in (left + right, left, right))
    assert full.text == first.text + second.text
    assert full.starts.tolist() == [*first.starts, *(second.starts + len(left))]


@given(anything, st.booleans())
def test_a_folded_text_is_folded(text, alike):
    once = fold(text, alike=alike).text
    assert fold(once, alike=alike).text == once


@given(anything)
def test_resolving_leetspeak_changes_no_length(text):
    assert len(fold(text, leet=True).text) == len(fold(text).text)


@pytest.mark.parametrize(
    "disguised",
    [
        "VILE",
        "ｖｉｌｅ",
        "𝓿𝓲𝓵𝓮",
        "ⓥⓘⓛⓔ",
        "v\u200bi\u200cl\u200de",
        "vi\u00adle",
        "v\u202eile",
        "\u2066vile\u2069",
        "v\u0336i\u0336l\u0336e\u0336",
        "vïlé",
        "vi\ufe0fle",
        "v\u2060ile",
        "v\u034file",
        "vi\U000e0061le",
    ],
)
def test_what_cannot_be_seen_or_is_only_styled_falls_away(disguised):
    assert fold(disguised).text == "vile"
    (hit,) = load_lists(LISTS).hits(f"so {disguised}!")
    assert hit.entry == "vile"
    assert fold(hit.text).text == "vile"


@pytest.mark.parametrize(
    "disguised",
    [
        "νіⅼе",
        "vіӏе",
        "ᴠɪʟᴇ",
        "🆅🅸🅻🅴",
        "🅥🅘🅛🅔",
        "🇻🇮🇱🇪",
        "v1le",
        "v!l3",
        "vi1e",
        "vi|3",
        "v113",
        "viiiileee",
        "VІLЕ",
        "v i l e",
        "v.i.l.e",
        "v - i - l - e",
        "v*i*l*e",
    ],
)
def test_a_blocked_word_is_found_behind_every_disguise(disguised):
    (hit,) = load_lists(LISTS).hits(f"you {disguised} one")
    assert (hit.entry, hit.start, hit.end) == ("vile", 4, 4 + len(disguised))
    assert hit.text == disguised


GLORPICK = """
version: 1
entries:
  - {id: made_up, word: glorpick, action: remove, policy: hate, spaced: true}
  - {id: arabic, word: سيئ, action: remove, policy: hate}
"""


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("a g🔥l🔥o🔥r🔥p🔥i🔥c🔥k!", "g🔥l🔥o🔥r🔥p🔥i🔥c🔥k"),
        ("a glor🔥pick!", "glor🔥pick"),
        ("a g👍🏽l👍🏽orpick!", "g👍🏽l👍🏽orpick"),
        ("a gl*rpick!", "gl*rpick"),
        ("a gl#rp1ck!", "gl#rp1ck"),
        ("a gl**pick!", "gl**pick"),
        ("a g**lorp**ick!", "g**lorp**ick"),
        ("a glorpick123!", "glorpick123"),
        ("a gloooorpick7!", "gloooorpick7"),
        ("#StopGlorpickNow", "Glorpick"),
        ("so #glorpickNow", "glorpick"),
        ("#NOGlorpick", "Glorpick"),
        ("a &#103;lorpic&#x6b;!", "&#103;lorpic&#x6b;"),
        ("a g&shy;lorp&zwnj;ick!", "g&shy;lorp&zwnj;ick"),
        ("سـيـئ", "سـيـئ"),
    ],
)
def test_a_word_in_pieces_is_found_where_it_is_written(text, hit):
    (only,) = load_lists(GLORPICK).hits(text)
    assert (only.text, text[only.start : only.end]) == (hit, hit)


@pytest.mark.parametrize(
    "innocent",
    [
        "glor.pick",
        "g lorpick",
        "glor pick",
        "*l*rpick",
        "g******k",
        "gl***ick",
        "#glorpicking",
        "#Glorpicking",
        "glorpick12345",
        "123glorpick",
        "glorpicks",
        "gl.rpick",
        "a & b; glor&pick;",
        "Glor#Pickled",
        "#Glor #Pick",
    ],
)
def test_what_only_resembles_a_word_in_pieces_is_left_alone(innocent):
    assert load_lists(GLORPICK).hits(innocent) == ()


@given(anything)
def test_every_reading_has_its_places_in_the_original(text):
    for tagged in (text, f"#Ab{text}Cd", f"&amp;{text}&#103;"):
        for reading in readings(tagged):
            assert len(reading.text) == len(reading.starts) == len(reading.ends)
            assert (reading.starts <= reading.ends).all()
            assert min(reading.starts, default=0) >= 0
            assert max(reading.ends, default=0) <= len(tagged)


invisible = st.text(
    st.sampled_from(
        "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202a\u202b\u202e\u2066\u2067\u2069\u034f\u180e"
        "\ufe0f\u0301\u0336\u0489\u20dd\U000e0061\U000e0100"
    ),
    max_size=3,
)


@given(anything, anything, st.lists(invisible, min_size=5, max_size=5))
def test_no_invisible_characters_hide_a_blocked_word_in_any_text(left, right, between):
    disguised = "".join(f"{gap}{letter}" for gap, letter in zip(between, "VILE", strict=False))
    text = f"{left} {disguised}{between[-1]} {right}"
    hits = load_lists(LISTS).hits(text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    positions = {
        position for hit in hits if hit.entry == "vile" for position in range(hit.start, hit.end)
    }
    start = len(left) + 1
    letters = [k for k in range(start, start + len(disguised)) if text[k] in "VILE"]
    assert set(letters) <= positions


@pytest.mark.parametrize(
    "innocent",
    [
        "reviled",
        "evil eye",
        "servile",
        "a village",
        "Seville",
        "the mark: rnark",
        "rnаrk",
        "m4rk",
        "455 vi 1e",
        "113",
        "grotto and Grotto",
        "killing them all",
        "v. i. Lee",
    ],
)
def test_what_only_resembles_a_blocked_word_is_left_alone(innocent):
    assert [hit for hit in hits_of(innocent) if hit[1] != "mark"] == []


def test_marks_that_spell_vowels_stay():
    assert fold("कि").text != fold("का").text
    assert fold("ที่").text != fold("ท").text
    assert fold("が").text == fold("ｶﾞ").text.replace("カ", "か")


def test_hits_carry_their_place_and_an_allowed_word_takes_its_own_away():
    text = "Grotto! a gr\u0301ot\u0301 \u200bkill th3m all"
    assert hits_of(text) == [("grot", "gr\u0301ot\u0301"), ("kill_all", "kill th3m all")]
    for hit in load_lists(LISTS).hits(text):
        assert text[hit.start : hit.end] == hit.text


def test_each_of_two_neighbours_is_found():
    assert hits_of("vile vile") == [("vile", "vile")] * 2
    assert hits_of("жvile vileж гадкийvile") == []
    assert hits_of("гадкий,vile") == [("foreign", "гадкий"), ("vile", "vile")]


def test_a_long_text_takes_no_long_time():
    lists = load_lists(LISTS)
    for text in ("a" * 100_000, "vile " * 20_000, "v i l " * 16_000, "\u0301" * 100_000):
        began = time.monotonic()
        assert len(lists.hits(text)) <= 4 * MOST_HITS
        assert time.monotonic() - began < 5


def test_a_pattern_that_would_explode_elsewhere_takes_no_long_time():
    lists = load_lists(
        "version: 1\nentries:\n  - {id: bad, pattern: '(a+)+$|(x+x+)+y', action: review, policy: p}"
    )
    began = time.monotonic()
    assert lists.hits("a" * 5_000 + "!" + "x" * 5_000) == ()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{id: a, wrod: x, action: review, policy: hate}",
            "l.yaml:3: a: entries.wrod: unknown field; did you mean 'word'?",
        ),
        (
            "{id: a, pattern: '(x', action: review, policy: hate}",
            "l.yaml:3: a: entries: pattern: expected RE2 syntax, got '(x': missing )",
        ),
        (
            "{id: a, pattern: '(?=x)', action: review, policy: hate}",
            "l.yaml:3: a: entries: pattern: expected RE2 syntax, got '(?=x)': ",
        ),
        (
            "{id: a, pattern: '((a{100}){100}){100}', action: review, policy: hate}",
            "l.yaml:3: a: entries: pattern: expected RE2 syntax",
        ),
        (
            "{id: a, pattern: 'x*', action: review, policy: hate}",
            "l.yaml:3: a: entries: pattern: expected to match something, got 'x*'",
        ),
        (
            "{id: a, pattern: 'né', action: review, policy: hate}",
            "l.yaml:3: a: entries: pattern: folded text never holds 'é'; write 'e'",
        ),
        (
            '{id: a, word: "\\u200b", action: review, policy: hate}',
            "l.yaml:3: a: entries: word: expected something that can be seen",
        ),
        (
            "{id: a, word: x, pattern: y, action: review, policy: hate}",
            "l.yaml:3: a: entries: expected either word or pattern, got both",
        ),
        (
            "{id: a, word: x, action: deny, policy: hate}",
            "l.yaml:3: a: entries.action: input should be 'allow', 'review' or 'remove'"
            ", got 'deny'",
        ),
        ("{id: a, word: x, action: review}", "l.yaml:3: a: entries: policy: expected for review"),
        (
            "{id: a, word: x, action: review, policy: hat}",
            "l.yaml: a: policy: 'hat' is unknown; did you mean 'hate'?",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(entry, message):
    with pytest.raises(ListError) as caught:
        load_lists(f"version: 1\nentries:\n  - {entry}\n", ("hate",), "l.yaml")
    assert str(caught.value).startswith(message)


def test_the_lists_of_the_product_name_its_policies():
    policies = load_policies(POLICIES_FILE.read_text(encoding="utf-8"))
    lists = load_lists(LISTS_FILE.read_text(encoding="utf-8"), policies.ids)
    assert [hit.entry for hit in lists.hits("K1LL Y0URSELF")] == ["kill_yourself"]
    assert lists.hits("he could kill you; yourself a friend") == ()


@given(anything)
def test_words_are_in_order_and_cut_no_grapheme(text):
    spans = words(text)
    edges = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    assert all(span.end <= two.start for span, two in pairwise(spans))
    assert all(span.start < span.end for span in spans)
    assert {edge for span in spans for edge in span} <= edges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't, ok? 3.5", ["I", "don't", "ok", "3.5"]),
        ("👨‍👩‍👧‍👦👍🏽🇩🇪🇫🇷1️⃣❤️x", ["👨‍👩‍👧‍👦", "👍🏽", "🇩🇪", "🇫🇷", "1️⃣", "❤️", "x"]),
        ("👩🏽‍🚀 🏴󠁧󠁢󠁥󠁮󠁧󠁿", ["👩🏽‍🚀", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]),
        ("e\u0301tat nai\u0308ve", ["e\u0301tat", "nai\u0308ve"]),
        ("我恨 カナ が", ["我", "恨", "カナ", "が"]),
        ("नमस्ते สวัสดี", ["नमस्ते", "สวัสดี"]),
        ("f\u200bu\u00adck @who #tag", ["f\u200bu\u00adck", "who", "tag"]),
        (" \n!?… ", []),
        (":ำ กำ", ["กำ"]),
        ("", []),
    ],
)
def test_a_word_is_what_a_reader_takes_for_one(text, expected):
    assert [text[start:end] for start, end in words(text)] == expected


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("so \u202eeliv\u202c!", "so vile!"),
        ("\u202eeliv", "vile"),
        ("\u202eel\u202div\u202c!", "!ivle"),
        ("\u202eel\n\u202civ", "le\niv"),
        ("\u2067vile\u2069 \u202bvile", "vile vile"),
        ("\u202c\u2069vile\u202e", "vile"),
    ],
)
def test_text_is_turned_as_a_reader_sees_it(text, visible):
    positions = visual_order(text)
    assert (positions is None) == ("\u202e" not in text)
    order = range(len(text)) if positions is None else positions.tolist()
    assert sorted(order) == list(range(len(text)))
    assert "".join(text[k] for k in order if not "\u202a" <= text[k] <= "\u2069") == visible


def test_a_word_written_backwards_under_an_override_is_found_where_it_is_written():
    text = "so \u202e3l1v\u202c!"
    assert hits_of(text) == [("vile", "3l1v")]
    (hit,) = load_lists(LISTS).hits(text)
    assert (hit.start, hit.end) == (4, 8)
    assert hits_of("so eliv!") == []
    assert hits_of("so \u202evile\u202c!") == [("vile", "vile")]


def test_nested_controls_take_no_longer_than_the_text_is_long():
    began = time.monotonic()
    assert len(visual_order("\u202eab" * 33_000)) == 99_000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "text", [None, "", " \n\t", "\u200b\u200d", "\u3164 \u2800\u00ad", "\ufe0f"]
)
def test_what_shows_nothing_is_no_text(text):
    assert not shows(text)
    assert shows((text or "") + "。")
