"""What tests of held tags share: servers of their own, pushes that race, and what the database file says of a tag."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw

from held_ground import WatchedClient, refused
from images import (
    Image,
    image,
    push_blob,
)
from json_api import Person, client_of
from rawhttp import ADMINISTRATOR
from running import ACCOUNT, KEY_ID, SECRET, Answer, RunningServer, running, settings
from volley import request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALICE = f"arn:aws:iam::{ACCOUNT}:user/administrator"
ADMINISTRATOR_KEY = Person("administrator", KEY_ID, SECRET)
ALICE = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@contextmanager
def own_server(data: Path, **overrides: str | None) -> Iterator[tuple[RunningServer, WatchedClient, Any, Any]]:
    """Run a server of one's own; yield it with clients of its three interfaces."""
    with running(settings(data, **overrides)) as server:
        client = WatchedClient(server.host, server.port, ADMINISTRATOR)
        ecr, holdfast = (client_of(server, ADMINISTRATOR_KEY, service) for service in ("ecr", "holdfast"))
        try:
            yield server, client, ecr, holdfast
        finally:
            for one in (client, ecr, holdfast):
                one.close()


def variants(client: WatchedClient, repository: str, count: int) -> list[Image]:
    """Make different manifests over the same blobs, which are pushed."""
    config, layer = b"{}", b"one layer for all"
    push_blob(client, repository, config)
    push_blob(client, repository, layer)
    return [
        image(layer, config=config, annotations={"number": f"{number} {os.urandom(4).hex()}"})
        for number in range(count)
    ]


def tag_request(repository: str, reference: str, pushed: Image) -> bytes:
    return request(
        "PUT", f"/v2/{repository}/manifests/{reference}", pushed.manifest, {"Content-Type": pushed.media_type}
    )


def sentence(tag: str, repository: str) -> str:
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )


def held_answer(answer: Answer, tag: str, repository: str) -> dict[str, Any]:
    """Assert that a push was refused as a held tag is, and return the detail."""
    refused(answer, 409, "DENIED")
    assert answer.message.startswith(sentence(tag, repository))
    return dict(answer.json()["errors"][0]["detail"])


def history(server: RunningServer, repository: str, tag: str) -> list[tuple[str, str | None]]:
    """Read (digest, why it ended) of a tag from the database file, oldest first."""
    return [
        (str(digest), cause)
        for digest, cause in rows(
            server,
            "SELECT b.digest, b.end_cause FROM bindings b JOIN repositories r ON r.id = b.repository_id "
            "WHERE r.name = ? AND b.tag = ? ORDER BY b.id",
            repository,
            tag,
        )
    ]


def record(server: RunningServer, repository: str, tag: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Read (kind, body) of what happened to a tag from the database file, oldest first."""
    return [
        (str(kind), json.loads(body))
        for kind, body in rows(
            server,
            "SELECT kind, body FROM entries WHERE repository = ? AND tag IS ? ORDER BY sequence",
            repository,
            tag,
        )
    ]


def rows(server: RunningServer, statement: str, *values: str | None) -> list[tuple[Any, ...]]:
    """Read rows from the database file, past the server."""
    path = server.holdfast.settings.data / "holdfast.db"
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(statement, values))
    finally:
        connection.close()


def record_of_registry(server: RunningServer) -> list[tuple[str, dict[str, Any]]]:
    """Read (kind, body) of everything that happened from the database file, oldest first."""
    told = rows(server, "SELECT kind, body FROM entries ORDER BY sequence")
    return [(str(kind), json.loads(body)) for kind, body in told]
