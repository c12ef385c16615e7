"""What pages load is what its README says, from where it says."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from serve.console.static_files import FOLDER, StaticFiles
from tests.serve.console.console_app import RunningConsole


def test_every_vendored_file_has_its_origin_and_its_digest() -> None:
    text = (FOLDER / "README.md").read_text()
    content = (FOLDER / "htmx-2.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() in text
    (version,) = re.findall(rb'version:"([\d.]+)"', content)
    assert version.startswith(b"2.0.")
    assert f"htmx {version.decode()}, {len(content):,} bytes" in text
    listed = set(re.findall(r"`([\w.-]+\.(?:js|css|svg))`", text))
    assert {path.name for path in FOLDER.iterdir()} - {"README.md"} == listed


def test_all_that_pages_load_is_small() -> None:
    files = StaticFiles()
    names = [files.name(path.name) for path in FOLDER.iterdir() if path.suffix != ".md"]
    served = [file for name in names if (file := files.find(name))]
    assert len(served) == len(names)
    assert all(gzip.decompress(file.packed) == file.content for file in served)
    size = sum(len(file.packed) for file in served)
    assert size < 30_000


@pytest.mark.anyio
async def test_files_are_packed_for_those_who_take_it(running: RunningConsole) -> None:
    path = f"/console/static/{StaticFiles().name('htmx-2.min.js')}"
    async with running.browser() as browser:
        plain = await browser.get(path, headers={"accept-encoding": "identity"})
        packed = await browser.get(path, headers={"accept-encoding": "gzip, br"})
    assert plain.content == packed.content  # the browser unpacks it
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["vary"] == "accept-encoding"
