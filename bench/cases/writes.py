"""Small writes at once: blobs, manifests, tags, and many writers of one tag."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bench.load.generator import run_job
from bench.load.job import Load, WriteJob, WriteKind
from bench.seed import MANIFEST_TYPE, image_manifest, seed_base

if TYPE_CHECKING:
    from bench.cases.context import Bench
    from bench.servers.server import Server


def _repositories(bench: Bench, kind: WriteKind, count: int) -> list[str]:
    return [f"{bench.content.base}/{kind}-{number}" for number in range(count)]


def prepare(bench: Bench, server: Server, *, kind: WriteKind, repositories: int = 1) -> None:
    """The blobs that the manifests name, in every repository that is written to."""
    for repository in _repositories(bench, kind, repositories):
        seed_base(server, repository)


def write(
    bench: Bench, server: Server, *, kind: WriteKind, repositories: int = 1, connections: int | None = None
) -> Load:
    """Write for the profile's seconds; names are new in every run."""
    return run_job(
        WriteJob(
            server.origin,
            kind,
            _repositories(bench, kind, repositories),
            f"w{secrets.token_hex(4)}",
            connections=connections or bench.profile.bind_connections,
            processes=bench.processes,
            seconds=bench.profile.seconds,
            manifest=image_manifest("write").decode(),
            media_type=MANIFEST_TYPE,
        )
    )


def prepare_bind_many(bench: Bench, server: Server) -> None:
    """As :func:`prepare`, for the profile's number of repositories."""
    prepare(bench, server, kind="bind", repositories=bench.profile.bind_repositories)


def bind_many(bench: Bench, server: Server) -> Load:
    """Bind tags in the profile's number of repositories in turn."""
    return write(bench, server, kind="bind", repositories=bench.profile.bind_repositories)
