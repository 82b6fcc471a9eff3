"""One call of the JSON API: who calls what with which parameters, and the pages of long lists."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.core.errors import PageTokenInvalid, RegistryNotFound, RepositoryNotFound
from holdfast.faces.hosts import host_of
from holdfast.faces.ledger_headers import ledger_headers
from holdfast.registry.seal import SealBroken

if TYPE_CHECKING:
    from holdfast.faces.http import Request
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.account_settings import AccountSettings
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.flows import Flows
    from holdfast.registry.gate import Mode
    from holdfast.registry.history import History
    from holdfast.registry.identities import Identities
    from holdfast.registry.image_pages import ImagePages
    from holdfast.registry.images import Images
    from holdfast.registry.ledger import Places
    from holdfast.registry.ledger_use import LedgerUse
    from holdfast.registry.lifecycle import Lifecycle
    from holdfast.registry.lifecycle_runs import LifecycleRuns
    from holdfast.registry.organizations import Organizations
    from holdfast.registry.orphans import Orphans
    from holdfast.registry.principals import Principals
    from holdfast.registry.pulls import Pulls
    from holdfast.registry.quotas import Quotas
    from holdfast.registry.registries import Registries
    from holdfast.registry.repositories import Repositories
    from holdfast.registry.resource_policies import ResourcePolicies
    from holdfast.registry.scanning import Scanning
    from holdfast.registry.scrub import Scrub
    from holdfast.registry.seal import Seal
    from holdfast.registry.seal_keys import SealKeys
    from holdfast.registry.signing import Signing
    from holdfast.registry.storage_class import StorageClasses
    from holdfast.registry.templates import Templates
    from holdfast.registry.upkeep import Upkeep
    from holdfast.registry.uploads import Uploads
    from holdfast.store.catalog import Registry

Parameters: TypeAlias = Mapping[str, Any]
Result: TypeAlias = dict[str, Any]

THROUGH: Final = "ecr"
"""What the record says acts came through."""

DEFAULT_PAGE: Final = 100
"""Source: Amazon ECR API, maxResults of its list operations."""

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the operations call."""

    access: Access
    registries: Registries
    repositories: Repositories
    images: Images
    pages: ImagePages
    quotas: Quotas
    blobs: Blobs
    uploads: Uploads
    pulls: Pulls
    storage_classes: StorageClasses
    lifecycle: Lifecycle
    lifecycle_runs: LifecycleRuns
    orphans: Orphans
    principals: Principals
    identities: Identities
    organizations: Organizations
    policies: ResourcePolicies
    history: History
    ledger: LedgerUse
    upkeep: Upkeep
    templates: Templates
    flows: Flows
    scanning: Scanning
    signing: Signing
    account_settings: AccountSettings
    mode: Mode
    scrub: Scrub
    seal: Seal
    seal_keys: SealKeys
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation by a caller whose signature was verified."""

    operation: str
    request: Request
    caller: Caller
    parameters: Parameters
    use: UseCases
    region: str | None = None
    """The region that the request was signed for; None: the default registry's."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Beyond those that every answer has."""

    def note(self, places: Places) -> None:
        """Let the answer say where its entries stand in the ledger."""
        self.headers.extend(ledger_headers(places))

    @property
    def repository(self) -> str:
        """The repository that the call names."""
        return str(self.parameters["repositoryName"])

    @property
    def registry(self) -> Registry:
        """The registry that the call names by its account, or the caller's own, in the region of the call."""
        account_id = str(self.parameters.get("registryId") or self.caller.account_id)
        registry = self.use.registries.owned_by(account_id, self.region)
        if registry is not None:
            return registry
        name = self.parameters.get("repositoryName") or next(iter(self.parameters.get("repositoryNames") or ()), None)
        if name is not None:
            raise RepositoryNotFound(name, account_id)
        raise RegistryNotFound(account_id, self.region or self.use.registries.default.region)

    @property
    def home(self) -> Registry:
        """The registry in whose record stands what concerns the whole server."""
        return self.use.registries.default

    @property
    def where(self) -> tuple[Caller, Registry, str]:
        """Who, and where."""
        return self.caller, self.registry, self.repository

    @property
    def host(self) -> str:
        """The host at which this client reaches the call's registry by the registry protocol."""
        return host_of(self.use.registries, self.registry, self.request.host)

    @property
    def endpoint(self) -> str:
        """This server as the client reaches it for images."""
        return self.endpoint_of(self.registry)

    def endpoint_of(self, registry: Registry) -> str:
        """Return a registry of this server as the client reaches it for images."""
        return f"{self.request.scheme}://{host_of(self.use.registries, registry, self.request.host)}"

    @property
    def is_paged(self) -> bool:
        """Whether the call asks for a page."""
        return "maxResults" in self.parameters or "nextToken" in self.parameters

    def limit(self, default: int = DEFAULT_PAGE) -> int:
        """Return how many results the caller wants on a page."""
        return int(self.parameters.get("maxResults") or default)

    def after(self) -> Any:  # noqa: ANN401 - what `next_token` was given
        """Return where the page begins: what the token of the page before says, None for the first."""
        token = self.parameters.get("nextToken")
        if token is None:
            return None
        try:
            content = self.use.seal.open("page", token)
        except SealBroken:
            raise PageTokenInvalid from None
        if content["bound"] != self._bound():
            raise PageTokenInvalid
        return content["after"]

    def next_token(self, after: object) -> str:
        """Make the token of the next page, good for this caller, operation and parameters alone."""
        return self.use.seal.seal("page", {"bound": self._bound(), "after": after})

    def _bound(self) -> list[str]:
        others = {key: value for key, value in self.parameters.items() if key not in {"nextToken", "maxResults"}}
        return [self.caller.arn, self.region or "", self.operation, json.dumps(others, sort_keys=True, default=str)]


Operation = Callable[[Call], Awaitable[Result]]
"""What performs an operation; its parameters were checked against the model before."""
