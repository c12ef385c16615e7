"""Posts with known answers go from files into the review queue."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.framework.row_folder import RowFolder
from jobs.moderation import golden
from jobs.moderation.golden import GoldenConfig
from jobs.moderation.score import NOTE
from lib.contract import ContractError
from lib.moderation.policies import Policies, load_policies
from lib.moderation.review.items import Doubt
from lib.moderation.review.queue import PostReviewQueue
from lib.records import RecordsError
from lib.records.review import Claim, ReviewStore
from lib.review.settings import ReviewSettings
from lib.storage import open_storage

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
TIME = "2026-11-01T00:00:00Z"
POSTS = [
    f"p1,ann,{TIME},words of hate,en,3,70",
    f"p2,bob,{TIME},buy this,,,",
]
LABELS = [
    f"p1,hate,true,lead,{TIME},1",
    f"p1,spam,false,lead,{TIME},",
    f"p2,spam,true,lead,{TIME},2",
]


def _policy(name: str, severity: int, version: int) -> dict[str, object]:
    costs = {"wrong_removal": 8, "missed_violation": 12, "review": 0.5}
    return {
        "id": name,
        "description": f"No {name}.",
        "severity": severity,
        "version": version,
        "costs": costs,
    }


POLICIES = {"version": 1, "policies": [_policy("hate", 4, 1), _policy("spam", 2, 2)]}


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    text = yaml.safe_dump(POLICIES)
    (tmp_path / "policies.yaml").write_text(text)
    return load_policies(text)


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[ReviewStore]:
    with ReviewStore(f"sqlite:///{tmp_path}/records.db") as opened:
        opened.migrate()
        yield opened


def config(folder: Path, posts: list[str], labels: list[str], **changes: object) -> GoldenConfig:
    header = "post_id,author_id,event_time,text,language,reports,reach"
    (folder / "posts.csv").write_text("\n".join([header, *posts, ""]))
    header = "post_id,policy,violates,by,event_time,policy_version"
    (folder / "labels.csv").write_text("\n".join([header, *labels, ""]))
    fields: dict[str, object] = {
        "posts": str(folder / "posts.csv"),
        "labels": str(folder / "labels.csv"),
        "policies": str(folder / "policies.yaml"),
        "records": f"sqlite:///{folder}/records.db",
    }
    return GoldenConfig(**(fields | changes))


def claims_among(reviews: ReviewStore, policies: Policies, count: int = 60) -> list[Claim]:
    """What a reviewer gets where every other item is golden, as far as there are golden ones."""
    queue = PostReviewQueue(reviews, ReviewSettings(salt="s", golden_share=0.5))
    queue.admit_posts(
        [
            Doubt(
                post_id=f"q{number}", policies={"spam": 0.5}, severity=2, reach=0, shown={},
                policy_version=policies.label, model_version=None,
            )
            for number in range(count)
        ],
        NOW,
    )  # fmt: skip
    return queue.claim("ann", count, NOW + 1)


def golden_claims(reviews: ReviewStore, policies: Policies) -> dict[str, Claim]:
    claims = claims_among(reviews, policies)
    return {claim.post_id: claim for claim in claims if claim.post_id.startswith("p")}


def test_posts_are_asked_about_what_their_labels_name(tmp_path, policies, reviews, capsys):
    assert golden.main(config(tmp_path, POSTS, LABELS)) == 2
    claims = golden_claims(reviews, policies)
    assert set(claims) == {"p1", "p2"}
    first = claims["p1"]
    assert first.policies == {"hate": 0.5, "spam": 0.5}
    assert (first.severity, first.reach, first.language) == (4, 70, "en")
    assert (first.shown["text"], first.shown["reports"]) == ("words of hate", 3)
    assert (claims["p2"].policies, claims["p2"].severity) == ({"spam": 0.5}, 2)
    assert "       2  inserted\n       0  there already\n       0  set aside" in (
        capsys.readouterr().out
    )


def test_answers_of_reviewers_are_held_against_the_labels(tmp_path, policies, reviews):
    golden.main(config(tmp_path, POSTS, LABELS))
    queue = PostReviewQueue(reviews, ReviewSettings(salt="s", golden_share=0.5))
    for claim in golden_claims(reviews, policies).values():
        verdicts = dict.fromkeys(claim.policies, True)
        queue.decide(claim.item_id, "ann", claim.token, verdicts, NOW + 2)
    right = {key: (value.right, value.answers) for key, value in queue.accuracy(0).items()}
    assert right == {("ann", "hate"): (1, 1), ("ann", "spam"): (1, 2)}
    assert list(reviews.iterate_labels()) == []


def test_a_second_run_adds_what_is_new_alone(tmp_path, policies, reviews, capsys):
    golden.main(config(tmp_path, POSTS[:1], LABELS[:2]))
    assert golden.main(config(tmp_path, POSTS, LABELS)) == 1
    assert golden.main(config(tmp_path, POSTS, LABELS)) == 0
    assert "       0  inserted\n       2  there already" in capsys.readouterr().out
    (tmp_path / "policies.yaml").write_text(yaml.safe_dump(POLICIES | {"version": 2}))
    assert golden.main(config(tmp_path, POSTS, LABELS)) == 2


def test_what_has_no_known_answer_is_set_aside_with_its_reason(tmp_path, policies, reviews, capsys):
    posts = [f"p{number},ann,{TIME},words,,," for number in range(3, 9)]
    posts[4] = f"p7,ann,{TIME},,,,"
    labels = [
        f"p3,hate,true,lead,{TIME},",
        f"p3,hate,false,other,{TIME},",
        f"p4,nudity,true,lead,{TIME},",
        f"p5,spam,true,lead,{TIME},1",
        f"p7,spam,true,lead,{TIME},",
        f"px,spam,true,lead,{TIME},",
    ]
    assert golden.main(config(tmp_path, [*POSTS, *posts], [*LABELS, *labels])) == 2
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[3:] == [
        "6  set aside",
        "2  labels: expected one or more of the post, got none",
        "1  violates: labels contradict each other about hate",
        "1  policy: expected one of hate, spam, got 'nudity'",
        "1  policy_version: expected 2 of spam, got 1",
        "1  text: expected some, got none; media of golden items are not stored",
        "1  labels are of no post that is there",
    ]
    assert set(golden_claims(reviews, policies)) == {"p1", "p2"}


def test_where_no_post_is_left_the_most_frequent_reason_comes_first(tmp_path, policies, reviews):
    message = r"policy: expected one of hate, spam, got 'nudity' \(2 of 2 posts\)"
    labels = [f"{name},nudity,true,lead,{TIME}," for name in ("p1", "p2")]
    with pytest.raises(ContractError, match=message):
        golden.main(config(tmp_path, POSTS, labels))


def test_columns_are_taken_by_mapping_files(tmp_path, policies, reviews):
    (tmp_path / "own.csv").write_text("id,words,spam?\np1,buy,yes\np2,hello,no\n")
    (tmp_path / "posts.yaml").write_text(
        "contract: posts\ncolumns:\n  post_id: {from: id}\n  author_id: {value: unknown}\n"
        f"  event_time: {{value: '{TIME}'}}\n  text: {{from: words}}\n"
    )
    (tmp_path / "labels.yaml").write_text(
        "contract: labels\ncolumns:\n  post_id: {from: id}\n  policy: {value: spam}\n"
        "  violates: {from: 'spam?', values: {'yes': 'true', 'no': 'false'}}\n"
        f"  by: {{value: lead}}\n  event_time: {{value: '{TIME}'}}\n"
    )
    own = str(tmp_path / "own.csv")
    mappings = {f"mapping_{name}": str(tmp_path / f"{name}.yaml") for name in ("posts", "labels")}
    mapped = replace(config(tmp_path, [], [], **mappings), posts=own, labels=own)
    mapped.check()
    assert golden.main(mapped) == 2


def scores(folder: Path, policies: Policies) -> str:
    """What jobs.moderation.score would write of p1."""
    storage = open_storage(str(folder / "scores"))
    (folder / "scores" / "data").mkdir(parents=True)
    table = pa.table({"post_id": ["p1"], "p_hate": [0.75], "p_spam": [0.125]})
    pq.write_table(table, folder / "scores" / "data" / "0.parquet")
    RowFolder(storage, NOTE).finish({"policies": policies.model_dump(mode="json")})
    return storage.address()


def test_probabilities_are_those_of_the_scores(tmp_path, policies, reviews):
    scored = scores(tmp_path, policies)
    assert golden.main(config(tmp_path, POSTS, LABELS, scores=scored)) == 1
    (claim,) = golden_claims(reviews, policies).values()
    assert claim.policies == {"hate": 0.75, "spam": 0.125}
    assert claim.shown["reason"] == (
        "hate: violated with a probability of 75.0%; at these costs a person reviews it"
    )
    (tmp_path / "policies.yaml").write_text(yaml.safe_dump(POLICIES | {"version": 2}))
    with pytest.raises(ContractError, match="--scores: expected scores by the policies 2-"):
        golden.main(config(tmp_path, POSTS, LABELS, scores=scored))


def test_a_database_that_no_service_wrote_is_refused(tmp_path, policies):
    with pytest.raises(RecordsError, match="expected a database that a service wrote"):
        config(tmp_path, POSTS, LABELS).check()
    assert not (tmp_path / "records.db").exists()
