"""Findings, their places and fingerprints, and the four ways in which they are written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import finding_text, github_annotations, junit, sarif
from holdfast.core.finding import (
    MAX_LINE_CHARACTERS,
    Edit,
    Finding,
    InFile,
    InResource,
    Lines,
    Report,
    Rule,
    Severity,
    fingerprinted,
)

TEXT = "# Größe\nFROM nginx:latest\n\tRUN true\n".encode()
START = TEXT.index(b"nginx")
PLACE = Lines(TEXT).span(START, START + 12)
RULE = Rule("image-latest", "An image is named by latest", Severity.HIGH, "It moves.", "docs/rules/image-latest.md")
POSTURE = Rule("repository-mutable", "Tags can be moved", Severity.MEDIUM, "Anybody may.", "")


def found(**changes: Any) -> Finding:
    span = PLACE
    base = Finding(
        "image-latest",
        Severity.HIGH,
        InFile("deploy/Dockerfile", span),
        "nginx:latest names no version.",
        "It is another image tomorrow.",
        "Name a version and its digest.",
        "nginx:latest",
        (Edit("deploy/Dockerfile", span, "nginx:latest", "nginx:1.27"),),
    )
    return replace(base, **changes)


def resource(**changes: Any) -> Finding:
    arn = "arn:aws:ecr:eu-central-1:123456789012:repository/demo/app"
    where = InResource(arn, "AWS::ECR::Repository", "demo/app")
    return replace(Finding("repository-mutable", Severity.MEDIUM, where, "Tags of demo/app can be moved."), **changes)


def report(*findings: Finding, examined: tuple[str, ...] = ("deploy/Dockerfile", "clean.yaml")) -> Report:
    return Report("holdfast", "1.0", (RULE, POSTURE), tuple(fingerprinted(findings)), examined)


# --- places ----------------------------------------------------------------------------------------------------------


def test_a_span_knows_its_line_and_column_in_characters() -> None:
    assert (PLACE.line, PLACE.column, PLACE.end_line, PLACE.end_column) == (2, 6, 2, 18)
    assert PLACE.source_line == "FROM nginx:latest"
    umlaut = Lines(TEXT).span(2, 9)
    assert (umlaut.line, umlaut.column, umlaut.end_column) == (1, 3, 8)


@given(st.binary(max_size=200), st.data())
def test_places_are_those_of_the_text(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    span = Lines(content).span(start, end)
    before = content[:start]
    assert span.line == before.count(b"\n") + 1
    line_start = before.rfind(b"\n") + 1
    assert span.column == len(content[line_start:start].decode("utf-8", "surrogateescape")) + 1
    assert (span.line, span.column) <= (span.end_line, span.end_column)
    assert "\n" not in span.source_line


def test_a_place_outside_the_file_is_no_place() -> None:
    with pytest.raises(ValueError, match="not in a file"):
        Lines(b"abc").span(2, 4)


def test_a_line_of_megabytes_is_not_kept() -> None:
    assert len(Lines(b"x" * 5_000_000).span(7, 9).source_line) == MAX_LINE_CHARACTERS


# --- fingerprints ----------------------------------------------------------------------------------------------------


def test_a_finding_is_known_again_when_lines_above_it_come() -> None:
    moved = found(location=InFile("deploy/Dockerfile", Lines(b"\n\n" + TEXT).span(START + 2, START + 14)))
    assert fingerprinted([found()])[0].fingerprint == fingerprinted([moved])[0].fingerprint


def test_two_of_a_kind_in_a_file_are_told_apart() -> None:
    later = found(location=InFile("deploy/Dockerfile", Lines(TEXT).span(START + 6, START + 12)))
    one, two = fingerprinted([later, found()])
    assert one.fingerprint != two.fingerprint
    assert [one, two] == fingerprinted([found(), later])


# --- text ------------------------------------------------------------------------------------------------------------


def test_text_shows_the_line_with_a_caret_under_the_place() -> None:
    content = b"FROM a\n  image:\tnginx:latest # x\n"
    start = content.index(b"nginx")
    told = finding_text.render(report(found(location=InFile("a.yaml", Lines(content).span(start, start + 12)))))
    lines = told.splitlines()
    assert lines[0] == "a.yaml:2:10: high [image-latest] nginx:latest names no version."
    assert lines[1] == "    2 |   image:\tnginx:latest # x"
    assert lines[2] == "      |         \t^~~~~~~~~~~~"
    assert "why: It is another image tomorrow." in told
    assert "nginx:latest -> nginx:1.27" in told


def test_text_of_wide_characters_and_of_terminal_codes() -> None:
    content = "値 \x1b[31mnginx:latest".encode()
    start = content.index(b"nginx")
    lines = finding_text.render(report(found(location=InFile("a", Lines(content).span(start, start + 5))))).splitlines()
    assert "\x1b" not in "".join(lines)
    assert lines[2].index("^") == len("    1 | ") + 8


def test_text_of_a_long_line_shows_the_place() -> None:
    content = b"x" * 300 + b"nginx" + b"y" * 300
    lines = finding_text.render(report(found(location=InFile("a", Lines(content).span(300, 305))))).splitlines()
    caret = lines[2].index("^")
    assert lines[1][caret : caret + 5] == "nginx"


def test_accepted_findings_are_counted_but_not_shown() -> None:
    accepted = report(found(suppressed_by="until the move in May"))
    assert finding_text.render(accepted) == "Nothing found in 2 resources. 1 more accepted.\n"
    assert "accepted: until the move in May" in finding_text.render(accepted, suppressed=True)


# --- SARIF -----------------------------------------------------------------------------------------------------------

_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_COUNT = {"type": "integer", "minimum": 1}
_PLACE = {"type": "integer", "minimum": 0}
_STRING = {"type": "string"}
_REGION = {
    "type": "object",
    "required": ["startLine", "startColumn", "endLine", "endColumn", "byteOffset", "byteLength"],
    "properties": {
        **dict.fromkeys(("startLine", "startColumn", "endLine", "endColumn"), _COUNT),
        **dict.fromkeys(("byteOffset", "byteLength"), _PLACE),
        "snippet": {"type": "object", "required": ["text"], "additionalProperties": False, "properties": {"text": {}}},
    },
    "additionalProperties": False,
}
_ARTIFACT = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "format": "uri-reference"}, "uriBaseId": {"type": "string"}},
    "additionalProperties": False,
}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_LOCATION = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {"artifactLocation": _ARTIFACT, "region": _REGION},
            "additionalProperties": False,
        },
        "logicalLocations": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": dict.fromkeys(("fullyQualifiedName", "name", "kind"), _STRING),
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
_REPLACEMENT = {
    "type": "object",
    "required": ["deletedRegion"],
    "properties": {"deletedRegion": _REGION, "insertedContent": _TEXT},
    "additionalProperties": False,
}
_CHANGE = {
    "type": "object",
    "required": ["artifactLocation", "replacements"],
    "properties": {
        "artifactLocation": _ARTIFACT,
        "replacements": {"type": "array", "minItems": 1, "items": _REPLACEMENT},
    },
    "additionalProperties": False,
}
_RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "message": _TEXT,
        "locations": {"type": "array", "items": _LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "properties": {"type": "object"},
        "fixes": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["artifactChanges"],
                "properties": {
                    "description": _TEXT,
                    "artifactChanges": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _CHANGE},
                },
                "additionalProperties": False,
            },
        },
        "suppressions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind"],
                "properties": {"kind": {"enum": ["inSource", "external"]}, "justification": {"type": "string"}},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
_RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        **dict.fromkeys(("shortDescription", "fullDescription", "help"), _TEXT),
        "defaultConfiguration": {
            "type": "object",
            "properties": {"level": _LEVEL},
            "additionalProperties": False,
        },
        "properties": {"type": "object"},
    },
    "additionalProperties": False,
}
SARIF = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
                                },
                                "additionalProperties": False,
                            }
                        },
                        "additionalProperties": False,
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": _RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""What SARIF 2.1.0 allows of what we write: objects of sections 3.13 to 3.57 with the members that we use, none else.

The committee's own schema may not be copied into other people's repositories.
"""


