"""Repository creation templates: which settings a repository takes that is made on somebody's behalf.

A template is looked up by the longest prefix, among those that are applied for the occasion, and its settings are a
copy: a template that changes later changes no repository. Pull-through caching and replication make a repository with
default settings where no template is; a push only where a template, or the server's own setting, says so.

Source: Amazon ECR user guide, "Templates to control repositories created during a pull through cache, create on push,
or replication action".
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.core import prefixes
from holdfast.core.errors import LimitExceeded, ParameterInvalid, TemplateExists, TemplateNotFound, TooManyTags
from holdfast.core.mutability import MutabilitySettings, TagMutability, parse_settings
from holdfast.registry.binding import Act
from holdfast.registry.creation import (
    MAX_RESOURCE_TAGS,
    check_labels,
    keys_of_labels,
    keys_of_settings,
    make_repository,
)
from holdfast.store import entries, flows
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.core.iam import Value
    from holdfast.registry.access import Access, Caller
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Reader, Transaction
    from holdfast.store.flows import Template

MAX_TEMPLATES: Final = 50
"""Of a registry. Source: Amazon ECR service quotas gives no figure; the one for pull-through rules is taken."""

DEFAULTS: Final = MutabilitySettings(TagMutability.MUTABLE)
"""Of repositories that caching and replication make without a template."""

_KEPT: Final = (
    "description",
    "encryptionConfiguration",
    "resourceTags",
    "imageTagMutability",
    "imageTagMutabilityExclusionFilters",
    "repositoryPolicy",
    "lifecyclePolicy",
    "appliedFor",
    "customRoleArn",
)
"""Members of ECR's RepositoryCreationTemplate that a caller sets."""


class Occasion(StrEnum):
    """Why a repository is made on somebody's behalf; ECR's words for it."""

    CREATE_ON_PUSH = "CREATE_ON_PUSH"
    PULL_THROUGH_CACHE = "PULL_THROUGH_CACHE"
    REPLICATION = "REPLICATION"


class Document(Protocol):
    """A document that a template gives to repositories: their policy, their lifecycle policy."""

    def check(self, text: str) -> None:
        """Raise the error that setting the document on a repository would raise."""

    def apply(self, txn: Transaction, registry: Registry, repository: Repository, text: str, act: Act) -> None:
        """Set the document on a repository that is being made, with its entry."""


