"""The condition keys: which there are, what each holds, and when a request has it.

A policy that names a key of `aws:`, `ecr:` or `holdfast:` that stands nowhere here is refused: a misspelt key is never
there, so that a `Deny` with it would never deny, or always. Keys of other services and of token issuers
(`token.actions.githubusercontent.com:sub`) are free. Source of AWS's names: IAM User Guide, "AWS global condition
context keys"; Service Authorization Reference, Amazon ECR.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

_OURS: Final = ("aws", "ecr", "holdfast")


@dataclass(frozen=True, slots=True)
class Key:
    """One key that requests have. A name that ends with "/" stands for a family: the key of a tag follows."""

    name: str
    type: str
    when: str
    several: bool = False
    ours: bool = False
    """Whether AWS has no such key."""


KEYS: Final = (
    Key("aws:PrincipalArn", "ARN", "always; of a session it is the ARN of its role"),
    Key("aws:PrincipalAccount", "String", "always"),
    Key("aws:PrincipalType", "String", "always: User or AssumedRole"),
    Key("aws:PrincipalTag/", "String", "a tag of the user or role, or one given to the session", several=False),
    Key("aws:PrincipalOrgID", "String", "when the principal's account is in the organisation"),
    Key("aws:PrincipalOrgPaths", "String", "likewise; the path of units that lead to the account", several=True),
    Key(
        "aws:PrincipalIsAWSService",
        "Bool",
        "always: true for what the server does by itself, as caching and replication",
    ),
    Key("aws:userid", "String", "always; of a session it is ROLE-ID:SESSION-NAME"),
    Key("aws:username", "String", "of users only"),
    Key("aws:FederatedProvider", "String", "of sessions made with a token of an identity provider"),
    Key("aws:TokenIssueTime", "Date", "of sessions: when it was made"),
    Key("aws:MultiFactorAuthAge", "Numeric", "never: there is no second factor here"),
    Key("aws:MultiFactorAuthPresent", "Bool", "never: there is no second factor here"),
    Key("aws:SourceIp", "IP address", "always: the other end of the connection"),
    Key("aws:SecureTransport", "Bool", "always: whether the request came by TLS"),
    Key("aws:UserAgent", "String", "when the client named itself"),
    Key("aws:CurrentTime", "Date", "always"),
    Key("aws:EpochTime", "Date", "always; seconds since 1970"),
    Key(
        "aws:RequestedRegion",
        "String",
        "always: the region of the registry; of identities and of STS: the region that the request was signed for",
    ),
    Key("aws:ResourceAccount", "String", "when a resource is asked for: the account it belongs to"),
    Key("aws:ResourceOrgID", "String", "likewise, when that account is in the organisation"),
    Key("aws:ResourceTag/", "String", "a resource tag of the repository asked for"),
    Key("ecr:ResourceTag/", "String", "the same"),
    Key("aws:RequestTag/", "String", "CreateRepository, TagResource; AssumeRole with tags"),
    Key("aws:TagKeys", "String", "the same, and UntagResource", several=True),
    Key("ecr:AccountSetting", "String", "GetAccountSetting, PutAccountSetting: the name of the setting"),
    Key(
        "ecr:imageTagMutability",
        "String",
        "CreateRepository, PutImageTagMutability, and a push that makes its repository: the mode asked for, MUTABLE "
        "when none is named",
        ours=True,
    ),
    Key(
        "ecr:imageTagMutabilityExclusionFilters",
        "String",
        "the same: the exclusion filters asked for",
        several=True,
        ours=True,
    ),
)
"""Every key that a request can have, but for those of token issuers and of sts:."""

NEVER: Final = frozenset(
    {
        "aws:AssumedRoot",
        "aws:CalledVia",
        "aws:CalledViaFirst",
        "aws:CalledViaLast",
        "aws:ChatbotSourceArn",
        "aws:Ec2InstanceSourcePrivateIPv4",
        "aws:Ec2InstanceSourceVpc",
        "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList",
        "aws:ResourceOrgPaths",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIdentity",
        "aws:SourceOrgID",
        "aws:SourceOrgPaths",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpcArn",
        "aws:SourceVpce",
        "aws:ViaAWSService",
        "aws:VpceAccount",
        "aws:VpceOrgID",
        "aws:VpceOrgPaths",
        "aws:VpcSourceIp",
        "aws:referer",
    }
)
"""Keys that AWS has and no request here ever has; policies may name them."""

_KNOWN: Final = frozenset(key.name.lower() for key in KEYS) | frozenset(map(str.lower, NEVER))
_NAMES: Final = sorted({key.name for key in KEYS} | NEVER)


def why_unknown(key: str) -> str | None:
    """Tell what is wrong with the name of a key, given in lower case; None when nothing is."""
    prefix, colon, name = key.partition(":")
    if not (prefix and colon and name):
        return "must be a condition key, such as aws:PrincipalArn"
    if prefix not in _OURS:
        return None
    family, slash, tag = key.partition("/")
    if (f"{family}/" in _KNOWN and tag) if slash else key in _KNOWN:
        return None
    near = difflib.get_close_matches(key, _NAMES, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"is no condition key of {prefix}{hint}"
