"""The estate: what registries and repositories there are and how they are set, as the inventory found them.

Pure. This file alone decides the records of an inventory and their form in a file: JSON Lines, each line an object
whose member `record` says what it is. First `inventory` (when, by which version), then `registry`, `repository` and
`failure` in any order, and at last `end` with their numbers, so that a file that was cut off is known for one. Nothing
here judges.

Times have a zone. What could not be read is None, never zero: a repository whose images could not be counted does not
look empty.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern.documents import DocumentInvalid, Form, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Template:
    """A repository creation template: how repositories are made that nobody made by hand."""

    prefix: str
    """`ROOT` is the template of last resort."""

    applied_for: tuple[str, ...] = ()
    """REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH."""

    mode: TagMutability = TagMutability.MUTABLE
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PullThroughRule:
    """Repositories below the prefix are copies of another registry's."""

    prefix: str
    upstream: str
    upstream_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """Images of these repositories (none named: of all) are copied to these registries."""

    destinations: tuple[tuple[str, str], ...]
    """Pairs of account and region."""

    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanningRule:
    """How often repositories are scanned whose names match one of the wildcards."""

    frequency: str
    """SCAN_ON_PUSH, CONTINUOUS_SCAN or MANUAL."""

    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanningConfiguration:
    """What scans, and what is scanned."""

    type: str
    """BASIC or ENHANCED."""

    rules: tuple[ScanningRule, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryRecord:
    """One private registry, which is one account in one region. None: could not be read."""

    account: str
    region: str
    account_name: str | None = None
    templates: tuple[Template, ...] | None = None
    pull_through: tuple[PullThroughRule, ...] | None = None
    replication: tuple[ReplicationRule, ...] | None = None
    scanning: ScanningConfiguration | None = None
    policy: str | None = None
    """The text of the registry's policy; "" when there is none."""


@dataclass(frozen=True, slots=True)
class LiveTag:
    """What a tag names now."""

    tag: str
    digest: str
    pushed_at: Moment | None = None
    """When the manifest was pushed first, not when it was tagged: ECR does not say that."""

    media_type: str | None = None
    """Of the manifest."""

    artifact_type: str | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """What DescribeImages says of a repository, added up."""

    images: int
    tags: int
    untagged: int
    bytes: int
    """Of all images, as ECR counts them: layers that several images share count once for each."""

    orphans: int
    """Images that no tag reaches, by an index or as a referrer: what a moved or deleted tag leaves behind."""

    orphan_bytes: int
    last_push: Moment | None = None
    last_pull: Moment | None = None


@dataclass(frozen=True, slots=True)
class RepositoryRecord:
    """One private repository. None: could not be read, or was not asked for."""

    account: str
    region: str
    name: str
    arn: str
    uri: str
    created_at: Moment | None = None
    mode: TagMutability = TagMutability.MUTABLE
    filters: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption_type: str = "AES256"
    encryption_key: str | None = None
    lifecycle_policy: str | None = None
    """The policy's text; "" when there is none."""

    policy: str | None = None
    """The repository policy's text; "" when there is none."""

    resource_tags: dict[str, str] | None = None
    images: Images | None = None
    live_tags: tuple[LiveTag, ...] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Account, region and name: what makes it one repository among all."""
        return self.account, self.region, self.name

    @property
    def settings(self) -> MutabilitySettings:
        """Its mode and filters, as the tag rule takes them."""
        return MutabilitySettings(self.mode, self.filters)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be read; the inventory went on without it."""

    account: str
    region: str
    what: str
    """What was asked, such as `ecr:DescribeRepositories`, or `ecr:DescribeImages demo/app`."""

    code: str
    """The service's own word, such as AccessDeniedException; Unreachable when nothing answered."""

    sentence: str
    """What happened, whose fault it is, and what to do."""

    repository: str | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that was found, at one time."""

    taken_at: Moment
    registries: tuple[RegistryRecord, ...] = ()
    repositories: tuple[RepositoryRecord, ...] = ()
    failures: tuple[Failure, ...] = ()
    is_finished: bool = True
    """False: the run was stopped before its end."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for could be read."""
        return self.is_finished and not self.failures

    def registry_of(self, repository: RepositoryRecord) -> RegistryRecord | None:
        """Return the registry that a repository is in, None when it could not be read."""
        for one in self.registries:
            if (one.account, one.region) == (repository.account, repository.region):
                return one
        return None


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of an inventory's file."""

    taken_at: Moment
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class End:
    """The last line: how many lines of each kind there are."""

    registries: int
    repositories: int
    failures: int
    finished_at: Moment


Line = Head | RegistryRecord | RepositoryRecord | Failure | End

_FORM: Final = Form(
    "an inventory",
    Head,
    {
        "inventory": Head,
        "registry": RegistryRecord,
        "repository": RepositoryRecord,
        "failure": Failure,
        "end": End,
    },
    VERSION,
)


def write_line(line: Line) -> bytes:
    """Write one line of an inventory's file, with its end."""
    return _FORM.write(line)


def read_line(content: bytes | str) -> Line:
    """Read one line of an inventory's file. Raises DocumentInvalid."""
    line: Line = _FORM.read(content)
    return line


def read_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """Read the lines of an inventory's file, one at a time. Raises DocumentInvalid, which says which line is wrong."""
    return _FORM.read_all(lines)


def write_inventory(inventory: Inventory, *, finished_at: Moment | None = None) -> Iterator[bytes]:
    """Write an inventory as the lines of a file."""
    yield write_line(Head(inventory.taken_at))
    records: Iterable[Line] = itertools.chain(inventory.registries, inventory.repositories, inventory.failures)
    for one in records:
        yield write_line(one)
    if inventory.is_finished:
        counts = len(inventory.registries), len(inventory.repositories), len(inventory.failures)
        yield write_line(End(*counts, finished_at or inventory.taken_at))


def read_inventory(lines: Iterable[bytes]) -> Inventory:
    """Read a whole inventory into memory. Raises DocumentInvalid; a file that was cut off is not finished."""
    found: dict[type, list[Any]] = {Head: [], RegistryRecord: [], RepositoryRecord: [], Failure: [], End: []}
    for line in read_lines(lines):
        if found[End]:
            msg = "there are lines after the end of the inventory"
            raise DocumentInvalid(msg)
        found[type(line)].append(line)
    if not found[Head]:
        msg = "an empty file is no inventory"
        raise DocumentInvalid(msg)
    for end in found[End]:
        told = end.registries, end.repositories, end.failures
        there = len(found[RegistryRecord]), len(found[RepositoryRecord]), len(found[Failure])
        if told != there:
            msg = f"the last line tells of {told} registries, repositories and failures, and there are {there}"
            raise DocumentInvalid(msg)
    return Inventory(
        found[Head][0].taken_at,
        tuple(found[RegistryRecord]),
        tuple(found[RepositoryRecord]),
        tuple(found[Failure]),
        is_finished=bool(found[End]),
    )