def test_sarif_is_what_the_specification_allows() -> None:
    written = sarif.document(report(found(), resource(suppressed_by="known"), found(rule="unlisted", edits=())))
    jsonschema_rs.validate(SARIF, json.loads(json.dumps(written)), validate_formats=True)
    run = written["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_the_check_of_sarif_can_fail() -> None:
    written = sarif.document(report(found()))
    written["runs"][0]["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"][0]["deletedRegion"][
        "startLine"
    ] = 0
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(SARIF, written)


def test_sarif_carries_the_fix_as_an_exact_edit() -> None:
    [result] = sarif.document(report(found()))["runs"][0]["results"]
    [change] = result["fixes"][0]["artifactChanges"]
    [replacement] = change["replacements"]
    region = replacement["deletedRegion"]
    place = slice(region["byteOffset"], region["byteOffset"] + region["byteLength"])
    assert TEXT[place] == b"nginx:latest"
    assert replacement["insertedContent"]["text"] == "nginx:1.27"
    assert result["level"] == "error"
    assert change["artifactLocation"] == {"uri": "deploy/Dockerfile", "uriBaseId": "%SRCROOT%"}


def test_sarif_names_a_resource_by_its_arn() -> None:
    [result] = sarif.document(report(resource()))["runs"][0]["results"]
    [location] = result["locations"][0]["logicalLocations"]
    assert location["name"] == "demo/app"
    assert location["fullyQualifiedName"].startswith("arn:aws:ecr:")


# --- JUnit -----------------------------------------------------------------------------------------------------------


def test_junit_has_a_failure_a_finding_and_a_pass_where_there_is_none() -> None:
    text = junit.render(report(found(), resource(suppressed_by="known"), found(message='<&" \x00')))
    root = ET.fromstring(text)  # noqa: S314 - our own text
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "2", "1")
    suites = {suite.get("name"): suite for suite in root}
    [clean] = suites["clean.yaml"]
    assert not list(clean)
    case = suites["deploy/Dockerfile"][0]
    assert (case.get("file"), case.get("line")) == ("deploy/Dockerfile", "2")
    [failure] = case
    assert failure.tag == "failure"
    assert "Name a version" in (failure.text or "")
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite)


@given(st.text())
def test_junit_is_xml_whatever_is_said(text: str) -> None:
    ET.fromstring(junit.render(report(found(message=text, reason=text, fix=text))))  # noqa: S314 - our own text


# --- annotations and JSON --------------------------------------------------------------------------------------------


def test_annotations_are_workflow_commands_the_gravest_first() -> None:
    odd = found(location=InFile("a,b:c.yaml", PLACE), message="100%\nsure", reason="", fix="")
    first, second = github_annotations.render(report(resource(), odd)).splitlines()
    assert first.startswith("::error file=a%2Cb%3Ac.yaml,line=2,endLine=2,col=")
    assert first.endswith("::100%25%0Asure")
    assert second.startswith("::warning title=repository-mutable%3A Tags can be moved::arn:aws:ecr:")


def test_json_tells_everything() -> None:
    told = json.loads(json.dumps(report(found(), resource()).document()))
    assert told["counts"] == {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 1, "LOW": 0, "INFORMATIONAL": 0}
    of_file = next(one for one in told["findings"] if "path" in one["location"])
    assert of_file["edits"][0]["after"] == "nginx:1.27"
    assert len(of_file["fingerprint"]) == 32
