"""What rules and models look at: media fetched, decoded and hashed, the history of an author."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from lib.concurrency.bounded_executor import BoundedExecutor, SizedExecutor
from lib.feature import AsyncProfileStore, Event, ReceiptConflictError, StoreError
from lib.moderation.author import AUTHORS, wording_key
from lib.moderation.media.decoder_pool import shared_pool
from lib.moderation.media.hashes import Near, sha256
from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.media.media_store import MediaStore
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import Pixels
from lib.moderation.post import Media, Post
from lib.moderation.prepared_post import PreparedPost, UndecodedAnswer, kept_fields
from serve.framework import Metrics, Problem
from serve.framework.profiles import ProfileRepository
from serve.moderation import metrics
from serve.moderation.active_policies import ActivePolicies
from serve.moderation.schemas import MediaUpload, PostRequest

_AT_ONCE = 4
REMOVED, RESTORED = "removed", "restored"
TEXT_THREADS = ("texts", 2, 500)
"""Of work on texts: name, calls at once, and characters that take less time than a thread."""
Storing = asyncio.Future[list[str]]


@dataclass
class _Piece:
    """One of a post's media while it is read."""

    place: str
    media: Media
    frames: tuple[Pixels, ...] = ()
    clip: Pixels | None = None
    hit: Near | None = None
    exact: bool = False
    content: bytes | None = None
    digest: str | None = None
    fault: MediaError | None = None


class PostPreparer:
    """Reads posts; at most four media at a time in one process, also of posts that were given up.

    Args:
        addresses: where media may be fetched from.
        limits: how large they may be.
        media_store: keeps them.
        active_policies: with the hashes of known media.
        meter: counts what could not be used.
    """

    def __init__(
        self,
        addresses: MediaFetcher,
        limits: Limits,
        media_store: MediaStore,
        active_policies: ActivePolicies,
        meter: Metrics,
    ) -> None:
        self._addresses, self._limits, self.media_store = addresses, limits, media_store
        self._active_policies, self._meter = active_policies, meter
        self._decoders = shared_pool()
        self._reading = BoundedExecutor("media", _AT_ONCE)
        self._storing = BoundedExecutor("shelf", _AT_ONCE)
        self._texts = SizedExecutor(*TEXT_THREADS)

    async def prepare(
        self, request: PostRequest, created_at_us: int
    ) -> tuple[PreparedPost, Storing]:
        """A request's post, decoded; broken media are told in the answer and never raise.

        Media are still being kept then, so that a slow place costs no time beside the models'; the
        second part of the answer ends when they are, or raises OSError or StorageError.
        """
        started = time.perf_counter()
        read_post, size = partial(post_of, created_at_us=created_at_us), len(request.text or "")
        post = await self._texts.run_sized(read_post, request, size)
        media_by_key = {f"images.{k}": image for k, image in enumerate(post.images)}
        media_by_key |= {"video": post.video} if post.video is not None else {}
        pieces = await asyncio.gather(*(self._piece(*entry) for entry in media_by_key.items()))
        prepared = self._observation(post, pieces, (time.perf_counter() - started) * 1000.0)
        contents = [piece.content for piece in pieces if piece.content is not None]
        keeping = [self._storing.run(self.media_store.keep, content) for content in contents]
        return prepared, asyncio.gather(*keeping)

    async def reload(self, request: Mapping[str, Any]) -> PreparedPost:
        """A post that was kept, read once more.

        Args:
            request: as `PreparedPost.row` made it.
        """
        started = time.perf_counter()
        contents = {
            key: await self._storing.run(self.media_store.read, digest)
            for key, digest in request["media"].items()
        }
        media_by_key = {key: Media(content) for key, content in contents.items() if content}
        images = tuple(media for key, media in media_by_key.items() if key != "video")
        post = Post(**kept_fields(request), images=images, video=media_by_key.get("video"))
        pieces = await asyncio.gather(*(self._piece(*entry) for entry in media_by_key.items()))
        missing = [
            _Piece(key, Media(None, "kept"), fault=MediaError("not_found", "it is not kept"))
            for key in {*request["undecoded"], *contents} - media_by_key.keys()
        ]
        return self._observation(
            post, [*pieces, *missing], (time.perf_counter() - started) * 1000.0
        )

    async def _piece(self, media_key: str, media: Media) -> _Piece:
        return await self._reading.run(self._read, _Piece(media_key, media))

    def _read(self, piece: _Piece) -> _Piece:
        try:
            kind = "video" if piece.place == "video" else "image"
            content = self._addresses.content(piece.media, kind)
            hash_list = self._active_policies.current.hashes
            if (same := hash_list.exact(content)) is not None:
                piece.hit, piece.exact = Near(same, 0), True
            piece.content, piece.digest = content, sha256(content)
            self._decode(piece, content)
            piece.hit = piece.hit or hash_list.nearest(piece.frames)
        except MediaError as error:
            piece.fault = error
        return piece

    def _decode(self, piece: _Piece, content: bytes) -> None:
        """Fills in frames; those of an animated image as training and batch scoring see them."""
        if piece.place == "video":
            piece.clip = self._decoders.video(content, self._limits).frames
            piece.frames = tuple(piece.clip)
            return
        image = self._decoders.image(content, self._limits)
        piece.frames, piece.fault = image.frames, image.fault

    def _observation(self, post: Post, pieces: list[_Piece], ms: float) -> PreparedPost:
        images = [piece.frames for piece in pieces if piece.place != "video" and piece.frames]
        clip = next((piece.clip for piece in pieces if piece.clip is not None), None)
        failed = {_modality(piece.place) for piece in pieces if piece.fault is not None}
        undecoded = []
        for piece in pieces:
            if piece.fault is not None:
                self._meter.count(metrics.UNDECODED, _modality(piece.place), piece.fault.reason)
                undecoded.append(
                    UndecodedAnswer(
                        place=piece.place, reason=piece.fault.reason, words=piece.fault.words
                    )
                )
        return PreparedPost(
            post=post,
            inputs=PostInputs(
                text=post.text,
                images=tuple(chain.from_iterable(images)),
                clip=clip,
                failed=frozenset(failed),
                image_frames=tuple(map(len, images)),
                attributes=post.attributes,
            ),
            kept={piece.place: piece.digest for piece in pieces if piece.digest is not None},
            undecoded=tuple(undecoded),
            hashes={piece.place: piece.hit for piece in pieces if piece.hit is not None},
            exact=frozenset(piece.place for piece in pieces if piece.exact),
            decode_ms=ms,
        )


