"""Reports stand alone, escape what they are given, and hold the same numbers as JSON."""

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lib import report


def small_report(text: str = "a note") -> report.Report:
    line = np.linspace(0.01, 1, 5_000)
    plots = report.Figures(
        (
            report.line_plot(
                "up",
                {"one": report.Curve(line, line), "two": report.Curve(line, line**2)},
                report.Axis("x"),
                report.Axis("y"),
            ),
            report.histogram("spread", {"good": line, "fraud": line[::3]}, report.Axis("score")),
            report.bar_plot("bars", ["a", "b"], [1.0, 2.0], report.Axis("share")),
        )
    )
    table = report.Table(("method", "auc"), (("forest", 0.91234), (text, None)), emphasis=1)
    blocks = [
        report.KeyFigures((report.KeyFigure("AUC", "0.912"),)),
        report.Note(text),
        table,
        plots,
    ]
    return report.Report(
        "Title", text, [report.Section("First", blocks)], {"auc": 0.91234, "gap": float("nan")}
    )


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name.endswith(("src", "href"))]


def test_page_needs_nothing_from_elsewhere() -> None:
    page = Links()
    page.feed(report.render_page(small_report()))
    assert all(link.startswith("#") for link in page.links)
    assert not page.tags & {"script", "link", "iframe", "img"}
    assert "@import" not in report.render_page(small_report())


def test_text_is_escaped_everywhere() -> None:
    page = report.render_page(small_report("<script>alert(1)</script>"))
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") == 3


def test_numbers_are_written_for_people_and_absent_ones_as_a_dash() -> None:
    page = report.render_page(small_report())
    assert "0.912</td>" in page
    assert "–</td>" in page


def test_plots_are_sound_svg_and_repeat() -> None:
    first, second = (
        report.line_plot(
            "t", {"a": report.Curve([0, 1], [1, 2])}, report.Axis("x"), report.Axis("y")
        )
        for _ in "ab"
    )
    assert ET.fromstring(first.svg).tag.endswith("svg")
    assert [token for token in first.svg.split() if token.startswith("<")] == [
        token for token in second.svg.split() if token.startswith("<")
    ]


def test_ids_of_two_plots_on_a_page_differ() -> None:
    plots = [
        report.line_plot(
            name, {"a": report.Curve([0, 1], [1, 2])}, report.Axis(name), report.Axis("y")
        )
        for name in "ab"
    ]
    ids = [{part.split('"')[0] for part in plot.svg.split('id="')[1:]} for plot in plots]
    assert not ids[0] & ids[1]


def test_files_are_written_whole_and_hold_the_numbers(tmp_path: Path) -> None:
    page, facts = report.write_report(small_report(), tmp_path / "out")
    assert json.loads(facts.read_text())["auc"] == 0.91234
    assert json.loads(facts.read_text())["gap"] is None
    assert page.read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
    ]


def test_ragged_table_is_refused() -> None:
    with pytest.raises(ValueError, match="row 0 has 1 cells under 2 headings"):
        report.Table(("a", "b"), (("only one",),))


def test_a_bar_plot_has_its_title_once() -> None:
    plot = report.bar_plot(
        "Drivers", ["a long name of a feature", "b"], [2.0, 1.0], report.Axis("x")
    )
    assert plot.svg.count("<!-- Drivers -->") == 1


def test_lines_begin_at_zero_where_that_is_asked_for() -> None:
    curves = {"share": report.Curve([1, 2], [0.91, 0.92])}
    axes = report.Axis("x"), report.Axis("y")
    zoomed = report.line_plot("t", curves, *axes)
    assert "<!-- 0.0 -->" not in zoomed.svg
    assert "<!-- 0.0 -->" in report.line_plot("t", curves, *axes, from_zero=True).svg
