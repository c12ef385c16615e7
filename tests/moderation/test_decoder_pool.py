"""Media are decoded in processes that hold no secrets, take bounded memory, and are replaced."""

import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.moderation.media import decoder_pool
from lib.moderation.media.decoder_pool import DecoderPool, shared_pool
from lib.moderation.media.images import decode_frames
from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.messages import MessageError, read_frames, write_frames
from lib.moderation.media.sample_tables import check_sample_tables
from lib.moderation.media.videos import decode_video
from tests.moderation.hostile_media import bombs, containers, mp4_with_table, small_images
from tests.moderation.media_factories import brightening, encoded, scene, video

MB = 1 << 20
# a decoder of 3840 x 2160 holds up to 150 MB of pictures
MOST_GROWTH = 200 * MB


@pytest.fixture
def pool():
    decoder = DecoderPool(1)
    decoder.image(encoded(scene(1, 32)))
    yield decoder
    decoder.close()


def process_of(pool: DecoderPool) -> int:
    """The id of the idle process of a pool."""
    return pool._idle[0]._process.pid


def memory(pid: int, field: str) -> int:
    """Bytes of `VmHWM` (most so far) or `VmRSS` of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def kill_at_work(pool: DecoderPool) -> int:
    """Kill a decoder that decodes a large image; the id of its process."""
    large = encoded(Image.new("RGB", (5_600, 5_600)), "PNG", compress_level=1)
    victim = pool._idle[0]._process
    killer = threading.Timer(0.1, victim.kill)
    killer.start()
    with pytest.raises(MediaError, match="broken: a decoder process ended"):
        pool.image(large)
    killer.join()
    return victim.pid


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_frames_are_those_that_a_decoder_in_this_process_gives(pool, kind):
    content = encoded(scene(2, 300), kind)
    ours, pool_result = decode_frames(content), pool.image(content)
    assert pool_result.fault is None
    assert (pool_result.frames[0] == ours.frames[0]).all()


def test_a_clip_is_the_one_that_a_decoder_in_this_process_gives(pool):
    content = video(brightening(30), g="5")
    ours, pool_result = decode_video(content, samples=7), pool.video(content, samples=7)
    assert (pool_result.frames == ours.frames).all()
    assert (pool_result.times_s == ours.times_s).all()
    assert pool_result.duration_s == ours.duration_s


def test_a_refusal_says_the_same_as_in_this_process(pool):
    for content, decode in ((b"text", pool.image), (b"text", pool.video), (b"", pool.image)):
        with pytest.raises(MediaError, match=r"not_an_image|not_a_video|empty"):
            decode(content)
    before = process_of(pool)
    with pytest.raises(MediaError, match="truncated"):
        pool.image(encoded(scene(5))[:3000])
    assert process_of(pool) == before


def test_a_process_gets_no_secret_and_no_descriptor(pool, monkeypatch, tmp_path):
    pool.close()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    with (tmp_path / "keys").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        pool.image(encoded(scene(1, 32)))
        pid = process_of(pool)
        opened = [str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    assert b"hush" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert len(opened) == 3
    assert not any("keys" in path for path in opened)


def test_a_process_that_dies_is_replaced(pool):
    first = process_of(pool)
    pool._idle[0]._process.kill()
    pool._idle[0]._process.wait()
    assert len(pool.image(encoded(scene(1, 32))).frames) == 1
    assert process_of(pool) != first


def test_a_medium_that_kills_its_decoder_is_refused_and_the_next_one_is_decoded(pool):
    kill_at_work(pool)
    assert len(pool.image(encoded(scene(1, 32))).frames) == 1


def test_a_medium_that_takes_too_long_is_given_up(pool, monkeypatch):
    monkeypatch.setattr(decoder_pool, "_SLACK_SECONDS", 0.0)
    large = encoded(Image.new("RGB", (5_600, 5_600)), "PNG", compress_level=1)
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"too_slow: decoding took over 0\.05 s"):
        pool.image(large, Limits(image_seconds=0.05))
    assert time.monotonic() - began < 5


def test_a_decoder_gets_no_more_memory_than_the_limit_says(pool):
    large = encoded(scene(1, 64).resize((4_000, 4_000)), "PNG", compress_level=1)
    before = memory(process_of(pool), "VmRSS")
    with pytest.raises(MediaError, match="too_large: decoding takes more memory"):
        pool.image(large, Limits(decode_memory=30 * MB))
    assert memory(process_of(pool), "VmHWM") - before < 40 * MB
    assert pool.image(large).frames[0].shape == (640, 640, 3)


def test_many_threads_share_few_processes():
    pool = DecoderPool(2)
    contents = [encoded(scene(seed, 40), "PNG") for seed in range(40)]
    with ThreadPoolExecutor(8) as threads:
        decoded = list(threads.map(pool.image, contents))
    assert len(pool._idle) <= 2
    for content, result in zip(contents, decoded, strict=True):
        assert (result.frames[0] == decode_frames(content).frames[0]).all()
    pool.close()


def test_this_process_has_one_pool():
    assert shared_pool() is shared_pool()


def assert_bounded(pool: DecoderPool, media) -> None:
    for bomb in media:
        usual = memory(process_of(pool), "VmRSS")
        began = time.monotonic()
        with suppress(MediaError):
            getattr(pool, bomb.kind)(bomb.content)
        if pool._idle:  # a process that keeps too much memory ends after its answer
            grown = memory(process_of(pool), "VmHWM") - usual
            assert grown < MOST_GROWTH, f"{bomb.name}: {grown / MB:.0f} MB"
            if grown > 20 * MB:
                pool.close()
        assert time.monotonic() - began < 15, bomb.name
        assert len(pool.image(encoded(scene(1, 32))).frames) == 1


def test_small_bombs_take_bounded_memory_and_time(pool):
    quick = (container for container in containers() if "mkv" not in container.name)
    assert_bounded(pool, chain(islice(quick, 0, None, 4), small_images()))


@pytest.mark.slow
def test_all_bombs_take_bounded_memory_and_time(pool):
    media = list(bombs())
    assert len(media) >= 40
    assert_bounded(pool, media)


@pytest.mark.parametrize("table", [b"stsz", b"ctts", b"co64", b"elst"])
def test_counts_of_tables_are_read_before_an_index_is_built(table):
    with pytest.raises(MediaError, match="too_many_frames: expected tables of at most 500,000"):
        check_sample_tables(mp4_with_table(table, 1_000_000))
    check_sample_tables(mp4_with_table(table, 1_000))
    check_sample_tables(video(brightening(20)))


ANSWER = {"shapes": [[1, 1, 3]], "times_s": [], "duration_s": 0.0, "fault": None, "is_last": False}


@pytest.mark.parametrize(
    "about",
    [
        json.dumps(ANSWER | {"shapes": [[100_000, 100_000, 3]]}),
        json.dumps(ANSWER | {"shapes": [[1, 1, 3]] * 3}),
        json.dumps(ANSWER | {"shapes": []}),
        json.dumps(ANSWER | {"times_s": [1.0, 2.0]}),
        json.dumps(ANSWER | {"fault": "x"}),
        "{}",
        "[" * 5_000,
        "nothing",
    ],
)
def test_a_decoder_is_not_believed(about):
    stream = io.BytesIO(len(about).to_bytes(4, "big") + about.encode() + bytes(20))
    with pytest.raises(MessageError):
        read_frames(stream, 2, 64)


def test_frames_that_end_early_are_no_frames():
    stream = io.BytesIO()
    write_frames(stream, [np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(MessageError, match="expected 48 bytes, got 38"):
        read_frames(io.BytesIO(stream.getvalue()[:-10]), 2, 64)


def test_after_a_decoder_died_at_work_another_one_waits_for_the_next_medium(pool):
    killed = kill_at_work(pool)
    ends = time.monotonic() + 30
    while not pool.is_ready and time.monotonic() < ends:
        time.sleep(0.02)
    assert process_of(pool) != killed
