"""What flows between registries, joined: the use cases of caching from other registries and of replicating to them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.registry.fetching import Fetching
from holdfast.registry.pull_through import PullThroughRules
from holdfast.registry.remotes import Credentials
from holdfast.registry.replication import Replications
from holdfast.registry.replicator import Replicator

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.registry.access import Access
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.images import Images
    from holdfast.registry.remotes import Remotes
    from holdfast.registry.seal import Seal
    from holdfast.registry.templates import Templates
    from holdfast.registry.uploads import Uploads
    from holdfast.store.database import Database
    from holdfast.store.filesystem import FilesystemBlobs


@dataclass(frozen=True, slots=True)
class Flows:
    """The use cases over what flows between registries."""

    credentials: Credentials
    pull_through: PullThroughRules
    fetching: Fetching
    replication: Replications
    replicator: Replicator
    _running: list[asyncio.Task[None]]

    @classmethod
    def joined(  # noqa: PLR0913 - what joins knows all
        cls,
        database: Database,
        access: Access,
        seal: Seal,
        templates: Templates,
        images: Images,
        blobs: Blobs,
        uploads: Uploads,
        store: FilesystemBlobs,
        remotes: Remotes,
        clock: Callable[[], int],
        lease_clock: Callable[[], int],
    ) -> Flows:
        """Join them; the clocks give microseconds since the epoch, and that of leases does not jump."""
        credentials = Credentials(database, access, seal, clock)
        rules = PullThroughRules(database, access, credentials, remotes, clock)
        fetching = Fetching(database, access, rules, templates, images, blobs, uploads, clock)
        replication = Replications(database, access, credentials, clock)
        replicator = Replicator(
            database, store, blobs.is_there, access, templates, credentials, remotes, clock, lease_clock
        )
        return cls(credentials, rules, fetching, replication, replicator, [])

    def start(self) -> None:
        """Begin what runs by itself."""
        self._running.append(asyncio.create_task(self.replicator.run()))

    async def stop(self) -> None:
        """End what runs by itself; what it had begun goes on at the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.fetching.stop()
