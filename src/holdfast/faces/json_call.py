"""One call of the JSON API: who calls what with which parameters, and the pages of long lists."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.core.errors import PageTokenInvalid, RepositoryNotFound
from holdfast.registry.seal import SealBroken

if TYPE_CHECKING:
    from holdfast.faces.http import Request
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.account_settings import AccountSettings
    from holdfast.registry.blobs import Blobs
    from holdfast.registry.flows import Flows
    from holdfast.registry.gate import Mode
    from holdfast.registry.history import History
    from holdfast.registry.image_pages import ImagePages
    from holdfast.registry.images import Images
    from holdfast.registry.principals import Principals
    from holdfast.registry.pulls import Pulls
    from holdfast.registry.quotas import Quotas
    from holdfast.registry.registries import Registries
    from holdfast.registry.repositories import Repositories
    from holdfast.registry.scanning import Scanning
    from holdfast.registry.scrub import Scrub
    from holdfast.registry.seal import Seal
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
    principals: Principals
    history: History
    upkeep: Upkeep
    templates: Templates
    flows: Flows
    scanning: Scanning
    signing: Signing
    account_settings: AccountSettings
    mode: Mode
    scrub: Scrub
    seal: Seal
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation by a caller whose signature was verified."""

    operation: str
    request: Request
    caller: Caller
    parameters: Parameters
    use: UseCases

    @property
    def repository(self) -> str:
        """The repository that the call names."""
        return str(self.parameters["repositoryName"])

    @property
    def registry(self) -> Registry:
        """The registry that the call names, or the default one."""
        account_id = self.parameters.get("registryId")
        registry = self.use.registries.owned_by(account_id)
        if registry is None:
            raise RepositoryNotFound(self.parameters.get("repositoryName") or "", str(account_id))
        return registry

    @property
    def where(self) -> tuple[Caller, Registry, str]:
        """Who, and where."""
        return self.caller, self.registry, self.repository

    @property
    def host(self) -> str:
        """The host of the registry protocol: the one that the client reached, or its sibling beside ECR's API host.

        AWS has the JSON API at api.ecr.REGION.SUFFIX and the registry at ACCOUNT.dkr.ecr.REGION.SUFFIX; the credential
        helper insists on the latter.
        """
        api = f"api.ecr.{self.registry.region}."
        host = self.request.host
        if not host.startswith(api):
            return host
        return f"{self.registry.account_id}.dkr.ecr.{self.registry.region}.{host.removeprefix(api)}"

    @property
    def endpoint(self) -> str:
        """This server as the client reaches it for images."""
        return f"{self.request.scheme}://{self.host}"

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
        return [self.caller.arn, self.operation, json.dumps(others, sort_keys=True, default=str)]


Operation = Callable[[Call], Awaitable[Result]]
"""What performs an operation; its parameters were checked against the model before."""
