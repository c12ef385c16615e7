"""Small files in the layouts of public data sets: SMS spam, Jigsaw and HateCheck, with made texts.

Texts are made up of a few words; only headers, separators, encodings and shapes are those of the
sources. Each file holds posts and labels alike, and one mapping file for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.layout_files import write_csv, write_texts

SPAM_ROWS = 600
JIGSAW_ROWS = 600
JIGSAW_UNJUDGED = 4
HATECHECK_ROWS = 480
JIGSAW_LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
TARGETS = ("women", "trans people", "gay people", "black people", "disabled people")

_PLAIN = (
    *("see", "you", "at", "the", "station", "tomorrow", "thanks", "for"),
    *("dinner", "the", "train", "was", "late", "again", "home"),
)
_SPAM = (
    *("win", "cash", "prize", "claim", "your", "free"),
    *("voucher", "call", "now", "urgent", "offer"),
)
_RUDE = ["glorp", "snark", "blik"]

SPAM_POSTS = """
contract: posts
file: {encoding: latin1}
columns:
  post_id: {from_file: row_number}
  author_id: {value: unknown}
  event_time: {value: "2012-01-01T00:00:00Z"}
  text: {from: v2}
"""
SPAM_LABELS = """
contract: labels
file: {encoding: latin1}
columns:
  post_id: {from_file: row_number}
  policy: {value: spam}
  violates: {from: v1, values: {spam: "true", ham: "false"}}
  by: {value: dataset}
  event_time: {value: "2012-01-02T00:00:00Z"}
"""
JIGSAW_POSTS = """
contract: posts
columns:
  post_id: {from: id}
  author_id: {value: unknown}
  event_time: {value: "2017-12-01T00:00:00Z"}
  text: {from: comment_text}
"""
JIGSAW_LABELS_MAPPING = """
contract: labels
unpivot:
  columns: [toxic, severe_toxic, obscene, threat, insult, identity_hate]
  label: policy
  value: violates
where: {violates: {not_in: ["-1"]}}
columns:
  post_id: {from: id}
  policy: {from: policy}
  violates: {from: violates}
  by: {value: dataset}
  event_time: {value: "2017-12-02T00:00:00Z"}
"""
HATECHECK_POSTS = """
contract: posts
columns:
  post_id: {from: case_id}
  author_id: {value: hatecheck}
  event_time: {value: "2021-01-01T00:00:00Z"}
  text: {from: test_case}
  language: {value: en}
"""
HATECHECK_LABELS = """
contract: labels
columns:
  post_id: {from: case_id}
  policy: {value: hate}
  violates: {from: label_gold, values: {hateful: "true", non-hateful: "false"}}
  by: {value: hatecheck}
  event_time: {value: "2021-01-02T00:00:00Z"}
"""
HATECHECK_CASES = """
contract: text_cases
columns:
  case_id: {from: case_id}
  text: {from: test_case}
  policy: {value: hate}
  violates: {from: label_gold, values: {hateful: "true", non-hateful: "false"}}
  function: {from: functionality}
  identity: {from: target_ident}
"""


def write_spam(folder: Path) -> None:
    """`v1,v2,,,` in latin-1: no ids, times or authors; texts with commas, quotes and odd bytes."""
    random = np.random.default_rng(1)
    lines = [b"v1,v2,,,"]
    for number in range(SPAM_ROWS):
        is_spam = bool(random.random() < 0.3)
        text = _sentence(random, _SPAM if is_spam else _PLAIN, 0.7)
        text = (text, f"{text}, ok", f'{text} "really"', f"\xa3100 {text}\x92s", f"{text} \xfc")[
            number % 5
        ]
        cell = text if number % 5 == 0 else '"{}"'.format(text.replace('"', '""'))
        rest = ' PO Box 5249,"MK17 92H. 450Ppw 16""",' if number % 100 == 7 else ",,"
        lines.append(f"{'spam' if is_spam else 'ham'},{cell},{rest}".encode("latin-1"))
    # a text that is not there, and a label that nobody declared
    lines += [b"ham,,,,", b"maybe,who knows,,,"]
    (folder / "spam.csv").write_bytes(b"\r\n".join(lines) + b"\r\n")
    write_texts(
        folder,
        {
            "spam_posts": SPAM_POSTS,
            "spam_labels": SPAM_LABELS,
            "spam_policies": policies(["spam"]),
        },
    )


