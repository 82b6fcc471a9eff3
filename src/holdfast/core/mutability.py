"""The tag rule: may this tag come to name this digest?

Pure. This file alone decides whether a tag is held and what a push to it does; every writer of tags asks it inside the
transaction that acts on the answer. It knows nothing of databases, protocols or principals. Each decision carries the
rule that settled it and a sentence, so that a refusal, a preview and an audit all say the same.

Sources: Amazon ECR API, ImageTagMutability and ImageTagMutabilityExclusionFilter (at most 5 filters of 1 to 128
characters `[0-9a-zA-Z._*-]`, whole-tag wildcards); at most 2 `*` a filter as Terraform's AWS provider enforces.
The tombstone rule is ours: ECR lets a deleted name be taken by other bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.core.digest import Digest

MAX_FILTERS: Final = 5
MAX_FILTER_CHARACTERS: Final = 128
MAX_WILDCARDS: Final = 2

_FILTER: Final = re.compile(r"[0-9a-zA-Z._*-]{1,128}", re.ASCII)
_SIGNATURE_TAG: Final = re.compile(r"sha(?:256|512)-[a-f0-9]{64}(?:\.(?:sig|att|sbom))?", re.ASCII)


class TagMutability(StrEnum):
    """ECR's four modes."""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"

    @property
    def holds_by_default(self) -> bool:
        """Whether a tag that no filter matches is held."""
        return self in {TagMutability.IMMUTABLE, TagMutability.IMMUTABLE_WITH_EXCLUSION}

    @property
    def takes_filters(self) -> bool:
        """Whether exclusion filters belong to the mode."""
        return self in {TagMutability.IMMUTABLE_WITH_EXCLUSION, TagMutability.MUTABLE_WITH_EXCLUSION}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a tag is held in a repository, and why."""

    held: bool
    reason: str


@dataclass(frozen=True, slots=True)
class MutabilitySettings:
    """A repository's mode and exclusion filters; make one with `parse_settings` where the values come from outside."""

    mode: TagMutability = TagMutability.MUTABLE
    filters: tuple[str, ...] = ()

    def judge(self, tag: str) -> Verdict:
        """Say whether the tag is held here. Linear in the length of the tag."""
        for pattern in self.filters:
            if matches(pattern, tag):
                held = not self.mode.holds_by_default
                return Verdict(held, f"the repository is {self.mode} and the filter '{pattern}' matches the tag")
        beside = " and no filter matches the tag" if self.filters else ""
        return Verdict(self.mode.holds_by_default, f"the repository is {self.mode}{beside}")


def parse_settings(mode: str, filters: Sequence[str] | None) -> MutabilitySettings:
    """Check a mode and its filters as ECR does; raises ParameterInvalid with ECR's sentence."""
    try:
        parsed = TagMutability(mode)
    except ValueError:
        names = ", ".join(TagMutability)
        raise ParameterInvalid("imageTagMutability", f"Member must satisfy enum value set: [{names}]") from None
    where = "imageTagMutabilityExclusionFilters"
    if filters and not parsed.takes_filters:
        why = f"ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as {parsed}"
        raise ParameterInvalid(where, why)
    if not filters and parsed.takes_filters:
        why = f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {parsed}"
        raise ParameterInvalid(where, why)
    patterns = tuple(dict.fromkeys(filters or ()))
    if len(filters or ()) > MAX_FILTERS:
        raise ParameterInvalid(where, f"Member must have length less than or equal to {MAX_FILTERS}")
    for pattern in patterns:
        if not _FILTER.fullmatch(pattern):
            raise ParameterInvalid(where, "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$")
        if pattern.count("*") > MAX_WILDCARDS:
            raise ParameterInvalid(where, f"A filter can have a maximum of {MAX_WILDCARDS} wildcards (*): '{pattern}'")
    return MutabilitySettings(parsed, patterns)


def matches(pattern: str, tag: str) -> bool:
    """Whether the whole tag matches, `*` standing for any run of characters.

    No backtracking: after the fixed head and tail, each middle piece is looked for once, leftmost first.
    """
    head, *rest = pattern.split("*")
    if not rest:
        return pattern == tag
    *middle, tail = rest
    if not tag.startswith(head) or not tag.endswith(tail) or len(tag) < len(head) + len(tail):
        return False
    position, end = len(head), len(tag) - len(tail)
    for piece in middle:
        found = tag.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def is_signature_tag(tag: str) -> bool:
    """Whether the tag is a fallback name of signatures, attestations or referrers (`sha256-<hex>`, `.sig`, ...).

    Clients read the manifest behind such a tag, add a descriptor and write it back: a list that only grows. Held, such
    a tag may therefore grow and nothing else.
    Sources: OCI distribution specification, "Referrers Tag Schema"; cosign SIGNATURE_SPEC.
    """
    return _SIGNATURE_TAG.fullmatch(tag) is not None


class Action(StrEnum):
    """What becomes of the tag."""

    BIND = "bind"
    RESTORE = "restore"
    KEEP = "keep"
    MOVE = "move"
    REFUSE = "refuse"


class Rule(StrEnum):
    """The rule that settled a decision."""

    SAME_DIGEST = "same-digest"
    FREE_NAME = "free-name"
    NOT_HELD = "not-held"
    APPEND_ONLY = "append-only"
    HELD = "held"
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the tag, by which rule, and the sentence for a person."""

    action: Action
    rule: Rule
    reason: str


def decide(  # noqa: PLR0911 - one return a row of the rule, in the order of the rule
    settings: MutabilitySettings,
    tag: str,
    pushed: Digest,
    *,
    bound: Digest | None,
    tombstone: Digest | None,
    appends: bool = False,
) -> Decision:
    """Decide what a push of `pushed` to `tag` does.

    `bound` is what the tag names now; `tombstone` what it named when it was deleted while held; `appends` whether the
    pushed manifest keeps every descriptor of the bound one (looked at for signature tags only).
    """
    if bound == pushed:
        return Decision(Action.KEEP, Rule.SAME_DIGEST, "the tag names this digest already")
    if bound is None:
        if tombstone is None:
            return Decision(Action.BIND, Rule.FREE_NAME, "the tag is new")
        if tombstone == pushed:
            return Decision(Action.RESTORE, Rule.TOMBSTONE, "the tag comes back to the digest that it named")
        reason = f"the tag was deleted while it was held; only {tombstone} may take the name again"
        return Decision(Action.REFUSE, Rule.TOMBSTONE, reason)
    verdict = settings.judge(tag)
    if not verdict.held:
        return Decision(Action.MOVE, Rule.NOT_HELD, verdict.reason)
    if is_signature_tag(tag):
        if appends:
            return Decision(Action.MOVE, Rule.APPEND_ONLY, "the manifest keeps every descriptor of the one before")
        reason = f"{verdict.reason}; a signature tag may only grow, and this manifest drops a descriptor"
        return Decision(Action.REFUSE, Rule.APPEND_ONLY, reason)
    return Decision(Action.REFUSE, Rule.HELD, verdict.reason)


def refusal_sentence(tag: str, repository: str) -> str:
    """ECR's own sentence, to the letter: tools match it (kaniko's --push-ignore-immutable-tag-errors and others)."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )
