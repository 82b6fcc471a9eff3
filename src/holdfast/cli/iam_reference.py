# ruff: noqa: E501 - the sentences of a page
"""The page docs/reference/iam.md: what policies may say, from the tables that decide; and where AWS does other."""

from __future__ import annotations

from typing import Final

from holdfast.core.iam.conditions import OPERATORS
from holdfast.core.iam.documents import PolicyKind
from holdfast.core.iam.keys import KEYS, NEVER
from holdfast.core.iam.presets import MANAGED
from holdfast.registry.authority import MENDING, OF_THE_SERVER, V1_ACTIONS

_KINDS: Final = {
    PolicyKind.IDENTITY: "of a user, group or role: inside it, or attached to it",
    PolicyKind.REPOSITORY: "of a repository: `SetRepositoryPolicy`; resource-based",
    PolicyKind.RESOURCE: "of a registry: `PutRegistryPolicy`; resource-based",
    PolicyKind.TRUST: "of a role: who may become it; resource-based",
    PolicyKind.GUARDRAIL: "of a unit or an account: `holdfast guardrail`",
    PolicyKind.BOUNDARY: "a policy named as somebody's boundary",
    PolicyKind.SESSION: "given to AssumeRole to narrow a session",
}

_ORDER: Final = (
    "A statement that denies, in whatever policy, decides: guardrails, resource, identity, boundary, session.",
    "Each level of the organisation, from the root to the principal's account, must allow.",
    (
        "Within an account, the principal's own policies or the resource's must allow. The resource's count alone only where "
        "they name the principal in person (or everyone); naming the account leaves it to the account's own policies."
    ),
    "Across accounts both must allow. A role's trust policy must allow in any case.",
    "A permissions boundary and a session policy, where there is one, must allow too.",
)

_OTHER: Final = (
    (
        "`ecr:imageTagMutability` and `ecr:imageTagMutabilityExclusionFilters` exist here.",
        (
            "**AWS has no such keys.** There, a guardrail that denies `ecr:CreateRepository` unless the mode is IMMUTABLE "
            "denies every creation (the key is never there). Do not copy such a guardrail to AWS."
        ),
    ),
    (
        "A key of `aws:`, `ecr:` or `holdfast:` that no one has is refused when the policy is set; AWS takes it.",
        "A misspelt key makes a Deny that never denies, or always.",
    ),
    (
        "Guardrails hold for the managing account too, but for the actions that mend them.",
        "AWS exempts the management account. A server with one account should be guardable.",
    ),
    (
        "Guardrails hold for what the server does by itself (caching, replication, templates).",
        "AWS exempts service-linked roles. A guardrail must have no side door.",
    ),
    (
        "A boundary and a session policy limit also what a resource's policy grants.",
        "AWS lets some grants by a resource's policy pass by them; stricter is safer.",
    ),
    (
        (
            "A policy variable without a value matches nothing; a negated element or operator with one does not let anyone "
            "in."
        ),
        "AWS says that such a statement may be invalid. Not to know must never let anyone in.",
    ),
    (
        "An operator without ForAllValues or ForAnyValue on a key with several values: any of them will do.",
        "AWS leaves it open.",
    ),
    (
        "Every claim of a token is a condition key: `ISSUER:claim`.",
        "AWS offers some claims of known issuers only.",
    ),
    (
        "A trust policy for bearers of tokens must say which, by a claim besides the audience.",
        "All repositories of a CI service share its audience. AWS asks for it of some issuers.",
    ),
    (
        "A log-in token made by a session ends with the session.",
        "AWS's lives its twelve hours. Whoever ended the session meant to end it.",
    ),
    (
        "A principal named in a resource's policy is found by its ARN; one made anew under the name of another is let in.",
        "AWS keeps unique ids. Sessions and tokens here do end with the role or user that made them.",
    ),
    (
        "NotPrincipal goes with Deny only; it exempts those named in person (a role names its sessions), no account.",
        "As AWS advises.",
    ),
)


def page(head: str) -> str:
    """Return the page."""
    told = [
        head,
        "# Who may do what\n",
        (
            "Policies are AWS's JSON documents; `holdfast iam explain user/NAME ACTION REPOSITORY` tells what they decide, "
            "why, and by which statements.\n"
        ),
        "## Where policies are\n",
        "| policy | where | elements of a statement |",
        "|---|---|---|",
        *(f"| {kind.value} | {where} | {', '.join(sorted(kind.elements))} |" for kind, where in _KINDS.items()),
        "",
        "## What they decide\n",
        *(f"{place}. {sentence}" for place, sentence in enumerate(_ORDER, 1)),
        "",
        (
            f"While the account setting REGISTRY_POLICY_SCOPE is V1, a registry's policy speaks of {_list(V1_ACTIONS)} only. "
            "`ecr:GetAuthorizationToken` must come from the principal's own policies."
        ),
        f"For principals of the managing account alone: {_list(OF_THE_SERVER)}.",
        f"Guardrails do not speak of these when the managing account asks: {_list(MENDING)}.",
        "",
        "## Condition operators\n",
        (
            "Each also with `IfExists` (holds when the key is not there), and with `ForAllValues:` or `ForAnyValue:`. A key that "
            "is not there meets negated operators. `Null` asks whether a key is there. Version 2012-10-17 has policy variables "
            "(`${aws:username}`, `${aws:username, 'nobody'}`, `${*}`, `${?}`, `${$}`) in Resource and in the operators marked.\n"
        ),
        "| operator | negated | variables |",
        "|---|---|---|",
        *(
            f"| {name} | {'yes' if one.negated else ''} | {'yes' if one.with_variables else ''} |"
            for name, one in OPERATORS.items()
        ),
        "",
        "## Condition keys\n",
        "| key | type | values | there |",
        "|---|---|---|---|",
        *(
            f"| `{key.name}{'KEY' if key.name.endswith('/') else ''}`{' (not in AWS)' if key.ours else ''} | {key.type} | "
            f"{'several' if key.several else 'one'} | {key.when} |"
            for key in KEYS
        ),
        "| `sts:ExternalId`, `sts:RoleSessionName` | String | one | AssumeRole |",
        (
            "| `ISSUER:CLAIM`, such as `token.actions.githubusercontent.com:sub` | String | one or several | "
            "AssumeRoleWithWebIdentity |"
        ),
        "",
        f"Policies may name these keys of AWS's too; no request here has them: {_list(NEVER)}.",
        "",
        "## Policies that are always there\n",
        *(f"- `{arn}`" for arn in MANAGED),
        "",
        "## What is other than in AWS\n",
        "| here | why, and what AWS does |",
        "|---|---|",
        *(f"| {here} | {why} |" for here, why in _OTHER),
    ]
    return "\n".join(told) + "\n"


def _list(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
