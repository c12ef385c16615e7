"""A report on disk: one self-contained HTML page and its numbers as JSON, each whole or not at all.

The page needs no script, no font and no picture from elsewhere.
"""

import json
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lib.durable import PUBLIC_FILE, make_folder, replace_file
from lib.report.document import Cell, Figure, Figures, KeyFigures, Note, Report, Table

_STYLE = """
:root{--ink:#1c2430;--soft:#5b6675;--line:#e3e7ec;--paper:#fff;--wash:#f5f7f9;--mark:#0b5cad}
*{box-sizing:border-box}
body{margin:0;background:var(--wash);color:var(--ink);
 font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 28px 72px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:18px;margin:0 0 14px}
.subtitle{color:var(--soft);margin:0 0 28px}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;
 padding:22px 24px;margin:0 0 18px}
p{margin:0 0 12px;max-width:78ch} p:last-child{margin-bottom:0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
 margin:0 0 16px}
.figure{background:var(--wash);border-radius:8px;padding:12px 14px}
.figure b{display:block;font-size:23px;line-height:1.25;font-weight:650;
 font-variant-numeric:tabular-nums}
.figure span{display:block;color:var(--soft);font-size:13px}
.scroll{overflow-x:auto;margin:0 0 16px}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);font-size:12.5px;vertical-align:bottom;
 border-bottom:1.5px solid var(--ink);padding:6px 10px}
td{border-bottom:1px solid var(--line);padding:6px 10px;vertical-align:top}
th.number,td.number{text-align:right;white-space:nowrap}
td:first-child{white-space:nowrap}
tr.emphasis td{background:#eaf3fc;font-weight:600}
caption{caption-side:bottom;text-align:left;color:var(--soft);font-size:13px;padding:8px 2px 0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:18px;
 margin:0 0 8px}
figure{margin:0;max-width:640px} figure svg{width:100%;height:auto;display:block}
figure.wide{max-width:none;grid-column:1/-1}
figcaption{color:var(--soft);font-size:13px;padding-top:4px}
@page{size:A4;margin:12mm}
@media print{body{background:#fff;font-size:11px;line-height:1.4}main{max-width:none;padding:0}
 h1{font-size:20px}h2{font-size:14px;margin:0 0 6px}.subtitle{margin:0 0 8px}
 section{break-inside:avoid;border:0;border-radius:0;padding:8px 0;margin:0}
 p{margin:0 0 5px;max-width:none}table{font-size:10px}th{font-size:9.5px}th,td{padding:3px 5px}
 tr,figure{break-inside:avoid}.figure{border:1px solid var(--line);padding:6px 9px}
 .figure b{font-size:17px}.figure span,caption,figcaption{font-size:10px}
 .scroll{overflow:visible;margin:0 0 8px}.figures{gap:8px;margin:0 0 8px}figure{max-width:105mm}
 td:first-child{white-space:normal}}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}</title><style>{{ safe(style) }}</style></head><body><main>
<h1>{{ report.title }}</h1><p class="subtitle">{{ report.subtitle }}</p>
{% for section in report.sections %}<section><h2>{{ section.title }}</h2>
{% for block in section.blocks %}{% set kind = kind_of(block) %}
{% if kind == "note" %}<p>{{ block.text }}</p>
{% elif kind == "key_figures" %}<div class="figures">{% for one in block.figures %}
<div class="figure"><span>{{ one.label }}</span><b>{{ one.value }}</b>
<span>{{ one.detail }}</span></div>{% endfor %}</div>
{% elif kind == "table" %}{% set numeric = numeric_columns(block) %}<div class="scroll"><table>
{% if block.caption %}<caption>{{ block.caption }}</caption>{% endif %}
<thead><tr>{% for name in block.header %}
<th{% if numeric[loop.index0] %} class="number"{% endif %}>{{ name }}</th>
{% endfor %}</tr></thead><tbody>
{% for row in block.rows %}<tr{% if block.emphasis == loop.index0 %} class="emphasis"{% endif %}>
{% for cell in row %}<td{% if numeric[loop.index0] %} class="number"{% endif %}>
{{- written(cell, block.digits_below(loop.index0)) }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% else %}<div class="plots">{% for one in plots_of(block) %}<figure
{%- if one.wide %} class="wide"{% endif %}>{{ safe(one.svg) }}
{% if one.caption %}<figcaption>{{ one.caption }}</figcaption>{% endif %}</figure>
{% endfor %}</div>{% endif %}{% endfor %}</section>{% endfor %}
</main></body></html>
"""


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into `directory` and answer their paths.

    They hold counts and curves, no rows of people, so others may read them (mode 644) where they
    may enter the folder; one that is absent is made for its owner alone.
    """
    make_folder(directory)
    page, facts = directory / "report.html", directory / "report.json"
    content = {"title": report.title, "subtitle": report.subtitle, **report.facts}
    text = json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"
    replace_file(facts, text.encode(), PUBLIC_FILE)
    replace_file(page, render_page(report).encode(), PUBLIC_FILE)
    return page, facts


def render_page(report: Report) -> str:
    """HTML of a report; all text is escaped, only plots go in as they are."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.globals.update(
        kind_of=_kind,
        numeric_columns=numeric_columns,
        written=written,
        plots_of=_plots,
        safe=Markup,
    )
    return environment.from_string(_PAGE).render(report=report, style=_STYLE)


def written(cell: Cell, digits: int) -> str:
    """A cell as text: thousands apart, floats with `digits` decimals, None as a dash.

    >>> written(1234567, 2), written(0.5, 2), written(None, 2), written("a", 2)
    ('1,234,567', '0.50', '–', 'a')
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _kind(block: object) -> str:
    names = {Note: "note", KeyFigures: "key_figures", Table: "table"}
    return names.get(type(block), "plots")


def _plots(block: Figure | Figures) -> tuple[Figure, ...]:
    return (block,) if isinstance(block, Figure) else block.figures


def numeric_columns(table: Table) -> list[bool]:
    """Columns in which no cell is text."""
    return [
        bool(table.rows) and not any(isinstance(row[index], str) for row in table.rows)
        for index in range(len(table.header))
    ]


def _finite(value: Any) -> Any:
    """The same content with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
