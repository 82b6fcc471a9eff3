"""Other registries, as the use cases see them: the port, the credentials for it, and who acts on Holdfast's behalf.

The adapter that speaks the protocol is joined in `wiring`. Secrets are sealed in the database, opened for a connection,
and never told again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.core import iam
from holdfast.core.errors import CredentialNotFound, ParameterInvalid
from holdfast.core.upstream import credential_names, secret_arn
from holdfast.registry.binding import Act
from holdfast.registry.callers import Caller, caller_of_service
from holdfast.store import entries, flows
from holdfast.store.entries import EntryKind
from holdfast.store.flows import CredentialRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from typing import BinaryIO

    from holdfast.core.digest import Digest
    from holdfast.registry.access import Access
    from holdfast.registry.seal import Seal
    from holdfast.registry.uploads import Incoming
    from holdfast.store.catalog import Registry
    from holdfast.store.database import Database, Reader, Transaction

MAX_CREDENTIALS: Final = 100


class RemoteError(Exception):
    """Another registry did not do what it was asked.

    `code` says why in one word: `missing`, `denied`, `busy` (it asked to wait), `held` (a tag refused to move),
    `refused` (any other no), `mismatch` (bytes of another digest or size), `unreachable`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def may_pass(self) -> bool:
        """Whether the same may succeed later, nothing having been changed by anyone."""
        return self.code in {"busy", "unreachable", "mismatch"}


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest as it came, its bytes checked against the digest."""

    payload: bytes
    media_type: str
    digest: Digest


class Remote(Protocol):
    """One other registry, spoken to as one user.

    Promise: what comes in was checked against its digest, and is bounded in size and time; a redirect takes no
    credentials along and never leaves https. What goes out may be sent twice: each act is idempotent. Methods may run
    at once. Each raises RemoteError and nothing else of its own; none retries for long.
    """

    async def check(self) -> None:
        """Log in, and see that a registry answers."""

    async def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Return the digest of what a tag or digest names, None when it names nothing."""

    async def manifest(self, repository: str, reference: str | Digest) -> RemoteManifest:
        """Get a manifest."""

    def blob(self, repository: str, digest: Digest, size_bytes: int) -> AbstractAsyncContextManager[Incoming]:
        """Open a blob, of which no more than its size is taken; whoever stores it checks the digest."""

    async def push_blob(self, repository: str, digest: Digest, size_bytes: int, opener: Callable[[], BinaryIO]) -> None:
        """Push a blob unless it is there."""

    async def push_manifest(self, repository: str, reference: str | Digest, payload: bytes, media_type: str) -> None:
        """Push a manifest under a tag or its digest."""

    async def delete_manifest(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest with its tags; what is not there is deleted already."""

    def close(self) -> None:
        """Close the connections."""


class Remotes(Protocol):
    """Opens other registries."""

    def open(self, url: str, login: tuple[str, str] | None, *, only_pulls: bool) -> Remote:
        """Return the registry at an address, for a user name and password or for nobody; nothing is sent yet."""


# --- credentials -----------------------------------------------------------------------------------------------------


class Credentials:
    """The use cases over credentials of other registries."""

    def __init__(self, database: Database, access: Access, seal: Seal, clock: Callable[[], int]) -> None:
        """`clock` gives microseconds since the epoch."""
        self._database = database
        self._access = access
        self._seal = seal
        self._clock = clock

    async def put(
        self, caller: Caller, registry: Registry, name: str, username: str, password: str, *, through: str
    ) -> CredentialRow:
        """Seal a credential, new or in place of the one of this name."""
        self._access.require(caller, registry, "holdfast:PutUpstreamCredential")
        name = credential_names(name)[0]
        act = Act(caller, self._clock(), through)
        sealed = self._seal.seal("upstream", {"registry": registry.id, "name": name, "password": password})
        row = CredentialRow(name, username, sealed, act.at)

        def job(txn: Transaction) -> None:
            before = flows.credential(txn, registry.id, name)
            if before is None and len(flows.credentials(txn, registry.id, after="", limit=1_000)) >= MAX_CREDENTIALS:
                raise ParameterInvalid("name", f"A registry can have at most {MAX_CREDENTIALS} upstream credentials")
            flows.write_credential(txn, registry.id, row)
            body = act.body(name=name, before=before and {"username": before.username}, after={"username": username})
            entries.append(txn, registry.id, EntryKind.UPSTREAM_CREDENTIAL_CHANGED, body)

        await self._database.write(job)
        return row

    async def delete(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Delete a credential; rules that name it fail from now on. Raises CredentialNotFound."""
        self._access.require(caller, registry, "holdfast:DeleteUpstreamCredential")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> None:
            found = self.find(txn, registry, name)
            flows.delete_credential(txn, registry.id, found.name)
            body = act.body(name=found.name, before={"username": found.username}, after=None)
            entries.append(txn, registry.id, EntryKind.UPSTREAM_CREDENTIAL_CHANGED, body)

        await self._database.write(job)

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[CredentialRow]:
        """List credentials by name, those after one, at most `limit`."""
        self._access.require(caller, registry, "holdfast:ListUpstreamCredentials")
        return flows.credentials(self._database, registry.id, after=after, limit=limit)

    def find(self, reader: Reader, registry: Registry, secret: str) -> CredentialRow:
        """Find the credential that an ARN or a name stands for; raises CredentialNotFound."""
        for name in credential_names(secret):
            found = flows.credential(reader, registry.id, name)
            if found is not None:
                return found
        raise CredentialNotFound(secret)

    def login(self, registry: Registry, secret: str | None) -> tuple[str, str] | None:
        """Open the user name and password that an ARN or a name stands for; None for nobody's."""
        if secret is None:
            return None
        row = self.find(self._database, registry, secret)
        return row.username, str(self._seal.open("upstream", row.sealed)["password"])

    @staticmethod
    def arn_of(registry: Registry, name: str) -> str:
        """Return what stands for a credential where ECR wants the ARN of a secret."""
        return secret_arn(registry.region, registry.account_id, name)


# --- who acts --------------------------------------------------------------------------------------------------------

_SERVICES: Final = {
    "pull-through": "pullthroughcache.ecr.amazonaws.com/AWSServiceRoleForECRPullThroughCache",
    "replication": "replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication",
}
"""What acts by itself -> the path of its role, which is that of Amazon ECR's service-linked role for the same."""

_MAY: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:CreateRepository",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:ReplicateImage",
                "ecr:UploadLayerPart",
            ],
            "Resource": "*",
        }
    ],
}


@lru_cache(maxsize=1_024)
def _service(account_id: str, service: str) -> Caller:
    arn = f"arn:aws:iam::{account_id}:role/aws-service-role/{_SERVICES[service]}"
    return caller_of_service(arn, account_id, iam.PolicyDocument.parse(_MAY))


def service_caller(registry: Registry, service: str) -> Caller:
    """Return the principal that acts in a registry for `pull-through` or `replication`."""
    return _service(registry.account_id, service)
