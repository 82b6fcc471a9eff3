"""Repositories: made, described, switched, deleted; and the settings of their registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.core.errors import RepositoryNotEmpty
from holdfast.core.reference import parse_repository_name
from holdfast.registry.binding import Act, require_repository, unbind
from holdfast.registry.creation import (
    check_labels,
    keys_of_labels,
    keys_of_settings,
    make_repository,
    set_labels,
    told,
)
from holdfast.registry.templates import Occasion
from holdfast.store import bindings, catalog, entries, manifests
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.mutability import MutabilitySettings
    from holdfast.registry.access import Access, Caller
    from holdfast.registry.templates import Templates
    from holdfast.store.catalog import Registry, Repository
    from holdfast.store.database import Database, Transaction

_TAGS_PER_STEP = 1_000


class Repositories:
    """The use cases over repositories."""

    def __init__(
        self,
        database: Database,
        access: Access,
        clock: Callable[[], int],
        templates: Templates,
        *,
        create_on_push: MutabilitySettings | None = None,
    ) -> None:
        """`create_on_push`: settings of repositories that a push makes and no template is for; None: it makes none."""
        self._database = database
        self._access = access
        self._clock = clock
        self._templates = templates
        self._create_on_push = create_on_push

    async def create(
        self,
        caller: Caller,
        registry: Registry,
        name: str,
        settings: MutabilitySettings,
        *,
        scan_on_push: bool = False,
        encryption: dict[str, Any] | None = None,
        tags: Sequence[tuple[str, str]] = (),
        through: str,
    ) -> Repository:
        """Make a repository. Raises NameInvalid, RepositoryAlreadyExists, QuotaExceeded, AccessDenied."""
        parse_repository_name(name)
        keys = {**keys_of_settings(settings), **keys_of_labels(tags)}
        self._access.require(caller, registry, "ecr:CreateRepository", name, keys=keys)
        if tags:
            self._access.require(caller, registry, "ecr:TagResource", name, keys=keys_of_labels(tags))
        check_labels(tags)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Repository:
            return make_repository(
                txn, registry, name, settings, act, scan_on_push=scan_on_push, encryption=encryption, labels=tags
            )

        return await self._database.write(job)

    async def ensure(self, caller: Caller, registry: Registry, name: str, *, through: str) -> None:
        """Make the repository of a push when it is not there: by a template for that, else as the server is set.

        Without a template, and on a server that makes no repositories on push, none is made, as in ECR.
        """
        if catalog.repository_id(self._database, registry.id, name) is not None:
            return
        by_template = self._templates.has(registry, name, Occasion.CREATE_ON_PUSH)
        if not by_template and self._create_on_push is None:
            return
        parse_repository_name(name)
        keys = self._templates.keys(registry, name, Occasion.CREATE_ON_PUSH, otherwise=self._create_on_push)
        self._access.require(caller, registry, "ecr:CreateRepository", name, keys=keys)
        act, otherwise = Act(caller, self._clock(), through), self._create_on_push

        def job(txn: Transaction) -> None:
            if catalog.repository_id(txn, registry.id, name) is None:  # else another push made it at the same moment
                self._templates.make(txn, registry, name, Occasion.CREATE_ON_PUSH, act, otherwise=otherwise)

        await self._database.write(job)

    def describe(self, caller: Caller, registry: Registry, name: str) -> Repository:
        """Return one repository."""
        self._access.require(caller, registry, "ecr:DescribeRepositories", name)
        return require_repository(self._database, registry, name)

    def page(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> list[Repository]:
        """List repositories by name, those after a name, at most `limit`."""
        self._access.require(caller, registry, "ecr:DescribeRepositories", "*")  # AWS asks for repository/*
        return catalog.repositories(self._database, registry.id, after=after, limit=limit)

    def names(self, caller: Caller, registry: Registry, *, after: str, limit: int) -> tuple[list[str], bool]:
        """List names of repositories that the caller may describe, after a name; say whether there are more.

        A caller who may describe only some sees only those: each page looks at as many names as it takes to fill it.
        """
        found: list[str] = []
        while True:
            names = catalog.repository_names(self._database, registry.id, after=after, limit=limit + 1)
            for name in names:
                if self._access.allows(caller, registry, "ecr:DescribeRepositories", name):
                    found.append(name)
                    if len(found) > limit:
                        return found[:limit], True
            if len(names) <= limit:
                return found, False
            after = names[-1]

    async def set_mutability(
        self, caller: Caller, registry: Registry, name: str, settings: MutabilitySettings, *, through: str
    ) -> Repository:
        """Switch mode and filters, replacing both; the same settings again change nothing.

        Pushes are judged inside their own transactions, so every push that is answered after this one was judged by
        the new settings.
        """
        self._access.require(caller, registry, "ecr:PutImageTagMutability", name, keys=keys_of_settings(settings))
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Repository:
            found = require_repository(txn, registry, name)
            if found.mutability == settings:
                return found
            catalog.set_mutability(txn, found.id, settings)
            body = act.body(before=told(found.mutability), after=told(settings))
            entries.append(txn, registry.id, EntryKind.MUTABILITY_CHANGED, body, repository=name)
            return require_repository(txn, registry, name)

        return await self._database.write(job)

    def resource_tags(self, caller: Caller, registry: Registry, name: str) -> list[tuple[str, str]]:
        """List the resource tags (labels, not image tags) of a repository."""
        self._access.require(caller, registry, "ecr:ListTagsForResource", name)
        return catalog.repository_tags(self._database, require_repository(self._database, registry, name).id)

    async def set_resource_tags(
        self, caller: Caller, registry: Registry, name: str, tags: Sequence[tuple[str, str]]
    ) -> None:
        """Set resource tags. Raises TooManyTags past the limit."""
        self._access.require(caller, registry, "ecr:TagResource", name, keys=keys_of_labels(tags))
        check_labels(tags)

        def job(txn: Transaction) -> None:
            set_labels(txn, require_repository(txn, registry, name).id, tags)

        await self._database.write(job)

    async def delete_resource_tags(self, caller: Caller, registry: Registry, name: str, keys: Sequence[str]) -> None:
        """Delete resource tags."""
        self._access.require(caller, registry, "ecr:UntagResource", name, keys={"aws:TagKeys": tuple(keys)})

        def job(txn: Transaction) -> None:
            catalog.delete_repository_tags(txn, require_repository(txn, registry, name).id, keys)

        await self._database.write(job)

    async def delete(self, caller: Caller, registry: Registry, name: str, *, force: bool, through: str) -> Repository:
        """Delete a repository, with its images only by force. Held tags leave tombstones that outlive it."""
        self._access.require(caller, registry, "ecr:DeleteRepository", name)
        act = Act(caller, self._clock(), through)

        def job(txn: Transaction) -> Repository:
            found = require_repository(txn, registry, name)
            if not force and manifests.has_images(txn, found.id):
                raise RepositoryNotEmpty(name, registry.account_id)
            current = catalog.registry(txn, registry.id)
            while live := bindings.live_of_repository(txn, found.id, after="", limit=_TAGS_PER_STEP):
                for bound in live:
                    unbind(txn, current, found, bound, act, why="its repository was deleted")
            catalog.end_repository(txn, found.id, at=act.at, by=caller.arn)
            entries.append(txn, registry.id, EntryKind.REPOSITORY_DELETED, act.body(force=force), repository=name)
            return found

        return await self._database.write(job)
