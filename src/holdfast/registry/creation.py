"""How a repository begins: the one function that makes one, whoever asked for it, and the rules of its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import LabelInvalid, RepositoryAlreadyExists, TooManyTags
from holdfast.registry.quotas import require_repository_room
from holdfast.store import catalog, entries
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.core.iam import Value
    from holdfast.core.mutability import MutabilitySettings
    from holdfast.registry.binding import Act
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Transaction

MAX_RESOURCE_TAGS: Final = 50
MAX_KEY_CHARACTERS: Final = 128
MAX_VALUE_CHARACTERS: Final = 256
"""Source: Amazon ECR API, TagResource and Tag."""

_ENCRYPTION: Final = {"encryptionType": "AES256"}


def make_repository(
    txn: Transaction,
    registry: Registry,
    name: str,
    settings: MutabilitySettings,
    act: Act,
    *,
    scan_on_push: bool = False,
    encryption: Mapping[str, Any] | None = None,
    labels: Sequence[tuple[str, str]] = (),
    facts: Mapping[str, Any] | None = None,
) -> Repository:
    """Make a repository and its entry, which tells the facts given too.

    Raises RepositoryAlreadyExists, QuotaExceeded, TooManyTags.
    """
    if catalog.repository_id(txn, registry.id, name) is not None:
        raise RepositoryAlreadyExists(name, registry.account_id)
    require_repository_room(txn, registry)
    made = catalog.insert_repository(
        txn,
        registry.id,
        name,
        settings,
        scan_on_push=scan_on_push,
        encryption=dict(encryption or _ENCRYPTION),
        created_at=act.at,
        created_by=act.caller.arn,
    )
    set_labels(txn, made.id, labels)
    body = act.body(**told(settings), **(facts or {}))
    entries.append(txn, registry.id, EntryKind.REPOSITORY_CREATED, body, repository=name)
    return made


def keys_of_settings(settings: MutabilitySettings) -> dict[str, Value]:
    """Return the condition keys of a mode and its filters, which Amazon ECR does not have."""
    return {
        "ecr:imageTagMutability": str(settings.mode),
        "ecr:imageTagMutabilityExclusionFilters": tuple(settings.filters),
    }


def keys_of_labels(labels: Sequence[tuple[str, str]]) -> dict[str, Value]:
    """Return the condition keys of resource tags that a request sets."""
    keys: dict[str, Value] = {f"aws:RequestTag/{key}": value for key, value in labels}
    return {**keys, "aws:TagKeys": tuple(key for key, _ in labels)}


def check_labels(labels: Sequence[tuple[str, str]]) -> None:
    """Raise LabelInvalid for a resource tag whose key or value is too short or too long."""
    for key, value in labels:
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise LabelInvalid(key, f"a key has 1 to {MAX_KEY_CHARACTERS} characters")
        if len(value) > MAX_VALUE_CHARACTERS:
            raise LabelInvalid(key, f"a value has at most {MAX_VALUE_CHARACTERS} characters")


def set_labels(txn: Transaction, identity: int, labels: Sequence[tuple[str, str]]) -> None:
    """Write resource tags; raises TooManyTags when the repository has too many then."""
    catalog.set_repository_tags(txn, identity, labels)
    if len(catalog.repository_tags(txn, identity)) > MAX_RESOURCE_TAGS:
        raise TooManyTags(MAX_RESOURCE_TAGS)


def told(settings: MutabilitySettings) -> dict[str, Any]:
    """Return mutability settings as entries tell them."""
    return {"mode": settings.mode, "filters": list(settings.filters)}
