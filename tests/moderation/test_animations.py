"""The service and the jobs look at the same frames of an animation, and say the same of it."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from jobs.moderation.post_events import POST, to_events
from jobs.moderation.scoring import ANSWERS, MediaScorer, ModelLocation, PostScorer
from lib.moderation.contracts import POSTS
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.policies import load_policies
from tests.moderation import small_model
from tests.moderation.hostile_media import gif_of_many_frames, png_claims_frames
from tests.moderation.media_factories import encoded, scene
from tests.serve.moderation_app import CREATED_AT, POLICIES, moderation, published, sent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def animations() -> dict[str, bytes]:
    pieces = small_model.parts()[2]
    contents = {}
    for seed, (kind, count) in enumerate(
        (kind, count) for kind in ("GIF", "PNG", "WEBP", "AVIF") for count in (2, 5, 19)
    ):
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, len(pieces.images), count)
        frames = [Image.fromarray(pieces.images[row]).resize((48, 48)) for row in rows]
        options = {"save_all": True, "append_images": frames[1:], "duration": 40}
        contents[f"{kind}-{count}"] = encoded(frames[0], kind, **options)
    contents["many"] = gif_of_many_frames(4_000)
    contents["claimed"] = png_claims_frames(1_000)
    contents["pictures"] = encoded(scene(1, 64), "MPO", save_all=True, append_images=[scene(2, 64)])
    return contents


def batch(folder, registry, contents: dict[str, bytes]) -> dict[str, dict[str, object]]:
    """What the jobs say of posts of one image each, without Ray."""
    model = ModelLocation(None, str(registry), "champion", load_policies(POLICIES), 1)
    quarantine = str(folder / "quarantine")
    media = pa.table(
        {
            "post_id": list(contents),
            "kind": ["image"] * len(contents),
            "place": pa.array([0] * len(contents), pa.int64()),
            "content": list(contents.values()),
            "uri": pa.nulls(len(contents), pa.string()),
        }
    )
    answers = MediaScorer(model, MediaFetcher(()), quarantine)(media)
    posts = pa.table(
        {name: pa.nulls(len(contents), POSTS.schema.field(name).type) for name in POSTS.names}
        | {
            "post_id": list(contents),
            "author_id": ["ann"] * len(contents),
            "event_time": pa.array([CREATED_AT] * len(contents), pa.int64()).cast(
                POSTS.schema.field("event_time").type
            ),
        }
    )
    scored = PostScorer(model, quarantine, 0.0)(
        pa.concat_tables([to_events(posts, POST, ANSWERS), answers])
    )
    return {row["post_id"]: row for row in scored.to_pylist()}


async def test_batch_and_service_say_the_same_of_every_animation(tmp_path):
    registry, contents = published(tmp_path), animations()

    scored = batch(tmp_path, registry, contents)
    async with moderation(tmp_path / "a", registry) as app:
        for name, content in contents.items():
            body = {"post_id": name, "author_id": "ann", "images": [sent(content)]}
            answer = await app.post("posts", body)
            served = {k: policy["probability"] for k, policy in answer["policies"].items()}
            assert served == pytest.approx({k: scored[name][f"p_{k}"] for k in served}, abs=1e-4), (
                name
            )
            assert answer["decision"] == scored[name]["action"].upper(), name
