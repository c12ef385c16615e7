import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from lib.durable import RotatingFile


def lines(folder: Path) -> list[bytes]:
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return [line for path in files for line in path.read_bytes().splitlines()]


def test_a_file_rotates_by_size_and_so_many_are_kept(tmp_path: Path) -> None:
    log = RotatingFile(tmp_path / "app.log", most_bytes=10, most_files=2)
    for number in range(5):
        log.write(b"line %d\n" % number)
    names = sorted(path.name for path in tmp_path.glob("app*"))
    assert names == ["app.log", "app.log.1", "app.log.2"]
    assert sorted(lines(tmp_path)) == [b"line 2", b"line 3", b"line 4"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o600}


def test_a_line_larger_than_the_bound_is_written_whole(tmp_path: Path) -> None:
    log = RotatingFile(tmp_path / "app.log", most_bytes=4)
    log.write(b"a line of many bytes\n")
    log.write(b"another\n")
    assert sorted(lines(tmp_path)) == [b"a line of many bytes", b"another"]


def test_a_file_rotates_by_age_and_old_ones_go(tmp_path: Path) -> None:
    now = [1_000_000.0]
    log = RotatingFile(tmp_path / "app.log", most_seconds=60, clock=lambda: now[0])
    log.write(b"first\n")
    now[0] += 61
    log.write(b"second\n")
    assert (tmp_path / "app.log.1").read_bytes() == b"first\n"
    os.utime(tmp_path / "app.log.1", (now[0], now[0]))
    now[0] += 61
    log.write(b"third\n")
    assert not (tmp_path / "app.log.2").exists()
    assert (tmp_path / "app.log").read_bytes() == b"third\n"


@pytest.mark.parametrize("how", ["rename", "remove"])
def test_a_file_that_another_program_took_away_is_made_again(tmp_path: Path, how: str) -> None:
    log = RotatingFile(tmp_path / "app.log")
    log.write(b"before\n")
    if how == "rename":
        (tmp_path / "app.log").rename(tmp_path / "app.log-20261127")
    else:
        (tmp_path / "app.log").unlink()
    log.write(b"after\n")
    assert (tmp_path / "app.log").read_bytes() == b"after\n"


def append(path: Path, name: str) -> None:
    log = RotatingFile(path, most_bytes=400, most_files=1000)
    for number in range(200):
        log.write(f"{name} {number}\n".encode())


def test_processes_that_append_to_one_file_lose_no_line(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        list(pool.map(append, [tmp_path / "app.log"] * 3, "abc"))
    expected = {f"{name} {number}".encode() for name in "abc" for number in range(200)}
    assert sorted(lines(tmp_path)) == sorted(expected)
