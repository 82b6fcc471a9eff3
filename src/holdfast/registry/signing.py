"""Signing by rules: which images a registry is told to sign, and what became of it.

Holdfast has no AWS Signer: the rules are kept, and the status of an image that they ask to be signed says that it was
not, and why. A signature that a client pushes is a referrer of its image (`ListImageReferrers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.core.errors import SigningConfigurationNotFound
from holdfast.core.mutability import matches
from holdfast.registry.binding import Act, require_repository
from holdfast.registry.image_pages import require_image
from holdfast.store import entries, settings
from holdfast.store.entries import EntryKind
from holdfast.store.settings import SigningConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.registry.access import Access, Caller
    from holdfast.registry.image_pages import ImageId
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Transaction
    from holdfast.store.manifests import Image
    from holdfast.store.settings import SigningRule


class Signing:
    """The use cases over signing rules."""

    def __init__(self, database: Database, access: Access, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._clock = clock

    def configuration(self, caller: Caller, registry: Registry) -> SigningConfiguration:
        """Return the registry's signing configuration. Raises SigningConfigurationNotFound."""
        self._access.require(caller, registry, "ecr:GetSigningConfiguration")
        found = settings.signing_configuration(self._database, registry.id)
        if found is None:
            raise SigningConfigurationNotFound(registry.account_id)
        return found

    async def configure(
        self, caller: Caller, registry: Registry, rules: Sequence[SigningRule], *, through: str
    ) -> SigningConfiguration:
        """Replace the registry's signing configuration; the same again changes nothing."""
        self._access.require(caller, registry, "ecr:PutSigningConfiguration")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> SigningConfiguration:
            before = settings.signing_configuration(txn, registry.id)
            if before is not None and before.rules == tuple(rules):
                return before
            wanted = SigningConfiguration(tuple(rules), act.at)
            settings.put_signing_configuration(txn, registry.id, wanted)
            body = act.body(before=_told(before), after=_told(wanted))
            entries.append(txn, registry.id, EntryKind.SIGNING_CHANGED, body)
            return wanted

        return await self._database.write(job)

    async def delete(self, caller: Caller, registry: Registry, *, through: str) -> SigningConfiguration:
        """Delete the registry's signing configuration and return it. Raises SigningConfigurationNotFound."""
        self._access.require(caller, registry, "ecr:DeleteSigningConfiguration")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> SigningConfiguration:
            before = settings.signing_configuration(txn, registry.id)
            if before is None:
                raise SigningConfigurationNotFound(registry.account_id)
            settings.delete_signing_configuration(txn, registry.id)
            body = act.body(before=_told(before), after=_told(None))
            entries.append(txn, registry.id, EntryKind.SIGNING_CHANGED, body)
            return before

        return await self._database.write(job)

    def unsigned_for(
        self, caller: Caller, registry: Registry, repository: str, image_id: ImageId
    ) -> tuple[Image, list[str]]:
        """Return an image and the profiles with which the rules asked it to be signed: none before the rules were."""
        self._access.require(caller, registry, "ecr:DescribeImageSigningStatus", repository)
        found = require_repository(self._database, registry, repository)
        image = require_image(self._database, registry, found, image_id)
        configured = settings.signing_configuration(self._database, registry.id)
        if configured is None or image.pushed_at < configured.put_at:
            return image, []
        asked = [
            rule.profile_arn
            for rule in configured.rules
            if not rule.filters or any(matches(pattern, repository) for pattern in rule.filters)
        ]
        return image, list(dict.fromkeys(asked))


def _told(configuration: SigningConfiguration | None) -> list[dict[str, Any]] | None:
    if configuration is None:
        return None
    return [{"profile": rule.profile_arn, "filters": list(rule.filters)} for rule in configuration.rules]