class Templates:
    """The use cases over templates, and the making of repositories by them."""

    def __init__(
        self,
        database: Database,
        access: Access,
        clock: Callable[[], int],
        documents: Mapping[str, Document] | None = None,
    ) -> None:
        """`documents`: member of a template -> how such a document is checked and set."""
        self._database = database
        self._access = access
        self._clock = clock
        self._documents = dict(documents or {})

    # --- making repositories -----------------------------------------------------------------------------------------

    def has(self, registry: Registry, name: str, occasion: Occasion) -> bool:
        """Whether a template is for this repository on this occasion."""
        return _find(self._database, registry, name, occasion) is not None

    def keys(
        self, registry: Registry, name: str, occasion: Occasion, *, otherwise: MutabilitySettings | None = DEFAULTS
    ) -> dict[str, Value]:
        """Return the condition keys of what `make` would make: for whoever asks for the right to have it made."""
        template = _find(self._database, registry, name, occasion)
        if template is not None:
            return {**keys_of_settings(_mutability(template.settings)), **keys_of_labels(_labels(template.settings))}
        return keys_of_settings(otherwise or DEFAULTS)

    def make(
        self,
        txn: Transaction,
        registry: Registry,
        name: str,
        occasion: Occasion,
        act: Act,
        *,
        otherwise: MutabilitySettings | None = DEFAULTS,
        facts: Mapping[str, Any] | None = None,
    ) -> Repository | None:
        """Make a repository by its template; without one with the settings `otherwise`, or not at all.

        `facts` go into its entry.
        """
        told = {"occasion": occasion, **(facts or {})}
        template = _find(txn, registry, name, occasion)
        if template is None:
            if otherwise is None:
                return None
            return make_repository(txn, registry, name, otherwise, act, facts=told)
        settings = template.settings
        made = make_repository(
            txn,
            registry,
            name,
            _mutability(settings),
            act,
            encryption=settings.get("encryptionConfiguration"),
            labels=_labels(settings),
            facts={**told, "template": template.prefix},
        )
        for member, document in self._documents.items():
            if text := settings.get(member):
                document.apply(txn, registry, made, text, act)
        return made

    # --- templates themselves ----------------------------------------------------------------------------------------

    async def create(
        self, caller: Caller, registry: Registry, prefix: str, given: Mapping[str, Any], *, through: str
    ) -> Template:
        """Make a template; the caller needs the rights of what it will do. Raises TemplateExists, LimitExceeded."""
        self._require(caller, registry, "ecr:CreateRepositoryCreationTemplate", given)
        settings = self._checked({member: given[member] for member in _KEPT if given.get(member) is not None})
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Template:
            kept = flows.templates(txn, registry.id)
            if any(prefixes.same(one.prefix, prefix) for one in kept):
                raise TemplateExists(prefix, registry.account_id)
            if len(kept) >= MAX_TEMPLATES:
                what = "repository creation templates"
                raise LimitExceeded(what, MAX_TEMPLATES)
            return self._write(txn, registry, prefix, None, settings, act)

        return await self._database.write(job)

    async def update(
        self, caller: Caller, registry: Registry, prefix: str, given: Mapping[str, Any], *, through: str
    ) -> Template:
        """Change the members given; the others stay. Raises TemplateNotFound."""
        self._require(caller, registry, "ecr:UpdateRepositoryCreationTemplate", given)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Template:
            before = _require(txn, registry, prefix)
            changed = {member: given[member] for member in _KEPT if given.get(member) is not None}
            if "imageTagMutability" in changed and "imageTagMutabilityExclusionFilters" not in changed:
                changed["imageTagMutabilityExclusionFilters"] = None  # mode and filters go together
            merged = {**before.settings, **changed}
            settings = self._checked({member: value for member, value in merged.items() if value is not None})
            return self._write(txn, registry, prefix, before.settings, settings, act)

        return await self._database.write(job)

    async def delete(self, caller: Caller, registry: Registry, prefix: str, *, through: str) -> Template:
        """Delete a template; repositories made by it stay as they are. Raises TemplateNotFound."""
        self._access.require(caller, registry, "ecr:DeleteRepositoryCreationTemplate")
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Template:
            found = _require(txn, registry, prefix)
            flows.delete_template(txn, registry.id, found.prefix)
            body = act.body(prefix=found.prefix, before=found.settings, after=None)
            entries.append(txn, registry.id, EntryKind.TEMPLATE_CHANGED, body)
            return found

        return await self._database.write(job)

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[Template]:
        """List templates by prefix, those after one, at most `limit`."""
        self._access.require(caller, registry, "ecr:DescribeRepositoryCreationTemplates")
        return flows.templates(self._database, registry.id, after=after, limit=limit)

    def described(self, caller: Caller, registry: Registry, wanted: list[str]) -> list[Template]:
        """Return the templates of these prefixes that are there."""
        self._access.require(caller, registry, "ecr:DescribeRepositoryCreationTemplates")
        kept = flows.templates(self._database, registry.id)
        return [one for one in kept if any(prefixes.same(one.prefix, prefix) for prefix in wanted)]

    def _require(self, caller: Caller, registry: Registry, action: str, given: Mapping[str, Any]) -> None:
        """A template acts later with the rights of its maker: so its maker must have them now.

        Source: AWS service authorization reference, CreateRepositoryCreationTemplate (dependent actions).
        """
        self._access.require(caller, registry, action)
        for member, needed in (
            ("lifecyclePolicy", "ecr:PutLifecyclePolicy"),
            ("repositoryPolicy", "ecr:SetRepositoryPolicy"),
            ("resourceTags", "ecr:TagResource"),
        ):
            if given.get(member):
                self._access.require(caller, registry, needed)
        keys = {**keys_of_settings(_mutability(given)), **keys_of_labels(_labels(given))}
        self._access.require(caller, registry, "ecr:CreateRepository", keys=keys)

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings that repositories can really be made with."""
        _mutability(settings)
        labels = _labels(settings)
        check_labels(labels)
        if len(labels) > MAX_RESOURCE_TAGS:
            raise TooManyTags(MAX_RESOURCE_TAGS)
        if settings.get("encryptionConfiguration", {}).get("encryptionType", "AES256") != "AES256":
            why = "Holdfast has no keys of KMS; encrypt the disk that it stores on"
            raise ParameterInvalid("encryptionConfiguration", why)
        if labels and not settings.get("customRoleArn"):
            parameter, why = "customRoleArn", "A custom role is required for a template that sets resource tags"
            raise ParameterInvalid(parameter, why)
        if not settings.get("appliedFor"):
            parameter, why = "appliedFor", "Member must have length greater than or equal to 1"
            raise ParameterInvalid(parameter, why)
        settings["appliedFor"] = list(dict.fromkeys(settings["appliedFor"]))
        for member in ("repositoryPolicy", "lifecyclePolicy"):
            text = settings.get(member)
            if text == "":
                del settings[member]
            elif text is not None and member in self._documents:
                self._documents[member].check(text)
            elif text is not None:
                raise ParameterInvalid(member, "Holdfast does not offer this yet")
        return settings

    def _write(
        self,
        txn: Transaction,
        registry: Registry,
        prefix: str,
        before: dict[str, Any] | None,
        after: dict[str, Any],
        act: Act,
    ) -> Template:
        flows.write_template(txn, registry.id, prefix, after, at=act.at)
        if before != after:
            body = act.body(prefix=prefix, before=before, after=after)
            entries.append(txn, registry.id, EntryKind.TEMPLATE_CHANGED, body)
        return _require(txn, registry, prefix)


def _require(reader: Reader, registry: Registry, prefix: str) -> Template:
    for one in flows.templates(reader, registry.id):
        if prefixes.same(one.prefix, prefix):
            return one
    raise TemplateNotFound(prefix, registry.account_id)


def _find(reader: Reader, registry: Registry, name: str, occasion: Occasion) -> Template | None:
    applied = (prefix for prefix, occasions in flows.template_prefixes(reader, registry.id) if occasion in occasions)
    closest = prefixes.closest(applied, name)
    return flows.template(reader, registry.id, closest) if closest is not None else None


def _mutability(settings: Mapping[str, Any]) -> MutabilitySettings:
    filters = settings.get("imageTagMutabilityExclusionFilters")
    mode = settings.get("imageTagMutability") or "MUTABLE"
    return parse_settings(mode, [one["filter"] for one in filters] if filters is not None else None)


def _labels(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one["Key"], one.get("Value", "")) for one in settings.get("resourceTags") or ()]
