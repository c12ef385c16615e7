"""Experiments while a process dies, the records are away, replicas differ or a share is raised."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from lib.experiment.assignment import Assignment
from tests.records.conftest import postgresql, url  # noqa: F401 - fixtures
from tests.records.server import new_database
from tests.serve.bad_challengers import loader
from tests.serve.conftest import Workspace
from tests.serve.experiments import Trials, child, now_us, trials
from tests.serve.factories import eventually, payment
from tests.serve.switched_proxy import proxied

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
USERS = [f"user-{k}" for k in range(12)]
CROWD = [f"user-{k}" for k in range(100)]


async def versions_of(app: Trials, users: list[str]) -> dict[str, str]:
    """By user, the version that decided about a payment."""
    answers = [(await app.pay(payment(user_id=user))).json() for user in users]
    return {user: str(a["model_version"]) for user, a in zip(users, answers, strict=True)}


async def test_a_process_that_dies_in_an_ab_takes_no_answer_along_and_moves_nobody(
    workspace: Workspace,
    url: str,  # noqa: F811
) -> None:
    champion, challenger = workspace.versions
    async with trials(workspace, records=url) as app:
        stored = app.start(mode="ab", share=0.99)
        await app.applied()
        drawn = Assignment(stored.key, "second", 0.99)
        users = [name for name in CROWD if drawn.arm(name) == "challenger"][: len(USERS)]
        assert set((await versions_of(app, users)).values()) == {challenger}
        os.kill(child(), signal.SIGKILL)
        during = await versions_of(app, users)
        await app.applied()
        assert set((await versions_of(app, users)).values()) == {challenger}
        rows = await app.rows(3 * len(users))
    assert set(during.values()) <= {champion, challenger}
    # who was to be decided by the challenger stays in its arm, with the fault beside it
    assert {row.arm for row in rows} == {"challenger"}
    faults = [row.fault for row in rows if row.challenger_score is None]
    assert len(faults) == list(during.values()).count(champion)
    assert None not in faults


@contextmanager
def interruptible(
    kind: str, request: pytest.FixtureRequest, folder: Path
) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Records of a kind, what takes them away, and what brings them back."""
    if kind == "sqlite":
        file = folder / "records.sqlite"
        with closing(sqlite3.connect(file, isolation_level=None)) as lock:
            yield (
                f"sqlite:///{file}",
                lambda: lock.execute("BEGIN EXCLUSIVE"),
                lambda: lock.execute("ROLLBACK"),
            )
        return
    server = request.getfixturevalue("postgresql")
    name = str(make_url(new_database(server)).database)
    with proxied(server, name) as (address, proxy):
        yield address, lambda: proxy.switch("hung"), lambda: proxy.switch("open")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_while_the_records_are_away_arms_stay_and_rows_wait(
    workspace: Workspace, request: pytest.FixtureRequest, kind: str
) -> None:
    with interruptible(kind, request, workspace.folder) as (address, away, back):
        async with trials(workspace, records=address) as app:
            app.start(mode="ab", share=0.5)
            await app.applied()
            before = await versions_of(app, USERS)
            await app.rows(len(USERS))
            away()
            during = await versions_of(app, USERS)
            assert app.service.experiments.active is not None
            back()
            rows = await app.rows(2 * len(USERS), within=90.0)
            status = await app.status()
    assert set(before.values()) == set(workspace.versions)
    assert during == before
    assert {row.fault for row in rows} == {None}
    assert status["rows_lost"] == 0


async def test_of_two_replicas_the_one_that_hears_later_moves_nobody_back(
    workspace: Workspace,
    url: str,  # noqa: F811
) -> None:
    champion, challenger = workspace.versions
    async with (
        trials(workspace, records=url) as first,
        trials(workspace, records=url, experiment_seconds=3_600.0) as second,
    ):
        stored = first.start(mode="ab", share=0.2)
        await first.applied()
        await second.service.experiments.poll()
        await second.applied()
        assert await versions_of(first, USERS) == await versions_of(second, USERS)
        with first.repository() as repository:
            repository.raise_share(stored.id, 0.7, by="test", at=now_us())
        await first.applied(share=0.7)
        later, earlier = await versions_of(first, USERS), await versions_of(second, USERS)
        # where they differ, the challenger has got more: none is decided by both in turn for long
        assert all(
            later[user] == earlier[user] or (earlier[user], later[user]) == (champion, challenger)
            for user in USERS
        )
        await second.service.experiments.poll()
        assert await versions_of(second, USERS) == later
        with first.repository() as repository:
            repository.end(stored.id, by="test", reason="over", at=now_us())
        await first.left()
        await second.service.experiments.poll()
        assert second.service.experiments.active is None
        assert set((await versions_of(second, USERS)).values()) == {champion}


async def test_a_guardrail_of_one_replica_ends_the_experiment_in_all(
    workspace: Workspace,
    url: str,  # noqa: F811
) -> None:
    watched = {"least_calls": 5, "window_s": 5.0}
    async with (
        trials(workspace, loader("Declining"), records=url) as first,
        trials(workspace, records=url) as second,
    ):
        stored = first.start(mode="ab", share=0.5, guardrails=watched)
        await first.applied()
        await second.applied()
        await first.pays_until_it_ends(stored)
        over = await second.ended(stored)
        await second.left()
    assert over.ended_by == "guardrail"


async def test_a_share_that_is_raised_under_load_moves_nobody_back_and_fails_nobody(
    workspace: Workspace,
    url: str,  # noqa: F811
) -> None:
    champion, challenger = workspace.versions
    decided: dict[str, list[str]] = {user: [] for user in USERS}
    async with trials(workspace, records=url) as app:
        stored = app.start(mode="ab", share=0.2)
        await app.applied()
        is_over = asyncio.Event()

        async def pays(user: str) -> None:
            while not is_over.is_set():
                decided[user] += (await versions_of(app, [user])).values()

        load = [asyncio.create_task(pays(user)) for user in USERS]
        for share in (0.4, 0.6, 0.8):
            with app.repository() as repository:
                repository.raise_share(stored.id, share, by="test", at=now_us())
            await app.applied(share=share)
            sent = sum(map(len, decided.values()))

            async def continued(sent: int = sent) -> bool:
                return sum(map(len, decided.values())) > sent + 2 * len(USERS)

            await eventually(continued, within=60.0)
        is_over.set()
        await asyncio.gather(*load)
    drawn = Assignment(stored.key, "second", 0.8)
    expected = {"champion": champion, "challenger": challenger}
    for user, versions in decided.items():
        assert versions == sorted(versions, key=[champion, challenger].index), user
        assert versions[-1] == expected[drawn.arm(user)]
