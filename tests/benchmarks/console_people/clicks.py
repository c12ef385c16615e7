"""People who click, as a process that takes no browser's share of this machine.

`python -m tests.benchmarks.console_people.clicks --url URL --keys KEYS --seconds S`: each signs in,
prints `begun`, and then takes an item, reads, decides it, and looks at home now and then. Prints
one JSON object in the end. Its niceness is 19: people's machines are not the server's.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from dataclasses import dataclass

import httpx
import tyro

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
_DECIDE = re.compile(r'<form method="post" action="([^"]*/decide)"')
_FIELD = re.compile(r'<input type="hidden" name="(token|subject_id)" value="([^"]*)"')
_HOME_EVERY = 8


@dataclass(frozen=True)
class Config:
    """People at one console."""

    url: str
    """Of its home."""
    keys: tuple[str, ...]
    """One of each person."""
    seconds: float
    """That they work."""
    think_s: float = 3.0
    """Between two clicks of a person."""
    system: str = "fraud"
    """Whose queue they decide."""


@dataclass
class Tally:
    """What they did."""

    clicks: int = 0
    decided: int = 0
    errors: int = 0


class Person:
    """One who works at the queue.

    Args:
        config: of all.
        client: their browser.
        tally: counts.
    """

    def __init__(self, config: Config, client: httpx.AsyncClient, tally: Tally) -> None:
        self._config, self._client, self._tally = config, client, tally
        self._csrf, self._base = "", f"/console/queue/{config.system}"

    async def sign_in(self, key: str) -> None:
        """Open a session."""
        form = await self._client.get("/console/sign-in")
        fields = {"csrf": _TOKEN.findall(form.text)[0], "key": key}
        answer = await self._client.post("/console/sign-in", data=fields)
        answer.raise_for_status()
        queue = await self._client.get(self._base)
        self._csrf = _TOKEN.findall(queue.text)[0]

    async def work(self, number: int, until: float) -> None:
        """Click every `think_s` seconds."""
        await asyncio.sleep(self._config.think_s * number / len(self._config.keys))
        view = await self._post(f"{self._base}/next", {})
        while time.perf_counter() < until:
            await asyncio.sleep(self._config.think_s)
            if self._tally.clicks % _HOME_EVERY == 0:
                await self._get("/console/")
            elif match := _DECIDE.search(view):
                fields = dict(_FIELD.findall(view))
                view = await self._post(match[1], {**fields, "verdict.fraud": "no"})
                self._tally.decided += 1
            else:
                view = await self._post(f"{self._base}/next", {})

    async def _get(self, path: str) -> None:
        answer = await self._client.get(path)
        self._count(answer)

    async def _post(self, path: str, fields: dict[str, str]) -> str:
        answer = await self._client.post(
            path, data={"csrf": self._csrf, **fields}, headers={"hx-request": "true"}
        )
        self._count(answer)
        return answer.text

    def _count(self, answer: httpx.Response) -> None:
        self._tally.clicks += 1
        self._tally.errors += answer.status_code != 200


async def main(config: Config) -> Tally:
    """All people at once."""
    tally = Tally()
    clients = [
        httpx.AsyncClient(
            base_url=config.url.removesuffix("/console/"), timeout=30, follow_redirects=True
        )
        for _ in config.keys
    ]
    people = [Person(config, client, tally) for client in clients]
    for person, key in zip(people, config.keys, strict=True):
        await person.sign_in(key)
    print("begun", flush=True)
    until = time.perf_counter() + config.seconds
    await asyncio.gather(*(person.work(number, until) for number, person in enumerate(people)))
    for client in clients:
        await client.aclose()
    return tally


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    result = asyncio.run(main(tyro.cli(Config, description=__doc__)))
    json.dump(vars(result), sys.stdout)
    print(flush=True)
