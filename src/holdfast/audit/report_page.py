"""The report of an evidence pack as one HTML page: no script, nothing fetched, every value escaped, charts as SVG.

This file alone decides how the page looks; what it says is decided in `core/evidence`.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from holdfast.audit.verdicts import moment
from holdfast.core.evidence import CHARTED, DAY_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COLOURS: Final = {"bound": "#2b6cb0", "moved": "#d69e2e", "refused": "#c53030", "deleted": "#718096"}
_WIDTH: Final = 920
_HEIGHT: Final = 180
_MAX_BARS: Final = 92
_MAX_REPOSITORIES: Final = 40
_MAX_ROWS: Final = 1_000
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a202c}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #e2e8f0}
table{border-collapse:collapse;width:100%;font-size:.85rem}td,th{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid #edf2f7;vertical-align:top;overflow-wrap:anywhere}.figures{display:flex;gap:2rem;flex-wrap:wrap}
.figures b{display:block;font-size:1.6rem}.bad{color:#c53030}.key span{display:inline-block;width:.8em;height:.8em;
margin:0 .3em 0 1em}
"""


def page(report: dict[str, Any], head: dict[str, Any]) -> str:
    """Return the page; `head` says whose ledger it is, its size and root, who signed, and when the pack was made."""
    period = f"{moment(report['period']['start'])} to {moment(report['period']['end'])}"
    figures = (
        ("entries read", head["size"]),
        ("tags at the end", report["tags"]),
        ("of them held", report["held"]),
        ("overwrites refused", report["counts"].get("tag-refused", 0)),
        ("findings", len(report["findings"])),
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Evidence: {escape(str(head['origin']))}</title><style>{_STYLE}</style></head><body>",
        (
            f"<h1>Evidence of the tags of {escape(str(head['origin']))}</h1>"
            f"<p>{escape(period)}. Made {escape(head['made'])} from {head['size']} entries, "
            f"{escape(head['signed_by'])}. Root {escape(head['root'])}.</p>"
        ),
        '<div class="figures">',
        *(f"<div><b>{value}</b>{escape(name)}</div>" for name, value in figures),
        "</div>",
        _verdict(report),
        _reach(report),
        f"<h2>Activity</h2>{_activity(report)}",
        f"<h2>Tags that hold</h2>{_repositories(report['repositories'])}",
        f"<h2>Settings in force</h2>{_settings(report)}",
        f"<h2>Refused overwrites</h2>{_listed(report, 'refusals')}",
        f"<h2>Names given up</h2>{_listed(report, 'releases')}",
        f"<h2>Changes of settings</h2>{_listed(report, 'changes')}",
        (
            "<h2>What this supports</h2>"
            "<p>Evidence supports an assessment; it does not by itself satisfy a control.</p>"
            f"{_mapping(report['mapping'])}"
        ),
        (
            "<h2>How to check this</h2>"
            "<p>Every figure follows from the folder <code>ledger</code>. Verify the pack with "
            "<code>holdfast evidence FOLDER --verify --signer VKEY --policy FILE</code>, or with "
            "<code>holdfast-verify pack</code>, which installs without the server. Single acts have "
            f"{len(report['receipts'])} of {report['receipts_due']} receipts in the folder <code>receipts</code>; "
            "<code>holdfast ledger verify</code> checks one. None of this needs a network.</p></body></html>"
        ),
    ]
    return "\n".join(parts) + "\n"


def _verdict(report: dict[str, Any]) -> str:
    if report["findings"]:
        rows = ((one["code"], one["message"]) for one in report["findings"])
        return f'<h2 class="bad">Findings</h2>{_table(("What", "Why"), rows)}'
    released = report["let_go_then_moved"]
    beside = (
        f" {len(released)} tags were let go by an act of somebody and came to name something else." if released else ""
    )
    return (
        "<p>The root was built anew from every entry and is the one that was signed. No tag named another digest while "
        f"it was held.{beside}</p>"
    )


def _reach(report: dict[str, Any]) -> str:
    """Say how far the ledger goes: a period that it does not cover must not look like a quiet one."""
    last, end = report["last_entry_at"], report["period"]["end"]
    if last is None:
        return "<p>The ledger has no entry.</p>"
    told = f"<p>The last entry of this ledger is of {moment(last)}."
    if last < end:
        told += " What came after it, if anything did, is not shown here."
    return told + "</p>"


