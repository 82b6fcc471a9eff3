"""A file of records is read into events of the normal form, and what cannot be read is named."""

from __future__ import annotations

import json

from holdfast.govern import events
from holdfast.govern.history import Gathered, in_order, read_bytes

_PUSH = {
    "eventSource": "ecr.amazonaws.com",
    "eventName": "PutImage",
    "eventTime": "2026-03-01T08:00:00Z",
    "awsRegion": "eu-central-1",
    "recipientAccountId": "111122223333",
    "userIdentity": {"arn": "arn:aws:sts::111122223333:assumed-role/ci/app-4711"},
    "requestParameters": {"repositoryName": "a", "imageTag": "v1", "imageManifest": "{}"},
    "responseElements": {"image": {"imageId": {"imageDigest": "sha256:1"}}},
    "eventID": "1",
}
_DELETE = _PUSH | {
    "eventName": "BatchDeleteImage",
    "requestParameters": {"repositoryName": "a", "imageIds": [{"imageTag": "v1"}]},
    "responseElements": None,
}
_EVENT = {
    "source": "aws.ecr",
    "detail-type": "ECR Image Action",
    "account": "111122223333",
    "region": "eu-central-1",
    "time": "2026-03-01T08:00:01Z",
    "id": "2",
    "detail": {"result": "SUCCESS", "repository-name": "a", "action-type": "PUSH", "image-tag": "v1"},
}
SEEDS = (
    json.dumps({"Records": [_PUSH, _DELETE]}).encode(),
    json.dumps(_EVENT).encode() + b"\n" + json.dumps(_PUSH).encode(),
    json.dumps([{"CloudTrailEvent": json.dumps(_PUSH)}]).encode(),
    b"\x1f\x8b\x08\x00",
)
WORDS = (
    b'"eventName":"PolicyExecutionEvent"', b'"serviceEventDetails":{}', b'"imageIds":[]', b'"imageIds":[{}]',
    b'"PutImageTagMutability"', b'"imageTagMutability":"MUTABLE"', b"null", b"[]", b"{}", b'"time":0', b"1e999",
    b'"errorCode":"x"', b'"detail-type":"AWS API Call via CloudTrail"',
)  # fmt: skip
PARSERS = ("govern.history.read_bytes", "govern.cloudtrail.events_of", "govern.eventbridge.events_of")
COVERS = ("govern/history.py", "govern/cloudtrail.py", "govern/eventbridge.py", "govern/members.py", "govern/actors.py")


def check(data: bytes) -> None:
    """Read it as a file; each event can be written and read again."""
    gathered = Gathered(pulls=True)
    read_bytes(gathered, data, "a file")
    assert all(one.sentence for one in gathered.skipped)
    for one in in_order(gathered.events):
        assert events.read_line(events.write_line(one)) == one
