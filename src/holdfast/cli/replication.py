"""`holdfast replication`: what goes where, what became of it, and where registries are that are not hosted here."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import Output, moment, short_digest
from holdfast.cli.teaching import TeachingGroup

_PLACE: Final = re.compile(r"([0-9a-z-]{2,25})/([0-9]{12})", re.ASCII)

MOST_SHOWN: Final = 1_000
"""Replications that are asked for unless told otherwise."""


@click.group(
    cls=TeachingGroup,
    short_help="See what is replicated, and what failed why.",
    sections={
        "Examples": (
            "aws ecr put-replication-configuration --replication-configuration file://rules.json",
            "holdfast replication peer set eu-west-1/123456789012 https://registry.example.com --credential far",
            "holdfast replication status --failed",
        )
    },
)
def replication() -> None:
    """See what is replicated where.

    Rules are set by ECR's own operation. A destination is a region and an account: a registry of this server, or one
    elsewhere whose address a peer says.
    """


@replication.command()
@connected
def rules(at: Connection, out: Output) -> None:
    """List the rules."""
    found = at.api.ecr("describe_registry")["replicationConfiguration"]["rules"]
    told: list[dict[str, Any]] = [
        {
            "prefixes": [one["filter"] for one in rule.get("repositoryFilters", [])],
            "destinations": [_place(one) for one in rule["destinations"]],
            "deletes": bool(rule.get("deleteReplication", {}).get("enabled")),
        }
        for rule in found
    ]
    rows = [
        (
            " ".join(f"{prefix}*" for prefix in one["prefixes"]) or "everything",
            " ".join(f"{place['region']}/{place['account']}" for place in one["destinations"]),
            "yes" if one["deletes"] else "no",
        )
        for one in told
    ]
    out.table({"rules": told}, ("REPOSITORIES", "GO TO", "DELETIONS TOO"), rows, "Nothing is replicated.")


def _optional(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else names.repository(context, parameter, value)


@replication.command()
@click.argument("repository", metavar="[REPO]", required=False, default=None, callback=_optional)
@click.option("--failed", is_flag=True, help="Show only what failed.")
@click.option("--all", "everything", is_flag=True, help=f"Show more than the last {MOST_SHOWN}.")
@connected
def status(at: Connection, out: Output, repository: str | None, *, failed: bool, everything: bool) -> int:
    """List replications, newest first: done, under way, failed and why. Ends with 1 when one failed."""
    given: dict[str, Any] = {"status": "FAILED"} if failed else {}
    if repository is not None:
        given["repositoryName"] = repository
    found = []
    for one in at.api.pages("holdfast", "list_replications", "replications", **given):
        found.append(_replication(one))
        if len(found) >= MOST_SHOWN and not everything:
            break
    rows = [
        (
            f"{one['repository']}:{one['tag']}" if one["tag"] else f"{one['repository']}@",
            short_digest(one["digest"]),
            one["what"],
            f"{one['destination']['region']}/{one['destination']['account']}",
            one["status"],
            one["changed"] or "",
            one["reason"] or one["code"] or "",
        )
        for one in found
    ]
    columns = ("IMAGE", "DIGEST", "WHAT", "DESTINATION", "STATUS", "AT", "WHY")
    out.table({"replications": found}, columns, rows, "Nothing failed." if failed else "Nothing was replicated.")
    return Exit.FOUND if any(one["status"] == "FAILED" for one in found) else Exit.DONE


def _replication(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "repository": one["repositoryName"],
        "tag": one.get("imageTag"),
        "digest": one["imageDigest"],
        "what": one["act"],
        "destination": _place(one["destination"]),
        "status": one["status"],
        "code": one.get("failureCode"),
        "reason": one.get("failureReason"),
        "attempts": one["attempts"],
        "changed": moment(one["changedAt"]),
        "next_attempt": moment(one.get("nextAttemptAt")),
    }


def _place(destination: dict[str, Any]) -> dict[str, str]:
    return {"region": destination["region"], "account": destination["registryId"]}


def _checked_place(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, str]:
    match = _PLACE.fullmatch(value)
    if match is None:
        msg = f"{value!r} is not of the form REGION/ACCOUNT, like eu-west-1/123456789012."
        raise click.BadParameter(msg)
    return match.group(1), match.group(2)


@replication.group()
def peer() -> None:
    """Say where destinations are that this server does not host."""


@peer.command("set")
@click.argument("place", metavar="REGION/ACCOUNT", callback=_checked_place)
@click.argument("url")
@click.option("--credential", metavar="NAME", help="The credential to log in with; see `upstream credential set`.")
@connected
def set_(at: Connection, out: Output, place: tuple[str, str], url: str, credential: str | None) -> None:
    """Say that the registry of an account in a region is at URL: another Holdfast, or any OCI registry."""
    given = {"credentialName": credential} if credential else {}
    region, account = place
    destination = {"region": region, "registryId": account}
    made = at.api.holdfast("put_replication_peer", destination=destination, url=url, **given)["replicationPeer"]
    out.result(_peer(made), f"What is replicated to {account} in {region} goes to {made['url']}.")


@peer.command("list")
@connected
def list_peers(at: Connection, out: Output) -> None:
    """List where destinations are."""
    found = [_peer(one) for one in at.api.holdfast("list_replication_peers")["replicationPeers"]]
    rows = [
        (one["destination"]["region"], one["destination"]["account"], one["url"], one["credential"] or "")
        for one in found
    ]
    out.table({"peers": found}, ("REGION", "ACCOUNT", "URL", "CREDENTIAL"), rows, "No peer is set.")


@peer.command("delete")
@click.argument("place", metavar="REGION/ACCOUNT", callback=_checked_place)
@connected
def delete_peer(at: Connection, out: Output, place: tuple[str, str]) -> None:
    """Forget where a destination is; replications to it fail from now on."""
    region, account = place
    at.api.holdfast("delete_replication_peer", destination={"region": region, "registryId": account})
    told = {"region": region, "account": account}
    out.result({"destination": told, "deleted": True}, f"Where {account} in {region} is was forgotten.")


def _peer(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "destination": _place(one["destination"]),
        "url": one["url"],
        "credential": one.get("credentialName"),
        "updated": moment(one["updatedAt"]),
    }
