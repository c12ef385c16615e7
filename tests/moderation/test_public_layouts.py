"""Files as public data sets have them become models of posts by mapping files alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.moderation import score, train
from jobs.moderation.score import ScoreConfig
from jobs.moderation.training_config import TrainConfig
from lib.contract import ContractError
from lib.registry import Registry
from lib.storage import open_dataset, open_storage
from tests.layout_files import LAYOUT_MARKS, adds_up, outcome
from tests.moderation.public_layouts import (
    HATECHECK_CASES,
    HATECHECK_ROWS,
    JIGSAW_LABELS,
    JIGSAW_ROWS,
    JIGSAW_UNJUDGED,
    SPAM_ROWS,
    TARGETS,
    write_hatecheck,
    write_jigsaw,
    write_spam,
)

pytestmark = LAYOUT_MARKS


def training(folder: Path, data: str, name: str, **changes: Any) -> TrainConfig:
    """A training on posts and labels of one file, each with its mapping file."""
    options = {
        "posts": str(folder / data),
        "mapping_posts": str(folder / f"{name}_posts.yaml"),
        "labels": str(folder / data),
        "mapping_labels": str(folder / f"{name}_labels.yaml"),
        "policies": str(folder / f"{name}_policies.yaml"),
        "output": str(folder / "out"),
        "registry": str(folder / "registry"),
        "alias": "champion",
        "size": "tiny",
        "split": "random",
        "engine": "process",
        "bootstrap": 10,
    }
    return TrainConfig(**options | changes)


def trained(config: TrainConfig) -> dict[str, Any]:
    """What became of each table's rows, as the report of a published model says."""
    train.main(config)
    assert Registry(config.registry).versions("moderation")
    return json.loads((Path(config.output) / "report.json").read_text())["rows"]


