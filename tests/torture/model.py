"""The reference model: what a registry is, in two hundred lines without a disk, a database or a network.

Written from the promises in docs/architecture.md and from the ECR and OCI texts, never from the product's code: it is
the second opinion. A state and an operation give the next state and the answer that a client must get. A client that
does not know whether an operation took place believes in several states at once (`Belief`); an answer that fits none
of them is a violation.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Answer: TypeAlias = tuple[object, ...]
"""A status, and what the answer is about: a digest, a list of tags."""

LEASE_HOURS = 24
RENEW_HOURS = 12
"""Who is told of a blob has half a day at least; what has more than that left is not written to."""


@dataclass(frozen=True)
class Known:
    """What the model has to know of a manifest's bytes."""

    digest: str
    blobs: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    """The layers, or children, in the list that a signature tag's manifest must keep."""
    is_index: bool = False


@dataclass(frozen=True)
class Op:
    """Something that a client asks for."""

    kind: str
    repository: str = ""
    digest: str = ""
    tags: tuple[str, ...] = ()
    mode: str = ""
    filters: tuple[str, ...] = ()
    source: str = ""
    how: str = ""
    """By which door, where there are several that must do the same."""
    hours: int = 0

    def __str__(self) -> str:
        said = [self.repository, self.digest[7:15], *self.tags, self.mode, *self.filters, self.source, self.how]
        return " ".join([self.kind, *(one for one in said if one), *([f"{self.hours}h"] if self.hours else [])])


@dataclass
class Repository:
    """A repository that is there."""

    mode: str = "MUTABLE"
    filters: tuple[str, ...] = ()
    blobs: dict[str, int] = field(default_factory=dict)
    """Digest -> hour at which its lease is over."""
    manifests: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)

    def holds(self, tag: str) -> bool:
        """Whether a tag is held here."""
        return self.mode.startswith("IMMUTABLE") != any(_matches(one, tag) for one in self.filters)


