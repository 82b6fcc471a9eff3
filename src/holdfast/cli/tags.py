"""`holdfast tags`: what tags name, which of them hold, and everything that ever happened to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import Output, moment, short_arn, short_digest
from holdfast.cli.repo import settings_of
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.core.mutability import MutabilitySettings

_REFUSED: Final = "tag-refused"
_ENDS: Final = {
    None: "it stands",
    "moved": "moved to another digest",
    "appended": "grew by an entry",
    "deleted": "deleted",
}


@click.command(
    cls=TeachingCommand,
    short_help="List tags: what they name, and whether they hold.",
    sections={"Examples": ("holdfast tags demo/app", "holdfast tags demo/app --history --tag v1")},
)
@click.argument("repository", metavar="REPO", callback=names.repository)
@click.option("--history", is_flag=True, help="Show what tags named, from when until when, and refused attempts.")
@click.option("--tag", callback=names.tag, metavar="TAG", help="Show this tag alone.")
@connected
def tags(at: Connection, out: Output, repository: str, *, history: bool, tag: str | None) -> None:
    """List the tags of a repository: what they name, since when, by whom, and whether they hold."""
    only = {"imageTag": tag} if tag else {}
    if history:
        _tell_history(at, out, repository, tag, only)
        return
    described = at.api.ecr("describe_repositories", repositoryNames=[repository])["repositories"][0]
    settings = settings_of(described)
    bindings = at.api.pages("holdfast", "list_tag_history", "bindings", repositoryName=repository, **only)
    live = [_live(one, settings) for one in bindings if one.get("endedAt") is None]
    live.sort(key=lambda one: str(one["tag"]))
    rows = [
        (
            one["tag"],
            short_digest(one["digest"]),
            one["since"],
            short_arn(one["by"]),
            "held" if one["held"] else "free",
            one["reason"],
        )
        for one in live
    ]
    document = {
        "repository": repository,
        "mutability": str(settings.mode),
        "filters": list(settings.filters),
        "tags": live,
    }
    none = f"{repository} has no tag{f' {tag}' if tag else 's yet'}."
    out.table(document, ("TAG", "DIGEST", "SINCE", "BY", "HOLDS", "WHY"), rows, none)


def _live(binding: dict[str, Any], settings: MutabilitySettings) -> dict[str, Any]:
    verdict = settings.judge(binding["imageTag"])
    return {
        "tag": binding["imageTag"],
        "digest": binding["imageDigest"],
        "since": moment(binding["boundAt"]),
        "by": binding["boundBy"],
        "held": verdict.held,
        "reason": verdict.reason,
    }


def history_of(at: Connection, repository: str, tag: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the intervals in which tags named digests, and the attempts that were refused; newest first."""
    only = {"imageTag": tag} if tag else {}
    bindings = [
        {
            "tag": one["imageTag"],
            "digest": one["imageDigest"],
            "from": moment(one["boundAt"]),
            "by": one["boundBy"],
            "until": moment(one.get("endedAt")),
            "ended_by": one.get("endedBy"),
            "how": one.get("endCause"),
        }
        for one in at.api.pages("holdfast", "list_tag_history", "bindings", repositoryName=repository, **only)
    ]
    entries = at.api.pages("holdfast", "list_entries", "entries", repositoryName=repository, **only)
    return bindings, [_refusal(one) for one in entries if one["kind"] == _REFUSED]


def _refusal(entry: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(entry["body"])
    return {
        "tag": entry["imageTag"],
        "at": moment(entry["at"]),
        "by": entry["principal"],
        "pushed": body.get("pushed"),
        "stays": body.get("digest"),
        "rule": body.get("rule"),
        "reason": body.get("reason"),
        "through": body.get("through"),
    }


def _tell_history(at: Connection, out: Output, repository: str, tag: str | None, only: dict[str, str]) -> None:
    bindings, refused = history_of(at, repository, tag)
    if not bindings and not refused and not only:
        # A repository that was deleted keeps its past; one that never was has none: let the server say so.
        at.api.ecr("describe_repositories", repositoryNames=[repository])
    document = {"repository": repository, "tag": tag, "bindings": bindings, "refused": refused}
    if out.as_json:
        out.result(document)
        return
    rows = [
        (
            one["tag"],
            one["from"],
            one["until"] or "",
            short_digest(one["digest"]),
            short_arn(one["by"]),
            _ENDS.get(one["how"], one["how"]) + (f" by {short_arn(one['ended_by'])}" if one["ended_by"] else ""),
        )
        for one in bindings
    ]
    none = f"{'The tag ' + tag if tag else 'No tag'} of {repository} {'never named' if tag else 'ever named'} anything."
    out.table(document, ("TAG", "FROM", "UNTIL", "DIGEST", "BY", "HOW IT ENDED"), rows, none)
    if refused:
        out.result({}, "", f"Refused attempts: {len(refused)}")
        tried = [
            (
                one["tag"],
                one["at"],
                short_digest(one["pushed"] or ""),
                short_arn(one["by"]),
                one["reason"] or "",
            )
            for one in refused
        ]
        out.table({}, ("TAG", "AT", "PUSHED", "BY", "WHY"), tried, "")
