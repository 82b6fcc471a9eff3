"""Two registries that speak to each other: an upstream with its own keys, and a server under test with its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from json_api import Clock
from running import Client, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

UPSTREAM_KEY = "AKIAUPSTREAM23456723"
UPSTREAM_SECRET = "an-upstream-secret-for-tests"


@dataclass
class Pair:
    """A cache and its upstream."""

    cache: RunningServer
    upstream: RunningServer
    clock: Clock
    ecr: Any
    holdfast: Any
    pull: Client
    push: Client

    def rule(self, prefix: str, **more: Any) -> Any:
        """Make a rule for the upstream, with its credential."""
        arn = self.holdfast.put_upstream_credential(name="upstream", username=UPSTREAM_KEY, password=UPSTREAM_SECRET)[
            "upstreamCredential"
        ]["credentialArn"]
        return self.ecr.create_pull_through_cache_rule(
            ecrRepositoryPrefix=prefix, upstreamRegistryUrl=self.upstream.url, credentialArn=arn, **more
        )

    def entries(self, repository: str, *kinds: str) -> list[dict[str, Any]]:
        """Return the entries of some kinds, newest first."""
        listed = self.holdfast.list_entries(repositoryName=repository)["entries"]
        return [one for one in listed if not kinds or one["kind"] in kinds]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A registry that others pull from and push to; a push makes MUTABLE repositories."""
    wanted = settings(
        tmp_path_factory.mktemp("upstream"),
        create_on_push="MUTABLE",
        bootstrap_access_key_id=UPSTREAM_KEY,
        bootstrap_secret_access_key=UPSTREAM_SECRET,
        login="bearer",
    )
    with running(wanted) as up:
        yield up


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, upstream: RunningServer) -> Iterator[Pair]:
    """A server under test, without create-on-push, and its upstream."""
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("cache")), clock=clock) as cache:
        ecr, holdfast = cache.aws("ecr"), cache.aws("holdfast")
        push = upstream.client(UPSTREAM_KEY, UPSTREAM_SECRET)
        yield Pair(cache, upstream, clock, ecr, holdfast, cache.client(), push)
        ecr.close()
        holdfast.close()


@pytest.fixture(autouse=True)
def _present(pair: Pair) -> Iterator[None]:
    """Every test begins in the present."""
    pair.clock.ahead_seconds = 0
    yield
    pair.clock.ahead_seconds = 0
