"""The moderation part of the demonstration: train, score, deploy, judge posts, let people look."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from cluster.demo_steps import Shown, deploy, must, new_key, short, table
from cluster.local import ROOT, LocalHead

_POLICY, _LISTED = "hate", "forbiddenword"
_SECONDS = 60.0
_HEADER = ("post", "HTTP", "decision", "by", "policy", "chance", "ms", "why")


def prepare(head: LocalHead, folder: Path, posts: int, say: Callable[[str], None]) -> None:
    """Trains, scores and chooses on a Ray head that runs; files go to `folder`."""
    folder.mkdir()
    (folder / "log").mkdir()
    job, data = ("python", "-m"), folder / "posts"
    tables = [f"--posts={data / 'posts.parquet'}", f"--media={data / 'media.parquet'}"]
    label_options = [f"--labels={data / 'labels.parquet'}", f"--policies={data / 'policies.yaml'}"]
    say(f"composing {posts} posts of generated texts, images and clips")
    must(
        head.submit(
            *job,
            "jobs.moderation.simulate",
            f"--output={data}",
            f"--posts={posts}",
        ),
        "the simulation",
    )
    say("training through the Jobs API: decoding on Ray Data, text, image, video, fusion on Ray")
    must(
        head.submit(
            *job,
            "jobs.moderation.train",
            *tables,
            *label_options,
            "--size=tiny",
            "--num-workers=1",
            f"--output={folder / 'training'}",
            f"--registry={folder / 'registry'}",
            "--alias=champion",
            "--simulated",
            "--source=composed posts",
        ),
        "the training job",
    )
    say("scoring every post, and choosing what people should label next")
    must(
        head.submit(
            *job,
            "jobs.moderation.score",
            *tables,
            label_options[1],
            f"--registry={folder / 'registry'}",
            f"--output={folder / 'scores'}",
        ),
        "the scoring job",
    )
    must(
        head.submit(
            *job,
            "jobs.moderation.select",
            f"--scores={folder / 'scores'}",
            "--count=40",
            f"--output={folder / 'batch'}",
        ),
        "the choice of posts",
    )
    (folder / "lists.yaml").write_text(yaml.safe_dump(_lists()))


def _lists() -> dict[str, Any]:
    entry = {"id": "listed", "word": _LISTED, "action": "remove", "policy": _POLICY, "spaced": True}
    return {"version": 1, "entries": [entry]}


def show(head: LocalHead, folder: Path, say: Callable[[str], None]) -> Shown:
    """Deploys what was prepared and talks to it; Serve's proxy runs."""
    say("deploying the moderation application on Ray Serve")
    url, key = _deploy(head, folder)
    say(f"sending posts to {url}/posts")
    faults = _talk(url, key, folder)
    relative_path = os.path.relpath(folder, ROOT)
    print(f"\nreport    {relative_path}/training/report.html (and report.json)")
    print(f"to label  {relative_path}/batch/batch.parquet, scores {relative_path}/scores/data")
    print(f"records   {relative_path}/records.sqlite, log {relative_path}/log/decisions.jsonl")
    print(f"\nURL {url}\nkey {key}\nAPI page {url}/docs")
    return Shown(url, faults)


def _deploy(head: LocalHead, folder: Path) -> tuple[str, str]:
    keys = folder / "keys.json"
    scopes = [f"moderation:{scope}" for scope in ("score", "label", "review", "read")]
    key = new_key(head, keys, scopes, reviewers=("rob", "sue"))
    one_of_each = json.dumps({"min": 1, "cpus": 0.1})
    arguments = {
        "registry": folder / "registry",
        "profile_store": f"sqlite:///{folder / 'authors.sqlite'}",
        "records": f"sqlite:///{folder / 'records.sqlite'}",
        "journal": folder / "journal",
        "models": folder / "models",
        "media": folder / "media",
        "policies": folder / "posts" / "policies.yaml",
        "lists": folder / "lists.yaml",
        "api_keys": keys,
        "log": folder / "log" / "decisions.jsonl",
        # one of each is enough to look at; production keeps two, with a part of a GPU
        **dict.fromkeys(("front", "text", "image", "video"), one_of_each),
    }
    return deploy(head, "moderation", arguments, folder / "log" / "serve.log"), key


