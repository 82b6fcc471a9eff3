"""`holdfast group`, `holdfast role` and `holdfast iam`: who may do what, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.teaching import TeachingGroup
from holdfast.core import iam as policies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.cli.output import Output

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--account`: the managing account's administrators may name another one."""
    return click.option(
        "--account", metavar="ID", help="Of another account; for the managing account's administrators."
    )(command)


def of_account(account: str | None) -> dict[str, str]:
    """Return the parameter that names an account."""
    return {} if account is None else {"registryId": account}


def read_policy(file: Path, kind: policies.PolicyKind = policies.PolicyKind.IDENTITY) -> str:
    """Read a policy from a file, and check it before anything is sent."""
    try:
        text = file.read_text("utf-8")
        policies.PolicyDocument.parse(text, kind)
    except (UnicodeDecodeError, policies.PolicyInvalid) as error:
        msg = f"{file} is no policy: {error}"
        raise click.UsageError(msg) from None
    return text


# --- groups ----------------------------------------------------------------------------------------------------------


@click.group(
    cls=TeachingGroup,
    sections={"Examples": ("holdfast group create team-a --policy team-a.json", "holdfast group add team-a ann")},
)
def group() -> None:
    """Make groups of users; its policies are theirs too."""


@group.command("create")
@click.argument("name")
@click.option("--policy", "files", multiple=True, type=_FILE, metavar="FILE", help="A policy inside the group.")
@account_option
@connected
def create_group(at: Connection, out: Output, name: str, files: Sequence[Path], account: str | None) -> None:
    """Make a group."""
    texts = [read_policy(file) for file in files]
    made = at.api.holdfast("create_group", name=name, policies=texts, **of_account(account))["group"]
    out.result({"name": name, "arn": made["arn"]}, f"{made['arn']} was made.")


@group.command("list")
@account_option
@connected
def list_groups(at: Connection, out: Output, account: str | None) -> None:
    """List groups, their policies and users."""
    found = [_group(one) for one in at.api.pages("holdfast", "list_groups", "groups", **of_account(account))]
    rows = [
        (one["name"], str(len(one["policies"])), " ".join(one["attached_policies"]), " ".join(one["users"]))
        for one in found
    ]
    out.table({"groups": found}, ("NAME", "INSIDE", "ATTACHED", "USERS"), rows, "There is no group.")


def _group(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": one["name"],
        "arn": one["arn"],
        "policies": [json.loads(text) for text in one.get("policies", [])],
        "attached_policies": one.get("attachedPolicyArns", []),
        "users": [arn.rpartition("/")[2] for arn in one.get("members", [])],
    }


@group.command("delete")
@click.argument("name")
@account_option
@connected
def delete_group(at: Connection, out: Output, name: str, account: str | None) -> None:
    """Delete a group; its users stay."""
    at.api.holdfast("delete_group", name=name, **of_account(account))
    out.result({"name": name, "deleted": True}, f"The group {name} was deleted.")


@group.command("add")
@click.argument("name")
@click.argument("user")
@account_option
@connected
def add(at: Connection, out: Output, name: str, user: str, account: str | None) -> None:
    """Put a user into a group."""
    at.api.holdfast("add_user_to_group", groupName=name, userName=user, **of_account(account))
    out.result({"name": name, "user": user, "member": True}, f"{user} is in {name} now.")


@group.command("remove")
@click.argument("name")
@click.argument("user")
@account_option
@connected
def remove(at: Connection, out: Output, name: str, user: str, account: str | None) -> None:
    """Take a user out of a group."""
    at.api.holdfast("remove_user_from_group", groupName=name, userName=user, **of_account(account))
    out.result({"name": name, "user": user, "member": False}, f"{user} is in {name} no more.")


# --- roles -----------------------------------------------------------------------------------------------------------


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast role create ci --trust trust.json --policy push.json",
            "holdfast iam provider add https://token.actions.githubusercontent.com --audience holdfast",
        )
    },
)
def role() -> None:
    """Make roles, which others take on for a while."""


@role.command("create")
@click.argument("name")
@click.option("--trust", type=_FILE, required=True, metavar="FILE", help="Who may become the role (a trust policy).")
@click.option("--policy", "files", multiple=True, type=_FILE, metavar="FILE", help="A policy inside the role.")
@click.option("--max-session", type=click.IntRange(3_600, 43_200), metavar="SECONDS", help="Longest life of a session.")
@account_option
@connected
def create_role(
    at: Connection,
    out: Output,
    name: str,
    trust: Path,
    files: Sequence[Path],
    max_session: int | None,
    account: str | None,
) -> None:
    """Make a role."""
    more: dict[str, Any] = {"maxSessionSeconds": max_session} if max_session else {}
    made = at.api.holdfast(
        "create_role",
        name=name,
        trustPolicy=read_policy(trust, policies.PolicyKind.TRUST),
        policies=[read_policy(file) for file in files],
        **more,
        **of_account(account),
    )["role"]
    out.result({"name": name, "arn": made["arn"], "role_id": made["roleId"]}, f"{made['arn']} was made.")


