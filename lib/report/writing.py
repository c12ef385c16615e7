"""A report on disk: `report.html` and `report.json`, each whole or not at all."""

import json
import math
import uuid
from pathlib import Path
from typing import Any

from lib.report.document import Report
from lib.report.page import render_page


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into `directory` and answer their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    page, facts = directory / "report.html", directory / "report.json"
    content = {"title": report.title, "subtitle": report.subtitle, **report.facts}
    write_text(facts, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")
    write_text(page, render_page(report))
    return page, facts


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name beside it, then rename, so that no reader sees a part."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    """The same content with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
