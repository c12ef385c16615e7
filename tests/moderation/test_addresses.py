"""Media are fetched from listed places, and from nowhere else by any trick."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.media_fetcher import AddressError, MediaFetcher
from lib.moderation.post import Media
from tests.moderation.media_server import serving

SMALL = Limits(image_bytes=1000, video_bytes=5000, fetch_seconds=1)
CDN = "https://cdn.example.com/media/"
LISTED = MediaFetcher([CDN, "file:///srv/media/", "s3://bucket/media/"], SMALL)


def refused(addresses: MediaFetcher, uri: str, kind: str = "image") -> str:
    began = time.monotonic()
    with pytest.raises(MediaError) as caught:
        addresses.fetch(uri, kind)
    assert time.monotonic() - began < 5
    return caught.value.reason


@pytest.mark.parametrize(
    "uri",
    [
        "https://cdn.example.com/other/a.png",
        "https://cdn.example.com/media",
        "https://cdn.example.com/media/",
        "https://cdn.example.com.evil.example/media/a.png",
        "https://cdn.example.com@evil.example/media/a.png",
        "https://evil.example/https://cdn.example.com/media/a.png",
        "https://cdn.example.com:8443/media/a.png",
        "http://cdn.example.com/media/a.png",
        "HTTPS://cdn.example.com/media/a.png",
        "https://CDN.example.com/media/a.png",
        "https://cdn.example.com/media/../secret",
        "https://cdn.example.com/media/./a.png",
        "https://cdn.example.com/media/%2e%2e/secret",
        "https://cdn.example.com/media/%2E%2E%2Fsecret",
        "https://cdn.example.com/media/%252e%252e/secret",
        "https://cdn.example.com/media/..%5csecret",
        "https://cdn.example.com/media/\\..\\secret",
        "https://cdn.example.com/media/a.png#x",
        "https://cdn.example.com/media//evil.example/a.png",
        "https://cdn.example.com/media/a\nHost: evil",
        "https://cdn.example.com/media/%0d%0aHost:evil",
        "https://cdn.example.com/media/%zz",
        "https://cdn.exаmple.com/media/a.png",
        "https://xn--cdn-example.com/media/a.png",
        " https://cdn.example.com/media/a.png",
        "https:/cdn.example.com/media/a.png",
        "//cdn.example.com/media/a.png",
        "file:///srv/media/../../etc/passwd",
        "file:///srv/media/%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
        "file://srv/media/a.png",
        "/srv/media/a.png",
        "s3://bucket/media/a.png?endpoint_override=evil.example",
        "s3://user:pass@bucket/media/a.png",
        "s3://bucket/media/../private/a.png",
        "data:image/png;base64,AAAA",
        "gopher://cdn.example.com/media/",
        "",
        "https://cdn.example.com/media/" + "a" * 3000,
    ],
)
def test_what_is_not_in_a_listed_place_is_refused(uri):
    assert refused(LISTED, uri) == "address_not_allowed"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (CDN + "2026/a%20b.png?signature=a/b..c&x=@y", CDN),
        ("s3://bucket/media/a..b.png", "s3://bucket/media/"),
        ("file:///srv/media/a.png", "file:///srv/media/"),
    ],
)
def test_what_is_in_a_listed_place_is_allowed(uri, place):
    assert LISTED.prefix_of(uri) == place


@given(st.text(max_size=60))
def test_whatever_follows_a_place_never_leads_out_of_it(rest):
    try:
        assert LISTED.prefix_of("file:///srv/media/" + rest) == "file:///srv/media/"
    except MediaError as error:
        assert error.reason == "address_not_allowed"  # noqa: PT017
    else:
        assert os.path.normpath("/srv/media/" + rest).startswith("/srv/media/")


def test_media_come_over_http_without_following_redirects():
    with serving() as server:
        at = f"http://127.0.0.1:{server.server_port}"
        addresses = MediaFetcher([f"{at}/media/"], SMALL)
        assert addresses.fetch(f"{at}/media/good", "image") == b"pixels"
        assert addresses.content(Media(None, f"{at}/media/good?a=1"), "video") == b"pixels"
        assert addresses.content(Media(b"mine"), "video") == b"mine"
        server.requested_paths.clear()
        for kind, reason in {
            "to_outside": "address_not_allowed",
            "to_inside": "address_not_allowed",
            "missing": "not_found",
            "error": "not_fetched",
            "none": "empty",
            "gzip": "not_fetched",
            "liar": "too_large",
            "silent": "too_slow",
            "slow": "too_slow",
        }.items():
            assert refused(addresses, f"{at}/media/{kind}") == reason, kind
        assert refused(addresses, f"{at}/secret") == "address_not_allowed"
        assert all(path.startswith("/media/") for path in server.requested_paths)
        assert len(server.requested_paths) == 9
        addresses.close()


@contextmanager
def dripping(content: bytes, seconds: float) -> Iterator[int]:
    """The port of a server that sends a byte each so many seconds, for ever again."""
    ended = threading.Event()

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            for k in range(1_000):
                if ended.wait(seconds):
                    return
                connection.sendall(content[k % len(content) :][:1])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    "content", [b"HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaa\r\n", b"X", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_server_that_drips_its_answer_is_given_up_in_time(content):
    limits = replace(SMALL, fetch_seconds=0.4)
    with dripping(content, 0.02) as port:
        at = f"http://127.0.0.1:{port}/media/"
        with closing(MediaFetcher([at], limits)) as addresses:
            began = time.monotonic()
            assert refused(addresses, f"{at}a.png") in {"too_slow", "not_fetched"}
            assert time.monotonic() - began < 2


def test_a_store_that_hangs_is_given_up_in_time(monkeypatch):
    addresses = MediaFetcher(["memory://bucket/media/"], replace(SMALL, fetch_seconds=0.3))
    release = threading.Event()

    def hang(*_: object) -> Iterator[bytes]:
        release.wait(20)
        yield b"late"

    monkeypatch.setattr(addresses, "_stored", hang)
    for _ in range(10):  # more than there are threads
        assert refused(addresses, "memory://bucket/media/a.png") == "too_slow"
    release.set()
    addresses.close()


def test_an_endless_answer_is_cut_at_the_limit():
    with serving() as server:
        at = f"http://127.0.0.1:{server.server_port}/media/"
        with closing(MediaFetcher([at], SMALL)) as addresses:
            assert refused(addresses, f"{at}endless", "video") == "too_large"
        # what lies in buffers on the way is sent, too
        assert server.sent < 20_000_000


def test_a_closed_port_is_no_answer():
    with serving() as server:
        at = f"http://127.0.0.1:{server.server_port}/media/"
    with closing(MediaFetcher([at], SMALL)) as addresses:
        assert refused(addresses, f"{at}good") == "not_fetched"


def test_files_are_read_in_their_place_only(tmp_path):
    folder = tmp_path / "media"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "a.png").write_bytes(b"pixels")
    (folder / "large.png").write_bytes(bytes(1001))
    (folder / "empty.png").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret")
    (folder / "inner.png").symlink_to(folder / "2026" / "a.png")
    os.mkfifo(folder / "pipe.png")
    addresses = MediaFetcher([f"file://{folder}/"], SMALL)
    assert addresses.fetch(f"file://{folder}/2026/a.png", "image") == b"pixels"
    assert addresses.fetch(f"file://{folder}/inner.png", "image") == b"pixels"
    for name, reason in {
        "large.png": "too_large",
        "empty.png": "empty",
        "link.png": "address_not_allowed",
        "2026": "not_found",
        "pipe.png": "not_found",
        "absent.png": "not_found",
    }.items():
        assert refused(addresses, f"file://{folder}/{name}") == reason, name
    assert len(addresses.fetch(f"file://{folder}/large.png", "video")) == 1001


def test_objects_are_read_from_a_store():
    from fsspec.implementations.memory import MemoryFileSystem  # noqa: PLC0415

    store = MemoryFileSystem()
    store.pipe("/bucket/media/a.png", b"pixels")
    store.pipe("/bucket/media/large.png", bytes(1001))
    store.pipe("/bucket/private.png", b"secret")
    addresses = MediaFetcher(["memory://bucket/media/"], SMALL)
    assert addresses.fetch("memory://bucket/media/a.png", "image") == b"pixels"
    assert refused(addresses, "memory://bucket/media/large.png") == "too_large"
    assert refused(addresses, "memory://bucket/media/absent.png") == "not_found"
    assert refused(addresses, "memory://bucket/private.png") == "address_not_allowed"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("https://cdn.example.com", "expected SCHEME://PLACE/ with / at its end"),
        ("/srv/media/", "expected SCHEME://PLACE/"),
        ("https:///media/", "expected a host and no options"),
        ("https://cdn.example.com/?a=b", "expected a host and no options"),
        ("https://me@cdn.example.com/", "without a user's name"),
        ("http://cdn.example.com/", "expected https, http is for this machine"),
        ("https://cdn.example.com/a/../", "expected a path without"),
    ],
)
def test_a_prefix_that_cannot_be_meant_is_refused(prefix, message):
    with pytest.raises(AddressError, match=message):
        MediaFetcher([prefix])


def test_nothing_is_listed_and_nothing_is_fetched():
    assert refused(MediaFetcher([]), "https://cdn.example.com/media/a.png") == "address_not_allowed"
