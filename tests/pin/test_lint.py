"""Rules of consumers, what people accept, and the settings: one file in, findings out."""

from __future__ import annotations

import datetime as dt

import pytest

from holdfast.core.finding import Finding, InFile, Severity, fingerprinted
from holdfast.pin import acceptance, settings
from holdfast.pin.knowledge import Child, Known, Trouble
from holdfast.pin.lint import examine, judge
from holdfast.pin.rules import RULES
from holdfast.pin.settings import Settings, SettingsInvalid

A, B, C = ("sha256:" + one * 64 for one in "abc")
TODAY = dt.date(2026, 11, 23)
INDEX = "application/vnd.oci.image.index.v1+json"


def lint(
    text: str, knowledge: dict[str, Known] | None = None, given: Settings | None = None, path: str = "Dockerfile"
) -> list[Finding]:
    given = given or Settings()
    examined = examine(path, text.encode(), given, lambda _path: None)
    return fingerprinted(judge(examined, knowledge or {}, given, TODAY))


def rules(*findings: Finding) -> list[str]:
    return [one.rule for one in findings if one.counts]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", ["image-no-tag"]),
        ("nginx:latest", ["image-latest"]),
        ("nginx:1.27", ["image-movable-tag"]),
        (f"nginx:1.27@{A}", []),
        (f"nginx@{A}", []),
        ("registry:5000/app", ["image-no-tag"]),
        ("$REGISTRY/app:latest", ["image-latest"]),
        ("$REGISTRY/app:$TAG", []),
        (f"$REGISTRY/app:1@{A}", []),
        ("$IMAGE", []),
        ("scratch", []),
    ],
)
def test_what_a_name_alone_tells(image: str, expected: list[str]) -> None:
    assert rules(*lint(f"FROM {image}\n")) == expected


def test_a_stage_is_no_image() -> None:
    assert rules(*lint(f"FROM nginx:1@{A} AS base\nFROM base\nCOPY --from=base /a /a\n")) == []


def test_a_tag_that_is_held_is_as_good_as_a_digest() -> None:
    name = "docker.io/library/nginx:1.27"
    assert rules(*lint("FROM nginx:1.27\n", {name: Known(A, held=True)})) == []
    [found] = lint("FROM nginx:1.27\n", {name: Known(A, held=False)})
    assert "can move" in found.message
    [found] = lint("FROM nginx:1.27\n")
    assert "may move" in found.message


def test_knowledge_makes_the_fix_exact() -> None:
    [found] = lint("FROM nginx\n", {"docker.io/library/nginx:latest": Known(A)})
    [edit] = found.edits
    assert (edit.before, edit.after) == ("nginx", f"nginx:latest@{A}")
    assert (edit.span.line, edit.span.column) == (1, 6)


def test_what_is_gone() -> None:
    assert "image-gone" in rules(*lint("FROM nginx:1.27\n", {"docker.io/library/nginx:1.27": Known()}))
    assert rules(*lint(f"FROM nginx@{A}\n", {f"docker.io/library/nginx@{A}": Known()})) == ["image-gone"]
    troubled = {"docker.io/library/nginx:1.27": Known(trouble=Trouble.UNAUTHORIZED)}
    assert rules(*lint("FROM nginx:1.27\n", troubled)) == ["image-movable-tag"]


def test_a_stale_digest_and_one_of_a_single_platform() -> None:
    now = Known(B, INDEX, (Child(A, "linux/amd64"), Child(C, "linux/arm64")))
    name = "docker.io/library/nginx:1"
    [stale] = lint(f"FROM nginx:1@sha256:{'d' * 64}\n", {name: now})
    assert (stale.rule, stale.edits[0].after) == ("image-stale-digest", f"nginx:1@{B}")
    [single] = lint(f"FROM nginx:1@{A}\n", {name: now})
    assert single.rule == "image-platform-digest"
    assert "linux/amd64" in single.message
    assert rules(*lint(f"FROM nginx:1@{B}\n", {name: now})) == []


