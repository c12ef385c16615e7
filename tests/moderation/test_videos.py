"""Videos are sampled over their whole length, or refused quickly and in bounded memory."""

import resource
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.videos import decode_video
from tests.moderation.hostile_media import damaged
from tests.moderation.media_factories import (
    at_times,
    brightening,
    encoded,
    no_frames,
    pictures_of_another_size,
    scene,
    sound,
    two_tracks,
    video,
)

SMALL = Limits(
    video_bytes=300_000,
    video_pixels=200_000,
    video_seconds=10,
    video_frames=300,
    video_side=64,
    decode_seconds=5,
)


def refused(content: bytes, limits: Limits = SMALL) -> str:
    began = time.monotonic()
    with pytest.raises(MediaError) as caught:
        decode_video(content, limits)
    assert time.monotonic() - began < 3
    return caught.value.reason


@pytest.mark.parametrize(
    ("codec", "container", "kept"),
    [
        ("libx264", "mp4", {}),
        ("libx264", "mov", {}),
        ("libx264", "matroska", {"g": "10"}),
        ("libvpx-vp9", "webm", {"cpu-used": "8", "deadline": "realtime"}),
        ("mpeg4", "mp4", {"g": "12", "bf": "2"}),
        ("mpeg4", "avi", {"g": "12"}),
        ("mjpeg", "avi", {}),
    ],
)
def test_frames_are_spread_over_the_whole_video(codec, container, kept):
    clip = decode_video(video(brightening(50), 25, codec, container, **kept), SMALL, samples=10)
    assert clip.frames.shape == (10, 64, 64, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.duration_s == pytest.approx(2.0, abs=0.05)
    assert clip.times_s == pytest.approx(np.arange(10) * 0.2 + 0.08, abs=0.05)
    # frame k is grey of 4 * k, so what is seen says when it was shown
    assert clip.frames.mean(axis=(1, 2, 3)) == pytest.approx(clip.times_s * 25 * 4, abs=5)


def test_a_far_key_frame_is_decoded_from_there():
    long = video(brightening(60), 10, g="7", bf="3", sc_threshold="0")
    for samples in (1, 3, 60):
        clip = decode_video(long, SMALL, samples)
        assert len(clip.frames) == samples
        assert (np.diff(clip.times_s) > 0).all()
        assert clip.frames.mean(axis=(1, 2, 3)) == pytest.approx(clip.times_s * 10 * 4, abs=5)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_that_falsely_call_themselves_keys_hide_nothing(codec):
    """Players go through from the start; whoever jumped in anywhere would see other pictures."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)] * 10
    few_keys = {"g": "60", "bf": "0", "sc_threshold": "1000000000" if codec == "mpeg4" else "0"}
    honest = video(noise + brightening(40), codec=codec, **few_keys)
    lying = honest.replace(b"stss", b"free")  # without the list of keys all are taken for one
    assert lying != honest
    assert (decode_video(lying, SMALL).frames == decode_video(honest, SMALL).frames).all()


def test_a_video_shorter_than_the_samples_gives_each_frame_once():
    clip = decode_video(video(brightening(5)), SMALL, samples=16)
    assert len(clip.frames) == 5
    assert clip.times_s == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_a_single_frame_is_a_video_without_length():
    clip = decode_video(video(brightening(1)), SMALL)
    assert clip.frames.shape == (1, 64, 64, 3)
    assert (clip.times_s, clip.duration_s) == (0.0, 0.0)


def test_what_is_shown_long_is_seen_though_it_is_few_frames():
    """Ninety frames within the first second and ten over the other nine."""
    early = [k / 100 for k in range(90)]
    late = [float(k) for k in range(1, 10)]
    frames = [np.full((64, 64, 3), 20, np.uint8)] * 90 + [np.full((64, 64, 3), 220, np.uint8)] * 9
    clip = decode_video(at_times(frames, early + late), SMALL, samples=10)
    assert (clip.frames.mean(axis=(1, 2, 3)) > 200).sum() >= 8


def turned(content: bytes, matrix: tuple[int, ...]) -> bytes:
    """The video with another display matrix of its track."""
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    offset = content.index(plain, content.index(b"tkhd"))
    return content[:offset] + struct.pack(">9i", *matrix) + content[offset + 36 :]


def test_a_video_is_turned_as_its_player_turns_it():
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[:, :16] = 255  # the left quarter is white
    unit = 1 << 16
    clockwise = turned(video([frame] * 3), (0, unit, 0, -unit, 0, 0, 32 * unit, 0, 1 << 30))
    frames = decode_video(clockwise, SMALL).frames
    assert frames.shape == (3, 64, 32, 3)
    assert frames[:, :10].min() > 230
    assert frames[:, 22:].max() < 25


def test_a_second_track_of_pictures_hides_nothing():
    assert refused(two_tracks()) == "broken"


def test_large_frames_are_scaled_down_to_the_longer_side():
    wide = [np.full((120, 240, 3), 99, np.uint8)] * 3
    clip = decode_video(video(wide), SMALL)
    assert clip.frames.shape == (3, 32, 64, 3)
    assert abs(clip.frames.astype(int) - 99).max() <= 3


def playlist() -> bytes:
    return b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"a text that somebody named holiday.mp4", "not_a_video"),
        (playlist(), "not_a_video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_a_video"),
        (encoded(scene(1, 32)), "not_a_video"),
        (bytes(300_001), "too_large"),
        (sound(), "no_frames"),
        (no_frames(), "no_frames"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(12) + b"a text behind a good start", "broken"),
        (video([np.zeros((400, 600, 3), np.uint8)]), "too_many_pixels"),
        (video(brightening(20), rate=1), "too_long"),
        (video(brightening(60) * 6, rate=60), "too_many_frames"),
    ],
)
def test_what_is_refused_says_why(content, reason):
    assert refused(content) == reason


def test_a_header_that_lies_about_its_size_is_not_believed():
    content = bytearray(video([np.zeros((128, 128, 3), np.uint8)] * 2))
    offset = content.rindex(b"avc1") + 28
    assert content[offset : offset + 4] == bytes([0, 128, 0, 128])
    content[offset : offset + 4] = b"\xff\xff\xff\xff"
    before = peak()
    assert decode_video(bytes(content), SMALL).frames.shape == (2, 64, 64, 3)
    assert peak() - before < 30_000_000


def test_a_bomb_is_refused_without_taking_its_memory():
    """Frames of one colour in 4K: a few kilobytes, 25 megabytes a frame once decoded."""
    bomb = video([np.zeros((2160, 3840, 3), np.uint8)] * 4, preset="ultrafast")
    assert len(bomb) < 100_000
    before = peak()
    assert refused(bomb) == "too_many_pixels"
    assert peak() - before < 30_000_000


def peak() -> int:
    """Bytes of memory that the process had at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_frames_that_outgrow_their_header_are_refused():
    large = encoded(scene(2, 1000))
    assert refused(pictures_of_another_size(64, large)) in {"too_many_pixels", "broken"}
    fitting = pictures_of_another_size(64, encoded(scene(2, 128)))
    assert decode_video(fitting, SMALL).frames.shape == (3, 64, 64, 3)


def test_a_stream_that_takes_too_long_is_given_up():
    content = video(brightening(60) * 3, rate=30)
    assert refused(content, Limits(decode_seconds=1e-6)) == "too_slow"


def test_a_stream_without_end_is_cut_at_the_limit_of_frames():
    content = video(brightening(60), container="matroska")
    cluster = content[content.index(b"\x1f\x43\xb6\x75") :]
    endless = content + cluster * 40
    assert refused(endless, Limits(video_frames=300, decode_seconds=5)) == "too_many_frames"


def test_samples_below_one_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="samples: expected at least 1, got 0"):
        decode_video(b"x", SMALL, samples=0)


STARTS = (b"", b"\x00\x00\x00\x18ftyp", b"\x1aE\xdf\xa3", b"RIFF\x00\x01\x00\x00AVI ")
ENCODED = {
    "mp4": video(brightening(20), g="5"),
    "webm": video(brightening(8), codec="libvpx-vp9", container="webm"),
    "avi": video(brightening(20), codec="mpeg4", container="avi"),
}


@settings(max_examples=60)
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_no_bytes_raise_anything_else(start, content):
    with pytest.raises(MediaError):
        decode_video(start + content, SMALL)


@settings(max_examples=120)
@given(
    st.sampled_from(tuple(ENCODED)),
    st.integers(0, 20_000),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=5),
)
def test_no_damaged_video_raises_anything_else(kind, length, changes):
    with suppress(MediaError):
        clip = decode_video(damaged(ENCODED[kind], length, changes), SMALL)
        assert 1 <= len(clip.frames) == len(clip.times_s) <= 16
        assert (np.diff(clip.times_s) > 0).all()
