"""`holdfast simulate`: what would have been refused, had the tags held."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.governing import history_of, history_option, inventory_option, read_inventory_file
from holdfast.cli.output import Output, moment, short_digest
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import MutabilitySettings, TagMutability, parse_settings
from holdfast.govern.documents import plain as document_of
from holdfast.govern.exclusions import synthesize
from holdfast.govern.simulate import Rules
from holdfast.govern.simulate import simulate as replay
from holdfast.govern.triage import triage_all

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.govern.estate import RepositoryRecord
    from holdfast.govern.events import Event
    from holdfast.govern.exclusions import Synthesis
    from holdfast.govern.simulate import Simulation

_SHOWN = 10


@click.command(
    cls=TeachingCommand,
    short_help="Replay past pushes as if the tags had held: what would have been refused.",
    sections={
        "Examples": (
            "holdfast simulate",
            "holdfast simulate team/app --mode IMMUTABLE_WITH_EXCLUSION --exclude latest --exclude 'sha256-*'",
            "holdfast simulate --suggest --json",
        )
    },
)
@click.argument("names", metavar="[REPO]...", nargs=-1)
@inventory_option
@history_option
@click.option(
    "--mode",
    type=click.Choice([str(one) for one in TagMutability]),
    default=str(TagMutability.IMMUTABLE),
    show_default=True,
    help="The setting to try.",
)
@click.option("--exclude", "filters", multiple=True, metavar="FILTER", help="Exclusion filters to try, at most five.")
@click.option(
    "--suggest", is_flag=True, help="Try, for each repository, the fewest filters that keep its pointers moving."
)
@click.option(
    "--rules",
    type=click.Choice([str(one) for one in Rules]),
    default=str(Rules.ECR),
    show_default=True,
    help="Whose rule refuses: Amazon ECR's, or Holdfast's.",
)
@json_option
def simulate(
    names: tuple[str, ...],
    inventory_file: Path,
    history_file: Path | None,
    mode: str,
    filters: tuple[str, ...],
    rules: str,
    *,
    suggest: bool,
    as_json: bool,
) -> int:
    """Replay the pushes of a history under wished settings, and say what happens to the next build of each repository.

    Ends with 1 when a push would have been refused.
    """
    if suggest and (filters or mode != TagMutability.IMMUTABLE):
        msg = "--suggest finds the settings by itself: leave --mode and --exclude out."
        raise click.UsageError(msg)
    try:
        wished = parse_settings(mode, filters)
    except ParameterInvalid as error:
        raise click.UsageError(error.message) from None
    inventory = read_inventory_file(inventory_file)
    history = history_of(history_file)
    if history is None:
        msg = "There is no history to replay: make one with holdfast history, or name it with --history."
        raise click.UsageError(msg)
    by_key: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in history.events:
        by_key[event.key].append(event)
    suggested = {
        (one.account, one.region, one.repository): synthesize(one.keep, one.hold, _live(found))
        for one, found in zip(triage_all(inventory, history.events), inventory.repositories, strict=True)
        if suggest
    }
    chosen = [one for one in inventory.repositories if not names or one.name in names]
    results = [
        (one, replay(one.key, by_key.get(one.key, ()), _settings(wished, suggested.get(one.key)), Rules(rules)))
        for one in sorted(chosen, key=lambda one: one.key)
    ]
    out = Output(as_json=as_json)
    documents = [_document(one, suggested.get(one.key)) for _, one in results]
    document = {"rules": rules, "history_from": moment(history.head.since), "repositories": documents}
    if names and len(results) == 1 and not as_json:
        _tell_one(out, document, results[0][1], suggested.get(results[0][0].key))
    else:
        out.table(
            document,
            ("Account", "Region", "Repository", "Pushes", "Refused", "What happens to the next build"),
            [
                (one.account, one.region, one.name, str(found.pushes), str(len(found.refused)), found.next_build)
                for one, found in results
            ],
            "No repository is in the inventory that was asked for.",
        )
    return Exit.FOUND if any(found.refused for _, found in results) else Exit.DONE


def _live(repository: RepositoryRecord) -> list[str]:
    return [one.tag for one in repository.live_tags or ()]


def _settings(wished: MutabilitySettings, suggested: Synthesis | None) -> MutabilitySettings:
    if suggested is None or not suggested.filters:
        return wished
    return MutabilitySettings(TagMutability.IMMUTABLE_WITH_EXCLUSION, suggested.filters)


def _document(found: Simulation, suggested: Synthesis | None) -> dict[str, Any]:
    account, region, name = found.key
    document: dict[str, Any] = {
        "account": account,
        "region": region,
        "repository": name,
        "mode": str(found.settings.mode),
        "filters": list(found.settings.filters),
        "pushes": found.pushes,
        "refused": len(found.refused),
        "repeated": len(found.repeated),
        "is_lower_bound": found.is_lower_bound,
        "next_build": found.next_build,
        "by_pipeline": found.by_pipeline,
        "by_day": {day.isoformat(): count for day, count in found.by_day.items()},
        "refused_pushes": [
            {
                "at": moment(one.event.at),
                "tag": one.event.tag,
                "digest": one.event.digest,
                "stays": one.stays,
                "by": one.event.actor.label,
                "identity": one.event.actor.arn,
                "reason": one.reason,
            }
            for one in found.refused
        ],
    }
    if suggested is not None:
        document["suggested"] = {**document_of(suggested), "share": suggested.share, "sentence": suggested.sentence}
    return document


def _tell_one(out: Output, document: dict[str, Any], found: Simulation, suggested: Synthesis | None) -> None:
    sentences = [found.next_build]
    if suggested is not None:
        sentences.append(suggested.sentence)
    if found.is_lower_bound:
        sentences.append("The history does not begin with the repository: there may have been more.")
    sentences += [""] if found.by_pipeline else []
    for pipeline, tags in found.by_pipeline.items():
        told = ", ".join(f"{tag} {count}" for tag, count in list(tags.items())[:_SHOWN])
        sentences.append(f"  {pipeline}: {sum(tags.values())} refused ({told})")
    sentences += [f"  {day.isoformat()}  {count} refused" for day, count in list(found.by_day.items())[-_SHOWN:]]
    for one in found.refused[-_SHOWN:]:
        stays = f", which stays at {short_digest(one.stays)}" if one.stays else ""
        sentences.append(
            f"  {moment(one.event.at)}  {one.event.actor.label} pushes {short_digest(one.event.digest or '')} "
            f"to {one.event.tag}{stays}"
        )
    out.result(document, *sentences)
