"""The moderation part of the demonstration: train, score, deploy, judge posts, let people look."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from cluster.demo_pipeline import DemoJob
from cluster.demo_steps import Answer, Columns, Step, fields, holds, refused, success
from cluster.demo_system import Application, System

_POLICY, _LISTED = "hate", "forbiddenword"
_SECONDS = 60.0


def _probability(answer: Answer) -> str:
    return f"{answer['policies'][answer['policy']]['probability']:.1%}"


_COLUMNS: Columns = {
    "HTTP": "{http}",
    "decision": "{decision}",
    "by": "{method}",
    "policy": "{policy}",
    "chance": _probability,
    "ms": "{latency_ms:.0f}",
}
_SOURCES = """
    --posts={folder}/posts/posts.parquet --media={folder}/posts/media.parquet
    --policies={folder}/posts/policies.yaml"""
_JOBS = (
    DemoJob(
        "simulate",
        "composing posts of generated texts, images and clips",
        2,
        "simulate --output={folder}/posts --posts={posts}",
    ),
    DemoJob(
        "train",
        "training: decoding on Ray Data; text, image, video and fusion by a worker of Ray Train",
        120,
        f"""train {_SOURCES} --labels={{folder}}/posts/labels.parquet --size=tiny --num-workers=1
        --output={{folder}}/training --registry={{folder}}/registry --alias=champion --simulated
        --source={{source}}""",
    ),
    DemoJob(
        "score",
        "scoring every post by actors of Ray Data",
        20,
        f"score {_SOURCES} --registry={{folder}}/registry --output={{folder}}/scores",
    ),
    DemoJob(
        "select",
        "choosing what people should label next",
        1,
        "select --scores={folder}/scores --count=40 --output={folder}/batch",
    ),
)
_SETTINGS = """
    profile_store=sqlite:///{folder}/authors.sqlite media={folder}/media
    policies={folder}/posts/policies.yaml lists={folder}/lists.yaml
    front={replica} text={replica} image={replica} video={replica}"""


def prepare(system: System, posts: int) -> None:
    """Trains, scores and chooses on a Ray head that runs; files go to the system's folder."""
    entry = {"id": "listed", "word": _LISTED, "action": "remove", "policy": _POLICY, "spaced": True}
    lists = yaml.safe_dump({"version": 1, "entries": [entry]})
    (system.folder / "lists.yaml").write_text(lists)
    system.submit(_JOBS, posts=posts, source="composed posts").wait()


def show(system: System) -> Application:
    """Deploys what was prepared and talks to it."""
    app = system.deploy(_SETTINGS, cpus=0.1, reviewers=("rob", "sue"))
    posts = _examples(system)
    title = f"sending posts to {app.url}/posts"
    system.runner.tabulate(title, _requests(app, posts), "post", _COLUMNS)
    system.runner.run([_video(app), *_review(app), _explanation(app, posts["hateful"])])
    system.close(app, "to label  {path}/batch/batch.parquet, scores {path}/scores/data")
    return app


def _requests(app: Application, examples: dict[str, dict[str, Any]]) -> Iterator[Step]:
    """Posts of every kind, one of them twice, and what is refused."""
    strict, good = fields(decision=("REVIEW", "REMOVE")), examples["good"]
    expected = {
        "good": fields(decision="ALLOW", method="model"),
        "hateful": strict,
        "listed word, disguised": holds(lambda post: bool(post["hits"]), "the word is not found"),
        "text and image": success,
        "broken image": strict,
        "with a video": fields(decision=("PENDING", "REMOVE")),
    }
    for name, expect in expected.items():
        yield app.ask(name, "/posts", examples[name], expect)
    same = holds(lambda post: post == app.answers["good"], "the same post gets another answer")
    yield app.ask("the good one again", "/posts", good, same)
    far = {**good, "post_id": "far", "images": [{"uri": "https://elsewhere.example/x.png"}]}
    unread = holds(lambda post: bool(post["undecoded"]), "a foreign address is fetched")
    yield app.ask("image from elsewhere", "/posts", far, unread)
    long = _post("long", text="x" * 100_001)
    yield app.ask("empty post", "/posts", _post("empty"), refused)
    yield app.ask("100,001 characters", "/posts", long, refused)
    yield app.wrong_key("/posts", good)


def _video(app: Application) -> Step:
    """The video's decision, which follows its first answer."""

    def judged() -> Answer:
        deadline, post = time.monotonic() + _SECONDS, app.get("/posts/video")
        while post["decision"] == "PENDING" and time.monotonic() < deadline:
            time.sleep(0.5)
            post = app.get("/posts/video")
        return post

    return Step(
        "waiting for the decision on the video",
        judged,
        holds(lambda post: post["decision"] != "PENDING", "the video was never judged"),
        lambda post: f"{post['decision']} by the {post['decided_by']}",
    )