def scored(config: TrainConfig) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What became of the posts, and their scores, by the published model."""
    output = Path(config.output) / "scores"
    score.main(
        ScoreConfig(
            posts=config.posts,
            mapping_posts=config.mapping_posts,
            policies=config.policies,
            registry=config.registry,
            output=str(output),
        )
    )
    note = json.loads((output / "scores.json").read_text())
    return note, open_dataset(open_storage(str(output)), "data").to_table().to_pylist()


def test_spam_in_latin_1_without_ids_times_and_authors(tmp_path, capsys):
    write_spam(tmp_path)
    config = training(tmp_path, "spam.csv", "spam")
    rows = trained(config)
    tables, output = rows["tables"], capsys.readouterr().out
    assert outcome(tables["posts"]) == (SPAM_ROWS + 2, 1, 0, 0)
    assert tables["posts"]["reasons"] == {"post: neither a text nor an image nor a video": 1}
    assert adds_up(tables["posts"], rows["posts"])
    assert tables["labels"]["rows_in"] == SPAM_ROWS + 2
    assert adds_up(tables["labels"], SPAM_ROWS)
    assert tables["labels"]["reasons"] == {
        "violates: a value the mapping does not list": 1,
        "post_id: of a post with neither a text nor an image nor a video": 1,
    }
    assert rows["labelled"] == SPAM_ROWS
    assert "1  post: neither a text nor an image nor a video" in output

    note, scores = scored(config)
    assert note["posts"] == len(scores) == SPAM_ROWS + 1
    assert adds_up(note["tables"]["posts"], len(scores))
    assert "1  post: neither a text nor an image nor a video" in capsys.readouterr().out
    probabilities = {row["post_id"]: row["p_spam"] for row in scores}
    lines = (tmp_path / "spam.csv").read_bytes().decode("latin-1").split("\r\n")
    spam = [probabilities[str(k)] for k, line in enumerate(lines, 1) if line.startswith("spam")]
    ham = [
        probabilities[str(k)]
        for k, line in enumerate(lines, 1)
        if line.startswith("ham,") and str(k) in probabilities
    ]
    assert sum(spam) / len(spam) > sum(ham) / len(ham) + 0.3


def test_comments_with_line_ends_and_a_column_for_each_label(tmp_path, capsys):
    write_jigsaw(tmp_path)
    config = training(tmp_path, "train.csv", "jigsaw")
    rows = trained(config)
    tables, output = rows["tables"], capsys.readouterr().out
    labels, kinds = tables["labels"], len(JIGSAW_LABELS)
    assert outcome(tables["posts"]) == (JIGSAW_ROWS + 1 + JIGSAW_UNJUDGED, 0, 1, 0)
    assert adds_up(tables["posts"], rows["posts"])
    assert outcome(labels) == (
        kinds * (JIGSAW_ROWS + 1 + JIGSAW_UNJUDGED),
        0,
        kinds,
        kinds * JIGSAW_UNJUDGED,
    )
    assert adds_up(labels, kinds * JIGSAW_ROWS)
    assert rows["labelled"] == JIGSAW_ROWS
    assert "24  left out by 'where', of the rows that 'unpivot' makes" in output

    note, scores = scored(config)
    assert adds_up(note["tables"]["posts"], len(scores))
    assert {f"p_{name}" for name in JIGSAW_LABELS} <= set(scores[0])


def test_cases_behind_a_nameless_index_of_one_author_and_one_time(tmp_path, capsys):
    write_hatecheck(tmp_path)
    config = training(tmp_path, "hatecheck.csv", "hatecheck")
    rows = trained(config)
    tables = rows["tables"]
    # two texts under one id: neither is taken for the other
    assert adds_up(tables["posts"], rows["posts"])
    assert tables["posts"]["rows_in"] == HATECHECK_ROWS + 1
    assert tables["posts"]["quarantined"] + rows["posts"] == HATECHECK_ROWS + 1
    assert tables["labels"]["rows_in"] == HATECHECK_ROWS + 1
    again = replace(
        config,
        posts=None,
        labels=None,
        mapping_posts=None,
        mapping_labels=None,
        rows=str(tmp_path / "out" / "rows"),
        output=str(tmp_path / "again"),
    )
    with pytest.raises(ContractError, match=r"are of 1 authors.*map author_id.*--split random"):
        train.main(replace(again, split="author-time"))
    with pytest.raises(ContractError, match=r"are of one time.*map event_time.*--split random"):
        train.main(replace(again, split="time"))
    note, scores = scored(config)
    assert adds_up(note["tables"]["posts"], len(scores))
    assert len(scores) == rows["posts"]
    cases = {
        "functional_tests": str(tmp_path / "hatecheck.csv"),
        "mapping_functional_tests": str(tmp_path / "hatecheck_cases.yaml"),
    }
    train.main(replace(again, **cases, identity_cost=True))
    facts = json.loads((tmp_path / "again" / "report.json").read_text())["identity"]
    (overall,) = facts["functional_tests"][0]["overall"]
    assert overall["cases"] == rows["posts"]
    (function,) = facts["functional_tests"][0]["functions"]
    assert (function["name"], function["cases"]) == ("derog_neg_emote_h", rows["posts"])
    assert {own["name"] for own in facts["functional_tests"][0]["identities"]} == set(TARGETS)
    (own,) = facts["policies"]
    assert own["policy"] == "hate"
    assert 0.0 <= own["false_positive_gap"]["value"] <= 1.0
    assert facts["context_costs"][0].keys() >= {"precision", "precision_without", "gap_without"}
    assert facts["contexts_per_text"] > 0.0
    with pytest.raises(ContractError, match=r"no column 'test_cases'"):
        train.main(replace(again, **cases | {"mapping_functional_tests": wrong_cases(tmp_path)}))


def wrong_cases(folder: Path) -> str:
    """A mapping file of cases that names a column that is not there."""
    path = folder / "wrong_cases.yaml"
    path.write_text(HATECHECK_CASES.replace("test_case}", "test_cases}"))
    return str(path)


def test_what_is_missing_is_named_with_what_to_do(tmp_path):
    write_jigsaw(tmp_path)
    config = training(tmp_path, "train.csv", "jigsaw")
    posts = (tmp_path / "jigsaw_posts.yaml").read_text()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(posts.replace("  author_id: {value: unknown}\n", ""))
    with pytest.raises(ContractError, match=r"nothing fills 'author_id'.*value"):
        train.main(replace(config, mapping_posts=str(wrong)))
    wrong.write_text(posts.replace("comment_text", "comment"))
    with pytest.raises(ContractError, match=r"no column 'comment'.*did you mean 'comment_text'"):
        train.main(replace(config, mapping_posts=str(wrong)))
    with pytest.raises(ContractError, match=r"expected one of .*got .*--policies"):
        train.main(replace(config, policies=None))
    with pytest.raises(ContractError, match=r"nothing fills|no column"):
        train.main(replace(config, mapping_posts=None))
