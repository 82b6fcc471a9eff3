"""The rules of docker/metadata-action, mended: the tag of the commit and of releases, and no `latest` beside them.

This file alone knows how such a step is changed: lines of reused rules go, `type=sha,format=long` comes if no rule
makes a tag of the commit, and the flavor says `latest=false`. Rules in block style alone; others are left to a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import metadata_action, yaml_tree
from holdfast.pin.pushes.passage import Span
from holdfast.pin.pushes.remedies import Change
from holdfast.pin.pushes.tag import Repetition, judge, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.pushes.push import Push
    from holdfast.pin.pushes.yaml_tree import Node

_ACTION: Final = "docker/metadata-action"
_SHA: Final = "type=sha,format=long"
_VERSION: Final = "type=semver,pattern={{version}}"


def is_made_by_rule(push: Push) -> bool:
    """Tell whether a tag is one that metadata-action made."""
    return any(part.setting in {"rule", "flavor"} for part in push.tag)


def changes(text: str, push: Push) -> tuple[Change, ...]:
    """Return the changes of every step whose rules make reused tags; empty if the push is not of such a step."""
    if not is_made_by_rule(push):
        return ()
    try:
        roots = yaml_tree.documents(text)
    except yaml_tree.PipelineUnreadable:
        return ()
    found = [change for root in roots[:1] for step in _steps(root) for change in _of_step(text, step)]
    return tuple(sorted(found, key=lambda change: change.span))


def _steps(root: Node) -> Iterator[Node]:
    places = [yaml_tree.get(root, "runs", "steps")]
    places += [yaml_tree.get(job, "steps") for _, job in yaml_tree.pairs(yaml_tree.get(root, "jobs"))]
    for place in places:
        for step in yaml_tree.elements(place):
            if yaml_tree.word(yaml_tree.get(step, "uses")).startswith(_ACTION):
                yield step


def _of_step(text: str, step: Node) -> Iterator[Change]:
    inputs = yaml_tree.get(step, "with")
    first = next(iter(yaml_tree.keys(inputs)), None)
    if first is None:
        return
    at = yaml_tree.place(first)
    indent = text[text.rfind("\n", 0, at) + 1 : at]
    if indent.strip():
        return
    end = "\r\n" if "\r\n" in text else "\n"
    tags, flavor = yaml_tree.get(inputs, "tags"), yaml_tree.get(inputs, "flavor")
    added = ""
    if tags is None:
        added += f"tags: |{end}{indent}  {_SHA}{end}{indent}  {_VERSION}{end}{indent}"
        releases = True
    else:
        lines = list(_lines(text, tags))
        kept = [line for _, line in lines if _verdict(line) is not Repetition.REUSED]
        releases = any(_verdict(line) is Repetition.RELEASE for line in kept)
        yield from _of_rules(text, lines, kept, end)
    if flavor is None and releases:
        added += f"flavor: |{end}{indent}  latest=false{end}{indent}"
    elif flavor is not None:
        yield from _of_flavor(text, flavor)
    if added:
        yield Change(Span(at, at), added)


def _lines(text: str, node: Node) -> Iterator[tuple[Span, str]]:
    """Return the lines of a block with their places, line ends included."""
    start, end = yaml_tree.bounds(node)
    at = text.find("\n", start, end) + 1
    if at == 0:
        return
    while at < end:
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop + 1
        line = text[at:stop].strip()
        if line:
            yield Span(at, stop), line
        at = stop


def _verdict(rule: str) -> Repetition | None:
    """Return what a rule's tag is; None for comments and what is not known before it runs."""
    if rule.startswith("#") or ("${{" in rule and "enable=" not in rule):
        return None
    made = metadata_action.tags([literal(rule)], [literal("latest=false")], written=True)
    return judge(made[0])[0] if made else None


def _of_rules(text: str, lines: list[tuple[Span, str]], kept: list[str], end: str) -> Iterator[Change]:
    has_commit = any(_verdict(line) is Repetition.COMMIT for line in kept)
    for index, (span, line) in enumerate(lines):
        gone = _verdict(line) is Repetition.REUSED
        body = text[span.start : span.end]
        indent = body[: len(body) - len(body.lstrip())]
        added = f"{indent}{_SHA}{end}" if index == 0 and not has_commit else ""
        if gone:
            yield Change(span, added)
        elif added:
            yield Change(Span(span.start, span.start), added)


def _of_flavor(text: str, flavor: Node) -> Iterator[Change]:
    start, end = yaml_tree.bounds(flavor)
    written = text[start:end]
    for word in ("latest=true", "latest=auto"):
        at = written.find(word)
        if at >= 0:
            yield Change(Span(start + at, start + at + len(word)), "latest=false")
