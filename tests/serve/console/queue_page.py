"""A reviewer at a queue of the console."""

from __future__ import annotations

import re

import httpx

from tests.serve.console.console_app import REVIEWING, RunningConsole, token_of

_TITLE = re.compile(r'id="item-title"[^>]*>([^<]*)<')
_TOKEN = re.compile(r'name="token" value="(\d+)"')
_ITEM = re.compile(r"/items/([^/]+)/decide")


class QueuePage:
    """One reviewer at the queue of a system, as htmx asks for it.

    Attributes:
        answer: the last one.
    """

    def __init__(self, browser: httpx.AsyncClient, csrf: str, system: str = "fraud") -> None:
        self._browser, self._csrf, self._base = browser, csrf, f"/console/queue/{system}"
        self.answer: httpx.Response

    @classmethod
    async def of(
        cls, running: RunningConsole, name: str = "ann", system: str = "fraud"
    ) -> QueuePage:
        """The page of somebody who signs in."""
        browser = await running.signed_in(*REVIEWING, name=name)
        return cls(browser, token_of(await browser.get("/console/")), system)

    async def ask(self, path: str, **fields: str) -> str:
        """What a press of a button shows."""
        headers = {"HX-Request": "true", "X-CSRF-Token": self._csrf}
        self.answer = await self._browser.post(self._base + path, data=fields, headers=headers)
        return self.answer.text

    async def act(self, action: str, **fields: str) -> str:
        """What a button of the item before them shows."""
        path = f"/items/{self.item_id}/{action}"
        return await self.ask(path, token=self.token, subject_id=self.subject, **fields)

    @property
    def subject(self) -> str:
        """What the item before them is about."""
        return self._find(_TITLE)

    @property
    def item_id(self) -> str:
        """The item before them."""
        return self._find(_ITEM)

    @property
    def token(self) -> str:
        """Of its lease."""
        tokens = _TOKEN.findall(self.answer.text.partition('id="item-title"')[2])
        return tokens[0]

    def _find(self, pattern: re.Pattern[str]) -> str:
        match = pattern.search(self.answer.text)
        assert match, self.answer.text
        return match[1]
