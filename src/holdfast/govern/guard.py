"""The guard: policies that keep held what was made to hold, and the requests that each must stop or let pass.

Pure. This file alone decides what the policies of the kit say and which requests they are tried with; the evaluator is
that of Holdfast's own IAM (`core/iam`). It knows nothing of files: `guard_files` puts the kit together.

What AWS can and cannot do, from the Service Authorization Reference for Amazon ECR: the only condition keys of ECR are
aws:RequestTag, aws:ResourceTag, aws:TagKeys, ecr:ResourceTag and ecr:AccountSetting. There is none for the mutability
of tags, so that no policy on AWS can demand that a repository is created IMMUTABLE. What a policy can do: keep settings
from being weakened, keep images from being deleted and their names taken again, and leave creating to one role, or to
requests that carry a tag. Holdfast servers have the key `ecr:imageTagMutability` and need none of these detours.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.iam import Context, Layers, Policy, PolicyDocument, PolicyKind, Principal, Question, decide
from holdfast.core.iam.keys import KEYS
from holdfast.core.mutability import TagMutability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CONTROL_POLICY_CHARACTERS: Final = 5_120
"""Of a service or resource control policy, white space counted. Source: AWS Organizations, "Quotas"."""

SETTINGS_ACTIONS: Final = (
    "ecr:PutImageTagMutability",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
)
"""What weakens the settings. Without its template a repository made by replication is MUTABLE."""

IMAGE_ACTIONS: Final = ("ecr:BatchDeleteImage", "ecr:DeleteRepository")
"""What frees the name of an immutable tag on AWS, for other bytes to take it."""

LIFECYCLE_ACTIONS: Final = ("ecr:PutLifecyclePolicy",)
"""The slow way to the same: a policy that expires a tag frees its name."""

ROLE_ACTIONS: Final = (
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:UpdateRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:AttachRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
    "iam:DeleteRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:DeleteRolePermissionsBoundary",
)
"""What would make anybody the exempt role: who may write a role's trust is the role."""

_NAME: Final = re.compile(r"[\w+=,.@/-]{1,128}", re.ASCII)
_PARTITIONS: Final = ("aws", "aws-cn", "aws-us-gov")
_ACCOUNT: Final = "111122223333"
_REGION: Final = "eu-central-1"


class OptionsInvalid(Exception):
    """Options that no kit can be made of; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a kit is made for. Names of roles may hold a path ("platform/vending")."""

    governance_role: str = "holdfast-governance"
    auto_flip_role: str = "holdfast-auto-flip"
    admin_role: str = "OrganizationAccountAccessRole"
    """Who may make and change the two roles above: rolls the kit out."""
    vending_role: str | None = None
    """Who alone may create repositories; None: whoever names the request tag may."""
    request_tag: str = "tag-immutability"
    request_value: str = "required"
    organization_id: str | None = None
    """With it, the resource control policy keeps principals of other organisations from deleting."""
    partition: str = "aws"
    hold_lifecycle: bool = False
    modes: tuple[str, ...] = ("IMMUTABLE",)
    """Modes that the guardrail of Holdfast servers lets pass."""

    def __post_init__(self) -> None:
        """Raise OptionsInvalid for what could not stand in a policy."""
        roles = [self.governance_role, self.auto_flip_role, self.admin_role, *filter(None, [self.vending_role])]
        for role in roles:
            if not _NAME.fullmatch(role):
                raise OptionsInvalid(f"{role!r} is no name of a role (no wildcards, no ARN).")
        if len(set(roles)) != len(roles):
            raise OptionsInvalid("The roles must be different ones: each is let through for something of its own.")
        if self.partition not in _PARTITIONS:
            raise OptionsInvalid(f"{self.partition!r} is none of {', '.join(_PARTITIONS)}.")
        if not re.fullmatch(r"[\w.:/=+@-]{1,128}", self.request_tag) or not re.fullmatch(
            r"[\w.:/=+@-]{1,256}", self.request_value
        ):
            raise OptionsInvalid("The request tag must have a key and a value without spaces and wildcards.")
        if self.organization_id is not None and not re.fullmatch(r"o-[a-z0-9]{10,32}", self.organization_id):
            raise OptionsInvalid(f"{self.organization_id!r} is no id of an organisation (o-...).")
        for mode in self.modes:
            if not TagMutability(mode).holds_by_default:
                raise OptionsInvalid(f"A guard that lets {mode} pass guards nothing.")

    def document(self) -> dict[str, Any]:
        """Return the options for a file."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Options:
        """Read options from a file. Raises OptionsInvalid."""
        try:
            given = dict(document)
            given["modes"] = tuple(given.get("modes", ("IMMUTABLE",)))
            return cls(**given)
        except (TypeError, ValueError) as error:
            raise OptionsInvalid(f"These are no options of a guard: {error}.") from None

    def arn(self, role: str, account: str = "*") -> str:
        """Return the ARN of a role, or the pattern of it in every account."""
        return f"arn:{self.partition}:iam::{account}:role/{role}"


# --- the policies ----------------------------------------------------------------------------------------------------


class Where(StrEnum):
    """Where a policy is put."""

    SERVICE_CONTROL = "service control policy on AWS"
    RESOURCE_CONTROL = "resource control policy on AWS"
    GUARDRAIL = "guardrail on a Holdfast server"


FILES: Final = {
    Where.SERVICE_CONTROL: "aws/service-control-policy.json",
    Where.RESOURCE_CONTROL: "aws/resource-control-policy.json",
    Where.GUARDRAIL: "holdfast/guardrail.json",
}
"""Where each policy lies in the kit."""


def policies(options: Options) -> dict[Where, dict[str, Any]]:
    """Return the policies of the kit."""
    made = {Where.SERVICE_CONTROL: _service_control(options), Where.GUARDRAIL: _guardrail(options)}
    if options.organization_id is not None:
        made[Where.RESOURCE_CONTROL] = _resource_control(options)
    return made


def _image_actions(options: Options) -> list[str]:
    return [*IMAGE_ACTIONS, *(LIFECYCLE_ACTIONS if options.hold_lifecycle else ())]


def _but(*roles: str) -> dict[str, Any]:
    """Return the condition that exempts roles, sessions of theirs included: aws:PrincipalArn is the role's ARN."""
    return {"ArnNotLike": {"aws:PrincipalArn": list(roles)}}


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _deny(
    sid: str, actions: Sequence[str], condition: dict[str, Any], resource: str | list[str] = "*"
) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": resource, "Condition": condition}


