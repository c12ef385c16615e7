"""Media decoded in processes of their own, so that no file can take this one's memory or time.

A few processes are started when they are first needed and used again. Each holds no environment, no
descriptor and no key of this process, and the kernel limits its memory (see `decoder_process`). One
that dies or does not answer in time is refused its medium; where no other is idle, the next one is
started at once, so that the next medium finds it ready.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from lib.moderation.media.images import Frames, check_image_bytes
from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.messages import READY, MessageError, read_frames, write_request
from lib.moderation.media.videos import SAMPLES, Clip, container_of

_MOST_PROCESSES = 4
_START_SECONDS = 60.0
_SLACK_SECONDS = 2.0
"""Of wall-clock time beyond a medium's limit, for what is sent and for a busy machine."""

_PIPE_BYTES = 1 << 20
_ROOT = Path(__file__).resolve().parents[3]


class DecoderUnavailableError(OSError):
    """No decoder process can be started."""


class DecoderPool:
    """A few decoder processes, used by any number of threads.

    Args:
        size: processes at most; further callers wait for one.
    """

    def __init__(self, size: int) -> None:
        self._turns = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._owner = os.getpid()
        self._closings = 0

    def image(self, content: bytes, limits: Limits | None = None) -> Frames:
        """The frames of an image; see `decode_frames`.

        Raises:
            MediaError: as `decode_frames`, or too_slow.
            DecoderUnavailableError: no process can be started.
        """
        limits = limits or Limits()
        check_image_bytes(content, limits)
        about, frames = self._decoded("image", content, limits, 1, limits.image_seconds)
        return Frames(tuple(frames), about["fault"])

    def video(self, content: bytes, limits: Limits | None = None, samples: int = SAMPLES) -> Clip:
        """Frames sampled from a video; see `decode_video`.

        Raises:
            MediaError: as `decode_video`.
            DecoderUnavailableError: no process can be started.
        """
        limits = limits or Limits()
        container_of(content, limits)
        about, frames = self._decoded("video", content, limits, samples, limits.decode_seconds)
        if not len(frames) == len(about["times_s"]) or len({frame.shape for frame in frames}) > 1:
            raise MediaError("broken", "expected a video that can be decoded; a decoder was misled")
        return Clip(np.stack(frames), about["times_s"], about["duration_s"])

    @property
    def is_ready(self) -> bool:
        """Whether a started process waits for a medium."""
        return any(decoder.usable for decoder in self._idle)

    def close(self) -> None:
        """End all processes that are not at work, and those that start now."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._closings += 1
        for decoder in idle:
            decoder.close()

    def _decoded(
        self, kind: str, content: bytes, limits: Limits, samples: int, seconds: float
    ) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
        with self._turns:
            decoder = self._free()
            about, frames = None, None
            try:
                about, frames = decoder.decoded(kind, content, limits, samples, seconds)
            finally:
                if about is None or about["is_last"]:
                    decoder.close()
                    self._replace()
                else:
                    self._give_back(decoder)
        if not frames:
            raise about["fault"]
        return about, frames

    def _free(self) -> _Decoder:
        with self._lock:
            if self._owner != os.getpid():  # after a fork the pipes belong to the parent
                self._idle, self._owner = [], os.getpid()
            while self._idle:
                decoder = self._idle.pop()
                if decoder.usable:
                    return decoder
                decoder.close()
        return _Decoder()

    def _give_back(self, decoder: _Decoder) -> None:
        with self._lock:
            self._idle.append(decoder)

    def _replace(self) -> None:
        """Start a decoder for the next medium, beside what goes on."""
        start = threading.Thread(
            target=self._start_one, args=(self._closings,), name="decoder start", daemon=True
        )
        start.start()

    def _start_one(self, closings: int) -> None:
        with self._turns:
            with self._lock:
                if self._idle or self._closings != closings:
                    return
            # where none can be started now, whoever needs one learns it
            with suppress(DecoderUnavailableError):
                decoder = _Decoder()
                with self._lock:
                    is_wanted = self._closings == closings
                    if is_wanted:
                        self._idle.append(decoder)
                if not is_wanted:
                    decoder.close()


class _Decoder:
    """One decoder process; used by one thread at a time."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lib.moderation.media.decoder_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                bufsize=0,
            )
        except OSError as error:
            raise DecoderUnavailableError(f"no decoder process can be started: {error}") from error
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        _widen(self._requests, self._answers)
        with self._watch(_START_SECONDS):
            greeting = self._answers.read(len(READY))
        if greeting != READY:
            self.close()
            raise DecoderUnavailableError("a decoder process ended before it was ready")

    @property
    def usable(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def decoded(
        self, kind: str, content: bytes, limits: Limits, samples: int, seconds: float
    ) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
        """The answer to one medium."""
        most = samples if kind == "video" else limits.animation_frames
        side = limits.video_side if kind == "video" else limits.image_side
        watch = self._watch(seconds + _SLACK_SECONDS)
        try:
            with watch:
                write_request(self._requests, kind, content, limits, samples, seconds)
                return read_frames(self._answers, most, side)
        except (OSError, MessageError) as error:
            if watch.fired:
                raise MediaError("too_slow", f"decoding took over {seconds:g} s") from error
            raise MediaError("broken", "a decoder process ended while it decoded this") from error

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()

    def _watch(self, seconds: float) -> _Watch:
        return _Watch(seconds, self._process)


class _Watch:
    """Kills a process that is not done in time; whoever reads from it then reads its end."""

    def __init__(self, seconds: float, process: subprocess.Popen[bytes]) -> None:
        self.fired = False
        self._process = process
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _fire(self) -> None:
        self.fired = True
        self._process.kill()


@cache
def shared_pool() -> DecoderPool:
    """The pool of this process: as many decoders as it has cores, four at most."""
    import atexit  # noqa: PLC0415 - only a process that decodes needs it

    pool = DecoderPool(min(_MOST_PROCESSES, max(1, len(os.sched_getaffinity(0)))))
    atexit.register(pool.close)
    return pool


def _environment() -> dict[str, str]:
    """What a decoder process may know: where code lies, and how to use memory sparingly."""
    paths = [str(_ROOT), *(path for path in sys.path if path)]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # memory goes back to the system after each medium
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 22),
    }


def _widen(*pipes: BinaryIO) -> None:
    """Let pipes hold more than 64 KiB, so that frames take fewer turns; Linux only."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - not on every platform

        for pipe in pipes:
            try:
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except OSError:  # a user may hold only so much in pipes
                return