@role.command("trust")
@click.argument("name")
@click.argument("file", type=_FILE)
@account_option
@connected
def put_trust(at: Connection, out: Output, name: str, file: Path, account: str | None) -> None:
    """Replace whom a role trusts."""
    text = read_policy(file, policies.PolicyKind.TRUST)
    at.api.holdfast("put_role_trust", name=name, trustPolicy=text, **of_account(account))
    out.result({"name": name, "trust": json.loads(text)}, f"The trust policy of {name} was replaced.")


@role.command("list")
@account_option
@connected
def list_roles(at: Connection, out: Output, account: str | None) -> None:
    """List roles, whom they trust and their policies."""
    found = [
        {
            "name": one["name"],
            "arn": one["arn"],
            "trust": json.loads(one["trustPolicy"]),
            "policies": [json.loads(text) for text in one.get("policies", [])],
            "attached_policies": one.get("attachedPolicyArns", []),
            "max_session_seconds": one["maxSessionSeconds"],
        }
        for one in at.api.pages("holdfast", "list_roles", "roles", **of_account(account))
    ]
    rows = [
        (one["name"], str(one["max_session_seconds"]), " ".join(one["attached_policies"]), one["arn"]) for one in found
    ]
    out.table({"roles": found}, ("NAME", "SESSION", "ATTACHED", "ARN"), rows, "There is no role.")


@role.command("delete")
@click.argument("name")
@account_option
@connected
def delete_role(at: Connection, out: Output, name: str, account: str | None) -> None:
    """Delete a role; its sessions end at once."""
    at.api.holdfast("delete_role", name=name, **of_account(account))
    out.result({"name": name, "deleted": True}, f"The role {name} was deleted; its sessions are of no use from now on.")


# --- policies, issuers, why ------------------------------------------------------------------------------------------


@click.group(
    cls=TeachingGroup,
    sections={
        "Examples": (
            "holdfast iam explain user/ci ecr:PutImage demo/app",
            "holdfast iam attach user/ci arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser",
        )
    },
)
def iam() -> None:
    """Attach policies, trust issuers of tokens, ask why."""


@iam.command()
@click.argument("principal")
@click.argument("action")
@click.argument("repository", required=False)
@click.option(
    "--key", "keys", multiple=True, metavar="NAME=VALUE", help="A condition key of the request; again: more values."
)
@account_option
@connected
def explain(
    at: Connection,
    out: Output,
    principal: str,
    action: str,
    repository: str | None,
    keys: Sequence[str],
    account: str | None,
) -> int:
    """Tell whether user/NAME or role/NAME may do an action, and which statements settle it.

    Nothing is done. Ends with 0 when it is allowed, with 1 when it is not.
    """
    given: dict[str, list[str]] = {}
    for one in keys:
        name, equals, value = one.partition("=")
        if not equals:
            msg = f"{one!r} is not of the form NAME=VALUE."
            raise click.UsageError(msg)
        given.setdefault(name, []).append(value)
    more: dict[str, Any] = {"repositoryName": repository} if repository else {}
    if given:
        more["contextKeys"] = given
    told = at.api.holdfast("explain_access", principal=principal, action=action, **more, **of_account(account))
    statements = told.get("statements", [])
    document = {
        "allowed": told["allowed"],
        "reason": told["reason"],
        "resource": told["resource"],
        "statements": statements,
        "steps": told["steps"],
    }
    lines = [
        f"  {one['effect']}: {one['policy']}, statement {one['place']}" + (f" ({one['sid']})" if one.get("sid") else "")
        for one in statements
    ]
    looked = [
        f"  {step['kind']}: {', '.join(step.get('policies', [])) or 'none'}"
        f"; {step['allowing']} allow, {step['denying']} deny"
        for step in told["steps"]
    ]
    verdict = "Allowed" if told["allowed"] else "Denied"
    out.result(document, f"{verdict}: {told['message']}", *lines, "Looked at:", *looked)
    return Exit.DONE if told["allowed"] else Exit.FOUND


@iam.command()
@click.argument("identity")
@click.argument("policy_arn", metavar="POLICY")
@account_option
@connected
def attach(at: Connection, out: Output, identity: str, policy_arn: str, account: str | None) -> None:
    """Attach a policy to user/NAME, group/NAME or role/NAME."""
    at.api.holdfast("attach_policy", identity=identity, policyArn=policy_arn, **of_account(account))
    out.result({"identity": identity, "policy": policy_arn, "attached": True}, f"{identity} has {policy_arn} now.")


