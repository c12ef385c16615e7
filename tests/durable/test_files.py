import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.durable import locked, replace_file


def test_a_replaced_file_holds_the_new_content_and_nothing_is_left_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.json"
    replace_file(path, b"old")
    replace_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "aliases.json"
    contents = [bytes([letter]) * 200_000 for letter in b"abc"]
    replace_file(path, contents[0])
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [replace_file(path, content) for content in contents * 5])
        while not writing.done():
            assert path.read_bytes() in contents
        writing.result()


def test_whoever_holds_the_lock_is_alone(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(number: int) -> None:
        with locked(tmp_path / "deep" / "lock"):
            inside.append(number)
            time.sleep(0.002)
            inside.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter, range(12)))
    assert inside[::2] == inside[1::2]
