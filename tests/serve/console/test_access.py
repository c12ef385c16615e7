"""Who may do what: sessions that end, forged forms, scopes, headers, static files."""

from __future__ import annotations

import re

import httpx
import pytest

from serve.console.routes import CHANGING, READING
from serve.console.session import SESSION_COOKIE
from serve.console.static_files import StaticFiles
from tests.console.seeded import EXPERIMENT, STORED_SCRIPT, Seeded, script_id, seed
from tests.serve.console.addresses import paths_of
from tests.serve.console.console_app import (
    ALL_SCOPES,
    RunningConsole,
    console,
    post,
    sign_in,
    token_of,
)
from tests.serve.console.console_app import READING as READ_ALL

pytestmark = pytest.mark.anyio
MINUTE = 60_000_000
HOME = "/console/"


async def test_no_page_is_shown_without_a_session(running: RunningConsole) -> None:
    async with running.browser() as browser:
        for path in paths_of(READING, running.seeded):
            answer = await browser.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/sign-in?next=")
            assert answer.content == b""
        for path in paths_of(CHANGING, running.seeded):
            answer = await browser.post(path, data={"csrf": "0" * 64})
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")


async def test_a_session_ends_when_it_is_idle_and_when_it_is_old(lived: Seeded) -> None:
    async with console(lived, session_minutes=30.0, session_hours=1.0) as running:
        browser = await running.signed_in()
        for _ in range(2):
            running.clock.now += 25 * MINUTE
            assert (await browser.get(HOME)).status_code == 200
        running.clock.now += 25 * MINUTE
        assert (await browser.get(HOME)).status_code == 303
        idle = await running.signed_in()
        running.clock.now += 31 * MINUTE
        ended = await idle.get(HOME)
        assert ended.status_code == 303
        assert f'{SESSION_COOKIE}=""' in ended.headers["set-cookie"]


async def test_what_a_page_asks_for_by_itself_lets_no_session_last(own: Seeded) -> None:
    async with console(own, session_minutes=30.0) as running:
        browser = await running.signed_in(*ALL_SCOPES)
        claimed = await post(browser, HOME, "/console/queue/fraud/next")
        renew = re.search(r'data-renew="([^"]+)" data-token="([0-9]+)"', claimed.text)
        assert renew
        form = {"csrf": token_of(claimed), "token": renew[2]}
        for _ in range(2):
            running.clock.now += 14 * MINUTE
            for path in ("/console/home/fraud", "/console/queue/fraud/figures"):
                assert (await browser.get(path)).status_code == 200
            assert (await browser.post(renew[1], data=form)).status_code in (204, 409)
        running.clock.now += 3 * MINUTE
        assert (await browser.get("/console/home/fraud")).status_code == 303


async def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(
    running: RunningConsole,
) -> None:
    async with running.browser(headers={"HX-Request": "true"}) as browser:
        answer = await browser.get("/console/home/fraud")
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/console/sign-in"


