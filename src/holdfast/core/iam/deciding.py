"""The decision: what all policies that speak of a request say together.

Source: AWS IAM User Guide, "Policy evaluation logic", "How AWS enforcement code logic evaluates requests to allow or
deny access" and "Cross-account policy evaluation logic". In this order:

1. a statement that denies, in whatever policy, decides;
2. every level of the organisation, from its root to the account, must allow (guardrails);
3. within an account, the principal's own policies or the resource's must allow; the resource's count only where they
   name the principal in person, not its account, which then decides by its own policies;
4. across accounts, both must allow; a role's trust policy must allow in any case;
5. a permissions boundary and a session's policy, where there is one, must allow too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.core.iam.context import Context
from holdfast.core.iam.documents import PolicyDocument, PolicyKind, Statement
from holdfast.core.iam.whom import Principal, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY: Final = Principal(None)
_EMPTY: Final = Context({})


@dataclass(frozen=True, slots=True)
class Policy:
    """A document, and what a person calls it."""

    name: str
    document: PolicyDocument


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may this principal do this to that?

    `owner` is the account that the resource belongs to, None when it is the principal's own whatever that is.
    """

    action: str
    resource: str
    principal: Principal = NOBODY
    owner: str | None = None
    context: Context = field(default=_EMPTY, compare=False)

    @property
    def is_within_account(self) -> bool:
        """Whether the principal asks for what is its own account's."""
        return self.owner is None or self.owner == self.principal.account_id


@dataclass(frozen=True, slots=True)
class Layers:
    """All policies that can speak of a request. `guardrails` has one tuple for each level of the organisation."""

    identity: tuple[Policy, ...] = ()
    resource: tuple[Policy, ...] = ()
    guardrails: tuple[tuple[Policy, ...], ...] = ()
    boundary: tuple[Policy, ...] | None = None
    session: tuple[Policy, ...] | None = None
    resource_must_allow: bool = False
    """Of a role: without its trust nobody becomes it, whatever the own policies say."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """A statement that settled the decision, and the policy it stands in."""

    policy: str
    kind: PolicyKind
    statement: Statement

    @property
    def sid(self) -> str | None:
        """The statement's Sid."""
        return self.statement.sid

    @property
    def place(self) -> int:
        """The statement's place in its policy, from zero."""
        return self.statement.place

    @property
    def allows(self) -> bool:
        """Whether the statement allows."""
        return self.statement.allows

    @property
    def told(self) -> str:
        """The statement as a person finds it."""
        return f"{self.policy}, statement {self.place}" + (f" ({self.sid})" if self.sid else "")


@dataclass(frozen=True, slots=True)
class Step:
    """What one layer of policies said: the statements that allowed and those that denied."""

    kind: PolicyKind
    policies: tuple[str, ...]
    allowing: tuple[Deciding, ...]
    denying: tuple[Deciding, ...]
    standing: Standing = Standing.PERSON
    """Of the policies of a resource: how those that allow name the principal."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `statements` are those that settled it: the denying ones, the allowing ones, or none."""

    allowed: bool
    reason: str
    statements: tuple[Deciding, ...] = ()
    steps: tuple[Step, ...] = ()


def decide(question: Question, layers: Layers) -> Decision:
    """Decide, with the reason in AWS's words."""
    guardrails = [_step(PolicyKind.GUARDRAIL, level, question) for level in layers.guardrails]
    resource = _step(PolicyKind.RESOURCE, layers.resource, question)
    identity = _step(PolicyKind.IDENTITY, layers.identity, question)
    limits = [
        _step(kind, policies, question)
        for kind, policies in ((PolicyKind.BOUNDARY, layers.boundary), (PolicyKind.SESSION, layers.session))
        if policies is not None
    ]
    steps = (*guardrails, *([resource] if layers.resource else []), identity, *limits)
    for step in steps:
        if step.denying:
            article = "an" if step.kind is PolicyKind.IDENTITY else "a"
            return _no(f"with an explicit deny in {article} {step.kind.value}", steps, step.denying)
    short = next((step for step in guardrails if not step.allowing), None)
    if short is None:
        short = _lacking(question, identity, resource, must=layers.resource_must_allow)
    if short is None:
        short = next((step for step in limits if not step.allowing), None)
    if short is not None:
        return _no(f"because no {short.kind.value} allows the {question.action} action", steps)
    granting = identity if identity.allowing else resource
    article = "an" if granting.kind is PolicyKind.IDENTITY else "a"
    reason = f"because {article} {granting.kind.value} allows the {question.action} action"
    settled = tuple(one for step in (identity, resource, *limits, *guardrails) for one in step.allowing)
    return Decision(True, reason, settled, steps)  # noqa: FBT003 - the answer's name is in the type


def _lacking(question: Question, identity: Step, resource: Step, *, must: bool) -> Step | None:
    """Return the layer that should have allowed and did not; None when enough was allowed."""
    standing = resource.standing if resource.allowing else Standing.NONE
    if question.principal.federated is not None and question.principal.account_id is None:
        return None if standing is Standing.PERSON else resource
    if question.is_within_account and not must:
        return None if identity.allowing or standing is Standing.PERSON else identity
    if standing is Standing.NONE:
        return resource
    if question.is_within_account and standing is Standing.PERSON:
        return None
    return None if identity.allowing else identity


def _no(reason: str, steps: tuple[Step, ...], statements: tuple[Deciding, ...] = ()) -> Decision:
    return Decision(False, reason, statements, steps)  # noqa: FBT003 - the answer's name is in the type


def _step(kind: PolicyKind, policies: Sequence[Policy], question: Question) -> Step:
    allowing: list[Deciding] = []
    denying: list[Deciding] = []
    best = Standing.NONE
    for policy in policies:
        for statement in policy.document.statements:
            standing = statement.standing(question.principal)
            if standing is Standing.NONE or not statement.speaks_of(
                question.action, question.resource, question.context
            ):
                continue
            found = Deciding(policy.name, policy.document.kind, statement)
            if statement.allows:
                allowing.append(found)
                best = max(best, standing)
            else:
                denying.append(found)
    return Step(kind, tuple(policy.name for policy in policies), tuple(allowing), tuple(denying), best)


def denial_message(principal_arn: str, action: str, resource: str, decision: Decision) -> str:
    """Say in AWS's words who may not do what to which, and why. Tools match the beginning."""
    return f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource} {decision.reason}"