def _talk(url: str, key: str, folder: Path) -> list[str]:
    """Posts, a review, an appeal, bad input; what was not as it should be."""
    examples = _examples(folder)
    headers = {"Authorization": f"Bearer {key}", "X-Deadline-Ms": "30000"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        answers = {name: client.post("/posts", json=post) for name, post in examples.items()}
        answers["the good one again"] = client.post("/posts", json=examples["good"])
        answers |= _bad(client, examples["good"])
        print(table([_HEADER, *(_row(name, answer) for name, answer in answers.items())]))
        return [
            *_faults(answers),
            *_followed(client, examples),
            *_reviewed(client),
            *_explained(client, examples),
        ]


def _examples(folder: Path) -> dict[str, dict[str, Any]]:
    """Posts that the nightly scores find riskiest and safest, and some of our own."""
    scores = pa.concat_tables(
        [pq.read_table(file) for file in sorted((folder / "scores/data").glob("*.parquet"))]
    )
    posts = pq.read_table(folder / "posts/posts.parquet")
    media = pq.read_table(folder / "posts/media.parquet")
    probabilities = [scores[name] for name in scores.column_names if name.startswith("p_")]
    text = pc.is_in(
        scores["post_id"],
        value_set=posts.filter(pc.is_valid(posts["text"]))["post_id"].combine_chunks(),
    )
    alone = pc.invert(pc.is_in(scores["post_id"], value_set=media["post_id"].combine_chunks()))
    order = scores.append_column("highest", pc.max_element_wise(*probabilities))
    order = order.filter(pc.and_(text, alone))
    worst = order.sort_by([(f"p_{_POLICY}", "descending")])["post_id"][0].as_py()
    best = order.sort_by([("highest", "ascending")])["post_id"][0].as_py()
    clip = media.filter(pc.equal(media["kind"], "video"))["content"][0].as_py()
    image = media.filter(pc.equal(media["kind"], "image"))["content"][0].as_py()
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


def _bad(client: httpx.Client, good: dict[str, Any]) -> dict[str, httpx.Response]:
    """What is refused."""
    wrong = {"Authorization": "Bearer fw_nobody_nothing"}
    far = {**good, "post_id": "far", "images": [{"uri": "https://elsewhere.example/x.png"}]}
    return {
        "image from elsewhere": client.post("/posts", json=far),
        "empty post": client.post("/posts", json=_post("empty")),
        "100,001 characters": client.post("/posts", json=_post("long", text="x" * 100_001)),
        "with a wrong key": client.post("/posts", json=good, headers=wrong),
    }


def _row(label: str, answer: httpx.Response) -> tuple[str, ...]:
    body = answer.json()
    policy, policies = body.get("policy"), body.get("policies") or {}
    probability = policies.get(policy, {}).get("probability")
    return (
        label,
        str(answer.status_code),
        body.get("decision", "-"),
        body.get("method", "-"),
        policy or "-",
        "-" if probability is None else f"{probability:.1%}",
        f"{body['latency_ms']:.0f}" if "latency_ms" in body else "-",
        short(body.get("reason") or body.get("detail") or "", 70),
    )


def _faults(answers: dict[str, httpx.Response]) -> list[str]:
    """What was not answered as it should be."""
    bodies = {name: answer.json() for name, answer in answers.items()}
    strict_decisions = {"REVIEW", "REMOVE"}
    checks = {
        "the good post is not allowed by the model": (
            bodies["good"]["decision"] == "ALLOW" and bodies["good"]["method"] == "model"
        ),
        "the hateful post stays up": bodies["hateful"]["decision"] in strict_decisions,
        "a disguised word is not found": bodies["listed word, disguised"]["hits"] != [],
        "a broken image is allowed unseen": bodies["broken image"]["decision"] in strict_decisions,
        "a video is not pending": bodies["with a video"]["decision"] in {"PENDING", "REMOVE"},
        "the same post gets another answer": bodies["the good one again"] == bodies["good"],
        "a foreign address is fetched": bodies["image from elsewhere"]["undecoded"] != [],
        "an empty post is not a 422": answers["empty post"].status_code == 422,
        "a long post is not a 422": answers["100,001 characters"].status_code == 422,
        "a wrong key is not a 401": answers["with a wrong key"].status_code == 401,
    }
    return [fault for fault, fine in checks.items() if not fine]


def _followed(client: httpx.Client, examples: dict[str, Any]) -> list[str]:
    """The video's judgement, which follows its first answer."""
    name = examples["with a video"]["post_id"]
    deadline, post_state = time.monotonic() + _SECONDS, client.get(f"/posts/{name}").json()
    while post_state["decision"] == "PENDING" and time.monotonic() < deadline:
        time.sleep(0.5)
        post_state = client.get(f"/posts/{name}").json()
    print(f"\nthe video was judged: {post_state['decision']} by the {post_state['decided_by']}")
    return ["the video was never judged"] if post_state["decision"] == "PENDING" else []


def _reviewed(client: httpx.Client) -> list[str]:
    """Two reviewers: one empties the queue, the other hears an appeal."""
    decided: list[dict[str, Any]] = []
    while claims := client.post("/review/claim", json={"reviewer": "rob", "most": 10}).json()[
        "claims"
    ]:
        for claim in claims:
            decided.append(_decide(client, "rob", claim, violates=True))
    removed = next((decision for decision in decided if decision["post_id"] == "listed"), None)
    if removed is None:
        return [
            f"the listed word was not in the queue: {[decision['post_id'] for decision in decided]}"
        ]
    appeal_request = {"post_id": "listed", "author_id": "eve", "statement": "it was a quotation"}
    appeal = client.post("/appeals", json=appeal_request)
    claims = client.post("/review/claim", json={"reviewer": "sue", "most": 10}).json()["claims"]
    heard = [
        _decide(client, "sue", appeal_claim, violates=False)
        for appeal_claim in claims
        if appeal_claim["shown"].get("appeal")
    ]
    post_state = client.get("/posts/listed").json()
    print(
        f"rob decided {len(decided)} posts; eve's appeal: {heard[0]['outcome']['rule']}, the post "
        f"is now {post_state['decision']} by {post_state['decided_by']}"
    )
    fine = appeal.is_success and post_state["decision"] == "ALLOW"
    return [] if fine else [f"the appeal did not overturn: {appeal.text[:200]}"]


def _decide(
    client: httpx.Client, reviewer: str, claim: dict[str, Any], violates: bool
) -> dict[str, Any]:
    decide_request = {
        "reviewer": reviewer,
        "token": claim["token"],
        "verdicts": dict.fromkeys(claim["policies"], violates),
    }
    answer = client.post(f"/review/items/{claim['item_id']}/decide", json=decide_request)
    answer.raise_for_status()
    return dict(answer.json())


def _explained(client: httpx.Client, examples: dict[str, Any]) -> list[str]:
    """The words that speak for a removal, where they stand."""
    post = examples["hateful"]
    response = client.get(f"/posts/{post['post_id']}/explanation", params={"policy": _POLICY})
    if not response.is_success:
        return [f"no explanation: {response.text[:200]}"]
    word_spans = response.json()["explanation"]["text"]["words"]
    strongest = sorted(word_spans, key=lambda span: -span["share"])[:3]
    print(
        "speak for it: " + ", ".join(f"{span['word']!r} {span['share']:+.2f}" for span in strongest)
    )
    right = all(post["text"][span["begin"] : span["end"]] == span["word"] for span in word_spans)
    return [] if right else ["words of the explanation do not stand in the text"]
