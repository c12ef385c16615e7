"""The queue of each system: claim the next item, decide it, undo, skip, escalate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from lib.console.posts import MODERATION, content_of, packaged_policies, policy_lines
from lib.console.queue import (
    LeasedItem,
    Reviewer,
    claim_next,
    decide_item,
    escalate_item,
    read_figures,
    release_item,
    renew_lease,
    skip_item,
    take_item,
    undo_decision,
)
from lib.records.review import Claim
from lib.records.review.transitions import SENIOR
from serve.console.console import Console, is_htmx
from serve.console.fields import read_note, read_whole
from serve.console.metrics import ACTIONS
from serve.console.service import SystemReader
from serve.console.session import Visit
from serve.framework.problem import Problem

_VERDICT = "verdict."
_ANSWERS = {"yes": True, "no": False}
_CLAIM_DIGITS = 24


async def queue(console: Console, visit: Visit) -> Response:
    """How a queue stands, and a way to its next item."""
    return await _show(console, visit, console.system(visit, "review"), None)


async def figures(console: Console, visit: Visit) -> Response:
    """How a queue stands, for the page to look again: an item never waits for the count."""
    values = await _figures(console, console.system(visit, "review"))
    return console.page(visit.request, "queue_figures.html", page="queue", **values)


async def claim(console: Console, visit: Visit) -> Response:
    """The next item."""
    return await _next(console, visit, console.system(visit, "review"))


async def take(console: Console, visit: Visit) -> Response:
    """One item by its id, as the one that the reviewer has before them."""
    system, service = console.system(visit, "review"), console.service
    item_id = visit.request.path_params["item_id"]
    item = await system.read(take_item, _reviewer(visit), item_id, service.lease_now())
    service.meter.count(ACTIONS.name, "take", "done")
    return await _show(console, visit, system, item)


async def decide(console: Console, visit: Visit) -> Response:
    """Keeps a decision, and shows the next item with a way back."""
    system, verdicts, item = console.system(visit, "review"), _verdicts(visit), _item(visit)
    await system.read(decide_item, item, verdicts, console.service.now(), read_note(visit))
    last = {"item_id": item.item_id, "token": item.token, "verdicts": verdicts}
    return await _done(console, visit, system, "decide", {**last, "subject_id": _subject(visit)})


async def undo(console: Console, visit: Visit) -> Response:
    """Takes the last decision back, within ten seconds."""
    system, service = console.system(visit, "review"), console.service
    item = await system.read(undo_decision, _item(visit), service.now(), service.lease_now())
    service.meter.count(ACTIONS.name, "undo", "done")
    return await _show(console, visit, system, item)


async def skip(console: Console, visit: Visit) -> Response:
    """Leaves an item for later, and shows the next one."""
    return await _give_back(
        console, visit, "skip", skip_item, console.service.now(), read_note(visit)
    )


async def escalate(console: Console, visit: Visit) -> Response:
    """Leaves an item to seniors, and shows the next one."""
    lease_now = console.service.lease_now()
    return await _give_back(console, visit, "escalate", escalate_item, lease_now, read_note(visit))


async def release(console: Console, visit: Visit) -> Response:
    """Gives an item back, and shows none."""
    system = await _change(console, visit, release_item, console.service.lease_now())
    return await _show(console, visit, system, None)


async def renew(console: Console, visit: Visit) -> Response:
    """Holds an item for as long as somebody looks at it."""
    await _change(console, visit, renew_lease, console.service.lease_now())
    return Response(status_code=204)


async def _give_back(
    console: Console, visit: Visit, action: str, change: Callable[..., None], *args: Any
) -> Response:
    system = await _change(console, visit, change, *args)
    return await _done(console, visit, system, action, {"subject_id": _subject(visit)})


async def _change(
    console: Console, visit: Visit, change: Callable[..., None], *args: Any
) -> SystemReader:
    """Makes a change to the item that the path names, under the lease of the form."""
    system = console.system(visit, "review")
    await system.read(change, _item(visit), *args)
    return system


async def _done(
    console: Console, visit: Visit, system: SystemReader, action: str, last: dict[str, Any]
) -> Response:
    console.service.meter.count(ACTIONS.name, action, "done")
    return await _next(console, visit, system, {"action": action, **last})


async def _next(
    console: Console, visit: Visit, system: SystemReader, last: dict[str, Any] | None = None
) -> Response:
    service = console.service
    item = await system.read(claim_next, _reviewer(visit), service.lease_now())
    return await _show(console, visit, system, item, last, is_asked=True)


async def _show(
    console: Console,
    visit: Visit,
    system: SystemReader,
    item: Claim | None,
    last: dict[str, Any] | None = None,
    is_asked: bool = False,
) -> Response:
    """The item alone for htmx, the page with it and the queue's figures otherwise."""
    name, names = system.source.system, tuple(console.service.systems)
    values = {
        "item": item,
        "last": last,
        "is_asked": is_asked,
        "system": name,
        "is_senior": _is_senior(visit),
        **_post_values(item if name == MODERATION else None, console),
    }
    if is_htmx(visit.request):
        return console.page(visit.request, "queue_view.html", page="queue", **values)
    values |= await _figures(console, system)
    names = visit.systems("review", names)
    return console.page(visit.request, "queue.html", page="queue", names=names, **values)


async def _figures(console: Console, system: SystemReader) -> dict[str, Any]:
    return {
        "figures": await system.read_shared(read_figures, console.service.now()),
        "system": system.source.system,
    }


def _post_values(item: Claim | None, console: Console) -> dict[str, Any]:
    """What a template shows of an item that is a post."""
    if item is None:
        return {"content": None}
    return {
        "content": content_of(item.shown),
        "policies": policy_lines(item.policies),
        "has_texts": item.policy_version == packaged_policies().label,
        "has_media": console.service.systems[MODERATION].source.media is not None,
    }


def _reviewer(visit: Visit) -> Reviewer:
    skills = (SENIOR,) if _is_senior(visit) else ()
    return Reviewer(
        visit.name, visit.review_key, f"console-{visit.session.id[:_CLAIM_DIGITS]}", skills
    )


def _is_senior(visit: Visit) -> bool:
    """Whether they work on items that were escalated."""
    return visit.form.get(SENIOR) == "yes"


def _verdicts(visit: Visit) -> dict[str, bool]:
    """What was decided of each policy.

    Raises:
        Problem: 422 where one is neither yes nor no, or there is none.
    """
    answers = {
        name.removeprefix(_VERDICT): value
        for name, value in visit.form.items()
        if name.startswith(_VERDICT)
    }
    if not answers or not set(answers.values()) <= _ANSWERS.keys():
        raise Problem(422, "verdicts", "Answer each question with yes or no. Nothing was changed.")
    return {name: _ANSWERS[value] for name, value in answers.items()}


def _item(visit: Visit) -> LeasedItem:
    """The item that the path names, under the lease of the form."""
    item_id = visit.request.path_params["item_id"]
    return LeasedItem(item_id, _reviewer(visit), read_whole(visit, "token"))


def _subject(visit: Visit) -> str:
    return visit.form.get("subject_id", "")
