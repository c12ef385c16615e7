"""Signing in: keys, names, slowed attempts, and where one lands afterwards."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie

import httpx
import pytest

from lib.access import revoke_key
from serve.console.console import local_path
from serve.console.session import FORM_COOKIE, SESSION_COOKIE
from serve.console.sign_in import SignInThrottle, address_of
from tests.console.seeded import STORED_SCRIPT, Seeded
from tests.serve.console.console_app import RunningConsole, console, post, sign_in, token_of

pytestmark = pytest.mark.anyio
SECOND = 1_000_000
WRONG = f"fw_{'0' * 12}_{'1' * 64}"


def cookie(answer: httpx.Response, name: str) -> str:
    """A `Set-Cookie` of an answer."""
    (header,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(name)]
    return header


async def test_a_key_that_is_bound_to_one_name_signs_in_as_that(running: RunningConsole) -> None:
    async with running.browser() as browser:
        answer = await sign_in(browser, running.new_key(reviewers=("ann",)))
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
        home = await browser.get("/console/")
    assert home.status_code == 200
    assert '<span class="name"' in home.text
    assert "ann</span>" in home.text


async def test_the_cookie_is_the_servers_alone(lived: Seeded) -> None:
    async with console(lived, https=True) as running, running.browser() as browser:
        browser.base_url = httpx.URL("https://console.test")
        answer = await sign_in(browser, running.new_key(reviewers=("ann",)))
    parts = SimpleCookie(cookie(answer, SESSION_COOKIE))[SESSION_COOKIE]
    assert parts["httponly"]
    assert parts["secure"]
    assert parts["samesite"] == "strict"
    assert parts["path"] == "/console"
    assert len(parts.value) >= 43
    assert answer.headers["strict-transport-security"]


async def test_a_key_of_several_names_asks_which(running: RunningConsole) -> None:
    async with running.browser() as browser:
        answer = await sign_in(browser, running.new_key(reviewers=("ann", "bob")))
        assert answer.headers["location"] == "/console/name?next=%2Fconsole%2F"
        assert (await browser.get("/console/")).headers["location"].startswith("/console/name")
        assert ">bob <kbd>" in (await browser.get("/console/name")).text
        refused = await post(browser, "/console/name", "/console/name", name="eve")
        assert refused.status_code == 403
        chosen = await post(browser, "/console/name", "/console/name", name="bob")
        assert chosen.status_code == 303
        assert "bob</span>" in (await browser.get("/console/")).text


async def test_a_key_without_names_takes_any_and_it_is_escaped(running: RunningConsole) -> None:
    async with running.browser() as browser:
        await sign_in(browser, running.new_key())
        assert (await post(browser, "/console/name", "/console/name", name="")).status_code == 422
        await post(browser, "/console/name", "/console/name", name=STORED_SCRIPT)
        home = await browser.get("/console/")
    assert home.status_code == 200
    assert STORED_SCRIPT not in home.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</span>" in home.text


@pytest.mark.parametrize("key", [WRONG, "", "fw_", "nonsense", "\x00", "fw_" + "9" * 500, "é"])
async def test_a_wrong_key_gets_the_same_answer(lived: Seeded, key: str) -> None:
    async with console(lived) as running, running.browser() as browser:
        answer = await sign_in(browser, key)
    assert answer.status_code == 401
    assert "This is not a valid key" in answer.text
    assert SESSION_COOKIE not in answer.cookies


async def test_a_key_that_opens_no_page_says_so(running: RunningConsole) -> None:
    async with running.browser() as browser:
        answer = await sign_in(browser, running.new_key("fraud:score"))
    assert answer.status_code == 403
    assert "none of its scopes opens a page" in answer.text


async def test_a_revoked_key_neither_signs_in_nor_goes_on(running: RunningConsole) -> None:
    key = running.new_key(reviewers=("ann",))
    async with running.browser() as browser:
        await sign_in(browser, key)
        assert (await browser.get("/console/")).status_code == 200
        revoke_key(running.seeded.folder / "keys.json", key.split("_")[1], running.clock.now)
        running.clock.now += 2 * SECOND
        ended = await browser.get("/console/models/fraud?x=1")
        assert ended.status_code == 303
        assert ended.headers["location"] == (
            "/console/sign-in?why=ended&next=%2Fconsole%2Fmodels%2Ffraud%3Fx%3D1"
        )
        assert "Your session has ended" in (await browser.get(ended.headers["location"])).text
        assert (await sign_in(browser, key)).status_code == 401


async def test_failed_sign_ins_wait_by_address_and_by_key(lived: Seeded) -> None:
    async with console(lived, sign_in_failures=3) as running:
        right = running.new_key(reviewers=("ann",))
        wrong = right[:-4] + "0000"
        async with running.browser() as browser:
            statuses = [(await sign_in(browser, wrong)).status_code for _ in range(4)]
            slowed = await sign_in(browser, right)
        assert statuses == [401, 401, 401, 429]
        assert slowed.status_code == 429, "also the right secret waits"
        assert int(slowed.headers["retry-after"]) == 2
        async with running.browser(client=("10.9.9.9", 1)) as elsewhere:
            assert (await sign_in(elsewhere, wrong)).status_code == 429, "by key"
            other = running.new_key(reviewers=("bob",))
            assert (await sign_in(elsewhere, other)).status_code == 303
            running.clock.now += 3 * SECOND
            assert (await sign_in(elsewhere, right)).status_code == 303
    text = (lived.folder / "console.jsonl").read_text()
    assert '"sign_in":"slowed"' in text
    assert right[16:] not in text
    assert wrong[16:] not in text


async def test_nobody_locks_the_owner_of_a_key_out(lived: Seeded) -> None:
    async with console(lived, sign_in_failures=2) as running:
        right = running.new_key(reviewers=("ann",))
        async with running.browser(client=("203.0.113.9", 1)) as attacker:
            for _ in range(12):
                await sign_in(attacker, right[:-4] + "0000")
                running.clock.now += 60 * SECOND
            await sign_in(attacker, right[:-4] + "0000")
            assert (await sign_in(attacker, right[:-4] + "0000")).status_code == 429
            async with running.browser() as owner:
                assert (await sign_in(owner, right)).status_code == 303
            assert (await sign_in(attacker, right)).status_code == 429, "its address waits"


def test_waits_double_to_a_minute_and_are_forgotten() -> None:
    throttle, now, waits = SignInThrottle(2), 0, []
    for _ in range(9):
        throttle.failed(["address a"], now)
        waits.append(throttle.wait_s(["address a"], now))
        now += waits[-1] * SECOND
    assert waits == [0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert throttle.wait_s(["address a", "address b"], now) == 0
    throttle.failed(["address a"], now + 901 * SECOND)
    assert throttle.wait_s(["address a"], now + 901 * SECOND) == 0


def test_the_throttle_remembers_no_more_than_it_has_room_for() -> None:
    throttle = SignInThrottle(1)
    for number in range(10_050):
        throttle.failed([f"address {number}"], number)
    assert throttle.wait_s(["address 0"], 10_050) == 0
    assert throttle.wait_s(["address 10049"], 10_050) > 0


@pytest.mark.parametrize(
    ("header", "proxies", "address"),
    [
        ("", 1, "peer"),
        ("10.0.0.1", 1, "10.0.0.1"),
        ("forged, 10.0.0.1", 1, "10.0.0.1"),
        ("forged, 10.0.0.1, 10.0.0.2", 2, "10.0.0.1"),
        ("10.0.0.1", 2, "peer"),
        ("10.0.0.1", 0, "peer"),
    ],
)
def test_an_address_is_what_our_own_proxies_saw(header: str, proxies: int, address: str) -> None:
    assert address_of({"x-forwarded-for": header}, "peer", proxies) == address


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "/console//evil.example",
        "/console/\\..", "javascript:alert(1)", "/fraud/docs", "/console/../fraud/docs",
        "/console/\r\nx: y", "/consoles/", "", "/console/\u202e",
    ],
)  # fmt: skip
async def test_sign_in_leads_nowhere_else(lived: Seeded, target: str) -> None:
    assert local_path(target) == "/console/"
    async with console(lived) as running, running.browser() as browser:
        answer = await sign_in(browser, running.new_key(reviewers=("ann",)), next=target)
    assert answer.headers["location"] == "/console/"


async def test_sign_in_leads_back_to_the_page(running: RunningConsole) -> None:
    async with running.browser() as browser:
        asked_page = await browser.get("/console/audit?person=ann&kind=model")
        form = await browser.get(asked_page.headers["location"])
        key = running.new_key(reviewers=("ann",))
        target = "/console/audit?person=ann&kind=model"
        assert f'name="next" value="{target.replace("&", "&amp;")}"' in form.text
        answer = await browser.post(
            "/console/sign-in", data={"csrf": token_of(form), "key": key, "next": target}
        )
    assert answer.headers["location"] == target


async def test_the_sign_in_form_must_be_of_this_browser(running: RunningConsole) -> None:
    key = running.new_key(reviewers=("ann",))
    async with running.browser() as browser, running.browser() as other:
        foreign = token_of(await other.get("/console/sign-in"))
        await browser.get("/console/sign-in")
        for token in ("", foreign, "0" * 64):
            data = {"csrf": token, "key": key}
            assert (await browser.post("/console/sign-in", data=data)).status_code == 403
        browser.cookies.delete(FORM_COOKIE)
        data = {"csrf": "", "key": key}
        assert (await browser.post("/console/sign-in", data=data)).status_code == 403


async def test_a_planted_session_is_not_taken_over(running: RunningConsole) -> None:
    attacker = await running.signed_in(name="eve")
    planted = attacker.cookies[SESSION_COOKIE]
    async with running.browser() as browser:
        browser.cookies.set(SESSION_COOKIE, planted, domain="console.test", path="/console")
        page = await browser.get("/console/sign-in")
        answer = await browser.post(
            "/console/sign-in",
            data={"csrf": token_of(page), "key": running.new_key(reviewers=("ann",))},
        )
        assert answer.status_code == 303
        fresh = SimpleCookie(cookie(answer, SESSION_COOKIE))[SESSION_COOKIE].value
    assert fresh != planted
    ended = await attacker.get("/console/")
    await attacker.aclose()
    assert ended.status_code == 303, "the planted session ended, and is not ann's"


async def test_sign_ins_are_in_the_log_without_secrets(lived: Seeded) -> None:
    async with console(lived) as running, running.browser() as browser:
        key = running.new_key(reviewers=("ann",))
        answer = await sign_in(browser, key)
        secret = SimpleCookie(cookie(answer, SESSION_COOKIE))[SESSION_COOKIE].value
        meter = running.service.meter.text()
    text = (lived.folder / "console.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert any(
        line.get("sign_in") == "signed in" and line["key_id"] == key.split("_")[1] for line in lines
    )
    assert key.split("_")[2] not in text
    assert secret not in text
    assert 'forewarn_console_sign_ins_total{outcome="signed in"} 1.0' in meter
