"""A drain in a process of its own, asked by lines of JSON; see `lib.records.drain_process`."""

import functools
import os
import signal
import sys
import time
from pathlib import Path

from lib.records.drain_process import END
from lib.records.draining import DrainOutcome, drain
from lib.records.errors import RecordsUnavailableError, RefusedRowsError
from lib.records.json_codec import read_json, write_json
from lib.records.records import Records

_DEATH_SECONDS = 0.5
_NICENESS = 5  # a third of an answering process's share where cores are short, never none


def main() -> None:
    """Drain once for every line of stdin, and once more when whoever writes them has ended."""
    # a Ctrl-C reaches the whole terminal; the one who started us says when it is over
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    started = read_json(sys.stdin.buffer.readline())
    with Records(started["records"]) as records:
        migrate = functools.cache(records.migrate)  # once it has succeeded

        def drained() -> DrainOutcome:
            migrate()
            return drain(Path(started["directory"]), records)

        for line in sys.stdin.buffer:
            if line == END:
                break
            try:
                _say({"outcome": vars(drained())})
            except BrokenPipeError:
                break
            except Exception as error:  # told, and tried again at the next line
                _say({"error": _described(error)})
        else:
            # it died: its pipe may be closed an instant before its segment is given up
            time.sleep(_DEATH_SECONDS)
        drained()


def _say(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(write_json(answer) + b"\n")
    sys.stdout.buffer.flush()


def _described(error: Exception) -> str:
    """The error without values of rows, which others' messages may quote."""
    kind = type(error).__name__
    if isinstance(error, RecordsUnavailableError | RefusedRowsError):
        return f"{kind}: {error}"
    if isinstance(error, OSError):
        return f"{kind}: {error.strerror}"
    return kind


if __name__ == "__main__":
    try:
        main()
    except Exception as stopped:  # the last drain: its decisions stay on the disk
        sys.exit(f"error: {_described(stopped)}; what is not stored stays in the journal")
