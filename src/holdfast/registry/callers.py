"""Who calls: a user by an access key, or a session of a role, with all that policies may ask of them.

This file alone reads what a principal has: policies inside it, attached to it, of its groups; its boundary; its tags.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import iam
from holdfast.core.errors import Unauthenticated
from holdfast.registry.authority import Remembered, as_policies, parsed
from holdfast.store import accounts, identities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.accounts import PrincipalRow
    from holdfast.store.database import Reader
    from holdfast.store.identities import RoleRow

GONE: Final = "The user name or password is wrong, or the access key is no longer there."


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a request comes from and how: what policies may ask of it."""

    source: str
    secure: bool = False
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a principal, by which access key, from where."""

    arn: str
    account_id: str
    access_key_id: str
    principal: iam.Principal
    facts: Mapping[str, iam.Value]
    """Condition keys whose values stay for this caller, in lower case."""
    identity: tuple[iam.Policy, ...]
    boundary: tuple[iam.Policy, ...] | None = None
    session_policies: tuple[iam.Policy, ...] | None = None
    session: Mapping[str, Any] | None = None
    """What makes this session, to be sealed into what is made with it; None for an access key."""
    source: str = ""
    until: int | None = None
    """End of the token or session that was shown, microseconds since the epoch; None for an access key itself."""
    behalf: str | None = None
    """ARN of the principal for whom a service of ours acts; None for everyone who acts for itself."""
    remembered: Remembered = field(default_factory=Remembered, compare=False, repr=False)
    """Answers already given to this caller."""

    @property
    def grant(self) -> dict[str, Any]:
        """What stands for this caller in a token or a link; `Access.holder` makes the caller of it again."""
        if self.session is not None:
            return {"session": dict(self.session)}
        return {"arn": self.arn, "key": self.access_key_id}


def identity_id(prefix: str, arn: str, created_at: int) -> str:
    """Make the unique id of an identity: one that is made anew under the name of another has another id."""
    digest = hashlib.sha256(f"{arn} {created_at}".encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:17]


def caller_of_user(reader: Reader, row: PrincipalRow, key_id: str, connection: Connection) -> Caller:
    """Gather what a user has."""
    identity = [*as_policies(f"user/{row.name}", row.policies), *_attached(reader, row.arn)]
    for group in identities.groups_of(reader, row.arn):
        identity += [*as_policies(f"group/{group.name}", group.policies), *_attached(reader, group.arn)]
    facts: dict[str, iam.Value] = {
        **_facts(connection),
        "aws:principalarn": row.arn,
        "aws:principalaccount": row.account_id,
        "aws:principaltype": "User",
        "aws:userid": identity_id("AIDA", row.arn, row.created_at),
        "aws:username": row.name,
        **_tags(json.loads(row.tags)),
    }
    return Caller(
        arn=row.arn,
        account_id=row.account_id,
        access_key_id=key_id,
        principal=iam.Principal(row.account_id, frozenset({row.arn})),
        facts=facts,
        identity=tuple(identity),
        boundary=_boundary(reader, row.boundary),
        source=connection.source,
    )


def caller_of_session(reader: Reader, session: Mapping[str, Any], connection: Connection) -> Caller:
    """Gather what a session of a role has. Raises Unauthenticated when the role is gone, or is another one by now."""
    row = identities.role(reader, session["role"])
    if row is None or role_id(row) != session["role_id"]:
        raise Unauthenticated(GONE)
    arn = session_arn(row, session["name"])
    facts: dict[str, iam.Value] = {
        **_facts(connection),
        "aws:principalarn": row.arn,
        "aws:principalaccount": row.account_id,
        "aws:principaltype": "AssumedRole",
        "aws:userid": f"{role_id(row)}:{session['name']}",
        "aws:tokenissuetime": str(int(session["issued"]) // 1_000_000),
        **_tags({**json.loads(row.tags), **session.get("tags", {})}),
    }
    if session.get("provider"):
        facts["aws:federatedprovider"] = session["provider"]
    texts: list[str] = session.get("policies") or []
    own = tuple(
        iam.Policy(f"session policy {place}", parsed(text, iam.PolicyKind.SESSION)) for place, text in enumerate(texts)
    )
    return Caller(
        arn=arn,
        account_id=row.account_id,
        access_key_id=session["key"],
        principal=iam.Principal(row.account_id, frozenset({arn, row.arn})),
        facts=facts,
        identity=(*as_policies(f"role/{row.name}", row.policies), *_attached(reader, row.arn)),
        boundary=_boundary(reader, row.boundary),
        session_policies=own or None,
        session={key: value for key, value in session.items() if key != "secret"},
        source=connection.source,
        until=int(session["until"]),
    )


def caller_of_service(arn: str, account_id: str, may: iam.PolicyDocument | None = None) -> Caller:
    """Make the principal as which a service of ours acts in an account. Guardrails over the account hold for it too.

    Without `may` it has no right at all: it stands in the record for what the server does by itself.
    """
    facts: dict[str, iam.Value] = {
        **_facts(Connection("127.0.0.1", secure=True)),
        "aws:principalarn": arn,
        "aws:principalaccount": account_id,
        "aws:principaltype": "AssumedRole",
        "aws:principalisawsservice": "true",
    }
    identity = (iam.Policy(f"service role {arn.rpartition('/')[2]}", may),) if may is not None else ()
    return Caller(arn, account_id, "", iam.Principal(account_id, frozenset({arn})), facts, identity)


def caller_by_arn(reader: Reader, arn: str, connection: Connection) -> Caller | None:
    """Gather what a user or role would have if it called now; None when there is none of this ARN."""
    user = accounts.principal(reader, arn)
    if user is not None:
        return caller_of_user(reader, user, "", connection)
    role = identities.role(reader, arn)
    if role is None:
        return None
    session = {"role": arn, "role_id": role_id(role), "name": "explained", "issued": 0, "until": 0, "key": ""}
    return caller_of_session(reader, session, connection)


def role_id(row: RoleRow) -> str:
    """Return the unique id of a role."""
    return identity_id("AROA", row.arn, row.created_at)


def session_arn(row: RoleRow, name: str) -> str:
    """Return the ARN of a session of a role."""
    return f"arn:aws:sts::{row.account_id}:assumed-role/{row.name}/{name}"


def document_of(reader: Reader, policy_arn: str) -> str | None:
    """Return the text of a policy that can be attached; None when there is none of this ARN."""
    if policy_arn in iam.MANAGED:
        return json.dumps(iam.MANAGED[policy_arn])
    row = identities.managed_policy(reader, policy_arn)
    return row.document if row else None


def _attached(reader: Reader, arn: str) -> list[iam.Policy]:
    found = []
    for policy_arn in identities.attached(reader, arn):
        text = document_of(reader, policy_arn)
        if text is not None:
            found.append(iam.Policy(f"{policy_arn} attached to {arn}", parsed(text, iam.PolicyKind.IDENTITY)))
    return found


def _boundary(reader: Reader, policy_arn: str | None) -> tuple[iam.Policy, ...] | None:
    """Return the boundary: one that is gone allows nothing, as whoever set it meant to bound."""
    if policy_arn is None:
        return None
    text = document_of(reader, policy_arn)
    return (iam.Policy(f"boundary {policy_arn}", parsed(text, iam.PolicyKind.BOUNDARY)),) if text is not None else ()


def _facts(connection: Connection) -> dict[str, iam.Value]:
    facts: dict[str, iam.Value] = {
        "aws:sourceip": connection.source,
        "aws:securetransport": "true" if connection.secure else "false",
        "aws:principalisawsservice": "false",
    }
    if connection.agent:
        facts["aws:useragent"] = connection.agent
    return facts


def _tags(tags: Mapping[str, str]) -> dict[str, iam.Value]:
    return {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}
