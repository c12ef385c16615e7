"""Pages from templates: all text is escaped, an undefined name is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from lib.console.audit import KINDS
from lib.experiment.verdict import amount_text, capital
from lib.records.partitions import DAY
from serve.console.session import PREFIX
from serve.console.static_files import StaticFiles

FOLDER = Path(__file__).parent / "templates"
_SECOND = 1_000_000
_AGES = ((DAY, "d"), (3600 * _SECOND, "h"), (60 * _SECOND, "min"), (_SECOND, "s"))
_SHORT_AGE = 2
_THOUSAND = 1_000.0
SUBJECTS = {
    "fraud": "Payments",
    "maintenance": "Machines",
    "churn": "Customers",
    "moderation": "Posts",
}
"""What each system decides about, as pages head it."""


class Pages:
    """Renders templates.

    Args:
        static: files that pages name.
    """

    def __init__(self, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            static=lambda name: f"{PREFIX}/static/{static.name(name)}",
            prefix=PREFIX,
            subjects=SUBJECTS,
            kinds=KINDS,
        )
        self._environment.filters.update(
            exact=exact_time, iso=iso_time, age=age_text, number=number_text, share=share_text,
            percent=partial(share_text, digits=1), money=amount_text, capital=capital,
            measure=measure_text, hundredths="{:,.2f}".format, day=day_text, segment=path_segment,
            file_name=file_name,
        )  # fmt: skip
        macros = self._environment.get_template("macros.html").module
        self._environment.globals["show"] = macros

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """A template as text."""
        return self._environment.get_template(template).render(values)

    def response(self, template: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """A template as an answer."""
        return HTMLResponse(self.text(template, values), status)


def exact_time(time_us: int) -> str:
    """A time to the second with its zone."""
    return datetime.fromtimestamp(time_us / _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso_time(time_us: int) -> str:
    """The same for programs."""
    return datetime.fromtimestamp(time_us / _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_text(time_us: int) -> str:
    """The day of a time, UTC.

    >>> day_text(86_400_000_000)
    '1970-01-02'
    """
    return datetime.fromtimestamp(time_us / _SECOND, UTC).strftime("%Y-%m-%d")


def age_text(span_us: int) -> str:
    """A span of time in its largest unit, and the next one below two of it.

    >>> age_text(90_000_000), age_text(3_600_000_000 * 5), age_text(86_400_000_000 + 1)
    ('1 min 30 s', '5 h', '1 d')
    """
    span = max(0, span_us)
    for index, (unit, name) in enumerate(_AGES):
        count, rest = divmod(span, unit)
        if not count:
            continue
        below = _AGES[index + 1 : index + 2]
        if count < _SHORT_AGE and below and (small := rest // below[0][0]):
            return f"{count} {name} {small} {below[0][1]}"
        return f"{count} {name}"
    return "0 s"


def path_segment(text: str) -> str:
    """An identifier as one part of a path, with a slash written as %2F."""
    return quote(text, safe="")


def file_name(path: str) -> str:
    """The name of a file, without where it lies on a server.

    >>> file_name("/srv/forewarn/rules.yaml"), file_name("user_config")
    ('rules.yaml', 'user_config')
    """
    return PurePosixPath(path).name


def number_text(value: float) -> str:
    """A whole number, thousands apart."""
    return f"{value:,.0f}"


def share_text(value: float, digits: int = 0) -> str:
    """A share in per cent."""
    return f"{100 * value:.{digits}f}%"


def measure_text(value: float) -> str:
    """A measure in four digits, or in whole thousands.

    >>> measure_text(0.91234), measure_text(880.24), measure_text(16_093.4)
    ('0.9123', '880.2', '16,093')
    """
    return f"{value:,.0f}" if abs(value) >= _THOUSAND else f"{value:.4g}"
