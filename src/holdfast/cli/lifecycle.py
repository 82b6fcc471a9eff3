"""`holdfast lifecycle`: the policy of a repository shown, set, previewed with every reason, and run."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, agreed, moment, short_digest
from holdfast.cli.stages import staged
from holdfast.cli.teaching import TeachingCommand, TeachingGroup
from holdfast.client.api import APIError
from holdfast.core import lifecycle_policy

if TYPE_CHECKING:
    from collections.abc import Callable

ASK_SECONDS: Final = 0.2
_NO_POLICY: Final = "LifecyclePolicyNotFoundException"
_FIRST_LETTERS_OF_TIME: Final = 10
_repository = click.argument("repository", metavar="REPO", callback=names.repository)
_file = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.group(
    cls=TeachingGroup,
    short_help="Expire and archive images by a policy.",
    sections={
        "Examples": (
            "holdfast lifecycle preview demo/app --file policy.json",
            "holdfast lifecycle set demo/app policy.json",
            "holdfast lifecycle run demo/app",
        )
    },
)
def lifecycle() -> None:
    """Expire and archive images by a policy, in the language of Amazon ECR.

    A policy runs by itself every six hours, first a minute after it was set.
    """


@lifecycle.command()
@_repository
@connected
def show(at: Connection, out: Output, repository: str) -> None:
    """Show the policy of a repository, and when it ran last."""
    try:
        told = at.api.ecr("get_lifecycle_policy", repositoryName=repository)
    except APIError as error:
        if error.code != _NO_POLICY:
            raise
        document = {"repository": repository, "policy": None, "last_evaluated_at": None}
        out.result(document, f"{repository} has no lifecycle policy.")
        return
    policy = json.loads(told["lifecyclePolicyText"])
    evaluated = moment(told["lastEvaluatedAt"]) if told["lastEvaluatedAt"].timestamp() else None
    document = {"repository": repository, "policy": policy, "last_evaluated_at": evaluated}
    rules = [
        (
            str(rule.priority),
            _selects(rule),
            f"{rule.count_type} {rule.count}",
            "expire" if rule.action is lifecycle_policy.ActionType.EXPIRE else "archive",
            rule.description,
        )
        for rule in lifecycle_policy.parse(told["lifecyclePolicyText"]).rules
    ]
    out.table(document, ("RULE", "SELECTS", "COUNTS", "ACTION", "DESCRIPTION"), rules, "")
    if not out.as_json:
        out.result({}, "", f"It ran last at {evaluated}." if evaluated else "It did not run yet.")


@lifecycle.command("set", cls=TeachingCommand, sections={"Example": ("holdfast lifecycle set demo/app policy.json",)})
@_repository
@click.argument("file", metavar="FILE", type=_file)
@connected
def set_(at: Connection, out: Output, repository: str, file: str) -> None:
    """Set the policy of a repository, replacing the one that it has; - reads standard input."""
    text = _read(file)
    lifecycle_policy.parse(text)
    at.api.ecr("put_lifecycle_policy", repositoryName=repository, lifecyclePolicyText=text)
    document = {"repository": repository, "policy": json.loads(text)}
    out.result(document, f"{repository} has this policy now; it runs in a minute, then every six hours.")


@lifecycle.command()
@_repository
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def delete(at: Connection, out: Output, repository: str, *, yes: bool) -> int:
    """Delete the policy of a repository; no image is touched."""
    if not agreed(f"Delete the lifecycle policy of {repository} at {at.endpoint}?", yes=yes):
        out.result({"repository": repository, "deleted": False}, "Nothing was changed.")
        return Exit.UNFINISHED
    at.api.ecr("delete_lifecycle_policy", repositoryName=repository)
    out.result({"repository": repository, "deleted": True}, f"{repository} has no lifecycle policy any more.")
    return Exit.DONE


@lifecycle.command(
    cls=TeachingCommand,
    sections={"Examples": ("holdfast lifecycle preview demo/app", "holdfast lifecycle preview demo/app --file p.json")},
)
@_repository
@click.option("--file", type=_file, metavar="FILE", help="Preview this policy, not the one that is set.")
@click.option("--all", "is_all", is_flag=True, help="Show the images that stay, too, and why.")
@connected
def preview(at: Connection, out: Output, repository: str, file: str | None, *, is_all: bool) -> None:
    """Tell which images a policy would expire or archive, by which rule, and why. Nothing is changed.

    A run does what the preview tells; what is tagged, pulled or pushed in between is judged anew.
    """
    given = {"lifecyclePolicyText": _read(file)} if file else {}
    at.api.ecr("start_lifecycle_policy_preview", repositoryName=repository, **given)
    with staged() as watch:
        _wait(lambda: at.api.ecr("get_lifecycle_policy_preview", repositoryName=repository, maxResults=1))
        found = []
        for one in at.api.pages("holdfast", "list_lifecycle_decisions", "decisions", repositoryName=repository):
            found.append(_decision(one))
            watch("images", len(found), len(found))
    going = [one for one in found if one["outcome"] != "keep"]
    counts = {outcome: sum(one["outcome"] == outcome for one in found) for outcome in ("expire", "archive", "keep")}
    rows = [
        (
            one["outcome"],
            str(one["rule"] or ""),
            short_digest(one["digest"]),
            " ".join(one["tags"]),
            one["pushed_at"][:_FIRST_LETTERS_OF_TIME],
            one["reason"],
        )
        for one in (found if is_all else going)
    ]
    document = {"repository": repository, **counts, "images": found if is_all else going}
    none = f"No image of {repository} goes; {counts['keep']} stay."
    out.table(document, ("OUTCOME", "RULE", "DIGEST", "TAGS", "PUSHED", "WHY"), rows, none)
    if rows and not out.as_json:
        told = f"{counts['expire']} would be expired, {counts['archive']} archived, {counts['keep']} kept."
        out.result({}, "", told)


@lifecycle.command(cls=TeachingCommand, sections={"Example": ("holdfast lifecycle run demo/app",)})
@_repository
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def run(at: Connection, out: Output, repository: str, *, yes: bool) -> int:
    """Apply the policy of a repository now, and wait until it is done."""
    if not agreed(f"Expire and archive images of {repository} at {at.endpoint} by its policy?", yes=yes):
        out.result({"repository": repository, "status": "NOT_STARTED"}, "Nothing was changed.")
        return Exit.UNFINISHED
    at.api.holdfast("run_lifecycle_policy", repositoryName=repository)
    with staged() as watch:

        def ask() -> Any:  # noqa: ANN401 - shapes of the model
            told = at.api.holdfast("get_lifecycle_run", repositoryName=repository)
            watch("images", told["expired"] + told["archived"] + told["spared"], told["planned"])
            return told

        done = _wait(ask)
    document = {
        "repository": repository,
        **{name: done[name] for name in ("status", "examined", "expired", "archived", "spared")},
    }
    out.result(
        document,
        f"Of {done['examined']} images of {repository}, {done['expired']} were expired and {done['archived']} archived"
        + (f"; {done['spared']} changed meanwhile and were spared." if done["spared"] else "."),
    )
    return Exit.DONE


def _wait(ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - shapes of the model
    """Ask until it is over; raise Unfinished if it failed."""
    while (told := ask())["status"] == "IN_PROGRESS":
        time.sleep(ASK_SECONDS)
    if told["status"] != "COMPLETE":
        msg = f"It ended as {told['status']}. {told.get('error') or ''}".rstrip()
        raise Unfinished(msg, "Try again; what was done stays done. The server's log tells more.")
    return told


def _decision(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "digest": one["imageDigest"],
        "tags": one.get("imageTags", []),
        "pushed_at": moment(one["imagePushedAt"]),
        "outcome": one["outcome"],
        "cause": one["cause"],
        "rule": one.get("rulePriority"),
        "reason": one["reason"],
    }


def _selects(rule: lifecycle_policy.Rule) -> str:
    chosen = [*rule.patterns, *(f"{prefix}*" for prefix in rule.prefixes)]
    where = " in the archive" if rule.storage_class is lifecycle_policy.StorageClass.ARCHIVE else ""
    return (" and ".join(chosen) or str(rule.tag_status)) + where


def _read(file: str) -> str:
    with click.open_file(file, encoding="utf-8") as opened:
        return str(opened.read())
