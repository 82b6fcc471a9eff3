"""`holdfast tags`: what tags name, which of them hold, and everything that ever happened to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import Output, moment, short_arn, short_digest
from holdfast.cli.repo import settings_of
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.core.mutability import MutabilitySettings

_REFUSED: Final = "tag-refused"
_BINDS: Final = frozenset({"tag-bound", "tag-moved", "tag-restored"})
_ENDS: Final = {
    None: "it stands",
    "moved": "moved to another digest",
    "appended": "grew by an entry",
    "deleted": "deleted",
}


Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the past is wanted: what was named in a span of time, and what named a digest."""

    span: Span | None = None
    digest: str | None = None

    def binding(self, one: dict[str, Any]) -> bool:
        """Whether a binding belongs to it."""
        if self.digest is not None and one["imageDigest"] != self.digest:
            return False
        ended = one.get("endedAt")
        return self.span is None or (one["boundAt"] < self.span[1] and (ended is None or ended > self.span[0]))

    def entry(self, one: dict[str, Any]) -> bool:
        """Whether a refused attempt belongs to it."""
        if self.digest is not None and one.get("imageDigest") != self.digest:
            return False
        return self.span is None or self.span[0] <= one["at"] < self.span[1]


def _span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Span | None:
    if value is None:
        return None
    try:
        start = datetime.fromisoformat(value)
    except ValueError:
        msg = f"{value!r} is not a day like 2026-11-01 or a moment like 2026-11-01T12:00:00Z."
        raise click.BadParameter(msg) from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(value) == len("2026-11-01") else timedelta(microseconds=1)
    return start, start + length


def _digest(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else str(Digest.parse(value))
    except HoldfastError as error:
        raise click.BadParameter(error.message) from None


@click.command(
    cls=TeachingCommand,
    short_help="List tags: what they name, and whether they hold.",
    sections={
        "Examples": (
            "holdfast tags demo/app",
            "holdfast tags demo/app --history --tag v1",
            "holdfast tags demo/app --history --on 2026-11-01       what tags named on that day",
            "holdfast tags demo/app --history --digest sha256:4f53...   all that ran under this digest",
        )
    },
)
@click.argument("repository", metavar="REPO", callback=names.repository)
@click.option("--history", is_flag=True, help="Show what tags named, from when until when, and refused attempts.")
@click.option("--tag", callback=names.tag, metavar="TAG", help="Show this tag alone.")
@click.option("--on", metavar="DAY", callback=_span, help="With --history: only what was named on this day (UTC).")
@click.option("--digest", callback=_digest, metavar="DIGEST", help="With --history: only what named this digest.")
@connected
def tags(
    at: Connection,
    out: Output,
    repository: str,
    *,
    history: bool,
    tag: str | None,
    on: Span | None,
    digest: str | None,
) -> None:
    """List the tags of a repository: what they name, since when, by whom, and whether they hold."""
    only = {"imageTag": tag} if tag else {}
    if history:
        _tell_history(at, out, repository, tag, Wanted(on, digest))
        return
    if on is not None or digest is not None:
        msg = "--on and --digest go with --history."
        raise click.UsageError(msg)
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


def history_of(
    at: Connection, repository: str, tag: str | None, wanted: Wanted | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the intervals in which tags named digests, and the attempts that were refused; newest first."""
    only = {"imageTag": tag} if tag else {}
    chosen = wanted or Wanted()
    entries = list(at.api.pages("holdfast", "list_entries", "entries", repositoryName=repository, **only))
    acts = {(one.get("imageTag"), one["at"]): json.loads(one["body"]) for one in entries if one["kind"] in _BINDS}
    bindings = [
        {
            "tag": one["imageTag"],
            "digest": one["imageDigest"],
            "from": moment(one["boundAt"]),
            "by": one["boundBy"],
            "source": acts.get((one["imageTag"], one["boundAt"]), {}).get("source"),
            "through": acts.get((one["imageTag"], one["boundAt"]), {}).get("through"),
            "until": moment(one.get("endedAt")),
            "ended_by": one.get("endedBy"),
            "how": one.get("endCause"),
        }
        for one in at.api.pages("holdfast", "list_tag_history", "bindings", repositoryName=repository, **only)
        if chosen.binding(one)
    ]
    return bindings, [_refusal(one) for one in entries if one["kind"] == _REFUSED and chosen.entry(one)]


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


def _tell_history(at: Connection, out: Output, repository: str, tag: str | None, wanted: Wanted) -> None:
    bindings, refused = history_of(at, repository, tag, wanted)
    if not bindings and not refused and tag is None:
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
            one["source"] or "",
            _ENDS.get(one["how"], one["how"]) + (f" by {short_arn(one['ended_by'])}" if one["ended_by"] else ""),
        )
        for one in bindings
    ]
    what = "anything" if wanted == Wanted() else "what was asked for"
    none = f"{'The tag ' + tag if tag else 'No tag'} of {repository} {'never named' if tag else 'ever named'} {what}."
    out.table(document, ("TAG", "FROM", "UNTIL", "DIGEST", "BY", "SOURCE", "HOW IT ENDED"), rows, none)
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
