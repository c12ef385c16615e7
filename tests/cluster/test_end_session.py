"""A head that ends leaves nothing behind, whatever process groups Ray made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from cluster.local import end_session

_PROXY = "import os, time; os.setpgid(0, 0); print(os.getpid(), flush=True); time.sleep(600)"
_HEAD = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {_PROXY!r}])
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_left_its_process_group_ends_with_the_session():
    process = subprocess.Popen(
        [sys.executable, "-c", _HEAD], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    with process.stdout:
        proxy = int(process.stdout.readline())
    assert os.getpgid(proxy) != process.pid
    assert is_running(proxy)
    end_session(process, seconds=5.0)
    assert process.returncode is not None
    deadline = time.monotonic() + 10.0
    while is_running(proxy) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(proxy)
