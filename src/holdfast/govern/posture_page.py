"""The posture as one HTML page and as CSV: no script, nothing fetched, every value escaped, charts as SVG.

Pure. This file alone decides how they look; what they say is decided in `findings`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Final

from holdfast.govern.findings import BY_ID, Status, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from holdfast.govern.findings import Posture

COLOURS: Final = {
    Status.PASSED: "#2f855a",
    Status.WARNING: "#d69e2e",
    Status.FAILED: "#c53030",
    Status.NOT_AVAILABLE: "#a0aec0",
}
_GRADES: Final = {"A": "#2f855a", "B": "#68d391", "C": "#d69e2e", "D": "#dd6b20", "F": "#c53030"}
_WIDTH: Final = 920
_MAX_ROWS: Final = 2_000
_MAX_BARS: Final = 40
_COLUMNS: Final = ("CONTROL", "STATUS", "SEVERITY", "ACCOUNT", "REGION", "TYPE", "RESOURCE", "NAME", "MESSAGE")
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a202c}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #e2e8f0}
table{border-collapse:collapse;width:100%;font-size:.85rem}td,th{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid #edf2f7;vertical-align:top;overflow-wrap:anywhere}.figures{display:flex;gap:2rem;flex-wrap:wrap}
.figures b{display:block;font-size:1.6rem}.key span{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}
.FAILED{color:#c53030}.WARNING{color:#b7791f}
"""


def table(judged: Iterable[Posture]) -> str:
    """Return everything that was judged as CSV (RFC 4180)."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(_COLUMNS)
    for one in judged:
        writer.writerow(_safe(cell) for cell in _cells(one))
    return written.getvalue()


def _cells(one: Posture) -> tuple[str, ...]:
    control = one.control
    told = (control.id, str(one.status), control.severity.value, one.account, one.region)
    return (*told, one.kind, one.resource, one.name, one.message)


def _safe(cell: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def page(judged: Sequence[Posture], *, taken_at: datetime, missing: Sequence[str]) -> str:
    """Return the page; `missing` are sentences on what the inventory could not read."""
    failed = [one for one in judged if one.status is Status.FAILED]
    resources = {one.resource for one in judged}
    clean = resources - {one.resource for one in failed}
    figures = (
        ("repositories and templates", len(resources)),
        ("without a failure", len(clean)),
        ("failures", len(failed)),
        ("accounts", len({one.account for one in judged})),
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Posture of the registries</title><style>{_STYLE}</style></head><body>",
        f"<h1>Posture of the registries</h1><p>By the inventory of {taken_at:%Y-%m-%d %H:%M:%S} UTC.</p>",
        '<div class="figures">',
        *(f"<div><b>{value}</b>{escape(name)}</div>" for name, value in figures),
        "</div>",
        *(f'<p class="FAILED">Not read: {escape(one)}</p>' for one in missing),
        f"<h2>By control</h2>{_by_control(judged)}",
        f"<h2>What the filters leave movable</h2>{_grades(judged)}",
        f"<h2>By account and region</h2>{_by_place(judged)}",
        f"<h2>What failed</h2>{_rows(failed)}",
        f"<h2>Warnings</h2>{_rows([one for one in judged if one.status is Status.WARNING])}",
        f"<h2>The controls</h2>{_controls(judged)}</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _by_control(judged: Sequence[Posture]) -> str:
    return _bars(
        [(name, [(COLOURS[Status(of)], of, n) for of, n in row.items()]) for name, row in counted(judged).items()]
    ) + _key({str(status): colour for status, colour in COLOURS.items()})


def _grades(judged: Sequence[Posture]) -> str:
    graded = [one for one in judged if one.control.id == "Holdfast.1" and "grade" in one.facts]
    counts = Counter(str(one.facts["grade"]) for one in graded)
    rows = [(letter, [(colour, f"grade {letter}", counts[letter])]) for letter, colour in _GRADES.items()]
    return (
        _bars(rows)
        + "<p>A: IMMUTABLE. B: filters, and no live tag matches. C: those that match are pointers, caches and "
        "signatures by their names. D: others match too, such as versions. F: nothing holds by default.</p>"
    )


def _by_place(judged: Sequence[Posture]) -> str:
    places: dict[str, Counter[Status]] = {}
    for one in judged:
        places.setdefault(f"{one.account} {one.region}", Counter())[one.status] += 1
    worst = sorted(places.items(), key=lambda item: -item[1][Status.FAILED])[:_MAX_BARS]
    drawn = _bars([(place, [(COLOURS[of], str(of), counts[of]) for of in Status]) for place, counts in worst])
    more = len(places) - len(worst)
    return drawn + (f"<p>And {more} more.</p>" if more else "")


def _bars(rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> str:
    """Draw a bar for each row, of parts that have a colour, a name and a number."""
    most = max((sum(n for _, _, n in parts) for _, parts in rows), default=0) or 1
    drawn = [f'<svg viewBox="0 0 {_WIDTH} {22 * max(len(rows), 1)}" role="img">']
    for place, (name, parts) in enumerate(rows):
        y, x = place * 22, 260.0
        drawn.append(f'<text x="0" y="{y + 15}" font-size="12">{escape(name[:40])}</text>')
        for colour, what, number in parts:
            width = number / most * 560
            if number:
                title = f"<title>{number} {escape(what)}</title>"
                drawn.append(
                    f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="14" fill="{colour}">{title}</rect>'
                )
            x += width
        told = ", ".join(f"{number} {what}" for _, what, number in parts if number)
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 15}" font-size="10">{escape(told)}</text>')
    return "".join(drawn) + "</svg>"


def _key(colours: dict[str, str]) -> str:
    spans = (f'<span style="background:{colour}"></span>{name}' for name, colour in colours.items())
    return f'<p class="key">{"".join(spans)}</p>'


def _rows(judged: Sequence[Posture]) -> str:
    if not judged:
        return "<p>None.</p>"
    head = "".join(f"<th>{one}</th>" for one in ("Control", "Where", "Name", "What"))
    body = "".join(
        f'<tr><td class="{one.status}">{escape(one.control.id)}</td><td>{escape(one.account)} {escape(one.region)}</td>'
        f"<td>{escape(one.name)}</td><td>{escape(one.message)}</td></tr>"
        for one in judged[:_MAX_ROWS]
    )
    more = len(judged) - _MAX_ROWS
    return f"<table><tr>{head}</tr>{body}</table>" + (f"<p>And {more} more: see the CSV.</p>" if more > 0 else "")


def _controls(judged: Sequence[Posture]) -> str:
    used = dict.fromkeys(one.control.id for one in judged)
    body = "".join(
        f"<tr><td>{escape(one.id)}</td><td>{escape(one.title)}</td><td>{escape(one.why)}</td><td>{escape(one.fix)}</td>"
        f"<td>{escape(', '.join(one.requirements))}</td></tr>"
        for one in (BY_ID[name] for name in used)
    )
    head = "".join(f"<th>{one}</th>" for one in ("Control", "Title", "Why", "What to do", "Supports"))
    return f"<table><tr>{head}</tr>{body}</table>"
