"""First pages of long lists, asked one at a time; the value is the median latency."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from bench.errors import WrongAnswerError
from bench.load.job import Load, summarize
from bench.load.wire import Wire
from bench.seed import seed_repositories, seed_tags

if TYPE_CHECKING:
    from bench.cases.context import Bench
    from bench.servers.server import Server

PAGE = 1000
"""Entries asked for; distribution 2 ignores it for tags and answers with all of them."""
MOST_REQUESTS = 400


def prepare_tags(bench: Bench, server: Server) -> None:
    """Seed the tags through the registry's own API, once."""
    if (server.name, "tags") not in bench.verified:
        seed_tags(server, bench.content, bench.profile.tags)
        bench.verified.add((server.name, "tags"))


def prepare_repositories(bench: Bench, server: Server) -> None:
    """Seed the repositories through the registry's own API."""
    seed_repositories(server, bench.content, bench.profile.repositories)


def _first_page(bench: Bench, server: Server, target: str, key: str, seeded: int) -> Load:
    latencies: list[float] = []
    total = 0
    with Wire(server.origin) as wire:
        answer = wire.expect((200,), "GET", target)  # the first one warms what the server keeps
        started = time.perf_counter()
        while len(latencies) < MOST_REQUESTS and time.perf_counter() - started < bench.profile.seconds:
            begun = time.perf_counter()
            answer = wire.expect((200,), "GET", target)
            latencies.append(time.perf_counter() - begun)
            total += len(answer.body)
        seconds = time.perf_counter() - started
    names = json.loads(answer.body)[key]
    if len(names) < min(PAGE, seeded):
        message = f"GET {target}: {len(names)} names where at least {min(PAGE, seeded)} were expected"
        raise WrongAnswerError(message)
    return summarize(latencies, total, seconds)


def list_tags(bench: Bench, server: Server) -> Load:
    """The first page of the repository with many tags."""
    target = f"/v2/{bench.content.tags_repository}/tags/list?n={PAGE}"
    return _first_page(bench, server, target, "tags", bench.profile.tags)


def list_catalog(bench: Bench, server: Server) -> Load:
    """The first page of the catalog."""
    return _first_page(bench, server, f"/v2/_catalog?n={PAGE}", "repositories", bench.profile.repositories)
