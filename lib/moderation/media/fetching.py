"""Bytes from elsewhere within a total time, however slowly they come."""

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from lib.moderation.media.limits import MediaError

CheckAnswer = Callable[[httpx.Response, str], None]
CheckSize = Callable[[int], None]

_STORES_AT_ONCE = 8


class HttpFetcher:
    """Fetches by HTTP; the connection of a fetch that takes too long is closed.

    Connections are kept for further fetches. They are worked on by one thread, which starts with
    the first fetch.

    Args:
        seconds: of a fetch, from the first byte sent to the last one received.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # proxies of the environment would be places that nobody listed
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=seconds)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._thread.start()

    def fetch(self, uri: str, check: CheckAnswer, check_size: CheckSize) -> bytes:
        """The body of the answer; blocks.

        Args:
            uri: to GET.
            check: refuses an answer by its status and headers.
            check_size: refuses a number of bytes.

        Raises:
            MediaError: too_slow, not_fetched, or what the checks raise.
        """
        work = self._fetched(uri, check, check_size)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Close all connections and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _fetched(self, uri: str, check: CheckAnswer, check_size: CheckSize) -> bytes:
        # as it is: a compressed answer could be a bomb
        headers = {"accept-encoding": "identity"}
        gathered = bytearray()
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("GET", uri, headers=headers) as answer,
            ):
                check(answer, uri)
                async for chunk in answer.aiter_raw():
                    check_size(len(gathered) + len(chunk))
                    gathered += chunk
        except (TimeoutError, httpx.TimeoutException) as error:
            message = f"fetching took over {self._seconds:g} s from {uri[:200]}"
            raise MediaError("too_slow", message) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"{type(error).__name__} from {uri[:200]}"
            raise MediaError("not_fetched", message) from error
        return bytes(gathered)


class StoreReader:
    """Reads from stores, each read in a thread that is left behind when it takes too long.

    A store that hangs holds its thread, eight at most, and nothing else.

    Args:
        seconds: of a read.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(_STORES_AT_ONCE, thread_name_prefix="store")

    def read(self, chunks: Callable[[], Generator[bytes, None, None]]) -> bytes:
        """All chunks together; blocks.

        Raises:
            MediaError: too_slow, or what reading raises.
        """
        given_up = threading.Event()
        future: Future[bytes] = self._threads.submit(_joined, chunks, given_up)
        try:
            return future.result(self._seconds)
        except TimeoutError as error:
            future.cancel()
            raise MediaError("too_slow", f"fetching took over {self._seconds:g} s") from error
        finally:
            given_up.set()

    def close(self) -> None:
        """Drop what has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _joined(chunks: Callable[[], Generator[bytes, None, None]], given_up: threading.Event) -> bytes:
    gathered = bytearray()
    for chunk in chunks():
        if given_up.is_set():
            break
        gathered += chunk
    return bytes(gathered)
