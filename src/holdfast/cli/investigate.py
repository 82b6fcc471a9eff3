"""`holdfast investigate`: the story of a tag in plain words, and what an attempt would have changed."""

from __future__ import annotations

import io
import json
from typing import Any, Final

import click

from holdfast.cli import names
from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import Output, moment, moment_of
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.api import APIError
from holdfast.client.transport import RegistryError
from holdfast.core import story
from holdfast.core.digest import Digest
from holdfast.core.image_difference import config_digest, differences, package_differences
from holdfast.core.story import Event

_MAX_CONFIG_BYTES: Final = 8 * 1024 * 1024
_COMPARED: Final = 5
"""So many different attempts and moves, the newest, are compared with what the tag named."""

_REPLACES: Final = {"tag-refused": ("pushed", "digest"), "tag-moved": ("digest", "before")}
"""Kind of an entry -> what it calls the image that was to come, and the one that stood."""


@click.command(
    cls=TeachingCommand,
    short_help="Tell the story of a tag: what happened, who tried what.",
    sections={"Examples": ("holdfast investigate demo/app:v1", "holdfast investigate demo/app")},
)
@click.argument("what", metavar="REPO[:TAG]", callback=names.repository_or_tag)
@connected
def investigate(at: Connection, out: Output, what: tuple[str, str | None]) -> None:
    """Tell in plain words what happened to a tag, or to a repository: every act, every refused attempt, the settings.

    What was pushed and refused is kept in the registry, and is compared with what the tag names: layers, entry point,
    environment, and packages as far as scans of both name them. So are the two images of a move. An image that was
    pulled says when last.
    """
    repository, tag = what
    entries = list(at.api.pages("holdfast", "list_entries", "entries", repositoryName=repository))
    if not entries:
        at.api.ecr("describe_repositories", repositoryNames=[repository])  # lets the server say that there is none
    events = [one for one in map(_event, reversed(entries)) if story.concerns(one, tag)]
    attempts = [_attempt(at, repository, one) for one in _newest(events)]
    pulls = _pulls(at, repository, tag)
    document = {
        "repository": repository,
        "tag": tag,
        "events": [{**one.document(), "at": moment_of(one.at)} for one in events],
        "attempts": attempts,
        "pulls": pulls,
    }
    name = f"{repository}:{tag}" if tag else repository
    sentences = [f"The story of {name}, {len(events)} events:"]
    sentences += [f"  {moment_of(one.at)}  {story.sentence(one)}" for one in events]
    for one in attempts:
        how = "and refused, {}, beside {}" if one["kind"] == "tag-refused" else "when it moved, {}, beside {}"
        sentences += ["", f"What was pushed to {one['tag']} {how.format(one['pushed'], one['stays'])}:"]
        sentences += [f"  {line}" for line in one["sentences"]]
    sentences += ["", *(f"{one['digest']} was last pulled {one['last_pulled']}." for one in pulls)] if pulls else []
    if not pulls:
        sentences += ["", "No pull is on record."]
    out.result(document, *sentences)


def _event(entry: dict[str, Any]) -> Event:
    facts = json.loads(entry["body"])
    return Event(entry["kind"], facts.get("at", 0), entry.get("imageTag"), facts, entry.get("ledgerIndex"))


def _newest(events: list[Event]) -> list[Event]:
    """Return the newest attempts and moves, each pair of digests once."""
    found: dict[tuple[str | None, str, str], Event] = {}
    for one in reversed(events):
        if one.kind in _REPLACES:
            pushed, stood = (one.facts.get(name) for name in _REPLACES[one.kind])
            found.setdefault((one.tag, str(pushed), str(stood)), one)
    return list(found.values())[:_COMPARED]


def _attempt(at: Connection, repository: str, event: Event) -> dict[str, Any]:
    pushed, stays = (event.facts.get(name) for name in _REPLACES[event.kind])
    document: dict[str, Any] = {
        "kind": event.kind,
        "tag": event.tag,
        "pushed": pushed,
        "stays": stays,
        "kept": False,
        "differences": [],
    }
    attempted = _image(at, repository, str(pushed))
    standing = _image(at, repository, str(stays)) if stays else None
    if attempted is None or standing is None:
        missing = pushed if attempted is None else stays
        return {**document, "sentences": [f"{missing} is not in the registry any more, so they cannot be compared."]}
    found = differences(standing[0], attempted[0], standing[1], attempted[1])
    scans = _scan(at, repository, str(stays)), _scan(at, repository, str(pushed))
    if None not in scans:
        found += package_differences(*scans)
    return {
        **document,
        "kept": True,
        "differences": [one.document() for one in found],
        "sentences": [one.sentence() for one in found] or ["Nothing of what was compared differs but the digest."],
    }


def _image(at: Connection, repository: str, digest: str) -> tuple[Any, Any] | None:
    """Return a manifest and its configuration, None when the registry does not have it any more."""
    try:
        manifest = json.loads(at.registry.manifest(repository, Digest.parse(digest)).payload)
        where = config_digest(manifest)
        sink = io.BytesIO()
        if where is not None and manifest["config"].get("size", 0) <= _MAX_CONFIG_BYTES:
            at.registry.pull_blob(repository, Digest.parse(where), sink, size_bytes=_MAX_CONFIG_BYTES)
    except (RegistryError, ValueError):
        return None
    try:
        return manifest, json.loads(sink.getvalue() or b"null")
    except ValueError:
        return manifest, None


def _scan(at: Connection, repository: str, digest: str) -> dict[str, Any] | None:
    """Return what the last scan of an image found; None when there was none."""
    found: dict[str, Any] = {"findings": []}
    asked: dict[str, Any] = {"repositoryName": repository, "imageId": {"imageDigest": digest}}
    try:
        while True:
            page = at.api.ecr("describe_image_scan_findings", **asked)
            found["findings"] += page["imageScanFindings"].get("findings", [])
            if not page.get("nextToken"):
                return found
            asked["nextToken"] = page["nextToken"]
    except (APIError, KeyError):
        return None


def _pulls(at: Connection, repository: str, tag: str | None) -> list[dict[str, Any]]:
    wanted = {"imageIds": [{"imageTag": tag}]} if tag else {}
    try:
        listed = list(at.api.pages("ecr", "describe_images", "imageDetails", repositoryName=repository, **wanted))
    except APIError:
        return []
    return [
        {"digest": one["imageDigest"], "tags": one.get("imageTags", []), "last_pulled": moment(pulled)}
        for one in listed
        if (pulled := one.get("lastRecordedPullTime")) is not None
    ]
