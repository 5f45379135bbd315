"""The look of a report page: one style sheet, system fonts, light and dark, no script."""

from __future__ import annotations

from html import escape

from samepoint.viewers.palette import SERIES, SERIES_DARK, series_variables

COLOURS = f"""
:root {{ {series_variables(SERIES)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {series_variables(SERIES_DARK)} }} }}
"""

STYLE = """
:root { color-scheme: light dark; --text: #1c2733; --soft: #5b6875; --line: #dde3e8; --back: #f6f8f9;
  --card: #ffffff; --accent: #0072b2; --mark: #e8f2f9; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e9ee; --soft: #9aa7b3; --line: #323c46;
  --back: #14191e; --card: #1c2329; --accent: #56b4e9; --mark: #1f3242; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 22px 64px; }
header h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 10px; letter-spacing: -0.01em; }
header p { font-size: 1.08rem; max-width: 46em; margin: 0; color: var(--soft); }
nav { margin: 16px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 0.92rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
section { margin-top: 38px; }
h2 { font-size: 1.25rem; margin: 0 0 4px; } h3 { font-size: 1rem; margin: 22px 0 8px; }
.note { color: var(--soft); margin: 0 0 14px; max-width: 52em; font-size: 0.94rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; }
.card + .card { margin-top: 14px; }
.scroll { overflow-x: auto; padding: 4px 16px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
th, td { text-align: right; padding: 9px 10px; border-bottom: 1px solid var(--line); white-space: nowrap;
  vertical-align: top; }
tr:last-child td { border-bottom: 0; } th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; font-size: 0.86rem; color: var(--soft); }
tr.own td { background: var(--mark); font-weight: 600; } tr.own td:first-child { border-radius: 6px 0 0 6px; }
td small { display: block; color: var(--soft); font-weight: 400; font-size: 0.78rem; }
.bar { display: block; height: 5px; width: 84px; margin: 5px 0 1px auto; overflow: visible; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; }
.row { display: grid; gap: 10px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 210px), 1fr)); }
.row.two { grid-template-columns: 1fr 1fr; } .pairs { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); }
.pairs .card + .card { margin-top: 0; }
figure { margin: 0; } figcaption { font-size: 0.86rem; color: var(--soft); margin-top: 5px; }
.picture svg { display: block; width: 100%; height: auto; max-height: 380px; border-radius: 6px;
  overflow: hidden; background: var(--line); font-family: system-ui, sans-serif; font-weight: 700; }
.head { display: flex; justify-content: space-between; gap: 12px; margin: 0 0 9px; font-size: 0.92rem; }
.head b { font-weight: 600; overflow-wrap: anywhere; } .head span { color: var(--soft); white-space: nowrap; }
.chart { max-width: 720px; }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px; }
.chart figcaption { font-weight: 600; font-size: 0.95rem; color: var(--text); margin: 0 0 8px; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart text { fill: var(--soft); font-size: 12px; } .chart .axis { font-size: 12.5px; }
.chart .grid { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: 3px 16px; font-size: 0.86rem; margin-top: 6px; }
.legend span { white-space: nowrap; }
.chart svg.key, svg.key { display: inline-block; width: 26px; height: 8px;
  margin-right: 6px; vertical-align: middle; }
.signs { font-size: 0.9rem; color: var(--soft); display: flex; gap: 18px; flex-wrap: wrap; margin: 0 0 12px; }
.signs svg { width: 15px; height: 15px; vertical-align: -2px; margin-right: 5px; }
dl { display: grid; grid-template-columns: minmax(8em, max-content) 1fr; gap: 5px 18px; margin: 0;
  font-size: 0.92rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { background: #fff; } .card, .chart { break-inside: avoid; } }
"""


def page(title: str, header: str, sections: list[tuple[str, str, str]]) -> str:
    """A whole HTML document from (anchor, heading, body) sections; those with an empty body are left out."""
    kept = [(anchor, heading, body) for anchor, heading, body in sections if body]
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in kept)
    bodies = "".join(f'<section id="{a}"><h2>{escape(h)}</h2>{body}</section>' for a, h, body in kept)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{COLOURS}{STYLE}</style></head>"
        f"<body><main><header><h1>{escape(title)}</h1>{header}<nav>{links}</nav></header>"
        f"{bodies}</main></body></html>\n"
    )
