"""`holdfast upstream`: what is cached from which other registry, with which credential, and what drifted there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import Output, agreed, moment, short_digest
from holdfast.cli.teaching import TeachingGroup
from holdfast.core.upstream import secret_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PASSWORD_CHARACTERS: Final = 4_096


@click.group(
    cls=TeachingGroup,
    short_help="Cache images of other registries; see what drifted there.",
    sections={
        "Examples": (
            "holdfast upstream credential set hub --username robot --password-stdin < token",
            "holdfast upstream add docker-hub registry-1.docker.io --credential hub",
            "docker pull HOST/docker-hub/library/alpine:3.22",
            "holdfast upstream drift",
        )
    },
)
def upstream() -> None:
    """Cache images of other registries.

    An image below the prefix of a rule is fetched from upstream when it is pulled first. Once a day upstream is asked
    whether a tag still names the same; a tag that holds never follows, and is listed by `drift`.
    """


@upstream.command()
@click.argument("prefix")
@click.argument("url")
@click.option("--upstream-prefix", metavar="PREFIX", help="What stands upstream in the prefix's place.")
@click.option("--credential", metavar="NAME", help="The credential to log in with; see `upstream credential set`.")
@connected
def add(
    at: Connection, out: Output, prefix: str, url: str, upstream_prefix: str | None, credential: str | None
) -> None:
    """Cache what is below PREFIX from the registry at URL."""
    given = {"upstreamRepositoryPrefix": upstream_prefix} if upstream_prefix else {}
    if credential:
        given["credentialArn"] = _arn(at, credential)
    made = at.api.ecr("create_pull_through_cache_rule", ecrRepositoryPrefix=prefix, upstreamRegistryUrl=url, **given)
    out.result(_rule(made), f"What is pulled from {prefix.rstrip('/')}/... comes from {url} and is kept.")


def _arn(at: Connection, name: str) -> str:
    for one in at.api.pages("holdfast", "list_upstream_credentials", "upstreamCredentials"):
        if one["name"] == name:
            return str(one["credentialArn"])
    return secret_arn("us-east-1", "000000000000", name)  # the server says that there is none


@upstream.command("list")
@connected
def list_(at: Connection, out: Output) -> None:
    """List what is cached from where."""
    rules = [_rule(one) for one in at.api.pages("ecr", "describe_pull_through_cache_rules", "pullThroughCacheRules")]
    rows = [(one["prefix"], one["url"], one["upstream_prefix"], one["credential"] or "") for one in rules]
    columns = ("PREFIX", "UPSTREAM", "UPSTREAM PREFIX", "CREDENTIAL")
    out.table({"rules": rules}, columns, rows, "Nothing is cached from other registries.")


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "prefix": rule["ecrRepositoryPrefix"],
        "url": rule["upstreamRegistryUrl"],
        "upstream_prefix": rule.get("upstreamRepositoryPrefix", "ROOT"),
        "credential": rule.get("credentialArn"),
    }


@upstream.command()
@click.argument("prefix")
@connected
def check(at: Connection, out: Output, prefix: str) -> int:
    """Log in upstream as a rule says. Ends with 1 when that fails."""
    told = at.api.ecr("validate_pull_through_cache_rule", ecrRepositoryPrefix=prefix)
    failure = told.get("failure")
    out.result(
        {"prefix": prefix, "valid": told["isValid"], "failure": failure},
        f"{told['upstreamRegistryUrl']} answers." if told["isValid"] else f"It failed: {failure}",
    )
    return Exit.DONE if told["isValid"] else Exit.FOUND


@upstream.command()
@click.argument("prefix")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def remove(at: Connection, out: Output, prefix: str, *, yes: bool) -> int:
    """Cache nothing more below PREFIX; what came stays."""
    if not agreed(f"Cache nothing more below {prefix} at {at.endpoint}?", yes=yes):
        out.result({"prefix": prefix, "removed": False}, "Nothing was changed.")
        return Exit.UNFINISHED
    at.api.ecr("delete_pull_through_cache_rule", ecrRepositoryPrefix=prefix)
    out.result({"prefix": prefix, "removed": True}, f"Nothing more is cached below {prefix}; what came stays.")
    return Exit.DONE


@upstream.command()
@connected
def drift(at: Connection, out: Output) -> int:
    """List tags that hold here while upstream names something else by them. Ends with 1 when there is one."""
    found = [
        {
            "repository": one["repositoryName"],
            "tag": one["imageTag"],
            "digest": one["imageDigest"],
            "upstream_digest": one.get("upstreamDigest"),
            "upstream": one["upstreamRegistryUrl"],
            "since": moment(one["driftedAt"]),
            "checked": moment(one["checkedAt"]),
        }
        for one in at.api.pages("holdfast", "list_upstream_drift", "drift")
    ]
    rows = [
        (
            f"{one['repository']}:{one['tag']}",
            short_digest(one["digest"]),
            short_digest(one["upstream_digest"]) if one["upstream_digest"] else "nothing",
            one["since"] or "",
            one["upstream"],
        )
        for one in found
    ]
    columns = ("TAG", "HOLDS", "UPSTREAM NAMES", "SINCE", "UPSTREAM")
    out.table({"drift": found}, columns, rows, "No tag drifted, as far as upstream was asked.")
    return Exit.FOUND if found else Exit.DONE


@upstream.group()
def credential() -> None:
    """Set and delete the credentials that rules and replication peers name; passwords are sealed and never told."""


@credential.command("set")
@click.argument("name")
@click.option("--username", required=True, help="The user name at the other registry.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, instead of asking for it.")
@connected
def set_(at: Connection, out: Output, name: str, username: str, *, password_stdin: bool) -> None:
    """Seal a credential for another registry, in place of the one of this name."""
    if password_stdin:
        password = sys.stdin.read(MAX_PASSWORD_CHARACTERS + 2).rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    if not password:
        msg = "The password is empty."
        raise click.UsageError(msg)
    made = at.api.holdfast("put_upstream_credential", name=name, username=username, password=password)
    arn = made["upstreamCredential"]["credentialArn"]
    out.result(
        {"name": name, "username": username, "credential_arn": arn},
        f"The credential {name} is sealed. Where AWS's tools want a credentialArn, give: {arn}",
    )


@credential.command("list")
@connected
def list_credentials(at: Connection, out: Output) -> None:
    """List the credentials, without their passwords."""
    found = list(_credentials(at))
    rows = [(one["name"], one["username"], one["updated"] or "", one["credential_arn"]) for one in found]
    out.table({"credentials": found}, ("NAME", "USER", "SET", "ARN"), rows, "There is no credential.")


def _credentials(at: Connection) -> Iterator[dict[str, Any]]:
    for one in at.api.pages("holdfast", "list_upstream_credentials", "upstreamCredentials"):
        yield {
            "name": one["name"],
            "username": one["username"],
            "credential_arn": one["credentialArn"],
            "updated": moment(one["updatedAt"]),
        }


@credential.command("delete")
@click.argument("name")
@connected
def delete_credential(at: Connection, out: Output, name: str) -> None:
    """Delete a credential; rules and peers that name it fail from now on."""
    at.api.holdfast("delete_upstream_credential", name=name)
    out.result({"name": name, "deleted": True}, f"The credential {name} was deleted.")
