"""The jobs from tables to a retrained model on a small Ray: what they write, what they refuse."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.moderation import preprocess, retrain, score, select, simulate, train, tune
from jobs.moderation.dataset import find_rows
from jobs.moderation.preprocess import PreprocessConfig
from jobs.moderation.retrain import RetrainConfig
from jobs.moderation.retraining import inputs_of
from jobs.moderation.review_labels import read_review_labels
from jobs.moderation.score import ScoreConfig
from jobs.moderation.select import SelectConfig
from jobs.moderation.simulate import Simulate
from jobs.moderation.training_config import TrainConfig
from jobs.moderation.tune import TuneConfig
from lib.calibration import sigmoid
from lib.contract import ContractError
from lib.moderation.media.limits import MediaError
from lib.moderation.media.videos import decode_video
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.model import load_model
from lib.moderation.model.model_config import parse_size
from lib.moderation.model.outputs import Presence
from lib.moderation.policies import load_policies
from lib.moderation.routing import Routing
from lib.records.review import ReviewStore
from lib.registry import ArtifactError, Registry
from lib.review.opinions import next_step
from lib.review.settings import ReviewSettings
from tests.conftest import on_two_cores
from tests.moderation.media_factories import decode_image
from tests.moderation.small_size import SMALL_SIZE
from tests.records.conftest import empty_records

pytestmark = on_two_cores(minutes=10)
POSTS = 420


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    options = Simulate(folder, posts=POSTS, texts=90, images=60, clips=24, authors=140, seed=4)
    simulate.main(options)
    (folder / "size.yaml").write_text(SMALL_SIZE)
    return folder


def tables(dataset: Path, **changes: object) -> dict[str, object]:
    named = {name: str(dataset / f"{name}.parquet") for name in ("posts", "media", "labels")}
    return {**named, "policies": str(dataset / "policies.yaml"), **changes}


@pytest.fixture(scope="module")
def rows(dataset, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("rows")
    preprocess.main(
        PreprocessConfig(**tables(dataset), size=str(dataset / "size.yaml"), output=str(output))
    )
    return output


def training(dataset: Path, rows: Path, output: Path, **changes: object) -> TrainConfig:
    options: dict[str, object] = {
        "rows": str(rows),
        "size": str(dataset / "size.yaml"),
        "output": str(output),
        "simulated": True,
        "registry": str(output / "registry"),
        "alias": "champion",
        "bootstrap": 20,
    }
    return TrainConfig(**(options | changes))


@pytest.fixture(scope="module")
def trained(dataset, rows, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    train.main(training(dataset, rows, output))
    return output


@pytest.fixture(scope="module")
def scored(dataset, trained, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("scored")
    sources = {name: value for name, value in tables(dataset).items() if name != "labels"}
    score.main(ScoreConfig(**sources, registry=str(trained / "registry"), output=str(output)))
    return output


def decoded(dataset: Path, samples: int) -> dict[str, PostInputs]:
    """The posts as the library takes them, decoded here and now."""
    media: dict[str, list] = {}
    for row in pq.read_table(dataset / "media.parquet").to_pylist():
        media.setdefault(row["post_id"], []).append(row)
    inputs = {}
    for post in pq.read_table(dataset / "posts.parquet").to_pylist():
        images, clip, failed = [], None, set()
        for row in media.get(post["post_id"], []):
            try:
                if row["kind"] == "image":
                    images.append(decode_image(row["content"]))
                else:
                    clip = decode_video(row["content"], samples=samples).frames
            except MediaError:
                failed.add(row["kind"])
        inputs[post["post_id"]] = PostInputs(post["text"], tuple(images), clip, frozenset(failed))
    return inputs


def test_rows_hold_what_posts_say_and_show(dataset, rows):
    prepared = find_rows(str(rows))
    size = parse_size(SMALL_SIZE, "size")
    ours = decoded(dataset, size.video.frames)
    names = prepared.posts["post_id"].to_pylist()
    assert len(names) == POSTS
    presence = np.array([ours[name].presence for name in names], dtype=np.int8)
    np.testing.assert_array_equal(prepared.presence, presence)
    labels = pq.read_table(dataset / "labels.parquet")
    hate = {
        row["post_id"]: row["violates"] for row in labels.to_pylist() if row["policy"] == "hate"
    }
    np.testing.assert_array_equal(prepared.targets[:, 0], [hate[name] for name in names])
    some = np.arange(0, POSTS, 7)
    for index, inputs in zip(some.tolist(), inputs_of(prepared, some), strict=True):
        post = ours[names[index]]
        assert inputs.presence == post.presence
        assert len(inputs.images) == len(post.images)


def test_broken_media_are_quarantined_and_their_posts_stay(dataset, rows):
    note = json.loads((rows / "rows.json").read_text())
    broken = sum(note["broken_media"].values())
    assert broken > 0
    assert note["tables"]["media"]["quarantined"] == broken
    failed = sum(counts["failed"] for counts in note["presence"].values())
    assert failed == broken
    assert note["posts"] == POSTS
    files = sorted((rows / "quarantine" / "media").glob("*.parquet"))
    reasons = pa.concat_tables([pq.read_table(file) for file in files])["quarantine_reason"]
    assert set(reasons.to_pylist()) <= {"content: truncated", "content: broken"}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_rows_do_not_depend_on_how_posts_are_spread_and_media_are_decoded_once(
    dataset, rows, tmp_path, capsys
):
    # as if a run had been cut off when all media were decoded
    note = json.loads((rows / "rows.json").read_text())
    names = ("data_fingerprint", "media_fingerprint", "policies", "shape", "words", "allow")
    shutil.copytree(rows / "data" / "media", tmp_path / "work" / "data" / "media")
    inputs = json.dumps({name: note[name] for name in names}, sort_keys=True)
    (tmp_path / "work" / "inputs.json").write_text(inputs)
    (tmp_path / "work" / "data" / "media" / "other.parquet").write_bytes(b"of no task")
    decoded_at = times(rows / "data" / "media")
    copied_at = times(tmp_path / "work" / "data" / "media")
    config = PreprocessConfig(
        **tables(dataset), size=str(dataset / "size.yaml"), output=str(tmp_path), partitions=3
    )
    preprocess.main(config)
    kept = times(tmp_path / "data" / "media")
    assert kept == {name: copied_at[name] for name in decoded_at}
    ours, other_rows = find_rows(str(rows)), find_rows(str(tmp_path))
    same = ["targets", "tokens"]
    assert ours.posts.drop_columns(same).equals(other_rows.posts.drop_columns(same))
    np.testing.assert_array_equal(ours.targets, other_rows.targets)
    capsys.readouterr()
    preprocess.main(config)
    assert "rows are there already" in capsys.readouterr().out
    fewer = pq.read_table(dataset / "labels.parquet").slice(0, 50)
    pq.write_table(fewer, tmp_path / "labels.parquet")
    preprocess.main(replace(config, labels=str(tmp_path / "labels.parquet"), partitions=1))
    assert times(tmp_path / "data" / "media") == kept
    assert int(find_rows(str(tmp_path)).labelled.sum()) == 10


def test_training_ends_with_model_report_and_registry(trained):
    model = load_model(trained / "model")
    assert Registry(trained / "registry").resolve("moderation", "champion") == model.version
    report = json.loads((trained / "report.json").read_text())
    assert report["simulated"] is True
    assert set(report["methods"]) >= {"ours", "always allow", "text alone", "word n-grams alone"}
    assert report["modalities"] == ["text", "image", "video"]
    assert min(report["parts"][name] for name in ("members", "fusion", "test")) > 0
    page = (trained / "report.html").read_text()
    assert "Beside simpler methods" in page
    stored = {path.suffix for path in (trained / "stages").rglob("*") if path.is_file()}
    assert not stored & {".pt", ".pth", ".pkl", ".bin"}


@pytest.mark.slow
def test_two_workers_share_a_training_up_to_the_registry(dataset, rows, trained, tmp_path):
    train.main(training(dataset, rows, tmp_path, num_workers=2))
    model = load_model(tmp_path / "model")
    assert Registry(tmp_path / "registry").resolve("moderation", "champion") == model.version
    shares = {path.name for path in (tmp_path / "stages").rglob("*-of-*.safetensors")}
    assert shares == {"0-of-2.safetensors", "1-of-2.safetensors"}
    ours, alone = (
        json.loads((folder / "report.json").read_text()) for folder in (tmp_path, trained)
    )
    assert ours["parts"] == alone["parts"]
    assert ours["mean_average_precision"]["value"] == pytest.approx(
        alone["mean_average_precision"]["value"], abs=0.15
    )


def test_training_again_continues_and_says_where_everything_is(dataset, rows, trained, capsys):
    train.main(training(dataset, rows, trained, registry=None, alias="challenger"))
    output = capsys.readouterr().out
    assert "worker with" not in output  # nothing is fitted again
    last = [line.split(":")[0].strip() for line in output.strip().splitlines()[-5:]]
    assert last == ["model", "registry", "report", "report", "quarantine"]


def test_this_process_fits_the_same_model_without_ray(dataset, rows, trained, tmp_path):
    train.main(training(dataset, rows, tmp_path, engine="process", bootstrap=10))
    ours, expected = load_model(tmp_path / "model"), load_model(trained / "model")
    prepared = find_rows(str(rows))
    some = inputs_of(prepared, np.arange(40))
    np.testing.assert_allclose(ours.log_odds(some), expected.log_odds(some), rtol=1e-3, atol=1e-3)


def test_scores_are_those_of_the_model_in_this_process(dataset, trained, scored):
    model = load_model(trained / "model")
    table = pq.read_table(scored / "data").sort_by("post_id")
    assert table.num_rows == POSTS
    ours = decoded(dataset, model.video.size.frames)
    posts = [ours[name] for name in table["post_id"].to_pylist()]
    probabilities = sigmoid(model.log_odds(posts))
    told_chances = np.stack([table[f"p_{name}"].to_numpy() for name in model.policies], axis=1)
    np.testing.assert_allclose(told_chances, probabilities, atol=1e-5)
    policies = load_policies((dataset / "policies.yaml").read_text())
    failed = [any(state == Presence.FAILED for state in post.presence) for post in posts]
    routed = Routing(policies).route(told_chances, table["reach"].to_numpy(), failed)
    actions = [routed.words(row, policies)[0] for row in range(POSTS)]
    assert table["action"].to_pylist() == actions
    assert set(table.filter(pa.array(failed))["action"].to_pylist()) <= {"REVIEW", "REMOVE"}
    version = Registry(trained / "registry").resolve("moderation", "champion")
    assert set(table["model_version"].to_pylist()) == {version}


def test_the_next_batch_is_fair_random_in_part_and_goes_to_the_queue(scored, tmp_path):
    url = f"sqlite:///{tmp_path / 'records.db'}"
    config = SelectConfig(
        scores=str(scored),
        output=str(tmp_path),
        count=40,
        records=url,
        random_share=0.1,
        quotas=("hate=0.25",),
        at=1_770_000_000_000_000,
    )
    batch = pq.read_table(select.main(config))
    assert batch.num_rows == 40
    random = batch.filter(batch["random"])
    assert random.num_rows == 4
    assert random["propensity"].to_pylist() == [pytest.approx(4 / POSTS)] * 4
    assert batch.filter(pc.invert(batch["random"]))["propensity"].null_count == 36
    assert batch["leans_to"].to_pylist().count("hate") >= 9
    assert len(set(batch["post_id"].to_pylist())) == 40
    reviews = ReviewStore(url)
    claims = reviews.claim("ann", 100, now=config.at + 1, lease=1_000_000)
    assert {claim.post_id for claim in claims} == set(batch["post_id"].to_pylist())
    assert json.loads((tmp_path / "batch.json").read_text())["admitted"] == 40
    again = pq.read_table(select.main(config))
    assert again.equals(batch)
    assert json.loads((tmp_path / "batch.json").read_text())["admitted"] == 0
    reviews.close()


def decide(url: str, dataset: Path, now: int) -> int:
    """People decide all that waits in the queue, as the posts were composed."""
    labels = pq.read_table(dataset / "labels.parquet").to_pylist()
    truth = {(row["post_id"], row["policy"]): row["violates"] for row in labels}
    reviews, settings = ReviewStore(url), ReviewSettings(salt="forewarn", second_opinion_share=0.0)
    claims = reviews.claim("ann", 200, now=now, lease=10_000_000)
    for claim in claims:
        verdicts = {name: truth[claim.post_id, name] for name in claim.policies}
        reviews.decide(
            claim.item_id,
            "ann",
            claim.token,
            verdicts,
            now=now + 1,
            next_step=lambda item, case: next_step(item, case, settings),
        )
    reviews.close()
    return len(claims)


def test_decisions_are_learnt_from_and_the_champion_stays_unless_it_is_beaten(
    dataset, trained, scored, tmp_path, capsys
):
    url = f"sqlite:///{tmp_path / 'records.db'}"
    at = 1_780_000_000_000_000
    chosen = SelectConfig(
        scores=str(scored), output=str(tmp_path / "b"), count=30, records=url, at=at
    )
    select.main(chosen)
    assert decide(url, dataset, at + 1) == 30
    registry = Registry(trained / "registry")
    before = registry.versions("moderation")
    config = RetrainConfig(
        **tables(dataset),
        size=str(dataset / "size.yaml"),
        output=str(tmp_path / "r"),
        records=url,
        registry=str(trained / "registry"),
        engine="process",
        bootstrap=20,
        margin="1e9",
        least_entities=2,
    )
    result = retrain.main(config)
    filed = pq.read_table(dataset / "labels.parquet").num_rows
    labels = result["detail"]["labels"]
    assert (labels["new"], labels["total"]) == (150 + filed, 150 + filed)
    assert labels["marks"]["number"] == 150
    assert result["won"] is False
    assert "does not beat the margin of 1,000,000,000" in result["decision"]
    assert registry.versions("moderation") == before
    report = json.loads((tmp_path / "r" / "retraining" / "report.json").read_text())
    assert report["champion"]["version"] == registry.resolve("moderation", "champion")
    assert report["measure"] == "mean average precision"
    assert report["money_gain"]["low"] <= report["money_gain"]["value"]
    assert json.loads((tmp_path / "r" / "report.json").read_text())["test_posts"] > 0
    capsys.readouterr()
    again = retrain.main(config)
    assert again["decision"].startswith("nothing trained: 0 new labels since the last time")


def test_decisions_keep_the_version_that_their_policy_had(dataset, scored, tmp_path):
    url = f"sqlite:///{tmp_path / 'records.db'}"
    at = 1_780_000_000_000_000
    select.main(
        SelectConfig(scores=str(scored), output=str(tmp_path / "b"), count=5, records=url, at=at)
    )
    decide(url, dataset, at + 1)
    text = (dataset / "policies.yaml").read_text()
    then = load_policies(text)
    now = then.model_copy(
        update={
            "policies": tuple(
                policy.model_copy(update={"version": 7 if policy.id == "hate" else policy.version})
                for policy in then.policies
            )
        }
    )
    assert now.label != then.label

    def versions(*files):
        decisions = read_review_labels(url, files, since=0, as_of=at + 1_000_000)
        kept = decisions.rows["policy_version"].to_pylist()
        return decisions.of_unknown_policies, set(kept)

    assert versions(then) == (0, {1})
    assert versions(now, then) == (0, {1})
    assert versions(now) == (25, {None})


def test_a_challenger_that_learnt_from_the_right_labels_is_published(dataset, tmp_path):
    labels = pq.read_table(dataset / "labels.parquet")
    position = labels.schema.get_field_index("violates")
    rare = np.random.default_rng(2).random(labels.num_rows) < 0.03
    wrong = labels.set_column(position, "violates", pa.array(rare))
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    registry = tmp_path / "registry"
    options = {
        "size": str(dataset / "size.yaml"),
        "registry": str(registry),
        "engine": "process",
        "bootstrap": 40,
        "test_share": 0.5,
        "test_authors": 0.5,
    }
    mistaken = tables(dataset, media=None, labels=str(tmp_path / "wrong.parquet"))
    train.main(TrainConfig(**mistaken, **options, output=str(tmp_path / "t"), alias="champion"))
    url = empty_records(tmp_path)
    result = retrain.main(
        RetrainConfig(
            **tables(dataset, media=None), **options, output=str(tmp_path / "r"), records=url,
            least_entities=5,
        )
    )  # fmt: skip
    assert result["won"], result["decision"]
    assert Registry(registry).resolve("moderation", "challenger") == result["version"]
    assert load_model(tmp_path / "r" / "model").video is None


def test_a_search_writes_a_size_that_training_reads(dataset, rows, tmp_path):
    config = TuneConfig(
        rows=str(rows),
        size=str(dataset / "size.yaml"),
        output=str(tmp_path),
        modalities=("text",),
        trials=2,
    )
    best = parse_size(Path(tune.main(config)).read_text(), "best")
    around = parse_size(SMALL_SIZE, "size")
    assert best.text.learning.rate != around.text.learning.rate
    assert best.text.hidden in (8, 16, 32)
    assert best.image == around.image


def preprocessed(dataset: Path, tmp_path: Path, **changes: object) -> dict:
    config = PreprocessConfig(
        **tables(dataset, **changes), size=str(dataset / "size.yaml"), output=str(tmp_path / "x")
    )
    preprocess.main(config)
    return json.loads((tmp_path / "x" / "rows.json").read_text())


def test_what_belongs_to_no_post_or_to_no_listed_place_is_quarantined(dataset, tmp_path):
    (tmp_path / "shelf").mkdir()
    media = pq.read_table(dataset / "media.parquet").to_pylist()
    image = next(row for row in media if row["kind"] == "image")
    (tmp_path / "shelf" / "a.png").write_bytes(image["content"])
    posts = pq.read_table(dataset / "posts.parquet")
    spoken = posts.filter(pc.is_valid(posts["text"]))
    names = spoken["post_id"].to_pylist()
    prefix = f"file://{tmp_path}/shelf/"
    rows = [
        {"post_id": names[0], "kind": "image", "place": 1, "uri": f"{prefix}a.png"},
        {"post_id": names[0], "kind": "image", "place": 2, "uri": f"file://{tmp_path}/x.png"},
        {"post_id": names[0], "kind": "image", "place": 3, "uri": f"{prefix}../x.png"},
        {"post_id": names[1], "kind": "image", "place": 1, "uri": "https://example.org/a.png"},
        {"post_id": names[1], "kind": "image", "place": 4, "uri": f"{prefix}gone.png"},
        {"post_id": "nobody", "kind": "image", "place": 0, "content": image["content"]},
    ]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=pq.read_schema(dataset / "media.parquet")),
        tmp_path / "media.parquet",
    )
    labels = pq.read_table(dataset / "labels.parquet")
    other = labels.slice(0, 2).set_column(0, "post_id", pa.array(["nobody", "nobody2"]))
    told_of = labels.filter(pc.equal(labels["post_id"], names[0])).slice(0, 1)
    old = told_of.set_column(
        labels.column_names.index("policy_version"), "policy_version", pa.array([7])
    )
    old = old.set_column(old.column_names.index("by"), "by", pa.array(["somebody"]))
    pq.write_table(
        pa.concat_tables([labels, other, old.cast(labels.schema)]), tmp_path / "labels.parquet"
    )
    empty = {"post_id": "empty", "author_id": "a", "event_time": posts["event_time"][0].as_py()}
    more = pa.Table.from_pylist([empty], schema=posts.schema)
    pq.write_table(pa.concat_tables([spoken, more]), tmp_path / "posts.parquet")
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("posts", "media", "labels")}
    note = preprocessed(dataset, tmp_path, **files, allow=(prefix,))
    assert note["broken_media"] == {"address_not_allowed": 3, "not_found": 1}
    reasons = note["tables"]["media"]["reasons"]
    assert reasons["post_id: of no post that is there"] >= 1
    assert note["tables"]["posts"]["reasons"] == {
        "post: neither a text nor an image nor a video": 1
    }
    told_labels = note["tables"]["labels"]["reasons"]
    assert told_labels["policy_version: given under another version of the policy"] == 1
    assert told_labels["post_id: of no post that is there"] >= 2
    matches = note["tables"]["labels"]["matches"]
    assert matches["unmatched"] == told_labels["post_id: of no post that is there"]
    assert matches["rows"] > matches["unmatched"]


def change(dataset: Path, tmp_path: Path, name: str, table: pa.Table) -> dict[str, object]:
    pq.write_table(table, tmp_path / f"{name}.parquet")
    return {name: str(tmp_path / f"{name}.parquet")}


def test_tables_that_cannot_be_meant_are_refused(dataset, tmp_path):
    labels = pq.read_table(dataset / "labels.parquet")
    posts = pq.read_table(dataset / "posts.parquet")
    typo = pa.array(["hatte", *labels["policy"].to_pylist()[1:]])
    changed = labels.set_column(labels.column_names.index("policy"), "policy", typo)
    with pytest.raises(ContractError, match=r"policy: expected one of hate, .*, got 'hatte'; did"):
        preprocessed(dataset, tmp_path, **change(dataset, tmp_path, "labels", changed))
    without = posts.drop_columns(["author_id"])
    with pytest.raises(ContractError, match="nothing fills 'author_id'"):
        preprocessed(dataset, tmp_path, **change(dataset, tmp_path, "posts", without))
    with pytest.raises(ContractError, match=r"posts\.parquet: no rows to read|no post is left"):
        preprocessed(dataset, tmp_path, **change(dataset, tmp_path, "posts", posts.slice(0, 0)))
    with pytest.raises(ContractError, match="--posts is missing"):
        preprocessed(dataset, tmp_path, posts=None)
    with pytest.raises(ContractError, match="--allow: prefix: expected https"):
        preprocessed(dataset, tmp_path, allow=("http://example.org/",))
    with pytest.raises(ContractError, match="policies: there is no file"):
        preprocessed(dataset, tmp_path, policies=str(tmp_path / "none.yaml"))


def test_options_that_cannot_be_meant_are_refused(dataset, rows, trained, scored, tmp_path):
    config = TrainConfig(rows=str(rows), size=str(dataset / "size.yaml"), output=str(tmp_path))
    with pytest.raises(ContractError, match="--test-share: expected between 0 and 1, got 1"):
        train.main(replace(config, test_share=1.0))
    with pytest.raises(ContractError, match="expected either --rows or --posts"):
        train.main(replace(config, rows=None))
    with pytest.raises(ContractError, match=r"expected the output of jobs\.moderation\.preprocess"):
        train.main(replace(config, rows=str(tmp_path / "nowhere")))
    with pytest.raises(ContractError, match=r"expected media of .*, which --size asks for"):
        train.main(replace(config, size="large"))
    with pytest.raises(ContractError, match="--size: expected tiny, small, large or a YAML file"):
        train.main(replace(config, size="huge"))
    with pytest.raises(ContractError, match=r"--quotas: .*, got 'hat'; did you mean 'hate'"):
        select.main(SelectConfig(scores=str(scored), output=str(tmp_path), quotas=("hat=0.1",)))
    with pytest.raises(ArtifactError, match=r"expected one of moderation for .*harassment"):
        score.main(
            ScoreConfig(
                posts=str(dataset / "posts.parquet"),
                model=str(trained / "model"),
                output=str(tmp_path),
            )
        )
    with pytest.raises(ContractError, match="--records is missing"):
        retrain.main(RetrainConfig(output=str(tmp_path)))
    config = RetrainConfig(
        **tables(dataset),
        size=str(dataset / "size.yaml"),
        output=str(tmp_path / "r"),
        registry=str(tmp_path / "empty"),
        records=empty_records(tmp_path),
        engine="process",
    )
    with pytest.raises(ContractError, match="has no champion of moderation to compare with"):
        retrain.main(config)
    with pytest.raises(ContractError, match="--rows: expected the tables that rows are computed"):
        retrain.main(replace(config, rows="rows"))


def test_the_policies_of_simulated_posts_are_as_the_product_reads_them(dataset):
    text = (dataset / "policies.yaml").read_text()
    assert load_policies(text).ids == tuple(
        policy["id"] for policy in yaml.safe_load(text)["policies"]
    )
