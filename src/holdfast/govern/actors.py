"""Who did it: identities of events, and the pipeline behind a role session.

Pure. This file alone decides what counts as one pipeline. A role session is often one run: its name with what differs
from run to run taken away (numbers, hexadecimal, UUIDs), below the role's name, is the pipeline. Where nothing is
left, or only what a tool calls every session, the role is the pipeline.

Sources: AWS CloudTrail user guide, "userIdentity element"; session names of AWS CodeBuild, of EC2 instances and of
SDKs.
"""

from __future__ import annotations

import re
from typing import Any, Final

from holdfast.govern.events import NOBODY, Actor
from holdfast.govern.members import is_text

_ASSUMED: Final = re.compile(r"arn:[\w-]+:sts::(\d{12}):assumed-role/([^/]+)/(.+)", re.ASCII)
_IDENTITY: Final = re.compile(r"arn:[\w-]+:iam::(\d{12}):(?:user|role)/(?:.*/)?([^/]+)", re.ASCII)
_ROOT: Final = re.compile(r"arn:[\w-]+:iam::(\d{12}):root", re.ASCII)
_RUN: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![A-Za-z0-9])(?:i-)?[0-9a-f]{7,64}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z])[0-9]+(?![A-Za-z])",
    re.ASCII | re.IGNORECASE,
)
_EDGES: Final = re.compile(r"[-_.@/=,+ ]{2,}")
_GENERIC: Final = frozenset(
    {
        "",
        "GitHubActions",
        "AWSCodeBuild",
        "botocore-session",
        "aws-go-sdk",
        "aws-sdk-js",
        "aws-sdk-java",
        "session",
        "run",
        "build",
        "ci",
        "i",
        "AssumeRoleSession",
        "default_session",
        "jenkins",
        "gitlab",
    }
)
"""Session names that say nothing of the pipeline."""


def actor_of_arn(arn: str, service: str | None = None) -> Actor:
    """Read an identity's ARN; one of another form is kept as it is."""
    assumed = _ASSUMED.fullmatch(arn)
    if assumed:
        account, role, session = assumed.groups()
        return Actor(arn, account, role, session, pipeline_of(role, session), service)
    identity = _IDENTITY.fullmatch(arn)
    if identity:
        return Actor(arn, identity[1], identity[2], service=service)
    root = _ROOT.fullmatch(arn)
    return Actor(arn, root[1], "root", service=service) if root else Actor(arn, service=service)


def actor_of_cloudtrail(identity: object) -> Actor:
    """Read the element `userIdentity`; what has another form than CloudTrail's is nobody."""
    if not isinstance(identity, dict):
        return NOBODY
    service = _text(identity.get("invokedBy"))
    arn = _text(identity.get("arn"))
    if arn is not None:
        return actor_of_arn(arn, service)
    return Actor(
        account=_text(identity.get("accountId")),
        name=_text(identity.get("userName")) or _text(identity.get("principalId")),
        service=service,
    )


def pipeline_of(role: str, session: str) -> str:
    """Return the pipeline of a role session."""
    rest = _EDGES.sub("-", _RUN.sub("", session)).strip("-_.@/=,+ ")
    return role if rest in _GENERIC or rest == role else f"{role}/{rest}"


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON may be anything
    return value if is_text(value) and value else None
