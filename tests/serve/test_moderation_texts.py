"""Long texts are worked on beside the event loop."""

import asyncio
import threading
import time

import pytest

from lib.concurrency.bounded_executor import SizedExecutor
from lib.moderation.text_matching.folding import fold
from tests.serve.moderation_app import moderation, published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


async def test_long_texts_are_worked_on_in_other_threads_and_short_ones_at_once():
    threads = SizedExecutor("texts", 2, 500)

    def worker(_: str) -> str:
        return threading.current_thread().name

    own_thread = threading.current_thread().name
    assert await threads.run_sized(worker, "short") == own_thread
    assert await threads.run_sized(worker, "long" * 1_000) != own_thread


async def test_texts_that_grow_when_they_are_folded_do_not_hold_the_loop(tmp_path):
    gaps, ended = [], asyncio.Event()

    async def tick() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - began)

    async with moderation(tmp_path / "a", published(tmp_path)) as app:
        ticking = asyncio.create_task(tick())
        for number, sign in enumerate("\ufdfa㌖😀"):
            body = {"post_id": f"p{number}", "author_id": "a", "text": sign * 100_000}
            await app.post("posts", body)
        ended.set()
        await ticking
    assert max(gaps) < 1.0


@pytest.mark.parametrize("sign", ["\ufdfa", "\ufdfb", "㌖", "ﬃ", "\u321d", "x"])
def test_folding_makes_a_text_six_times_as_long_at_most(sign):
    assert len(fold(sign * 10, alike=True, leet=True).text) <= 60
