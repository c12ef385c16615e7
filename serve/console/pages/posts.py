"""Posts: search, one post with what matched in it, and its media."""

from __future__ import annotations

from starlette.responses import Response

from lib.console.decision_search import DecisionFilter
from lib.console.post_appeal import appeal_post
from lib.console.posts import (
    MODERATION,
    MOST_EXPORTED,
    posts_csv,
    read_post,
    read_posts,
)
from lib.console.queue import Reviewer
from lib.console.source import SystemSource
from lib.storage import StorageError
from serve.console.console import Console
from serve.console.fields import (
    read_bounds,
    read_key,
    read_query,
    read_span,
    require_reason,
    set_fields,
)
from serve.console.metrics import ACTIONS
from serve.console.rendering import path_segment
from serve.console.service import SystemReader
from serve.console.session import Visit
from serve.framework.problem import Problem

_ROWS = 50
_DECISIONS = ("ALLOW", "REVIEW", "REMOVE", "PENDING")
_FIELDS = ("post", "author", "decision", "since", "until", "score_from", "score_to")
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
"""How images begin that a browser shows; nothing else is shown."""
_NOT_SHOWN = "This medium is not kept here, or is none that can be shown."


async def posts(console: Console, visit: Visit) -> Response:
    """What a search finds."""
    system, fields = _system(console, visit), _fields(visit)
    before = read_key(visit)
    part = await system.read(read_posts, _sought(fields), _ROWS, before, visit.name)
    return console.page(
        visit.request,
        "posts.html",
        page="posts",
        part=part,
        fields=fields,
        filters=set_fields(fields),
        decisions=_DECISIONS,
        is_first=before is None,
        older=None if part.after is None else f"{part.after[0]}~{part.after[1]}",
    )


async def export(console: Console, visit: Visit) -> Response:
    """What a search finds as CSV, the newest 5,000 posts at most."""
    system = _system(console, visit)
    part = await system.read(
        read_posts, _sought(_fields(visit)), MOST_EXPORTED, read_key(visit), visit.name
    )
    return await console.download_csv("posts", posts_csv, part.posts)


async def post(console: Console, visit: Visit) -> Response:
    """One post with what speaks for and against it."""
    system = _system(console, visit)
    shown = await system.read(read_post, visit.request.path_params["post_id"], visit.name)
    if shown is None:
        raise Problem.not_found("No decision is recorded about this post. Check its id.")
    waiting = shown.post.waiting
    is_free = waiting is not None and not waiting.is_with_another(visit.name, console.service.now())
    return console.page(
        visit.request,
        "post.html",
        page="posts",
        shown=shown,
        is_free=is_free,
        may_review=visit.may(MODERATION, "review"),
        may_appeal=visit.may(MODERATION, "label"),
        has_media=system.source.media is not None,
    )


async def appeal(console: Console, visit: Visit) -> Response:
    """Takes the appeal of a post's author in."""
    system = console.system(visit, "label", MODERATION)
    post_id = visit.request.path_params["post_id"]
    reviewer, statement = Reviewer(visit.name, visit.review_key, ""), require_reason(visit)
    is_new = await system.read(appeal_post, reviewer, post_id, statement, console.service.now())
    console.service.meter.count(ACTIONS.name, "appeal", "done" if is_new else "known")
    done = "appealed" if is_new else "appealed-before"
    return console.redirect(f"/posts/{path_segment(post_id)}", done=done)


async def medium(console: Console, visit: Visit) -> Response:
    """An image of a post, for those who review; the page blurs it until it is asked for."""
    system = console.system(visit, "review", MODERATION)
    content = await system.read(_read_medium, visit.request.path_params["digest"])
    kind = next((kind for begin, kind in _IMAGES if (content or b"").startswith(begin)), None)
    if content is not None and content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    if content is None or kind is None:
        raise Problem.not_found(_NOT_SHOWN)
    return Response(content, media_type=kind)


def _read_medium(source: SystemSource, digest: str) -> bytes | None:
    try:
        return None if source.media is None else source.media.read(digest)
    except StorageError:
        return None


def _system(console: Console, visit: Visit) -> SystemReader:
    return console.system(visit, "read", MODERATION)


def _fields(visit: Visit) -> dict[str, str]:
    return read_query(visit, _FIELDS)


def _sought(fields: dict[str, str]) -> DecisionFilter:
    """The filter that an address describes.

    Raises:
        Problem: 422 for what is no day, number or decision.
    """
    if fields["decision"] and fields["decision"] not in _DECISIONS:
        raise Problem(422, "decision", f"Choose one of {', '.join(_DECISIONS)}.")
    return DecisionFilter(
        subject_id=fields["post"] or None,
        entity_id=fields["author"] or None,
        decision=fields["decision"] or None,
        score=read_bounds(fields, "score"),
        **read_span(fields),
    )