def _review(app: Application) -> Iterator[Step]:
    """Two reviewers: one empties the queue, the other hears an appeal."""
    yield Step(
        "reviewing: rob empties the queue",
        lambda: [
            _decide(app, "rob", claim, violates=True)
            for claims in iter(lambda: _claims(app, "rob"), [])
            for claim in claims
        ],
        holds(
            lambda items: "listed" in [item["post_id"] for item in items],
            "the listed word was not in the queue",
        ),
        lambda items: f"rob decided {len(items)} posts",
    )
    appeal = {"post_id": "listed", "author_id": "eve", "statement": "it was a quotation"}
    yield app.ask("appealing: it was a quotation", "/appeals", appeal, success)
    yield Step(
        "reviewing: sue hears eve's appeal",
        lambda: [
            _decide(app, "sue", claim, violates=False)
            for claim in _claims(app, "sue")
            if claim["shown"].get("appeal")
        ],
        holds(bool, "the appeal was not in the queue"),
        lambda items: str(items[0]["outcome"]["rule"]),
    )
    yield Step(
        "reading the post of the appeal",
        lambda: app.get("/posts/listed"),
        fields(decision="ALLOW"),
        lambda post: f"the post is now {post['decision']} by {post['decided_by']}",
    )


def _claims(app: Application, reviewer: str) -> list[dict[str, Any]]:
    return list(app.post("/review/claim", {"reviewer": reviewer, "most": 10})["claims"])


def _decide(app: Application, reviewer: str, claim: dict[str, Any], violates: bool) -> Answer:
    verdicts = dict.fromkeys(claim["policies"], violates)
    body = {"reviewer": reviewer, "token": claim["token"], "verdicts": verdicts}
    return app.post(f"/review/items/{claim['item_id']}/decide", body)


def _explanation(app: Application, post: dict[str, Any]) -> Step:
    """The words that speak for a removal, where they stand."""
    path = f"/posts/{post['post_id']}/explanation"

    def in_text(words: list[dict[str, Any]]) -> bool:
        return all(post["text"][span["begin"] : span["end"]] == span["word"] for span in words)

    def strongest(words: list[dict[str, Any]]) -> str:
        spans = sorted(words, key=lambda span: -span["share"])[:3]
        listed = ", ".join(f"{span['word']!r} {span['share']:+.2f}" for span in spans)
        return f"speak for it: {listed}"

    return Step(
        "explaining the hateful post",
        lambda: app.get(path, policy=_POLICY)["explanation"]["text"]["words"],
        holds(in_text, "words of the explanation do not stand in the text"),
        strongest,
    )


def _examples(system: System) -> dict[str, dict[str, Any]]:
    """Posts that the nightly scores find riskiest and safest, and some of our own."""
    scores = system.scores()
    posts = pq.read_table(system.folder / "posts/posts.parquet")
    media = pq.read_table(system.folder / "posts/media.parquet")
    probabilities = [scores[name] for name in scores.column_names if name.startswith("p_")]
    written = posts.filter(pc.is_valid(posts["text"]))["post_id"].combine_chunks()
    text = pc.is_in(scores["post_id"], value_set=written)
    alone = pc.invert(pc.is_in(scores["post_id"], value_set=media["post_id"].combine_chunks()))
    order = scores.append_column("highest", pc.max_element_wise(*probabilities))
    order = order.filter(pc.and_(text, alone))
    worst = order.sort_by([(f"p_{_POLICY}", "descending")])["post_id"][0].as_py()
    best = order.sort_by([("highest", "ascending")])["post_id"][0].as_py()
    clip, image = (
        media.filter(pc.equal(media["kind"], kind))["content"][0].as_py()
        for kind in ("video", "image")
    )
    text_by_post = {row["post_id"]: row["text"] for row in posts.to_pylist()}
    hidden = f"{text_by_post[best]} f\u200borbi\u0501denw\u043erd"
    return {
        "good": _post("good", text=text_by_post[best]),
        "hateful": _post("hateful", "bob", text=text_by_post[worst]),
        "listed word, disguised": _post("listed", "eve", text=hidden),
        "text and image": _post("both", text=text_by_post[best], images=[_sent(image)]),
        "broken image": _post(
            "broken", text=text_by_post[best], images=[_sent(image[: len(image) // 2])]
        ),
        "with a video": _post("video", text=text_by_post[best], video=_sent(clip)),
    }


def _post(name: str, author: str = "ann", **fields: Any) -> dict[str, Any]:
    return {"post_id": name, "author_id": author, "reach": 100, **fields}


def _sent(content: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(content).decode()}
