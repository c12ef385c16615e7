"""What attackers send: text that no database keeps, ids that climb, items of other systems."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from urllib.parse import quote, urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import Page

from lib.moderation.media.media_store import MediaStore
from lib.records import Records
from serve.console.routes import CHANGING, READING
from serve.console.session import FORM_COOKIE
from tests.console.seeded import DECISIONS, NOW, Seeded, seed
from tests.console.seeded_payments import MAIN
from tests.records.conftest import new_database
from tests.records.review_factories import HOUR, item
from tests.serve.console.addresses import paths_of
from tests.serve.console.browsing import Served
from tests.serve.console.browsing import sign_in as sign_in_by_hand
from tests.serve.console.console_app import (
    ALL_SCOPES,
    RunningConsole,
    console,
    fields_of,
    token_of,
)

pytestmark = pytest.mark.anyio
HOME, NUL = "/console/", "a\0b"
ADDRESS = ("payment", "customer", "author", "person", "text", "plant", "before", "after", "machine")
ITEM_ACTIONS = ("take", "decide", "undo", "skip", "escalate", "release", "renew")
NUMBERS = {
    "audit": ("number", "since"),
    "payments": ("before", "amount_from", "score_to", "since"),
    "payments.csv": ("before", "amount_to"),
    "posts": ("before", "score_from"),
    "fleet": ("number",),
    "contacts": ("day",),
    "rules/fraud/compare": ("before", "after"),
    "rules/fraud/draft": ("from",),
}
"""Numbers and times in addresses."""
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_REFERENCE = re.compile(r'\s(?:href|action|formaction|hx-get|hx-post|data-renew)="([^"]*)"')


def addresses_with(text: str, pages: object, seeded: Seeded) -> list[str]:
    """Paths of pages with a text in the place of each of their parameters in turn."""
    paths = []
    for pattern in pages:  # type: ignore[attr-defined]
        for match in _PARAMETER.finditer(pattern):
            changed = pattern.replace(match[0], quote(text, safe=""))
            paths += paths_of([changed], seeded)
    return paths


@pytest.fixture
def postgresql_systems(own: Seeded, postgresql: str) -> dict[str, dict[str, str]]:
    """The systems of a console over PostgreSQL, which keeps no NUL."""
    systems = {}
    for name in DECISIONS:
        url = new_database(postgresql)
        with Records(url) as records:
            records.migrate()
        systems[name] = {"records": url, "registry": str(own.registry)}
    return systems


async def test_nul_is_refused_wherever_it_stands(
    own: Seeded, postgresql_systems: dict[str, dict[str, str]]
) -> None:
    async with console(own, systems=postgresql_systems) as running:
        browser = await running.signed_in(*ALL_SCOPES, "maintenance:label")
        token = token_of(await browser.get(HOME))
        for path in addresses_with(NUL, READING, own):
            assert (await browser.get(path)).status_code == 404, path
        for path in addresses_with(NUL, CHANGING, own):
            answer = await browser.post(path, data={"csrf": token})
            assert answer.status_code == 404, path
        for path in paths_of(READING, own):
            answer = await browser.get(path, params=dict.fromkeys(ADDRESS, NUL))
            assert answer.status_code == 422, path
        for path in paths_of(CHANGING, own):
            answer = await browser.post(path, data={"csrf": token, "item": NUL})
            assert (answer.status_code, "a NUL" in answer.text) == (422, True), path


@pytest.mark.parametrize("number", [str(2**63), "9" * 18, "1e400", "nan", "٣"])
async def test_numbers_out_of_range_are_refused_or_mean_something(
    running: RunningConsole, number: str
) -> None:
    browser = await running.signed_in(*ALL_SCOPES, "maintenance:label")
    token = token_of(await browser.get(HOME))
    for path, names in NUMBERS.items():
        for name in names:
            text = f"{number}~x" if name == "before" and "rules" not in path else number
            answer = await browser.get(f"/console/{path}", params={name: text})
            assert answer.status_code < 500, (path, name)
    fields = ("token", "label_at", "revision", "start_at", "score", "version", "cost")
    for path in paths_of(CHANGING, running.seeded):
        answer = await browser.post(path, data={"csrf": token, **dict.fromkeys(fields, number)})
        assert answer.status_code < 500, path


async def test_no_id_leads_a_link_or_form_to_another_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    seeded = seed(tmp_path_factory.mktemp("climbing") / "x", ids="x/../../contacts/{}".format)
    with seeded.source() as source:
        climbing = item(
            77, id="../../payments/victim", case_id="c77", system="fraud", subject_id="/../p",
            policies={"fraud": 0.9}, created_at=NOW, due_at=NOW + HOUR, rank_us=0,
        )  # fmt: skip
        source.records.admit([climbing], "service")
    async with console(seeded) as running:
        browser = await running.signed_in(*ALL_SCOPES)
        token = token_of(await browser.get(HOME))
        pages = [(path, await browser.get(path)) for path in paths_of(READING, seeded)]
        linked = "/console/contacts?done=done&reported=../customers/ct1/override"
        pages.append((linked, await browser.get(linked)))
        path = "/console/queue/fraud/next"
        pages.append((path, await browser.post(path, data={"csrf": token})))
    assert 'items/..%2F..%2Fpayments%2Fvictim/decide"' in pages[-1][1].text
    for path, page in pages:
        for reference in map(unescape, _REFERENCE.findall(page.text)):
            target = urlsplit(urljoin(f"http://console.test{path}", reference)).path
            assert not reference or target == (urlsplit(reference).path or target), (path, target)


async def test_an_item_of_another_system_is_not_there(own: Seeded) -> None:
    systems = {
        name: {"records": own.records("moderation"), "registry": str(own.registry)}
        for name in ("fraud", "moderation")
    }
    with own.source("moderation") as source:
        before = source.records.find_item("i1")
    async with console(own, systems=systems) as running:
        browser = await running.signed_in("fraud:read", "fraud:review")
        token = token_of(await browser.get(HOME))
        for action in ITEM_ACTIONS:
            fields = {"csrf": token, "token": "1", "verdict.hate": "yes", "verdict.fraud": "yes"}
            answer = await browser.post(f"/console/queue/fraud/items/i1/{action}", data=fields)
            assert answer.status_code == 404, action
            answer = await browser.post(f"/console/queue/moderation/items/i1/{action}", data=fields)
            assert answer.status_code == 403, action
    with own.source("moderation") as source:
        assert source.records.find_item("i1") == before


async def test_a_payment_is_decided_through_no_item_of_another(own: Seeded) -> None:
    with own.source() as source:
        before = source.records.find_item("i3")
    page = f"/console/payments/t{MAIN}"
    async with console(own) as running:
        browser = await running.signed_in(*ALL_SCOPES)
        form = fields_of(await browser.get(page), f"{page}/decide")
        for action in ("decide", "refer"):
            sent = {**form, "item": "i3", "verdict": "fraud"}
            assert (await browser.post(f"{page}/{action}", data=sent)).status_code == 404
    with own.source() as source:
        assert source.records.find_item("i3") == before


async def test_a_form_sent_many_times_at_once_acts_once(own: Seeded) -> None:
    page = f"/console/payments/t{MAIN}"
    async with console(own) as running:
        browser = await running.signed_in(*ALL_SCOPES)
        form = fields_of(await browser.get(page), f"{page}/decide") | {"verdict": "fraud"}
        sent = [browser.post(f"{page}/decide", data=form) for _ in range(6)]
        answers = await asyncio.gather(*sent)
        token = token_of(await browser.get(HOME))
        promote = f"/console/models/fraud/{own.versions[2]}/promote"
        fields = {"csrf": token, "alias": "champion", "reason": "x", "present": own.versions[1]}
        moved = await asyncio.gather(*(browser.post(promote, data=fields) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {303, 409}
    assert {answer.status_code for answer in moved} <= {303, 409}
    with own.source() as source:
        steps = [step for step in source.registry.history("fraud") if step.at >= NOW]
        assert [(step.alias, step.after) for step in steps] == [("champion", own.versions[2])]
        assert len(source.records.list_verdicts(f"t{MAIN}")) == 1


@pytest.mark.parametrize("cookie", ['"\\015\\012X: 1"', '"\\000"', "é", "a" * 4_000, "\x01", ";=;"])
async def test_a_planted_cookie_of_the_form_breaks_nothing(
    running: RunningConsole, cookie: str
) -> None:
    async with running.browser() as browser:
        headers = [(b"cookie", f"{FORM_COOKIE}={cookie}".encode("latin-1"))]
        answer = await browser.get("/console/sign-in", headers=headers)
    assert answer.status_code == 200
    assert "x" not in answer.headers
    assert all("\r" not in line for line in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize("system", ["fraud", "churn", "maintenance"])
async def test_media_are_for_those_who_review_posts(own: Seeded, system: str) -> None:
    polyglot = b"GIF89a/*\x00*/=1;alert(1);//<script>alert(1)</script>"
    digest = MediaStore(str(own.media)).keep(polyglot)
    async with console(own) as running:
        other = await running.signed_in(f"{system}:read", f"{system}:review")
        assert (await other.get(f"/console/post-media/{digest}")).status_code == 403
        reader = await running.signed_in("moderation:read")
        assert (await reader.get(f"/console/post-media/{digest}")).status_code == 403
        reviewer = await running.signed_in("moderation:read", "moderation:review")
        answer = await reviewer.get(f"/console/post-media/{digest}")
        for name in ("..%2f..%2fkeys.json", "..", digest.upper(), f"{digest}%0a", "a" * 9_000):
            address = httpx.URL(f"http://console.test/console/post-media/{name}")
            assert (await reviewer.get(address)).status_code == 404, name
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_rules_that_are_made_to_be_slow_are_refused_fast(running: RunningConsole) -> None:
    browser = await running.signed_in(*ALL_SCOPES)
    token = token_of(await browser.get(HOME))
    rule = "- id: a\n  action: REVIEW\n  reason: x\n  confidence: high\n  owner: x\n  when: "
    head = "version: 1\nrules:\n"
    texts = {
        "aliases": "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "deep": "[" * 15_000,
        "number": f"version: {'9' * 60_000}\nrules: []\n",
        "sexagesimal": f"version: {':'.join(['59'] * 10_000)}\nrules: []\n",
        "condition": head + rule + "(" * 8_000 + "amount" + ")" * 8_000,
        "operators": head + rule + " + ".join(["amount"] * 5_000) + " > 1",
        "power": head + rule + "amount > 9 ** 9 ** 9 ** 9",
        "regex": head + rule + "merchant_id =~ '(a+)+$'",
        "unicode": "\u202e\ufeff\x85" * 2_000,
        "tag": "!!python/object/apply:os.system [id]",
    }
    for name, text in texts.items():
        for action in ("validate", "backtest"):
            path = f"/console/rules/fraud/{action}"
            answer = await browser.post(path, data={"csrf": token, "text": text})
            assert answer.status_code == 200, (name, action, answer.text[:300])
            assert "fault" in answer.text, (name, action)


def test_a_text_from_right_to_left_turns_nothing_but_itself(
    shared_console: Served, page: Page
) -> None:
    sign_in_by_hand(page, shared_console, shared_console.new_key(*ALL_SCOPES, reviewers=("ann",)))
    page.goto(f"{shared_console.url}contacts?done=done&reported=%E2%80%AEabc")
    order = page.evaluate(
        """() => {
          const code = document.querySelector(".last code");
          const after = document.createRange();
          after.selectNode(code.nextSibling);
          return after.getBoundingClientRect().left - code.getBoundingClientRect().left;
        }"""
    )
    assert order > 0, "what follows the text stands on its right"
