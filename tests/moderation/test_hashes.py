"""Known media are found again, as they are and as they look, and others are not."""

import json
import time

import numpy as np
import pytest
from PIL import Image

from lib.moderation.media.hashes import (
    CERTAIN,
    LIKELY,
    HashList,
    HashListError,
    Known,
    load_hashes,
    pdq_hash,
    sha256,
)
from lib.moderation.media.videos import decode_video
from tests.moderation.media_factories import decode_image, encoded, scene, video


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def listed(*images: Image.Image) -> HashList:
    return HashList(
        Known(
            hash=pdq_hash(pixels(image)).hex, kind="pdq", policy="violence", note=f"image {index}"
        )
        for index, image in enumerate(images)
    )


def cropped(image: Image.Image, share: float) -> Image.Image:
    side = image.width
    return image.crop((int(side * share), int(side * share), side, side))


CHANGES = {
    "re-encoded at quality 60": (lambda image: decode_image(encoded(image, quality=60)), CERTAIN),
    "re-encoded at quality 20": (lambda image: decode_image(encoded(image, quality=20)), CERTAIN),
    "as WebP": (lambda image: decode_image(encoded(image, "WEBP", quality=50)), CERTAIN),
    "at half its size": (lambda image: pixels(image.resize((128, 128))), CERTAIN),
    "at twice its size": (lambda image: pixels(image.resize((512, 512))), CERTAIN),
    "mirrored": (lambda image: pixels(image)[:, ::-1], CERTAIN),
    "brighter": (lambda image: pixels(image.point(lambda v: min(255, int(v * 1.1 + 5)))), CERTAIN),
    "cropped by a fiftieth": (lambda image: pixels(cropped(image, 0.02)), LIKELY),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_known_image_is_found_again(change):
    hash_list = listed(*(scene(seed) for seed in range(20)))
    changed, within = CHANGES[change]
    for seed in range(20):
        near = hash_list.nearest([changed(scene(seed))], within)
        assert near is not None, seed
        assert near.known.note == f"image {seed}"


def test_unrelated_images_are_far_from_all_that_is_known():
    hash_list = listed(*(scene(seed) for seed in range(60)))
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(60)]
    assert [hash_list.nearest([image]) for image in noise] == [None] * 60
    assert [hash_list.nearest([pixels(scene(seed))]) for seed in range(100, 160)] == [None] * 60


def test_images_with_nothing_to_see_match_nothing():
    plain = Image.new("RGB", (64, 64), "white")
    assert listed(plain).nearest([pixels(plain)]) is None


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (64, 1), (1, 300), (5, 2000)])
def test_an_image_of_any_shape_is_hashed(shape):
    looks = pdq_hash(np.zeros((*shape, 3), np.uint8))
    assert looks.bits.shape == (4,)
    assert 0 <= looks.quality <= 100


def test_a_frame_of_a_video_is_found_in_another_encoding():
    scenes = [pixels(scene(seed, 128)) for seed in (1, 2, 3)]
    clip = decode_video(video([frame for frame in scenes for _ in range(10)], crf="35"))
    near = listed(scene(2, 128)).nearest(list(clip.frames), CERTAIN)
    assert near is not None
    assert HashList([]).nearest(list(clip.frames)) is None


def test_the_same_bytes_are_found_by_their_sha256():
    content = encoded(scene(1))
    hash_list = HashList([Known(hash=sha256(content).upper(), kind="sha256", policy="hate")])
    assert hash_list.exact(content).policy == "hate"
    assert hash_list.exact(content + b"\0") is None
    assert hash_list.nearest([pixels(scene(1))]) is None


def test_the_sha256_is_the_standard_one():
    # FIPS 180-4, example of one block
    assert sha256(b"abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_the_nearest_of_very_many_is_found_at_once():
    rng = np.random.default_rng(2)
    many = [Known(hash=rng.bytes(32).hex(), kind="pdq", policy="x") for _ in range(100_000)]
    own_entry = Known(hash=pdq_hash(pixels(scene(7))).hex, kind="pdq", policy="mine")
    hash_list = HashList([*many, own_entry])
    began = time.monotonic()
    near = hash_list.nearest([pixels(scene(7))])
    assert time.monotonic() - began < 1
    assert (near.known.policy, near.distance) == ("mine", 0)


GOOD = {"hash": "ab" * 32, "kind": "pdq", "policy": "hate", "note": "shared by others"}


def test_a_list_is_read_from_lines():
    hash_list = load_hashes(f"# a list\n{json.dumps(GOOD)}\n\n{json.dumps(GOOD)}\n")
    assert len(hash_list.entries) == 2
    assert hash_list.entries[0].note == "shared by others"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "h:2: expected a JSON object"),
        ("[]", "h:2: input should be a valid dictionary"),
        (json.dumps(GOOD | {"hash": "xyz"}), "h:2: hash: string should match pattern"),
        (json.dumps(GOOD | {"kind": "phash"}), "h:2: kind: input should be 'sha256' or 'pdq', got"),
        (json.dumps({"hash": "ab" * 32, "kind": "pdq"}), "h:2: policy: field required"),
        (json.dumps(GOOD | {"hsah": 1}), "h:2: hsah: unknown field; did you mean 'hash'?"),
    ],
)
def test_a_mistake_is_named_with_its_line(line, message):
    with pytest.raises(HashListError) as caught:
        load_hashes(f"{json.dumps(GOOD)}\n{line}\n", "h")
    assert str(caught.value).lower().startswith(message.lower())
