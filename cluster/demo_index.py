"""The page of a demonstration that links all that it wrote and serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from lib.durable import replace_file

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Forewarn: the demonstration</title>
<style>
:root{color-scheme:light dark}
body{font:15px/1.6 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:2rem 1.5rem}
h1{font-size:1.6rem;margin:0} h2{font-size:1.1rem;margin:1.6rem 0 .2rem}
ul{margin:0;padding-left:1.2rem} li{margin:.1rem 0}
</style>
<main>
<h1>Forewarn: the demonstration</h1>
<p>Files stay until the next run. Addresses that begin with http answer while it runs:
<code>make serve</code> does the same and stays up; keys are printed on the screen alone.</p>
{% for section in sections %}<h2>{{ section.title }}</h2>
<ul>
{% for text, target in section.links %}<li><a href="{{ target }}">{{ text }}</a></li>
{% endfor %}</ul>
{% endfor %}</main>
</html>
"""
_FILES: Mapping[str, Mapping[str, str]] = {
    "fraud": {
        "report of the training": "training/report.html",
        "report of the challenger's training": "challenger/report.html",
        "verdict of the experiment": "verdict/report.html",
        "incidents of the week": "monitored/report.html",
        "business page of the week": "business/business.html",
    },
    "maintenance": {
        "report of the training": "maintenance/training/report.html",
        "the week's plan": "maintenance/plan/report.html",
        "the plan as a calendar": "maintenance/plan/plan.ics",
        "the plan as a table": "maintenance/plan/plan.csv",
    },
    "churn": {
        "report of the training": "churn/training/report.html",
        "the day's plan": "churn/plans/report.html",
    },
    "moderation": {"report of the training": "moderation/training/report.html"},
}


@dataclass(frozen=True)
class _Section:
    title: str
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class IndexPage:
    """The page `index.html`, written anew with each address that becomes known.

    Args:
        folder: of the demonstration; what is not there is not linked.
        dashboard: URL of Ray's dashboard.
        addresses: URLs of applications by system, and of the console.
    """

    folder: Path
    dashboard: str
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.folder / "index.html"

    def add(self, name: str, url: str) -> None:
        """Adds the address of an application, or of the console, and writes the page."""
        self.addresses[name] = url
        page = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.file, page.render(sections=self._sections()).encode())

    def _sections(self) -> list[_Section]:
        general = [("dashboard of Ray (asks for the token)", self.dashboard)]
        if (console := self.addresses.get("console")) is not None:
            general.insert(0, ("console, for all systems", f"{console}/"))
        sections = [_Section("The cluster", general)]
        for name, files in _FILES.items():
            if (url := self.addresses.get(name)) is not None:
                links = [("page of its API", f"{url}/docs")]
                links += [(text, path) for text, path in files.items() if self._holds(path)]
                sections.append(_Section(name.capitalize(), links))
        logs = sorted(path.relative_to(self.folder) for path in self.folder.glob("log/**/*.log"))
        sections.append(_Section("Logs", [(str(path), str(path)) for path in logs]))
        return sections

    def _holds(self, path: str) -> bool:
        return (self.folder / path).exists()
