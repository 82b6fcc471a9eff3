"""What flows between registries, joined: the use cases of caching from other registries and of replicating to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.registry.fetching import Fetching
from holdfast.registry.pull_through import PullThroughRules
from holdfast.registry.remotes import Credentials

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


@dataclass(frozen=True, slots=True)
class Flows:
    """The use cases over what flows between registries."""

    credentials: Credentials
    pull_through: PullThroughRules
    fetching: Fetching

    @classmethod
    def joined(
        cls,
        database: Database,
        access: Access,
        seal: Seal,
        templates: Templates,
        images: Images,
        blobs: Blobs,
        uploads: Uploads,
        remotes: Remotes,
        clock: Callable[[], int],
    ) -> Flows:
        """Join them; `clock` gives microseconds since the epoch."""
        credentials = Credentials(database, access, seal, clock)
        rules = PullThroughRules(database, access, credentials, remotes, clock)
        return cls(credentials, rules, Fetching(database, access, rules, templates, images, blobs, uploads, clock))

    async def stop(self) -> None:
        """End what runs by itself."""
        await self.fetching.stop()
