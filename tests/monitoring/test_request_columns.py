"""Languages, media and scores by policy are read from what was asked and answered."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from lib.monitoring import ANSWER, REQUEST, SCORE, ErrorBudget, RowBlock, detect, remember
from lib.monitoring.decision_window import DecisionWindow
from lib.monitoring.request_columns import value_at, with_request_columns
from tests.monitoring.decided import DAY, START

COLUMNS = {
    "language": f"{REQUEST}language",
    "media": f"{REQUEST}media",
    "score spam": f"{ANSWER}policies.spam.probability",
}


def posts(first: int, last: int, seed: int) -> RowBlock:
    generator = np.random.default_rng(seed)
    count = (last - first) * 300
    score = generator.beta(1.0, 9.0, count)
    return RowBlock(
        np.empty((count, 0)),
        START + first * DAY + np.sort(generator.integers(0, (last - first) * DAY, count)),
        generator.integers(0, 500, count).astype(str),
        scores={SCORE: score, "score spam": score},
        texts={
            "language": generator.choice(np.array(["de", "en", None]), count, p=(0.3, 0.6, 0.1)),
            "media": generator.choice(np.array(["none", "images", "video"]), count),
        },
        columns=COLUMNS,
    )


def decisions(block: RowBlock, by_rule: float = 0.0) -> pa.Table:
    """What a service keeps of the same posts, some of them decided by a rule without a model."""
    rule = np.random.default_rng(5).random(len(block)) < by_rule
    assert block.scores is not None
    rows = zip(
        block.texts["language"], block.texts["media"], block.scores[SCORE], rule, strict=True
    )
    bodies = [
        (
            {"language": tongue, "media": {} if kind == "none" else {f"{kind}.0": "ab"}},
            {"policies": {} if ruled else {"spam": {"probability": score}}},
        )
        for tongue, kind, score, ruled in rows
    ]
    times = pa.array(block.at_us, pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "subject_id": [f"p{number}" for number in range(len(block))],
            "entity_id": pa.array(block.entities),
            "event_time": times,
            "decision": ["ALLOW"] * len(block),
            "method": np.where(rule, "rule", "model"),
            "score": pa.array(block.scores[SCORE], mask=rule),
            "model_version": pa.array(["v1"] * len(block), mask=rule),
            "request": [json.dumps(request) for request, _ in bodies],
            "answer": [json.dumps(answer) for _, answer in bodies],
        }
    )


def incidents(table: pa.Table) -> list[tuple[str, str, str]]:
    reference = remember("moderation", "author_id", (), [posts(-28, 0, 1)], volume_is_served=False)
    window = DecisionWindow({"v1": reference.bins}, "v1", 10_000)
    window.add(table)
    opened = detect(reference, window.by_model["v1"].windows(), ErrorBudget())
    return [(own.measure, str(own.kind), own.name) for own in opened]


def test_a_service_that_asks_and_answers_as_in_training_has_no_incident() -> None:
    assert incidents(decisions(posts(0, 20, 2))) == []


def test_posts_that_rules_decide_alone_miss_no_score() -> None:
    assert incidents(decisions(posts(0, 20, 2), by_rule=0.2)) == []


def test_a_language_that_vanished_and_one_that_is_new_are_named() -> None:
    table = decisions(posts(0, 20, 3))
    late = np.asarray(table["event_time"].cast(pa.int64())) >= START + 10 * DAY
    texts = [
        text.replace('"de"', '"fr"') if is_late else text
        for text, is_late in zip(table["request"].to_pylist(), late.tolist(), strict=True)
    ]
    table = table.set_column(table.schema.get_field_index("request"), "request", pa.array(texts))
    ((measure, kind, name),) = incidents(table)
    assert measure == "language"
    assert (kind, name) in {("vanished category", "de"), ("new category", "fr")}


def test_texts_that_training_never_had_are_not_compared() -> None:
    block = posts(-28, 0, 1)
    block.texts["language"][:] = None  # type: ignore[index]
    reference = remember("moderation", "author_id", (), [block], volume_is_served=False)
    assert [part.name for part in reference.bins.measures] == ["score", "score spam", "media"]


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 2), ("a", "b"), ("none", None), ("a.b.c", None), ("list", None), ("empty", "none")],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, value: object) -> None:
    assert value_at({"a": {"b": 2}, "list": [1], "empty": {}}, path) == value


def test_an_answer_of_another_form_is_missing() -> None:
    table = pa.table({"answer": ['{"policies": {"spam": {"probability": "high"}}}', None]})
    derived = with_request_columns(table, COLUMNS.values())
    assert derived[COLUMNS["score spam"]].to_pylist() == [None, None]
    assert COLUMNS["language"] not in derived.column_names
