"""A text is a policy that allows nothing which no statement names, or it is refused with PolicyInvalid."""

from __future__ import annotations

from holdfast.core import iam

SEEDS = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:Get*","ecr:?ull"],"Resource":"*"}]}',
    b'{"Statement":{"Sid":"a","Effect":"Deny","NotAction":"ecr:PutImage","NotResource":["arn:aws:ecr:*:*:repository/a*"]}}',
    b"[]",
)
WORDS = (
    b'"Effect":"Allow"', b'"Effect":"Deny"', b'"Action":', b'"NotAction":', b'"Resource":', b'"NotResource":', b'"*"',
    b'"Condition":{}', b'"Principal":"*"', b'"Version":"2008-10-17"', b"${aws:username}", b"****", b"a*b*c*d*e*f*",
)  # fmt: skip
COVERS = ("core/iam.py",)
PARSERS = ("core.iam.PolicyDocument.parse",)
_RESOURCE = "arn:aws:ecr:eu-central-1:123456789012:repository/demo/app"


def check(data: bytes) -> None:
    """Read it as each kind, and ask it something."""
    for kind in iam.PolicyKind:
        try:
            policy = iam.PolicyDocument.parse(data, kind)
        except iam.PolicyInvalid as error:
            assert str(error)
            continue
        decision = iam.decide([policy], "ecr:PutImage", _RESOURCE)
        if decision.allowed:
            assert b"Allow" in data or b"\\u" in data
        assert not iam.decide([policy, iam.PolicyDocument.parse(_DENY)], "ecr:PutImage", _RESOURCE).allowed


_DENY = '{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
