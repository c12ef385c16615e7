"""A report on disk: `report.html` and `report.json`, each whole or not at all."""

import json
import math
from pathlib import Path
from typing import Any

from lib.durable import PUBLIC_FILE, make_folder, replace_file
from lib.report.document import Report
from lib.report.page import render_page


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into `directory` and answer their paths.

    They hold counts and curves, no rows of people, so others may read them (mode 644) where they
    may enter the folder; one that is absent is made for its owner alone.
    """
    make_folder(directory)
    page, facts = directory / "report.html", directory / "report.json"
    content = {"title": report.title, "subtitle": report.subtitle, **report.facts}
    write_text(facts, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")
    write_text(page, render_page(report))
    return page, facts


def write_text(path: Path, text: str) -> None:
    """Put a text without personal data in place; no reader sees a part of it."""
    replace_file(path, text.encode(), PUBLIC_FILE)


def _finite(value: Any) -> Any:
    """The same content with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
