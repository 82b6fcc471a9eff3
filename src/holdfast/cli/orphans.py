"""`holdfast orphans`: images that no tag reaches, what they take, and what a policy would free."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.output import moment, short_digest, size
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from holdfast.cli.output import Output

_FIELDS = {
    "images": "images",
    "orphans": "orphanCount",
    "orphan_bytes": "orphanBytes",
    "freed_bytes": "freedBytes",
    "has_policy": "hasPolicy",
    "policy_expires": "policyExpires",
    "policy_expires_orphans": "policyExpiresOrphans",
    "policy_frees_bytes": "policyFreesBytes",
}


@click.command(
    cls=TeachingCommand,
    short_help="Find images that no tag reaches.",
    sections={"Examples": ("holdfast orphans", "holdfast orphans demo/app --file policy.json")},
)
@click.argument("repository", metavar="[REPO]", required=False, callback=names.optional_repository)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Tell what this policy would free, not the one that is set.",
)
@connected
def orphans(at: Connection, out: Output, repository: str | None, file: str | None) -> int:
    """Report images that no tag reaches, directly, through an index, or as a referrer of what is reached.

    Without REPO, every repository is told in one line. FREED is what would be free on the disk if the orphans went:
    layers that other images or repositories share are not counted. Ends with 1 if there are orphans.
    """
    given = {"lifecyclePolicyText": Path(file).read_text("utf-8")} if file else {}
    if repository is not None:
        return _one(at, out, repository, given)
    told: list[dict[str, Any]] = []
    listed = [one["repositoryName"] for one in at.api.pages("ecr", "describe_repositories", "repositories")]
    with staged() as watch:
        for number, name in enumerate(listed, start=1):
            report = at.api.holdfast("get_orphan_report", repositoryName=name, maxResults=1, **given)
            told.append({"repository": name, **{key: report[field] for key, field in _FIELDS.items()}})
            watch("repositories", number, len(listed))
    rows = [
        (
            one["repository"],
            str(one["images"]),
            str(one["orphans"]),
            size(one["orphan_bytes"]),
            size(one["freed_bytes"]),
            size(one["policy_frees_bytes"]) if one["has_policy"] else "no policy",
        )
        for one in told
    ]
    columns = ("REPOSITORY", "IMAGES", "ORPHANS", "THEY TAKE", "FREED", "POLICY FREES")
    out.table({"repositories": told}, columns, rows, "There is no repository.")
    return Exit.FOUND if any(one["orphans"] for one in told) else Exit.DONE


def _one(at: Connection, out: Output, repository: str, given: dict[str, str]) -> int:
    report = at.api.holdfast("get_orphan_report", repositoryName=repository, maxResults=1, **given)
    found = [
        {
            "digest": one["imageDigest"],
            "bytes": one["imageBytes"],
            "pushed_at": moment(one["imagePushedAt"]),
            "last_pulled_at": moment(one.get("lastRecordedPullTime")),
            "outcome": one.get("outcome"),
            "reason": one.get("reason"),
        }
        for one in at.api.pages("holdfast", "get_orphan_report", "orphans", repositoryName=repository, **given)
    ]
    document = {
        "repository": repository,
        **{key: report[field] for key, field in _FIELDS.items()},
        "orphan_images": found,
    }
    rows = [
        (
            short_digest(one["digest"]),
            size(one["bytes"]),
            one["pushed_at"],
            one["last_pulled_at"] or "never",
            one["outcome"] or "",
            one["reason"] or "no policy",
        )
        for one in found
    ]
    none = f"A tag reaches each of the {report['images']} images of {repository}."
    out.table(document, ("DIGEST", "SIZE", "PUSHED", "LAST PULLED", "POLICY", "WHY"), rows, none)
    if found and not out.as_json:
        policy = (
            f"The policy would expire {report['policyExpiresOrphans']} of them, {report['policyExpires']} in all,"
            f" and free {size(report['policyFreesBytes'])}."
            if report["hasPolicy"]
            else "No lifecycle policy is set; holdfast lifecycle set --help."
        )
        told = f"{len(found)} of {report['images']} images are orphans: {size(report['orphanBytes'])}"
        out.result({}, "", f"{told}, of which {size(report['freedBytes'])} would be freed. {policy}")
    return Exit.FOUND if found else Exit.DONE
