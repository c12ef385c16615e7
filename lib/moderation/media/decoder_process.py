"""A process that decodes media and holds nothing else: no keys, no files, little memory.

It reads requests from its standard input and writes frames to its standard output, both as
`messages` describes, until the input ends. Memory and CPU time are limited by the kernel for each
request, so a file that misleads a decoder costs this process at most.
"""

import math
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, Image

from lib.concurrency.process_memory import address_space
from lib.moderation.media.images import Frames, decode_frames
from lib.moderation.media.limits import Limits, MediaError
from lib.moderation.media.messages import READY, read_request, write_frames
from lib.moderation.media.videos import Clip, decode_video

_KEPT_BYTES = 48 << 20
"""Memory that may stay allocated after a request; more ends the process after its answer."""

_DESCRIPTORS = 16
_NO_CLIP = Clip(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0), 0.0)


def main() -> None:
    """Serve requests until the standard input ends."""
    # an interrupt from the keyboard is for the program that started this
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _prepare()
    base = address_space()
    answers.write(READY)
    answers.flush()
    while (request := read_request(requests)) is not None:
        about, content = request
        most = _limit(base, about, len(content))
        is_last = _answer(about, content, answers, most)
        answers.flush()
        if is_last:
            break
        del request, content


def _prepare() -> None:
    """Load all decoders, then give up files, core dumps and further descriptors."""
    Image.init()
    # a decoder's threads would take memory for their stacks
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
    ):
        resource.setrlimit(limit, (most, most))


def _limit(base: int, about: Mapping[str, Any], size: int) -> int:
    """Let one request take its memory beyond the input, and its seconds of CPU time.

    Returns:
        Bytes of address space above which the process should end after the answer.
    """
    copies = 2 if about["kind"] == "video" else 1
    if base:
        most = base + copies * size + int(about["limits"]["decode_memory"])
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime + about["seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    return base + copies * size + _KEPT_BYTES


def _answer(about: Mapping[str, Any], content: bytes, answers: BinaryIO, most: int) -> bool:
    """Decode and write the answer; whether it is the last one of this process."""
    clip, image = _NO_CLIP, Frames(())
    try:
        limits = Limits(**about["limits"])
        if about["kind"] == "video":
            clip = decode_video(content, limits, about["samples"])
            image = Frames(tuple(clip.frames))
        else:
            image = decode_frames(content, limits)
    except MediaError as error:
        image = Frames((), error)
    is_last = address_space() > most
    times = clip.times_s if len(clip.times_s) else None
    write_frames(answers, image.frames, times, clip.duration_s, image.fault, is_last)
    return is_last


if __name__ == "__main__":
    main()
