"""The errors of registries, identities and policies; `errors` has them all, and is where the others look."""

from __future__ import annotations

from holdfast.core.failure import HoldfastError


class RegistryNotFound(HoldfastError):
    """No registry of this account in this region on this server."""

    def __init__(self, account_id: str, region: str) -> None:
        super().__init__(
            f"This server has no registry with id '{account_id}' in the region '{region}'.",
            {"registry_id": account_id, "region": region},
        )


class RepositoryPolicyNotFound(HoldfastError):
    """A repository that has no policy."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"Repository policy does not exist for the repository with name '{name}' in the registry with id "
            f"'{account_id}'",
            {"name": name},
        )


class RegistryPolicyNotFound(HoldfastError):
    """A registry that has no policy."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"Registry policy does not exist in the registry with id '{account_id}'")


class StillInUse(HoldfastError):
    """Deletion of a policy, role, unit or guardrail that something still has or holds; the sentence says what."""


class IdentityTokenRefused(HoldfastError):
    """A token of an identity provider that proves nothing here: its issuer, signature, audience or time is wrong."""
