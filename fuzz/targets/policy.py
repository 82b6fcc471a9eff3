"""A text is a policy that allows nothing which no statement names, or it is refused with PolicyInvalid."""

from __future__ import annotations

from holdfast.core import iam

SEEDS = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:Get*","ecr:?ull"],"Resource":"*"}]}',
    b'{"Statement":{"Sid":"a","Effect":"Deny","NotAction":"ecr:PutImage","NotResource":["arn:aws:ecr:*:*:repository/a*"]}}',
    (
        b'{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"*",'
        b'"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:username":["a*","${aws:username, \'x\'}"]}}}}'
    ),
    b"[]",
)
WORDS = (
    b'"Effect":"Allow"', b'"Effect":"Deny"', b'"Action":', b'"NotAction":', b'"Resource":', b'"NotResource":', b'"*"',
    b'"Condition":{}', b'"IpAddress":', b'"DateLessThan":', b'"ArnLike":', b'"Null":', b'"Bool":',
    b'"Principal":"*"', b'"Version":"2008-10-17"', b"${aws:username}", b"****", b"a*b*c*d*e*f*",
)  # fmt: skip
COVERS = (
    "core/iam/conditions.py",
    "core/iam/deciding.py",
    "core/iam/documents.py",
    "core/iam/patterns.py",
    "core/iam/whom.py",
)
PARSERS = ("core.iam.documents.PolicyDocument.parse",)
_RESOURCE = "arn:aws:ecr:eu-central-1:123456789012:repository/demo/app"


def check(data: bytes) -> None:
    """Read it as each kind, and ask it something."""
    for kind in iam.PolicyKind:
        try:
            policy = iam.PolicyDocument.parse(data, kind)
        except iam.PolicyInvalid as error:
            assert str(error)
            continue
        anyone = iam.Principal("123456789012", frozenset({"arn:aws:iam::123456789012:user/ann"}))
        asked = iam.Question("ecr:PutImage", _RESOURCE, anyone, "123456789012", iam.Context({"aws:username": "ann"}))
        named = iam.Policy("the policy", policy)
        layers = iam.Layers(resource=(named,)) if kind.is_of_resource else iam.Layers(identity=(named,))
        decision = iam.decide(asked, layers)
        if decision.allowed:
            assert b"Allow" in data or b"\\u" in data
        assert not iam.decide(asked, iam.Layers((named, iam.Policy("deny", iam.PolicyDocument.parse(_DENY))))).allowed


_DENY = '{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