def write_jigsaw(folder: Path) -> None:
    """Hexadecimal ids, comments with line ends and quotes, and a column of 0 and 1 per label."""
    random = np.random.default_rng(2)
    rows = []
    for number in range(JIGSAW_ROWS):
        flags = [int(random.random() < share) for share in (0.4, 0.15, 0.3, 0.15, 0.3, 0.15)]
        text = _sentence(random, _PLAIN, 1.0)
        text += "".join(
            f" {name}word" for name, flag in zip(JIGSAW_LABELS, flags, strict=True) if flag
        )
        text = (text, f'{text}\n\n"\nMore\n{text}', f'"{text}"', f"{text}, {text}")[number % 4]
        rows.append([f"{number * 7919 + 255:016x}", text, *flags])
    rows.append(rows[0])
    rows += [[f"{k:016x}", f"not judged {k}", *[-1] * 6] for k in range(JIGSAW_UNJUDGED)]
    write_csv(folder / "train.csv", ("id", "comment_text", *JIGSAW_LABELS), rows)
    write_texts(
        folder,
        {
            "jigsaw_posts": JIGSAW_POSTS,
            "jigsaw_labels": JIGSAW_LABELS_MAPPING,
            "jigsaw_policies": policies(JIGSAW_LABELS),
        },
    )


def write_hatecheck(folder: Path) -> None:
    """A nameless index first; cases of one author and one time, with a label in words."""
    random = np.random.default_rng(3)
    rows: list[list[object]] = []
    for number in range(HATECHECK_ROWS):
        is_hate = bool(random.random() < 0.6)
        text = _sentence(random, _PLAIN, 1.0) + f" {_RUDE[number % 3] if is_hate else 'fine'}."
        gold = "hateful" if is_hate else "non-hateful"
        target = TARGETS[number % len(TARGETS)] if number % 9 else ""
        rows.append(
            [
                number,
                "derog_neg_emote_h",
                number + 1,
                text,
                gold,
                target,
                "directed",
                "",
                "",
                "",
                "",
                number // 7,
            ]
        )
    header = (
        *("", "functionality", "case_id", "test_case", "label_gold", "target_ident", "direction"),
        *("focus_words", "focus_lemma", "ref_case_id", "ref_templ_id", "templ_id"),
    )
    rows.append([HATECHECK_ROWS, *rows[0][1:3], "another text", *rows[0][4:]])
    write_csv(folder / "hatecheck.csv", header, rows)
    write_texts(
        folder,
        {
            "hatecheck_posts": HATECHECK_POSTS,
            "hatecheck_labels": HATECHECK_LABELS,
            "hatecheck_cases": HATECHECK_CASES,
            "hatecheck_policies": policies(["hate"]),
        },
    )


def policies(names: Sequence[str]) -> str:
    """A policies file with the same costs for all of `names`."""
    lines = ["version: 1", "views_that_double: 1000", "policies:"]
    for name in names:
        lines += [
            f"  - id: {name}",
            f"    description: Posts that are {name.replace('_', ' ')}.",
            "    severity: 2",
            "    costs: {wrong_removal: 4.0, missed_violation: 2.0, review: 0.3}",
            "    version: 1",
        ]
    return "\n".join([*lines, ""])


def _sentence(random: np.random.Generator, words: Sequence[str], share: float) -> str:
    other = [*_PLAIN, *_SPAM] if share < 1.0 else words
    return " ".join(
        str(random.choice(words if random.random() < share else other))
        for _ in range(int(random.integers(4, 12)))
    )