@dataclass
class State:
    """A registry."""

    known: dict[str, Known]
    hour: int = 0
    repositories: dict[str, Repository] = field(default_factory=dict)
    tombstones: dict[tuple[str, str], str] = field(default_factory=dict)

    def after(self, op: Op) -> tuple[State, Answer]:
        """Return the next state and the answer; this state stays as it is."""
        changed = State(self.known, self.hour, copy.deepcopy(self.repositories), dict(self.tombstones))
        answer: Answer = getattr(changed, "_" + op.kind)(op)
        return changed, answer

    # --- repositories ------------------------------------------------------------------------------------------------

    def _create(self, op: Op) -> Answer:
        if op.repository in self.repositories:
            return (400, "RepositoryAlreadyExistsException")
        self.repositories[op.repository] = Repository(op.mode, op.filters)
        return (200,)

    def _mode(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None:
            return (400, "RepositoryNotFoundException")
        found.mode, found.filters = op.mode, op.filters
        return (200,)

    def _delete_repository(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None:
            return (400, "RepositoryNotFoundException")
        if found.manifests and op.how != "force":
            return (400, "RepositoryNotEmptyException")
        for tag in list(found.tags):
            self._unbind(op.repository, tag)
        del self.repositories[op.repository]
        return (200,)

    # --- blobs -------------------------------------------------------------------------------------------------------

    def _push_blob(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None:
            return (404,)
        self._lease(found, op.digest)
        return (201,)

    def _push_wrong(self, op: Op) -> Answer:
        """Other bytes than those of the digest."""
        return (400,) if op.repository in self.repositories else (404,)

    def _mount(self, op: Op) -> Answer:
        """A mount that cannot be done begins an upload instead; whether it is for want of a blob is not told."""
        found, source = self.repositories.get(op.repository), self.repositories.get(op.source)
        if found is None:
            return (404,)
        if source is None or op.digest not in source.blobs:
            return (202,)
        self._lease(found, op.digest)
        return (201,)

    def _head_blob(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None or op.digest not in found.blobs:
            return (404,)
        if found.blobs[op.digest] - self.hour <= RENEW_HOURS:
            self._lease(found, op.digest)
        return (200,)

    def _get_blob(self, op: Op) -> Answer:
        """The bytes are looked at, not the status alone."""
        found = self.repositories.get(op.repository)
        return (200, op.digest) if found is not None and op.digest in found.blobs else (404,)

    def _delete_blob(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None:
            return (404,)
        if op.digest in self._needed(found):
            return (409,)
        return (404,) if found.blobs.pop(op.digest, None) is None else (202,)

    def _lease(self, found: Repository, digest: str) -> None:
        found.blobs[digest] = max(found.blobs.get(digest, 0), self.hour + LEASE_HOURS)

    def _needed(self, found: Repository) -> set[str]:
        return {blob for manifest in found.manifests for blob in self.known[manifest].blobs}

    def _pass_time(self, op: Op) -> Answer:
        self.hour += op.hours
        return ()

    def _collect(self, _op: Op) -> Answer:
        for found in self.repositories.values():
            needed = self._needed(found)
            found.blobs = {one: end for one, end in found.blobs.items() if one in needed or end >= self.hour}
        return (200,)

    # --- manifests and tags ------------------------------------------------------------------------------------------

    def _put(self, op: Op) -> Answer:
        found, pushed = self.repositories.get(op.repository), self.known[op.digest]
        if found is None:
            return (404,)
        if pushed.digest not in found.manifests:
            if not pushed.blobs <= set(found.blobs) or not pushed.children <= found.manifests:
                return (400,)
            found.manifests.add(pushed.digest)
        if not all(self._may_name(found, op.repository, tag, pushed) for tag in op.tags):
            return (409,)
        for tag in op.tags:
            found.tags[tag] = pushed.digest
            self.tombstones.pop((op.repository, tag), None)
        return (201, pushed.digest)

    def _may_name(self, found: Repository, name: str, tag: str, pushed: Known) -> bool:
        bound = found.tags.get(tag)
        if bound is None:
            return self.tombstones.get((name, tag), pushed.digest) == pushed.digest
        if bound == pushed.digest or not found.holds(tag):
            return True
        before = self.known[bound]
        return is_signature_tag(tag) and before.is_index == pushed.is_index and before.listed <= pushed.listed

    def _get(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        digest = found.tags.get(op.tags[0]) if found is not None else None
        return (200, digest) if digest is not None else (404,)

    def _get_manifest(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        return (200, op.digest) if found is not None and op.digest in found.manifests else (404,)

    def _tags(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        return (200, tuple(sorted(found.tags))) if found is not None else (404,)

    def _delete_tag(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None or op.tags[0] not in found.tags:
            return (404,)
        self._unbind(op.repository, op.tags[0])
        return (202,)

    def _delete_manifest(self, op: Op) -> Answer:
        found = self.repositories.get(op.repository)
        if found is None or op.digest not in found.manifests:
            return (404,)
        if any(op.digest in self.known[one].children for one in found.manifests):
            return (409,)
        for tag in [tag for tag, digest in found.tags.items() if digest == op.digest]:
            self._unbind(op.repository, tag)
        found.manifests.remove(op.digest)
        return (202,)

    def _unbind(self, name: str, tag: str) -> None:
        found = self.repositories[name]
        digest = found.tags.pop(tag)
        if found.holds(tag):
            self.tombstones[name, tag] = digest


def _matches(pattern: str, tag: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None


def is_signature_tag(tag: str) -> bool:
    """Whether a tag is one of those that grow."""
    return re.fullmatch(r"sha(256|512)-[0-9a-f]{64}(\.(sig|att|sbom))?", tag) is not None


class Violation(AssertionError):
    """The registry did what it promises never to do."""


@dataclass
class Belief:
    """What a client holds possible: one state as long as every answer came, more after one that did not."""

    states: list[State]
    past: list[str] = field(default_factory=list)

    def certain(self, op: Op, answer: Answer) -> None:
        """Learn from an answer."""
        self.past.append(f"{op} -> {answer}")
        outcomes = [state.after(op) for state in self.states]
        fitting = [state for state, expected in outcomes if expected == answer]
        if not fitting:
            told = " or ".join(sorted({str(expected) for _, expected in outcomes}))
            lines = "\n  ".join(self.past[-60:])
            msg = f"{op}: answered {answer}, but only {told} can be. What was asked before:\n  {lines}"
            raise Violation(msg)
        self.states = _different(fitting)

    def unknown(self, op: Op) -> None:
        """Learn that an operation took place or did not."""
        self.past.append(f"{op} -> no answer")
        self.states = _different([*self.states, *(state.after(op)[0] for state in self.states)])


def _different(states: Iterable[State]) -> list[State]:
    found: list[State] = []
    for state in states:
        if state not in found:
            found.append(state)
    return found
