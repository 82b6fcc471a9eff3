"""Histories: what CloudTrail, EventBridge, ledgers and live tags tell, in one form; what cannot be read is named."""

from __future__ import annotations

import contextlib
import copy
import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import Commands, environment
from estates import aws_client, moto
from holdfast.core.mutability import TagMutability
from holdfast.govern import cloudtrail, eventbridge, ledger_events
from holdfast.govern.events import Event, Kind, Origin, Outcome, read_history, read_line, write_line
from holdfast.govern.history import Gathered, in_order, read_bytes
from holdfast.govern.members import RecordInvalid
from pasts import ACCOUNT, CI, NAME, REGION, digest, image_action, put_image, repository
from running import KEY_ID, SECRET
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "sha256:" + hashlib.sha256(b'{"schemaVersion": 2}').hexdigest()


def only(events: tuple[Event, ...]) -> Event:
    assert len(events) == 1
    return events[0]


def call(name: str, request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return put_image() | {"eventName": name, "requestParameters": request, "responseElements": None, **more}


def test_a_push_in_cloudtrail() -> None:
    found = only(cloudtrail.events_of(put_image()))
    assert (found.account, found.region, found.repository) == (ACCOUNT, REGION, NAME)
    assert (found.kind, found.outcome, found.tag, found.digest) == (Kind.PUSH, Outcome.DONE, "latest", MANIFEST)
    assert (found.actor.arn, found.actor.name, found.actor.pipeline) == (f"{CI}4711", "ci", "ci/app-build")
    assert (found.source, found.at) == ("203.0.113.12", datetime(2026, 3, 1, 8, 0, tzinfo=UTC))


def test_a_refused_push_has_the_digest_of_its_manifest() -> None:
    record = put_image(responseElements=None, errorCode="ImageTagAlreadyExistsException")
    found = only(cloudtrail.events_of(record))
    assert (found.outcome, found.error, found.digest) == (
        Outcome.REFUSED,
        "ImageTagAlreadyExistsException",
        MANIFEST,
    )


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (
            call(
                "BatchDeleteImage",
                {"repositoryName": NAME, "registryId": ACCOUNT, "imageIds": [{"imageTag": "v1"}]},
                responseElements={"imageIds": [{"imageTag": "v1", "imageDigest": digest(1)}], "failures": []},
            ),
            [(Kind.DELETE, NAME, "v1", digest(1), None)],
        ),
        (
            call(
                "BatchDeleteImage",
                {"repositoryName": NAME, "imageIds": [{"imageTag": "v1"}]},
                responseElements={"imageIds": [], "failures": [{"imageId": {"imageTag": "v1"}}]},
            ),
            [],
        ),
        (
            call(
                "PutImageTagMutability",
                {
                    "repositoryName": NAME,
                    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
                },
            ),
            [(Kind.SET_MUTABILITY, NAME, None, None, TagMutability.IMMUTABLE_WITH_EXCLUSION)],
        ),
        (call("CreateRepository", {"repositoryName": NAME}), [(Kind.CREATE, NAME, None, None, TagMutability.MUTABLE)]),
        (call("DeleteRepository", {"repositoryName": NAME, "force": True}), [(Kind.DROP, NAME, None, None, None)]),
        (
            call("CreateRepositoryCreationTemplate", {"prefix": "team", "imageTagMutability": "IMMUTABLE"}),
            [(Kind.SET_TEMPLATE, "team", None, None, TagMutability.IMMUTABLE)],
        ),
        (
            call(
                "PolicyExecutionEvent",
                None,  # type: ignore[arg-type] # as it is in the records
                serviceEventDetails={
                    "repositoryName": NAME,
                    "lifecycleEventImageActions": [
                        {"lifecycleEventImage": {"digest": digest(1), "tagStatus": "Tagged", "tagList": ["a", "b"]}},
                        {"lifecycleEventImage": {"digest": digest(2), "tagStatus": "Untagged"}},
                    ],
                },
            ),
            [
                (Kind.EXPIRE, NAME, "a", digest(1), None),
                (Kind.EXPIRE, NAME, "b", digest(1), None),
                (Kind.EXPIRE, NAME, None, digest(2), None),
            ],
        ),
        (call("DescribeImages", {"repositoryName": NAME}), []),
        ({"eventSource": "s3.amazonaws.com", "eventName": "PutObject"}, []),
    ],
)
def test_operations_in_cloudtrail(record: dict[str, Any], told: list[tuple[Any, ...]]) -> None:
    found = cloudtrail.events_of(record)
    assert [(one.kind, one.repository, one.tag, one.digest, one.mode) for one in found] == told