@iam.command()
@click.argument("identity")
@click.argument("policy_arn", metavar="POLICY")
@account_option
@connected
def detach(at: Connection, out: Output, identity: str, policy_arn: str, account: str | None) -> None:
    """Detach a policy from user/NAME, group/NAME or role/NAME."""
    at.api.holdfast("detach_policy", identity=identity, policyArn=policy_arn, **of_account(account))
    out.result({"identity": identity, "policy": policy_arn, "attached": False}, f"{identity} has it no more.")


@iam.command("put")
@click.argument("identity")
@click.option("--policy", "files", multiple=True, type=_FILE, metavar="FILE", help="Policies inside; replaces all.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Tags; replaces all.")
@click.option("--boundary", metavar="POLICY", help="The policy that bounds what others allow; '' takes it away.")
@account_option
@connected
def put(
    at: Connection,
    out: Output,
    identity: str,
    files: Sequence[Path],
    tags: Sequence[str],
    boundary: str | None,
    account: str | None,
) -> None:
    """Replace what user/NAME, group/NAME or role/NAME has of its own; what is left out stays."""
    more: dict[str, Any] = {}
    if files:
        more["policies"] = [read_policy(file) for file in files]
    if tags:
        more["tags"] = {one.partition("=")[0]: one.partition("=")[2] for one in tags}
    if boundary is not None:
        more["permissionsBoundary"] = boundary
    if not more:
        msg = "Say what to replace: --policy, --tag or --boundary."
        raise click.UsageError(msg)
    at.api.holdfast("put_identity", identity=identity, **more, **of_account(account))
    out.result({"identity": identity, "changed": sorted(more)}, f"{identity} was changed.")


@iam.group()
def policy() -> None:
    """Make policies that can be attached."""


@policy.command("put")
@click.argument("name")
@click.argument("file", type=_FILE)
@account_option
@connected
def put_policy(at: Connection, out: Output, name: str, file: Path, account: str | None) -> None:
    """Make a policy, or replace its document: it counts at once for all who have it."""
    made = at.api.holdfast("put_policy", name=name, document=read_policy(file), **of_account(account))["policy"]
    out.result({"name": name, "arn": made["arn"]}, f"{made['arn']} is as the file says now.")


@policy.command("list")
@account_option
@connected
def list_policies(at: Connection, out: Output, account: str | None) -> None:
    """List the policies that can be attached."""
    found = [
        {"name": one["name"], "arn": one["arn"], "document": json.loads(one["document"])}
        for one in at.api.pages("holdfast", "list_policies", "policies", **of_account(account))
    ]
    out.table({"policies": found}, ("NAME", "ARN"), [(one["name"], one["arn"]) for one in found], "There is none.")


@policy.command("delete")
@click.argument("policy_arn", metavar="POLICY")
@account_option
@connected
def delete_policy(at: Connection, out: Output, policy_arn: str, account: str | None) -> None:
    """Delete a policy that nobody has."""
    at.api.holdfast("delete_policy", policyArn=policy_arn, **of_account(account))
    out.result({"arn": policy_arn, "deleted": True}, f"{policy_arn} was deleted.")


@iam.group()
def provider() -> None:
    """Make issuers of OIDC tokens known, such as a CI service's."""


@provider.command("add")
@click.argument("issuer")
@click.option(
    "--audience", "audiences", multiple=True, required=True, metavar="NAME", help="Tokens must be made for it."
)
@click.option("--keys", type=_FILE, metavar="FILE", help="The issuer's JSON Web Key Set; without, it is fetched.")
@account_option
@connected
def add_provider(
    at: Connection, out: Output, issuer: str, audiences: Sequence[str], keys: Path | None, account: str | None
) -> None:
    """Make an issuer known, or replace its audiences and keys."""
    more = {"keys": keys.read_text("utf-8")} if keys else {}
    made = at.api.holdfast(
        "put_identity_provider", issuer=issuer, audiences=list(audiences), **more, **of_account(account)
    )["identityProvider"]
    out.result({"arn": made["arn"], "issuer": issuer}, f"Roles may trust {made['arn']} now.")


@provider.command("list")
@account_option
@connected
def list_providers(at: Connection, out: Output, account: str | None) -> None:
    """List the issuers that are known."""
    found = [
        {"issuer": one["issuer"], "arn": one["arn"], "audiences": one["audiences"], "has_keys": one["hasKeys"]}
        for one in at.api.pages("holdfast", "list_identity_providers", "identityProviders", **of_account(account))
    ]
    rows = [(one["issuer"], " ".join(one["audiences"]), one["arn"]) for one in found]
    out.table({"providers": found}, ("ISSUER", "AUDIENCES", "ARN"), rows, "No issuer is known.")


@provider.command("delete")
@click.argument("issuer")
@account_option
@connected
def delete_provider(at: Connection, out: Output, issuer: str, account: str | None) -> None:
    """Forget an issuer."""
    at.api.holdfast("delete_identity_provider", issuer=issuer, **of_account(account))
    out.result({"issuer": issuer, "deleted": True}, f"{issuer} is not known any more.")