async def test_a_link_from_another_site_is_asked_for_again_from_here(
    running: RunningConsole,
) -> None:
    async with running.browser() as browser:
        foreign = await browser.get("/console/audit", headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 200
        assert '<meta http-equiv="refresh" content="0">' in foreign.text
        again = await browser.get("/console/audit", headers={"Sec-Fetch-Site": "same-origin"})
        assert again.status_code == 303


async def test_sign_out_ends_the_session_for_good(running: RunningConsole) -> None:
    browser = await running.signed_in()
    secret = browser.cookies[SESSION_COOKIE]
    token = token_of(await browser.get(HOME))
    answer = await browser.post("/console/sign-out", data={"csrf": token})
    assert answer.headers["location"] == "/console/sign-in?why=left"
    browser.cookies.set(SESSION_COOKIE, secret, domain="console.test", path="/console")
    assert (await browser.get(HOME)).status_code == 303, "the secret is worth nothing any more"
    replayed = await browser.post("/console/sign-out", data={"csrf": token})
    assert replayed.headers["location"].startswith("/console/sign-in")


async def test_a_form_must_carry_the_token_of_its_session(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READ_ALL, "admin")
        other = await running.signed_in(*READ_ALL, "admin", name="eve")
        foreign = token_of(await other.get(HOME))
        before = own.source
        for path in paths_of(CHANGING, own):
            for token in ("", "0" * 64, foreign, token_of(await admin.get(HOME)).upper() + "0"):
                fields = {"csrf": token, "alias": "champion", "reason": "x"}
                answer = await admin.post(path, data=fields)
                assert answer.status_code == 403, path
                assert "Nothing was changed" in answer.text
        with before() as source:
            assert source.registry.aliases("fraud")["champion"] == own.versions[1]
            assert source.records.running("fraud") is not None


async def test_the_token_may_come_in_the_header_that_htmx_sends(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READ_ALL, "admin")
        token = token_of(await admin.get(HOME))
        answer = await admin.post(
            f"/console/experiments/{EXPERIMENT}/stop",
            data={"reason": "enough"},
            headers={"X-CSRF-Token": token},
        )
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_forms_of_other_sites_are_refused(
    running: RunningConsole, headers: dict[str, str]
) -> None:
    browser = await running.signed_in()
    token = token_of(await browser.get(HOME))
    answer = await browser.post("/console/sign-out", data={"csrf": token}, headers=headers)
    assert answer.status_code == 403
    assert (await browser.get(HOME)).status_code == 200


async def test_pages_follow_the_scopes_of_the_key(running: RunningConsole) -> None:
    browser = await running.signed_in("churn:read")
    home = (await browser.get(HOME)).text
    assert 'id="card-churn"' in home
    assert 'id="card-fraud"' not in home
    for path in ("/home/fraud", "/models/fraud", f"/experiments/{EXPERIMENT}"):
        answer = await browser.get("/console" + path)
        assert answer.status_code == 403
        assert "lacks the scope fraud:read" in answer.text
    assert (await browser.get("/console/audit?system=fraud")).status_code == 403
    assert "fraud" not in (await browser.get("/console/audit.csv")).text
    assert (await browser.get("/console/models/unknown")).status_code == 404


async def test_buttons_and_actions_need_the_scope_admin(own: Seeded) -> None:
    async with console(own) as running:
        reader, admin = await running.signed_in(), await running.signed_in(*READ_ALL, "admin")
        model, experiment = (
            f"/console/models/fraud/{own.versions[2]}",
            f"/console/experiments/{EXPERIMENT}",
        )
        for page, action in ((model, "promote"), (model, "rollback"), (experiment, "stop")):
            assert "<details>" not in (await reader.get(page)).text
            assert "<details>" in (await admin.get(page)).text
            fields = {"alias": "champion", "reason": "because"}
            refused = await post(reader, HOME, f"{page}/{action}", **fields)
            assert refused.status_code == 403
            assert "lacks the scope admin" in refused.text
        with own.source() as source:
            assert source.registry.aliases("fraud")["champion"] == own.versions[1]
            assert source.records.running("fraud") is not None


async def test_an_administrator_of_nothing_else_reads_nothing(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in("admin")
        assert "no scope SYSTEM:read" in (await admin.get(HOME)).text
        path = f"/console/models/fraud/{own.versions[2]}/promote"
        refused = await post(admin, HOME, path, alias="champion", reason="because")
        assert refused.status_code == 403


async def test_every_answer_tells_the_browser_what_to_refuse(running: RunningConsole) -> None:
    browser = await running.signed_in()
    paths = [*paths_of(READING, running.seeded), "/console/nothing", "/console/sign-in"]
    answers = [await browser.get(path) for path in paths]
    answers.append(await browser.post("/console/sign-out", data={}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]


INLINE = re.compile(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", re.IGNORECASE)
REFERENCE = re.compile(r'(?:src|href|action)="([^"]*)"')


async def test_pages_hold_no_inline_code_and_name_nothing_elsewhere(
    running: RunningConsole,
) -> None:
    browser = await running.signed_in(*ALL_SCOPES)
    for path in paths_of(READING, running.seeded):
        text = (await browser.get(path)).text
        if path.endswith(".csv"):
            continue
        assert INLINE.search(text) is None, path
        assert all(name.startswith(("/console", "#")) for name in REFERENCE.findall(text)), path


async def test_stored_scripts_are_text_on_every_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    seeded = seed(tmp_path_factory.mktemp("scripts") / "x", ids=script_id)
    with seeded.source() as source:
        registry, by = source.registry, f"{STORED_SCRIPT} (key 0123456789ab)"
        registry.set_alias(
            "fraud", "challenger", seeded.versions[0], at=1, by=by, reason=STORED_SCRIPT
        )
        source.records.end(EXPERIMENT, by=STORED_SCRIPT, reason=STORED_SCRIPT, at=2)
    async with console(seeded) as running:
        browser = await running.signed_in(*ALL_SCOPES)
        page = await post(browser, HOME, "/console/queue/fraud/next")
        assert "&lt;img src=x onerror" in page.text
        assert "<img src=x" not in page.text
        paths = [*paths_of(READING, seeded), f"/console/audit?person={STORED_SCRIPT}&action=%22%3E"]
        shown = 0
        for path in paths:
            answer = await browser.get(path)
            if answer.headers.get("content-type", "").startswith(("text/csv", "text/calendar")):
                assert answer.headers["content-disposition"].startswith("attachment")
                continue
            assert "<script>alert" not in answer.text, path
            assert "<img src=x" not in answer.text, path
            shown += "&lt;script&gt;alert" in answer.text
    assert shown >= 4


@pytest.mark.parametrize(
    "name",
    [
        "console.css", "../templates/base.html", "..%2Ftemplates%2Fbase.html", "%2e%2e/settings.py",
        "....//settings.py", "console.css%00.js", "README.md", "/etc/passwd", "..\\settings.py",
        "~root", "",
    ],
)  # fmt: skip
async def test_no_path_reaches_the_file_system(running: RunningConsole, name: str) -> None:
    async with running.browser() as browser:
        answer = await browser.get(httpx.URL(f"http://console.test/console/static/{name}"))
    assert answer.status_code == 404


async def test_static_files_are_kept_for_ever_by_their_content(running: RunningConsole) -> None:
    files = StaticFiles()
    async with running.browser() as browser:
        for plain, kind in {"console.css": "text/css", "htmx-2.min.js": "text/javascript"}.items():
            answer = await browser.get(f"/console/static/{files.name(plain)}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_is_no_form_is_refused(running: RunningConsole) -> None:
    browser = await running.signed_in()
    for body, status in ((b"\xff\xfe", 400), (b"no form", 400), (b"x=1&" * 40_000, 413)):
        answer = await browser.post("/console/sign-out", content=body)
        assert answer.status_code == status
        assert "Request id" in answer.text


async def test_a_form_may_be_as_long_as_the_body_of_its_endpoint(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*ALL_SCOPES)
        text = "# é\n" * 25_000
        checked = await post(admin, HOME, "/console/rules/fraud/validate", text=text)
        assert checked.status_code == 200, checked.text
        ids = {f"payment.{number}": f"{number}-{'é' * 200}" for number in range(150)}
        stated = await post(admin, HOME, "/console/payment-statements", effect="ab" * 16, **ids)
        assert stated.status_code == 409, stated.text
        longer = await post(admin, HOME, "/console/rules/fraud/validate", text="#" * 400_000)
        noted = await post(admin, HOME, "/console/fleet/x/note", note="#" * 70_000)
        assert {longer.status_code, noted.status_code} == {413}


async def test_two_sessions_of_one_key_are_two(running: RunningConsole) -> None:
    key = running.new_key(reviewers=("ann",))
    async with running.browser() as first, running.browser() as second:
        await sign_in(first, key)
        await sign_in(second, key)
        assert first.cookies[SESSION_COOKIE] != second.cookies[SESSION_COOKIE]
        await post(first, HOME, "/console/sign-out")
        assert (await second.get(HOME)).status_code == 200