def post_of(request: PostRequest, created_at_us: int) -> Post:
    """A request's post, its media not fetched yet."""
    return Post(
        post_id=request.post_id,
        author_id=request.author_id,
        created_at_us=created_at_us,
        text=request.text,
        images=tuple(_media(image) for image in request.images),
        video=None if request.video is None else _media(request.video),
        language=request.language,
        reports=request.reports,
        reach=request.reach,
        attributes=request.sent_attributes or {},
    )


def _media(sent: MediaUpload) -> Media:
    return Media(sent.content) if sent.uri is None else Media(None, sent.uri)


def _modality(media_key: str) -> str:
    return "video" if media_key == "video" else "image"


class AuthorProfiles(ProfileRepository):
    """Reads and updates histories, one exchange a post, and survives a store that is out.

    Args:
        store: where profiles are kept.
        timeout: seconds to wait for it.
        receipt_seconds: how long a post that comes again is recognised.
    """

    def __init__(self, store: AsyncProfileStore, timeout: float, receipt_seconds: int) -> None:
        super().__init__(AUTHORS, store, receipt_seconds, timeout, legacy_receipts=True)
        self._texts = SizedExecutor(*TEXT_THREADS)

    async def fetch_history(self, post: Post, content: str) -> Mapping[str, float] | None:
        """Features as they were before a post, which counts from then on, once.

        None while the store is out.

        Args:
            post: that counts.
            content: what tells it from another post under its id; empty where that is not known.

        Raises:
            Problem: 409 where the id is that of another post, of whichever replica.
        """
        try:
            return (await self.record_event(await self._event(post), content.encode())).values
        except StoreError:
            return None
        except ReceiptConflictError as error:
            raise used_id() from error

    async def record_fact(
        self, post: Post, fact: str, at_us: int, is_known: bool, revision: int
    ) -> None:
        """Lets a fact about a post, `removed` or `restored`, count; see `record_label`."""
        await self.record_label(await self._event(post), fact, at_us, is_known, revision)

    async def _event(self, post: Post) -> Event:
        """A post as the features read it."""
        return {
            "event_time": post.created_at_us,
            "post_id": post.post_id,
            "author_id": post.author_id,
            "wording_key": await self._texts.run_sized(wording_key, post.text or ""),
        }


def used_id() -> Problem:
    """The 409 for another post under a known id."""
    return Problem.conflict(
        "post_id: expected an id of its own for each post, got one that was used with other "
        "content; send an edited post under a new id, or the first one unchanged"
    )