def test_an_event_of_eventbridge() -> None:
    found = only(eventbridge.events_of(image_action()))
    assert (found.kind, found.tag, found.digest, found.actor.label) == (Kind.PUSH, "latest", MANIFEST, "unknown")
    assert only(eventbridge.events_of(image_action(result="FAILURE"))).outcome is Outcome.REFUSED
    wrapped = {**image_action(), "detail-type": "AWS API Call via CloudTrail", "detail": put_image()}
    assert only(eventbridge.events_of(wrapped)).origin is Origin.CLOUDTRAIL
    assert eventbridge.events_of({**image_action(), "source": "aws.s3"}) == ()


def broken(base: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Records of which one member, anywhere, is something else."""
    texts = st.text(st.characters(), max_size=5)  # halves of surrogate pairs too
    junk: st.SearchStrategy[Any] = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        texts,
        st.lists(st.integers(), max_size=2),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    )

    def paths(value: Any, here: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        found = [here]
        if isinstance(value, dict):
            for name, one in value.items():
                found += paths(one, (*here, name))
        return found

    def put(path: tuple[str, ...], value: Any) -> Any:
        made = copy.deepcopy(base)
        if not path:
            return value
        where: Any = made
        for name in path[:-1]:
            where = where[name]
        where[path[-1]] = value
        return made

    return st.builds(put, st.sampled_from(paths(base)), junk)


RECORDS = [
    put_image(),
    put_image(responseElements={"image": {"imageId": {"imageDigest": "sha256:1"}}}),
    call("BatchDeleteImage", {"repositoryName": NAME, "imageIds": [{"imageTag": "v1"}]}),
    call("PutImageTagMutability", {"repositoryName": NAME, "imageTagMutability": "IMMUTABLE"}),
    call("PolicyExecutionEvent", {}, serviceEventDetails={"repositoryName": NAME, "lifecycleEventImageActions": []}),
    image_action(),
]


@given(st.one_of(*(broken(one) for one in RECORDS)))
@settings(max_examples=400, deadline=None)
def test_a_malformed_record_raises_its_own_error_and_nothing_else(record: Any) -> None:
    for read in (cloudtrail.events_of, eventbridge.events_of):
        with contextlib.suppress(RecordInvalid):
            for one in read(record):
                assert read_line(write_line(one)) == one


@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
@settings(max_examples=100, deadline=None)
def test_whatever_a_file_holds_the_run_goes_on(lines: list[bytes], packed: bool) -> None:  # noqa: FBT001 - drawn
    gathered = Gathered()
    content = b"\n".join([json.dumps(put_image()).encode(), *lines])
    read_bytes(gathered, gzip.compress(content) if packed else content, "a.json")
    read_bytes(gathered, b"\x1f\x8b" + content, "b.json.gz")
    # A line that begins in what hypothesis wrote may end the document that was first; then it is named.
    assert gathered.events or gathered.skipped
    assert [one.source for one in gathered.skipped][-1] == "b.json.gz"


def test_files_of_both_kinds_packed_or_not_and_what_is_wrong_in_them_is_named() -> None:
    gathered = Gathered()
    trail = {"Records": [put_image(), {"eventSource": "ecr.amazonaws.com", "eventName": "PutImage"}, 7]}
    read_bytes(gathered, gzip.compress(json.dumps(trail).encode()), "trail.json.gz")
    lines = "\n".join([json.dumps(image_action("v1")), "{", "", json.dumps([image_action("v2")])])
    read_bytes(gathered, lines.encode(), "events.jsonl")
    assert [one.tag for one in gathered.events] == ["latest", "v1", "v2"]
    assert [(one.source, one.where) for one in gathered.skipped] == [
        ("trail.json.gz", "record 2"),
        ("trail.json.gz", "record 3"),
        ("events.jsonl", "line 2"),
    ]
    assert gathered.records == 6


def test_a_file_that_unpacks_to_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.govern.history.MAX_FILE_BYTES", 1000)
    gathered = Gathered()
    read_bytes(gathered, gzip.compress(b" " * 100_000), "bomb.json.gz")
    assert [one.sentence for one in gathered.skipped] == ["it has more than 1000 bytes"]


def test_what_two_sources_tell_of_is_kept_once() -> None:
    trail, bridge = only(cloudtrail.events_of(put_image())), only(eventbridge.events_of(image_action()))
    other = only(eventbridge.events_of(image_action("v1")))
    late = only(eventbridge.events_of({**image_action(), "time": "2026-03-01T09:00:00Z", "id": "2"}))
    found = in_order([late, bridge, other, trail, trail])
    assert found == [trail, other, late]


def test_a_live_tag_tells_nothing_beside_a_record_of_its_push() -> None:
    trail = only(cloudtrail.events_of(put_image()))
    early = replace(trail, at=trail.at - timedelta(days=20), origin=Origin.RESIDUE, id=None)
    other = replace(early, tag="v1")
    assert in_order([early, trail, other]) == [other, trail]


def test_live_tags_are_a_lower_bound_and_named_so() -> None:
    found = list(ledger_events.residue_of([repository("v1", "v2")]))
    assert {(one.tag, one.origin, one.kind) for one in found} == {
        ("v1", Origin.RESIDUE, Kind.PUSH),
        ("v2", Origin.RESIDUE, Kind.PUSH),
    }


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys, {**environment("http://127.0.0.1:1"), "HOLDFAST_ENDPOINT": ""})


def events_in(path: Path) -> list[tuple[Any, ...]]:
    with path.open("rb") as file:
        return [(one.kind, one.tag, one.origin) for one in read_history(file).events]


def test_trail_files_from_a_folder_and_from_s3(holdfast: Commands, tmp_path: Path) -> None:
    content = gzip.compress(json.dumps({"Records": [put_image(), put_image("v1", eventID="2")]}).encode())
    folder = tmp_path / "AWSLogs" / ACCOUNT
    (folder / "CloudTrail").mkdir(parents=True)
    (folder / "CloudTrail-Digest").mkdir()
    (folder / "CloudTrail" / "one.json.gz").write_bytes(content)
    (folder / "CloudTrail-Digest" / "two.json.gz").write_bytes(gzip.compress(b"{}"))
    out = tmp_path / "history.jsonl"
    ran = holdfast("history", "--from", str(tmp_path / "AWSLogs"), "--out", str(out), "--json")
    assert (ran.code, ran.json()["events"]) == (0, 2), ran.err
    with moto() as url:
        s3 = aws_client("s3", "us-east-1", url, (KEY_ID, SECRET))
        s3.create_bucket(Bucket="trail-of-the-house")
        s3.put_object(Bucket="trail-of-the-house", Key="AWSLogs/1/CloudTrail/one.json.gz", Body=content)
        s3.put_object(Bucket="trail-of-the-house", Key="AWSLogs/1/CloudTrail-Digest/x.json.gz", Body=b"x")
        s3.close()
        again = tmp_path / "again.jsonl"
        ran = holdfast(
            "history", "--from", "s3://trail-of-the-house/AWSLogs/", "--out", str(again), AWS_ENDPOINT_URL_S3=url
        )
    assert ran.code == 0, ran.err
    assert events_in(again) == events_in(out)


def test_cloudtrail_is_asked_and_what_it_says_wrongly_is_named(
    holdfast: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: dict[Any, Any] = {
        None: {"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(put_image())}], "NextToken": "x"},
        "x": {"Events": [{"EventId": "2", "CloudTrailEvent": "{"}]},
    }

    def answer(asked: Asked) -> Told:
        if "Action=GetCallerIdentity" in asked.body.decode():
            body = (
                '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                f"<Arn>arn:aws:iam::{ACCOUNT}:user/auditor</Arn><UserId>x</UserId><Account>{ACCOUNT}</Account>"
                "</GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
            return Told(200, body.encode(), (("Content-Type", "text/xml"), ("Connection", "close")))
        given = json.loads(asked.body)
        assert asked.headers["x-amz-target"].endswith(".LookupEvents")
        (attribute,) = given["LookupAttributes"]
        asked_for.append(attribute["AttributeValue"])
        is_push = attribute == {"AttributeKey": "EventName", "AttributeValue": "PutImage"}
        told = pages[given.get("NextToken")] if is_push else {"Events": []}
        return Told(200, json.dumps(told).encode(), (("Connection", "close"),))

    monkeypatch.setattr("holdfast.cli.history.LOOKUPS_PER_SECOND", 1000.0)
    asked_for: list[str] = []
    out = tmp_path / "history.jsonl"
    with stub(answer) as server:
        urls = {
            "AWS_ENDPOINT_URL_STS": server.url,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": server.url,
            "HOLDFAST_ENDPOINT": None,
        }
        ran = holdfast("history", "--lookup", "--region", REGION, "--out", str(out), **urls)
    assert ran.code == 3, ran.err
    assert "event 2: CloudTrailEvent is no JSON" in ran.err
    assert "BatchGetImage" not in asked_for, "pulls are many, and nobody asked for them"
    assert {"PutImage", "BatchDeleteImage", "PutImageTagMutability", "PolicyExecutionEvent"} <= set(asked_for)
    assert events_in(out) == [(Kind.PUSH, "latest", Origin.CLOUDTRAIL)]
