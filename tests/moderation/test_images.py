"""Images are decoded as a viewer sees them, or refused before they cost anything."""

import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib.moderation.media.images import decode_frames
from lib.moderation.media.limits import Limits, MediaError
from tests.moderation.hostile_media import damaged, gif_of_many_frames, png_claims_frames, png_with
from tests.moderation.media_factories import decode_image, encoded, png_that_claims, scene

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
SMALL = Limits(image_bytes=200_000, image_pixels=300_000, image_side=256)


def refused(content: bytes, limits: Limits = SMALL) -> str:
    with pytest.raises(MediaError) as caught:
        decode_image(content, limits)
    return caught.value.reason


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_comes_out_as_rgb(kind):
    picture = scene(1)
    pixels = decode_image(encoded(picture, kind), SMALL)
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    difference = np.abs(pixels.astype(int) - np.asarray(picture)).mean()
    assert difference < (0.01 if kind in {"PNG", "BMP"} else 12)


def test_an_image_is_turned_as_its_exif_says():
    tall = Image.new("RGB", (20, 40), "black")
    tall.paste("white", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise by the viewer
    pixels = decode_image(encoded(tall, "PNG", exif=exif), SMALL)
    assert pixels.shape == (20, 40, 3)
    assert pixels[:, 25:].min() == 255
    assert pixels[:, :15].max() == 0


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_refuse_an_image_that_viewers_show():
    content = encoded(scene(2), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\xff")
    assert decode_image(content, SMALL).shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("CMYK", (0, 255, 255, 0), "JPEG", (255, 0, 0)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("RGBA", (255, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (0, 0, 255, 255), "PNG", (0, 0, 255)),
        ("LA", (0, 128), "PNG", (127, 127, 127)),
        ("I;16", 0x4DFF, "PNG", (0x4D, 0x4D, 0x4D)),
        ("RGBA", (255, 0, 0, 0), "WEBP", (255, 255, 255)),
    ],
)
def test_every_way_to_write_colours_is_seen_as_over_white(mode, colour, kind, expected):
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode_image(encoded(Image.new(mode, (16, 16), colour), kind, **options), SMALL)
    assert np.abs(pixels.astype(int) - expected).max() <= 3


def test_a_palette_with_a_transparent_colour_is_seen_over_white():
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([200, 0, 0, 0, 200, 0])
    pixels = decode_image(encoded(picture, "PNG", transparency=0), SMALL)
    assert (pixels == 255).all()


def test_a_large_image_is_scaled_down_to_the_longer_side():
    pixels = decode_image(encoded(scene(3).resize((600, 300))), SMALL)
    assert pixels.shape == (128, 256, 3)


def test_a_small_image_is_not_scaled_up():
    assert decode_image(encoded(scene(3, 32)), SMALL).shape == (32, 32, 3)


def test_what_comes_late_in_an_animation_is_seen():
    frames = [Image.new("RGB", (32, 32), (0, 0, 0)) for _ in range(30)]
    frames[-1] = Image.new("RGB", (32, 32), (255, 0, 0))
    for kind in ("GIF", "PNG", "WEBP"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)
        decoded_frames = decode_frames(content, SMALL).frames
        assert 2 <= len(decoded_frames) <= SMALL.animation_frames
        assert decoded_frames[0].max() < 10, kind
        assert decoded_frames[-1][..., 0].min() > 240, kind
        assert (decode_image(content, SMALL) == decoded_frames[0]).all()


ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")


def animated(kind: str, frames: list[Image.Image]) -> bytes:
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)


def test_a_broken_frame_does_not_lose_the_first_ones_and_is_named():
    content = animated("PNG", [scene(seed, 64) for seed in range(6)])
    full_result = decode_frames(content, SMALL)
    assert (len(full_result.frames), full_result.fault) == (6, None)
    offset = [k for k in range(len(content)) if content.startswith(b"fdAT", k)][1] + 42
    part = decode_frames(content[:offset] + bytes(100) + content[offset + 100 :], SMALL)
    assert len(part.frames) == 2
    assert part.fault is not None
    for ours, expected in zip(part.frames, full_result.frames, strict=False):
        assert (ours == expected).all()


def test_of_a_long_animation_the_later_frames_are_named_as_unseen():
    content = gif_of_many_frames(400)
    decode_result = decode_frames(content, replace(SMALL, animation_length=300))
    assert len(decode_result.frames) == SMALL.animation_frames
    assert decode_result.fault is not None
    assert decode_result.fault.reason == "too_many_frames"
    assert decode_frames(content, replace(SMALL, animation_length=400)).fault is None


def test_an_endless_animation_takes_no_long_time():
    began = time.monotonic()
    assert len(decode_frames(gif_of_many_frames(200_000)).frames) == 8
    assert time.monotonic() - began < 5


def test_frames_that_are_claimed_and_not_there_are_not_looked_for():
    decode_result = decode_frames(png_claims_frames(2**31 - 1), SMALL)
    assert (len(decode_result.frames), decode_result.fault) == (2, None)


def with_index_of_pictures(kind: str) -> bytes:
    """A JPEG with an index (MPF) of two pictures, the second of which is gone or is a preview."""
    first, second = scene(7, 96), scene(8, 40)
    both = encoded(first, "MPO", save_all=True, append_images=[second])
    return both if kind == "whole" else both[: both.index(b"\xff\xd8\xff", 100)]


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("kind", ["whole", "outlived"])
def test_of_a_jpeg_with_further_pictures_only_the_first_is_shown(kind):
    decode_result = decode_frames(with_index_of_pictures(kind), SMALL)
    (only,) = decode_result.frames
    assert decode_result.fault is None
    assert np.abs(only.astype(int) - np.asarray(scene(7, 96))).mean() < 12


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_metadata_larger_than_the_picture_do_not_refuse_it(name):
    content = png_with(name, 60_000_000, 2, scene(3, 64))
    tracemalloc.start()
    decode_result = decode_frames(content, SMALL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (decode_result.frames[0] == np.asarray(scene(3, 64))).all()
    assert peak < 3_000_000


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
@pytest.mark.parametrize("size", [(1500, 1100), (1283, 2999), (4000, 3)])
def test_a_large_image_is_scaled_as_pillow_scales_it(mode, size):
    rgb = scene(9, 300).resize(size)
    if mode == "I;16":
        wide = np.asarray(rgb.convert("L")).astype(np.uint16) * 256
        image = Image.fromarray(wide)
    else:
        image = rgb.convert(mode)
    reference = (
        rgb
        if mode in {"RGB", "RGBA"}
        else image.convert("RGB")
        if mode != "I;16"
        else (rgb.convert("L").convert("RGB"))
    )
    reference.thumbnail((256, 256), Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = decode_image(encoded(image, "PNG"), Limits(image_side=256))
    assert max(pixels.shape) == 256
    assert abs(np.subtract(pixels.shape[:2], reference.size[::-1])).max() <= 1
    if pixels.shape[:2] == reference.size[::-1]:
        assert np.abs(pixels.astype(int) - np.asarray(reference)).mean() < 3


def test_a_still_image_is_one_frame():
    (only,) = decode_frames(encoded(scene(4), "PNG"), SMALL).frames
    assert (only == np.asarray(scene(4))).all()


def test_a_bomb_is_refused_without_taking_its_memory():
    for content in (png_that_claims(50_000, 50_000), png_that_claims(800, 800)):
        tracemalloc.start()
        assert refused(content) == "too_many_pixels"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just a text", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (bytes(200_001), "too_large"),
        (encoded(scene(5))[:3000], "truncated"),
        (encoded(scene(5), "PNG")[:5000], "truncated"),
        (encoded(scene(5), "WEBP")[:1500], "truncated"),
        (encoded(scene(5, 64), "TIFF"), "not_an_image"),
        (encoded(scene(5, 64), "PDF"), "not_an_image"),
    ],
)
def test_what_is_refused_says_why(content, reason):
    assert refused(content) == reason


def test_the_words_name_what_was_expected_and_what_came():
    with pytest.raises(MediaError, match=r"expected at most 300,000 pixels, got 900 x 700"):
        decode_image(png_that_claims(900, 700), SMALL)


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content):
    with suppress(MediaError):
        decode_frames(content, SMALL)


@settings(max_examples=120)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
)
def test_no_damaged_image_raises_anything_else(kind, length, changes):
    with suppress(MediaError):
        frames = decode_frames(damaged(ENCODED[kind], length, changes), SMALL).frames
        assert all(max(frame.shape[:2]) <= 256 for frame in frames)


ENCODED = {kind: encoded(scene(6, 48), kind) for kind in KINDS}