def _activity(report: dict[str, Any]) -> str:
    start, end = (report["period"][name] // DAY_MICROSECONDS for name in ("start", "end"))
    days = max(end - start, 1)
    per_bar = -(-days // _MAX_BARS)
    bars: list[dict[str, int]] = [{} for _ in range(-(-days // per_bar))]
    for one in report["days"]:
        bar = bars[min((one["day"] - start) // per_bar, len(bars) - 1)]
        for name in _COLOURS:
            bar[name] = bar.get(name, 0) + one.get(name, 0)
    most = max((sum(bar.values()) for bar in bars), default=0) or 1
    width = _WIDTH / len(bars)
    drawn = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Acts over time">']
    for number, bar in enumerate(bars):
        top = float(_HEIGHT)
        for name, colour in _COLOURS.items():
            height = bar.get(name, 0) / most * (_HEIGHT - 10)
            top -= height
            if height:
                drawn.append(
                    f'<rect x="{number * width:.1f}" y="{top:.1f}" width="{width * 0.85:.1f}" height="{height:.1f}" '
                    f'fill="{colour}"><title>{bar[name]} {name}</title></rect>'
                )
    key = "".join(f'<span style="background:{colour}"></span>{name}' for name, colour in _COLOURS.items())
    every = "a day" if per_bar == 1 else f"{per_bar} days"
    counted = _table(("Kind", "Number"), ((CHARTED.get(kind, kind), str(n)) for kind, n in report["counts"].items()))
    return "".join(drawn) + f'</svg><p class="key">Each bar is {every}, the highest {most} acts.{key}</p>{counted}'


def _repositories(repositories: Sequence[dict[str, Any]]) -> str:
    largest = sorted(repositories, key=lambda one: -(one["held"] + one["free"]))[:_MAX_REPOSITORIES]
    most = max((one["held"] + one["free"] for one in largest), default=0) or 1
    height = 20 * max(len(largest), 1)
    drawn = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Held and free tags by repository">']
    for number, one in enumerate(largest):
        held, free = (one[name] / most * 560 for name in ("held", "free"))
        y = number * 20
        drawn.append(
            f'<text x="0" y="{y + 14}" font-size="12">{escape(one["repository"][:40])}</text>'
            f'<rect x="300" y="{y + 3}" width="{held:.1f}" height="14" fill="#2f855a"/>'
            f'<rect x="{300 + held:.1f}" y="{y + 3}" width="{free:.1f}" height="14" fill="#d69e2e"/>'
            f'<text x="{306 + held + free:.1f}" y="{y + 14}" font-size="11">'
            f"{one['held']} held, {one['free']} free</text>"
        )
    return "".join(drawn) + "</svg>" + _left(len(repositories) - len(largest))


def _settings(report: dict[str, Any]) -> str:
    deleted = [
        (one["registry"], _since(change), f"names of deleted tags: {change['deleted_tags']}", change)
        for one in report["registries"]
        for change in one["settings"]
    ]
    modes = [
        (one["repository"], _since(change), _mode(change), change)
        for one in report["repositories"]
        for change in one["settings"]
    ]
    rows = [
        (where, since, what, str(change["by"] or ""), "" if change["index"] is None else str(change["index"]))
        for where, since, what, change in [*deleted, *modes]
    ]
    return _table(("Where", "From", "In force", "By", "Entry"), rows[:_MAX_ROWS]) + _left(len(rows) - _MAX_ROWS)


def _since(change: dict[str, Any]) -> str:
    return "the beginning" if change["from"] is None else moment(change["from"])


def _mode(change: dict[str, Any]) -> str:
    if change["mode"] is None:
        return "deleted"
    return f"{change['mode']} {' '.join(change['filters'])}".strip()


def _listed(report: dict[str, Any], name: str) -> str:
    listed = report[name]
    if not listed:
        return "<p>None.</p>"
    rows = ((moment(one["at"]), str(one["repository"] or ""), one["told"], str(one["index"])) for one in listed)
    full = len(listed) == report["listed_at_most"]
    more = f"<p>Only the first {len(listed)} are listed; the ledger has all of them.</p>" if full else ""
    return _table(("When", "Repository", "What", "Entry"), rows) + more


def _left(rows: int) -> str:
    return f"<p>{rows} more are in report.json.</p>" if rows > 0 else ""


def _mapping(items: Iterable[dict[str, Any]]) -> str:
    rows = ((one["framework"], one["item"], one["supports"], ", ".join(one["shown_by"])) for one in items)
    return _table(("Framework", "Item", "This evidence", "Shown by"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
