"""A drain in a process of its own, told by lines of JSON what to do: see `lib.records.drainer`."""

import signal
import sys
import time
from pathlib import Path

from lib.records.drainer import END
from lib.records.draining import drain
from lib.records.errors import RecordsError, RecordsUnavailableError
from lib.records.records import Records
from lib.records.text import read_json, write_json

_DEATH_SECONDS = 0.5


def main() -> None:
    """Drain once for every line of stdin, and once more when whoever writes them has ended."""
    # a Ctrl-C reaches the whole terminal; the one who started us says when it is over
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = read_json(sys.stdin.buffer.readline())
    directory = Path(started["directory"])
    with Records(started["records"]) as records:
        migrated = False
        for line in sys.stdin.buffer:
            if line == END:
                break
            try:
                if not migrated:
                    records.migrate()
                    migrated = True
                _say({"outcome": vars(drain(directory, records))})
            except Exception as error:  # told, and tried again at the next line
                _say({"error": f"{type(error).__name__}: {error}"})
        else:
            # it died: its pipe may be closed an instant before its segment is given up
            time.sleep(_DEATH_SECONDS)
        drain(directory, records)


def _say(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(write_json(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except (RecordsError, RecordsUnavailableError) as stopped:
        sys.exit(f"error: {stopped}")