def test_severity_is_by_where_it_runs() -> None:
    build, runs = lint("FROM golang AS build\nFROM nginx\nCOPY --from=build /a /a\n")
    [tried] = lint("FROM nginx\n", path="tests/Dockerfile")
    assert [one.severity for one in (build, runs, tried)] == [Severity.MEDIUM, Severity.HIGH, Severity.LOW]
    given = settings.parse(b"contexts:\n- {paths: ['*'], context: production}\nseverities: {image-latest: critical}\n")
    assert [one.severity for one in lint("FROM a\nFROM b:latest\n", given=given)] == [Severity.HIGH, Severity.CRITICAL]


def test_a_file_that_cannot_be_read_is_no_clean_file() -> None:
    text = "FROM a\n" + "RUN x\n" * 30_000
    assert rules(*lint(text)) == ["file-unreadable"]


# --- acceptance ------------------------------------------------------------------------------------------------------


def test_a_comment_accepts_the_next_line_with_its_reason() -> None:
    text = "# holdfast: ignore[image-no-tag] the newest is wanted here\nFROM nginx\nFROM redis\n"
    accepted, counts = lint(text)
    assert accepted.suppressed_by == "the newest is wanted here"
    assert counts.counts


def test_a_comment_without_a_reason_is_a_finding_and_accepts_nothing() -> None:
    assert rules(*lint("# holdfast: ignore[image-no-tag]\nFROM nginx\n")) == ["ignore-without-reason", "image-no-tag"]
    both = "# holdfast: ignore[*] a\n# holdfast: ignore[image-no-tag]\nFROM nginx\n"
    assert rules(*lint(both)) == ["ignore-without-reason"]


def test_an_entry_of_the_settings_accepts_until_its_day() -> None:
    text = "ignore:\n- {rules: [image-*], paths: ['legacy/*'], images: ['nginx*'], reason: goes in May, until: %s}\n"
    late, early = (settings.parse((text % day).encode()) for day in ("2026-11-23", "2026-11-22"))
    assert rules(*lint("FROM nginx\nFROM redis\n", given=late, path="legacy/Dockerfile")) == ["image-no-tag"]
    assert rules(*lint("FROM nginx\n", given=early, path="legacy/Dockerfile")) == ["image-no-tag"]
    assert rules(*lint("FROM nginx\n", given=late, path="new/Dockerfile")) == ["image-no-tag"]


def test_a_rule_can_be_switched_off() -> None:
    assert rules(*lint("FROM nginx\n", given=settings.parse(b"severities: {image-no-tag: off}"))) == []


def test_a_baseline_leaves_only_what_is_new() -> None:
    before = lint("FROM nginx\n")
    kept = acceptance.read_baseline(acceptance.write_baseline(before).encode())
    after = acceptance.against(lint("# moved\nFROM nginx\nFROM redis\n"), kept, "base.json")
    assert [(one.subject, one.counts) for one in after] == [("nginx", False), ("redis", True)]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 9, "findings": []}', b"\xff"])
def test_what_is_no_baseline_is_refused(content: bytes) -> None:
    with pytest.raises(acceptance.BaselineInvalid):
        acceptance.read_baseline(content)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ignor: []", "no 'ignor'"),
        ("ignore: [{rules: [image-no-tag]}]", "reason"),
        ("ignore: [{rules: [image-no-tags], reason: x}]", "no rule 'image-no-tags'"),
        ("ignore: [{until: soon, reason: x}]", "a day"),
        ("contexts: [{paths: [a], context: prod}]", "production"),
        ("severities: {image-latest: grave}", "critical"),
        ("severities: {nothing: high}", "nothing"),
        ("exclude: [1]", "list of text"),
        ("a: &a [*a]", "alias"),
        ("[", "while parsing"),
        ("- a", "mapping"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(SettingsInvalid, match=told):
        settings.parse(text.encode())


def test_identifiers_are_single() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert InFile("a").subject == "a"