def _service_control(options: Options) -> dict[str, Any]:
    governance, flip = options.arn(options.governance_role), options.arn(options.auto_flip_role)
    if options.vending_role is not None:
        create = _deny("CreateByVending", ["ecr:CreateRepository"], _but(options.arn(options.vending_role), governance))
    else:
        tagged = {"StringNotEquals": {f"aws:RequestTag/{options.request_tag}": options.request_value}}
        create = _deny("CreateWithTag", ["ecr:CreateRepository"], tagged | _but(governance))
    return _document(
        _deny("HoldSettings", SETTINGS_ACTIONS, _but(governance, flip)),
        _deny("HoldImages", _image_actions(options), _but(governance)),
        create,
        _deny("HoldTheRoles", ROLE_ACTIONS, _but(options.arn(options.admin_role)), [governance, flip]),
        _deny("PassTheRoles", ["iam:PassRole"], _but(options.arn(options.admin_role), flip), [governance, flip]),
    )


def _resource_control(options: Options) -> dict[str, Any]:
    outside = {
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": options.organization_id},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    statement = _deny("HoldFromOutside", [*SETTINGS_ACTIONS, *IMAGE_ACTIONS, "ecr:PutImage"], outside)
    return _document({"Sid": statement["Sid"], "Effect": "Deny", "Principal": "*", **statement})


def _guardrail(options: Options) -> dict[str, Any]:
    governance = options.arn(options.governance_role)
    asked = "ecr:imageTagMutability"
    held = {"StringNotEquals": {asked: list(options.modes)}}
    filtered = {"StringNotEquals": {asked: str(TagMutability.IMMUTABLE)}}
    return _document(
        _deny("OnlyHeld", ["ecr:CreateRepository", "ecr:PutImageTagMutability"], held),
        _deny("HoldFilters", ["ecr:PutImageTagMutability"], filtered | _but(governance)),
        _deny("HoldTemplates", [one for one in SETTINGS_ACTIONS if "Template" in one], _but(governance)),
        _deny("HoldImages", _image_actions(options), _but(governance)),
    )


CREATION_TEMPLATE: Final = {
    "prefix": "ROOT",
    "description": "What replication, caching or a push makes is held",
    "imageTagMutability": str(TagMutability.IMMUTABLE),
    "appliedFor": ["REPLICATION", "PULL_THROUGH_CACHE", "CREATE_ON_PUSH"],
}
"""Parameters of CreateRepositoryCreationTemplate: repositories that come into being by themselves are held."""


# --- the requests ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """A request that a policy must stop or let pass, and why."""

    where: Where
    says: str
    action: str
    principal: str
    passes: bool
    context: Mapping[str, str] = field(default_factory=dict)
    resource: str | None = None

    def resource_for(self, options: Options) -> str:
        """Return the ARN that is asked for."""
        return self.resource or f"arn:{options.partition}:ecr:{_REGION}:{_ACCOUNT}:repository/team/app"


def requests(options: Options) -> list[Request]:
    """Return the requests that the policies are tried with."""
    made = [*_service_control_requests(options), *_guardrail_requests(options)]
    return [*made, *_resource_control_requests(options)] if options.organization_id is not None else made


class _Rows:
    """Rows of the table for one policy, in the order in which they are written."""

    def __init__(self, where: Where) -> None:
        self.rows: list[Request] = []
        self._where = where

    def lets(self, says: str, action: str, principal: str, resource: str | None = None, **context: str) -> None:
        """Demand that this passes."""
        self._add(says, action, principal, resource, context, passes=True)

    def stops(self, says: str, action: str, principal: str, resource: str | None = None, **context: str) -> None:
        """Demand that this does not pass."""
        self._add(says, action, principal, resource, context, passes=False)

    def _add(
        self,
        says: str,
        action: str,
        principal: str,
        resource: str | None,
        context: Mapping[str, str],
        *,
        passes: bool,
    ) -> None:
        self.rows.append(Request(self._where, says, action, principal, passes, context, resource))


def _service_control_requests(options: Options) -> list[Request]:
    table = _Rows(Where.SERVICE_CONTROL)
    team, admin = options.arn("team-ci", _ACCOUNT), options.arn("Administrator", _ACCOUNT)
    governance, flip = options.arn(options.governance_role, _ACCOUNT), options.arn(options.auto_flip_role, _ACCOUNT)
    roller = options.arn(options.admin_role, _ACCOUNT)
    table.lets("a pipeline pushes a new tag", "ecr:PutImage", team)
    table.lets("a pipeline pulls", "ecr:BatchGetImage", team)
    table.lets("an administrator reads settings", "ecr:DescribeRepositories", admin)
    for action in SETTINGS_ACTIONS:
        table.stops("an account's administrator weakens settings", action, admin)
        table.lets("the governance role changes settings", action, governance)
    table.lets("the automatic flip mends a repository", "ecr:PutImageTagMutability", flip)
    near = options.arn(f"x-{options.governance_role}", _ACCOUNT)
    table.stops("a role whose name only ends alike", "ecr:PutImageTagMutability", near)
    for action in _image_actions(options):
        table.stops("delete, then push other bytes under the name", action, team)
        table.stops("the automatic flip deletes nothing", action, flip)
        table.lets("the governance role removes what must go", action, governance)
    _creation_requests(table, options, team)
    for role in (governance, flip):
        table.stops("an administrator lets himself in", "iam:UpdateAssumeRolePolicy", admin, role)
        table.stops("an administrator makes the role anew", "iam:CreateRole", admin, role)
        table.stops("an administrator runs a function as the role", "iam:PassRole", admin, role)
        table.lets("whoever rolls out makes the role", "iam:CreateRole", roller, role)
    table.lets("the automatic flip hands itself to Systems Manager", "iam:PassRole", flip, flip)
    table.lets("other roles stay free", "iam:CreateRole", admin, team)
    return table.rows


def _creation_requests(table: _Rows, options: Options, team: str) -> None:
    create = "ecr:CreateRepository"
    right = {f"aws:RequestTag/{options.request_tag}": options.request_value}
    wrong = {f"aws:RequestTag/{options.request_tag}": f"{options.request_value}-not"}
    table.lets("the governance role creates", create, options.arn(options.governance_role, _ACCOUNT))
    table.stops("a pipeline creates a repository", create, team)
    if options.vending_role is not None:
        table.stops("a pipeline creates one and names the tag", create, team, **right)
        table.lets("the vending role creates one", create, options.arn(options.vending_role, _ACCOUNT))
    else:
        table.stops("a pipeline names another value of the tag", create, team, **wrong)
        table.lets("a pipeline creates one with the tag", create, team, **right)


def _guardrail_requests(options: Options) -> list[Request]:
    table, key = _Rows(Where.GUARDRAIL), "ecr:imageTagMutability"
    team, governance = options.arn("team-ci", _ACCOUNT), options.arn(options.governance_role, _ACCOUNT)
    table.lets("a pipeline pushes", "ecr:PutImage", team)
    table.stops("a template is changed", "ecr:UpdateRepositoryCreationTemplate", team)
    table.lets("governance changes a template", "ecr:UpdateRepositoryCreationTemplate", governance)
    for mode in map(str, TagMutability):
        demand = table.lets if mode in options.modes else table.stops
        demand(f"created {mode}", "ecr:CreateRepository", team, **{key: mode})
        demand(f"governance sets {mode}", "ecr:PutImageTagMutability", governance, **{key: mode})
        harmless = table.lets if mode == TagMutability.IMMUTABLE else table.stops
        harmless(f"a pipeline sets {mode}", "ecr:PutImageTagMutability", team, **{key: mode})
    for action in _image_actions(options):
        table.stops("a pipeline deletes", action, team)
        table.lets("the governance role deletes", action, governance)
    return table.rows


def _resource_control_requests(options: Options) -> list[Request]:
    table, delete = _Rows(Where.RESOURCE_CONTROL), "ecr:BatchDeleteImage"
    person = {"aws:PrincipalIsAWSService": "false"}
    inside = {"aws:PrincipalOrgID": options.organization_id or "", **person}
    outside = {"aws:PrincipalOrgID": "o-0000000000", **person}
    stranger = f"arn:{options.partition}:iam::999988887777:role/ci"
    own = options.arn("team-ci", _ACCOUNT)
    table.stops("a stranger that a repository policy trusts deletes", delete, stranger, **outside)
    table.stops("the same one pushes over a tag", "ecr:PutImage", stranger, **outside)
    table.stops("somebody without any organisation deletes", delete, stranger)
    table.lets("a stranger may still pull", "ecr:BatchGetImage", stranger, **outside)
    table.lets("our own pipeline pushes", "ecr:PutImage", own, **inside)
    table.lets("replication by the service itself", "ecr:PutImage", own, **{"aws:PrincipalIsAWSService": "true"})
    return table.rows


# --- the trial -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """A request, how it was decided, and by what."""

    request: Request
    passed: bool
    by: str

    @property
    def holds(self) -> bool:
        """Whether it is as it must be."""
        return self.passed is self.request.passes

    def document(self) -> dict[str, Any]:
        """Return the trial for a program."""
        request = self.request
        return {
            "policy": str(request.where),
            "request": request.says,
            "action": request.action,
            "principal": request.principal,
            "context": dict(request.context),
            "must_pass": request.passes,
            "passes": self.passed,
            "by": self.by,
            "holds": self.holds,
        }


_ANYTHING: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_FULL: Final = Policy("FullAWSAccess", PolicyDocument.parse(_ANYTHING, PolicyKind.GUARDRAIL))
_ADMINISTRATOR: Final = Policy("AdministratorAccess", PolicyDocument.parse(_ANYTHING))


def parse(where: Where, document: str | Mapping[str, Any]) -> PolicyDocument:
    """Read a policy as its place takes it. Raises holdfast.core.iam.PolicyInvalid."""
    kind = PolicyKind.RESOURCE if where is Where.RESOURCE_CONTROL else PolicyKind.GUARDRAIL
    return PolicyDocument.parse(document, kind)


def try_policies(documents: Mapping[Where, PolicyDocument], options: Options) -> list[Trial]:
    """Decide each request as an administrator's, by the policy it is for alone: it is the only thing in the way."""
    return [_try(request, documents.get(request.where), options) for request in requests(options)]


def _try(request: Request, document: PolicyDocument | None, options: Options) -> Trial:
    if document is None:
        return Trial(request, passed=not request.passes, by="the policy is not there")
    account = request.principal.split(":")[4]
    question = Question(
        request.action,
        request.resource_for(options),
        Principal(account, frozenset({request.principal})),
        account,
        Context({"aws:PrincipalArn": request.principal, **request.context}),
    )
    policy = Policy(str(request.where), document)
    layers = (
        Layers(identity=(_ADMINISTRATOR,), resource=(policy,))
        if request.where is Where.RESOURCE_CONTROL
        else Layers(identity=(_ADMINISTRATOR,), guardrails=((_FULL, policy),))
    )
    decision = decide(question, layers)
    told = [one.sid or f"statement {one.place}" for one in decision.statements if not one.allows]
    return Trial(request, decision.allowed, ", ".join(told) if told else "nothing denies it")


def faults(where: Where, text: str) -> list[str]:
    """Tell what is wrong with the text of a policy besides what it decides: its length, keys that AWS does not have."""
    found: list[str] = []
    if where is Where.GUARDRAIL:
        return found
    if len(text.encode()) > MAX_CONTROL_POLICY_CHARACTERS:
        found.append(f"has {len(text.encode())} bytes; AWS takes {MAX_CONTROL_POLICY_CHARACTERS}")
    ours = [one.name for one in KEYS if one.ours and one.name.lower() in text.lower()]
    found += [f"names {key}, which AWS does not have: there the condition is never met, or always" for key in ours]
    return found


def written(document: Mapping[str, Any]) -> str:
    """Write a policy as its file holds it."""
    return json.dumps(document, indent=2) + "\n"
