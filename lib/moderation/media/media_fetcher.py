"""Media fetched by URI, from listed places only.

A URI is fetched where it starts with a listed prefix, letter by letter, and nothing in it could
lead elsewhere: no user information, no `..` in any spelling, no letters beyond ASCII, no options of
a store. Redirects are never followed, wherever they lead. Files are read in the place itself, not
through links that leave it.
"""

import re
from collections.abc import Generator, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pyarrow import fs

from lib.moderation.media.fetching import HttpFetcher, StoreReader
from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.post import Media
from lib.storage import LocalStorage, Storage, StorageError, open_storage

MediaKind = Literal["image", "video"]

LONGEST_URI = 2048
"""Characters."""

_CHUNK_BYTES = 1 << 16
_PLAIN = re.compile(r"[!-\[\]-~]+")
"""What can be seen in ASCII, without the backslash."""

_HIDDEN = re.compile(r"%(?:25|2e|2f|5c|[01][0-9a-f]|7f)|%(?![0-9a-f]{2})", re.IGNORECASE)
"""Percent codes of `%`, `.`, `/`, `\\` and controls, and what is none."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class AddressError(ValueError):
    """A listed prefix that cannot be meant."""


class MediaFetcher:
    """The places from which media may be fetched.

    Args:
        prefixes: URIs that end with `/`: https:// with a host, file://, s3://, gs:// or another
            that `lib.storage` opens, there with options after a `?`. http:// is for this machine.
        limits: of bytes and seconds.

    Raises:
        AddressError: a prefix is none of these, naming it.
    """

    def __init__(self, prefixes: Iterable[str], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.prefixes = tuple(prefixes)
        self._places: dict[str, str] = {}
        for prefix in self.prefixes:
            location, _, options = prefix.partition("?")
            _check_prefix(location, options)
            self._places[location] = prefix
        self._stores: dict[str, Storage] = {}

    def prefix_of(self, uri: str) -> str:
        """The listed prefix (the longest) that a URI starts with.

        Raises:
            MediaError: address_not_allowed, for every URI that may not be fetched.
        """
        _check_uri(uri)
        fitting = [
            candidate
            for candidate in self._places
            if uri.startswith(candidate) and uri != candidate
        ]
        if not fitting:
            raise _refused("expected a URI that starts with a listed place", uri)
        location = max(fitting, key=len)
        if not location.startswith("http") and "?" in uri:
            raise _refused("expected a URI without options", uri)
        return location

    def content(self, media: Media, kind: MediaKind) -> bytes:
        """The bytes of media, fetched where they did not come with the post.

        Args:
            media: with bytes or a URI.
            kind: says which limit holds.

        Raises:
            MediaError: address_not_allowed, not_found, not_fetched, too_large, too_slow or empty.
        """
        if media.content is not None:
            return media.content
        return self.fetch(media.source, kind)

    def fetch(self, uri: str, kind: MediaKind) -> bytes:
        """The bytes behind a URI; refusals as in `content`."""
        location = self.prefix_of(uri)
        most = self.limits.image_bytes if kind == "image" else self.limits.video_bytes
        if location.startswith(("https://", "http://")):
            content = self._http.fetch(
                uri, partial(_check_answer, most=most), partial(_check_size, most=most)
            )
        else:
            content = self._reader.read(lambda: self._stored(location, uri, most))
        if not content:
            raise MediaError("empty", f"expected {kind} bytes behind {uri[:200]}, got none")
        return content

    def close(self) -> None:
        """Close the connections that are kept open for further fetches."""
        for name in ("_http", "_reader"):
            if name in self.__dict__:
                getattr(self, name).close()
                del self.__dict__[name]

    @cached_property
    def _http(self) -> HttpFetcher:
        return HttpFetcher(self.limits.fetch_seconds)

    @cached_property
    def _reader(self) -> StoreReader:
        return StoreReader(self.limits.fetch_seconds)

    def _stored(self, location: str, uri: str, most: int) -> Generator[bytes, None, None]:
        try:
            storage = self._store(location)
            path = storage.at(uri[len(location) :])
            if isinstance(storage, LocalStorage):
                path = _inside(Path(storage.at()), Path(path), uri)
            info = storage.filesystem.get_file_info(path)
            if info.type != fs.FileType.File:
                raise MediaError("not_found", f"there is no file {uri[:200]}")
            _check_size(info.size or 0, most)
            size = 0
            with storage.filesystem.open_input_stream(path) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    size += len(chunk)
                    _check_size(size, most)
                    yield bytes(chunk)
        except (OSError, StorageError, ImportError) as error:
            message = f"{type(error).__name__} at {uri[:200]}"
            raise MediaError("not_fetched", message) from error

    def _store(self, location: str) -> Storage:
        if location not in self._stores:
            self._stores[location] = open_storage(self._places[location])
        return self._stores[location]


def _check_prefix(location: str, options: str) -> None:
    parts = urlsplit(location)
    if not parts.scheme or "://" not in location or not location.endswith("/"):
        raise AddressError(f"prefix: expected SCHEME://PLACE/ with / at its end, got {location!r}")
    try:
        _check_uri(location)
    except MediaError as error:
        raise AddressError(f"prefix: {error.words}") from error
    if not location.startswith(("https://", "http://")):
        return
    if not parts.hostname or options:
        raise AddressError(f"prefix: expected a host and no options, got {location!r}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise AddressError(f"prefix: expected https, http is for this machine, got {location!r}")


def _check_uri(uri: str) -> None:
    """Refuse what readers of URIs do not all read alike, and all that leads upwards."""
    if len(uri) > LONGEST_URI:
        raise _refused(f"expected a URI of at most {LONGEST_URI} characters", uri)
    if not _PLAIN.fullmatch(uri):
        raise _refused("expected a URI in ASCII without spaces", uri)
    if "#" in uri or _HIDDEN.search(uri):
        raise _refused("expected a URI without #, and no hidden characters in it", uri)
    scheme, mark, rest = uri.partition("://")
    host, _, path = rest.partition("?")[0].partition("/")
    if not mark or scheme != scheme.lower() or "@" in host:
        raise _refused("expected scheme://place without a user's name", uri)
    if any(part in {".", ".."} for part in path.split("/")) or "//" in path:
        raise _refused("expected a path without ., .. and empty parts", uri)


def _refused(message: str, uri: str) -> MediaError:
    return MediaError("address_not_allowed", f"{message}, got {uri[:200]!r}")


def _check_answer(answer: httpx.Response, uri: str, most: int) -> None:
    if answer.is_redirect or 300 <= answer.status_code < 400:
        raise _refused("expected media, not a redirect", uri)
    if answer.status_code in {404, 410}:
        raise MediaError("not_found", f"there is nothing at {uri[:200]}")
    if answer.status_code != 200:
        raise MediaError("not_fetched", f"status {answer.status_code} from {uri[:200]}")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise MediaError("not_fetched", f"expected plain bytes from {uri[:200]}, got compressed")
    length = answer.headers.get("content-length", "")
    _check_size(int(length) if length.isdecimal() else 0, most)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise MediaError("too_large", f"expected at most {most:,} bytes, got {size:,} or more")


def _inside(root: Path, path: Path, uri: str) -> str:
    """The real path of a file, which links may not lead out of its place."""
    real = path.resolve()
    if not real.is_relative_to(root.resolve()):
        raise _refused("expected a file in its place, not a link out of it", uri)
    return str(real)
