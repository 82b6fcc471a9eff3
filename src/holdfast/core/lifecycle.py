"""What a lifecycle policy does to the images of a repository, which rule claims each, and why.

Pure. The preview, the run and the command line ask this one function, so a preview shows what a run does. Rules, from
Amazon ECR User Guide, "Automate the cleanup of images by using lifecycle policies", evaluation rules:

1.  Every rule looks at every image, as if the other rules were not there. It selects by tags and storage class, then
    marks by count or age.
2.  Only the first rule (the lowest number) that selects an image may claim it: a rule shields what it selects from all
    rules after it, also where it does not mark it. So one rule claims an image, or none.
3.  What one rule claims still counts for the others: `imageCountMoreThan` counts every image that it selects.
4.  Several patterns or prefixes are AND: each must match some tag of the image.
5.  Youngest first is by the time of the push; for a restored image by the time of its restoration.
    `sinceImagePulled` takes the push (or restoration) of an image that was not pulled since.
6.  An image that an index lists goes only when the index goes as well.

Ours, where AWS is silent or looser:

7.  A referrer (signature, attestation, SBOM) whose subject is in the repository is no image of its own here: no rule
    selects or counts it; it goes and is archived with its subject.
8.  An image with a held tag is expired only where the registry allows it.
9.  An image that is being restored is left alone.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core.lifecycle_policy import ActionType, CountType, StorageClass, TagStatus
from holdfast.core.long_lists import sorted_in_steps
from holdfast.core.mutability import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.core.lifecycle_policy import Policy, Rule

DAY_MICROSECONDS: Final = 24 * 3600 * 1_000_000
_LAST: Final = "\U0010ffff"
"""Comes after every character of a tag."""


class ImageStatus(StrEnum):
    """Whether an image can be pulled. Source: Amazon ECR API, ImageDetail.imageStatus."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    ACTIVATING = "ACTIVATING"


@dataclass(frozen=True, slots=True)
class Image:
    """What a policy may know of an image; times in microseconds since the epoch."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: int
    pulled_at: int | None = None
    archived_at: int | None = None
    activated_at: int | None = None
    status: ImageStatus = ImageStatus.ACTIVE
    parents: tuple[str, ...] = ()
    """Indexes of the repository that list it."""
    subject: str | None = None
    is_held: bool = False
    """Whether a tag of it is held."""

    @property
    def since(self) -> int:
        """When it came: its push, or its last restoration."""
        return max(self.pushed_at, self.activated_at or 0)

    @property
    def last_used_at(self) -> int:
        """When it was pulled last, or came."""
        return max(self.since, self.pulled_at or 0)


class Outcome(StrEnum):
    """What becomes of an image."""

    KEEP = "keep"
    ARCHIVE = "archive"
    EXPIRE = "expire"


class Cause(StrEnum):
    """Why."""

    CLAIMED = "claimed"
    NO_RULE = "no-rule"
    WITHIN = "within-rule"
    HELD = "held-tag"
    LISTED = "listed-by-index"
    FOLLOWS = "follows-subject"
    ACTIVATING = "being-restored"


_GOES: Final = Outcome.EXPIRE


@dataclass(slots=True)
class Decision:
    """What becomes of one image. `rule` is the one that claims it, or would; `measure` its rank or age in days."""

    image: Image
    outcome: Outcome
    cause: Cause
    rule: Rule | None = None
    measure: int = 0
    beside: str = ""
    """The digest of the index or subject that decided."""

    @property
    def reason(self) -> str:
        """The reason as a sentence for a person."""
        match self.cause:
            case Cause.NO_RULE:
                return "no rule selects it"
            case Cause.ACTIVATING:
                return "it is being restored"
            case Cause.FOLLOWS:
                if self.outcome is Outcome.ARCHIVE:
                    return f"it refers to {self.beside} and is archived with it"
                return f"it refers to {self.beside}, which {'stays' if self.outcome is Outcome.KEEP else 'goes'}"
            case Cause.HELD:
                return f"{self._measured()}, but a tag of it is held"
            case Cause.LISTED:
                return f"{self._measured()}, but the index {self.beside} lists it"
        return self._measured()

    def _measured(self) -> str:
        rule = self.rule
        if rule is None:
            return "its subject goes"
        if rule.count_type is CountType.MORE_THAN:
            rank = f"number {self.measure} from the youngest that rule {rule.priority} selects"
            return f"{rank}; it keeps {rule.count}"
        what = {
            CountType.SINCE_PUSHED: "pushed",
            CountType.SINCE_PULLED: "last pulled",
            CountType.SINCE_TRANSITIONED: "archived",
        }[rule.count_type]
        return f"{what} {self.measure} days ago; rule {rule.priority} waits for more than {rule.count}"


def evaluate(policy: Policy, images: Sequence[Image], now: int, *, expires_held: bool = False) -> list[Decision]:
    """Decide what becomes of each image, in the order given. `expires_held`: whether held tags may be expired.

    Time grows with images x logarithm, and with rules only as far as their patterns select (100,000 images, 5 rules:
    about a second).
    """
    place = {image.digest: number for number, image in enumerate(images)}
    follows = {
        number: place[image.subject]
        for number, image in enumerate(images)
        if image.subject is not None and place.get(image.subject, number) != number
    }
    decisions = _by_rules(policy, images, now, follows)
    if not expires_held:
        for one in decisions:
            if one.outcome is Outcome.EXPIRE and one.image.is_held:
                one.outcome, one.cause = Outcome.KEEP, Cause.HELD
    _follow(decisions, follows)
    _settle(decisions, place, follows, expires_held=expires_held)
    return decisions


def oldest_first(decisions: Sequence[Decision]) -> list[Decision]:
    """Order decisions as they are told and applied: the oldest images first."""
    return sorted_in_steps(decisions, lambda one: (one.image.since, one.image.digest))


def containers_first(decisions: Sequence[Decision]) -> list[list[Decision]]:
    """Order images that go: as given, but each after the indexes that list it and the referrers that follow it.

    Returned in groups that should go together: an image, and before it whatever must not outlive it. Digests cannot
    make a circle, as each contains those that it names.
    """
    outer: dict[str, list[Decision]] = {one.image.digest: [] for one in decisions}
    by_digest = {one.image.digest: one for one in decisions}
    for one in decisions:
        outer[one.image.digest] += [by_digest[parent] for parent in one.image.parents if parent in by_digest]
        if one.image.subject in outer:
            outer[one.image.subject].append(one)
    entered: set[str] = set()
    groups = []
    for one in decisions:
        group = _group(one, outer, entered)
        if group:
            groups.append(group)
    return groups


def _group(root: Decision, outer: dict[str, list[Decision]], entered: set[str]) -> list[Decision]:
    group: list[Decision] = []
    stack = [(root, False)]
    while stack:
        one, is_ready = stack.pop()
        digest = one.image.digest
        if is_ready:
            group.append(one)
        elif digest not in entered:
            entered.add(digest)
            stack.append((one, True))
            stack += [(container, False) for container in outer[digest]]
    return group


# --- selecting and marking -------------------------------------------------------------------------------------------


def _by_rules(policy: Policy, images: Sequence[Image], now: int, follows: dict[int, int]) -> list[Decision]:
    """Apply the rules, each by itself, and let the first that selects an image decide."""
    tags: list[tuple[str, int]] = []
    if any(rule.tag_status is TagStatus.TAGGED for rule in policy.rules):
        tags = [(tag, n) for n, image in enumerate(images) if n not in follows for tag in image.tags]
        tags = sorted_in_steps(tags, lambda one: one)
    names = [tag for tag, _ in tags]
    decisions: list[Decision | None] = [None] * len(images)
    for number, image in enumerate(images):
        if image.status is ImageStatus.ACTIVATING:
            decisions[number] = Decision(image, Outcome.KEEP, Cause.ACTIVATING)
    classes = {
        StorageClass.STANDARD: [n for n, i in enumerate(images) if i.status is ImageStatus.ACTIVE and n not in follows],
        StorageClass.ARCHIVE: [
            n for n, i in enumerate(images) if i.status is ImageStatus.ARCHIVED and n not in follows
        ],
    }
    of_class = {storage: set(numbers) for storage, numbers in classes.items()}
    for rule in policy.rules:
        selected = _selected(rule, images, classes[rule.storage_class], of_class[rule.storage_class], names, tags)
        for number, measure, is_marked in _measured(rule, images, selected, now):
            if decisions[number] is not None:
                continue
            if not is_marked:
                decisions[number] = Decision(images[number], Outcome.KEEP, Cause.WITHIN, rule, measure)
                continue
            outcome = Outcome.EXPIRE if rule.action is ActionType.EXPIRE else Outcome.ARCHIVE
            decisions[number] = Decision(images[number], outcome, Cause.CLAIMED, rule, measure)
    return [one or Decision(images[number], Outcome.KEEP, Cause.NO_RULE) for number, one in enumerate(decisions)]


def _selected(
    rule: Rule,
    images: Sequence[Image],
    numbers: list[int],
    of_class: set[int],
    names: list[str],
    tags: list[tuple[str, int]],
) -> Iterable[int]:
    """Return the images that a rule selects. `tags` are all tags in order, `names` the same without the images."""
    if rule.tag_status is TagStatus.ANY:
        return numbers
    if rule.tag_status is TagStatus.UNTAGGED:
        return [number for number in numbers if not images[number].tags]
    found: set[int] | None = None
    for pattern in rule.patterns or rule.prefixes:
        head, star, rest = pattern.partition("*") if rule.patterns else (pattern, "*", "")
        begin = bisect_left(names, head)
        end = bisect_left(names, head + _LAST, begin)
        if star and not rest:
            hits = {number for _, number in tags[begin:end]}
        else:
            hits = {number for tag, number in tags[begin:end] if matches(pattern, tag)}
        found = hits if found is None else found & hits
        if not found:
            return ()
    return (found or set()) & of_class


def _measured(rule: Rule, images: Sequence[Image], selected: Iterable[int], now: int) -> list[tuple[int, int, bool]]:
    """Return (image, rank or age in days, whether the rule marks it) for each image that a rule selects."""
    if rule.count_type is CountType.MORE_THAN:
        oldest = sorted_in_steps(list(selected), lambda number: (images[number].since, images[number].digest))
        return [(number, rank, rank > rule.count) for rank, number in enumerate(reversed(oldest), start=1)]
    marked_before = now - rule.count * DAY_MICROSECONDS
    times = [(number, _time(rule, images[number])) for number in selected]
    return [(number, (now - at) // DAY_MICROSECONDS, at < marked_before) for number, at in times]


def _time(rule: Rule, image: Image) -> int:
    if rule.count_type is CountType.SINCE_PUSHED:
        return image.since
    if rule.count_type is CountType.SINCE_PULLED:
        return image.last_used_at
    return image.archived_at if image.archived_at is not None else image.since


# --- what hangs together ---------------------------------------------------------------------------------------------


def _follow(decisions: list[Decision], follows: dict[int, int]) -> None:
    """Let each referrer begin with the most that it can come to; `_settle` takes back what cannot be."""
    for number, subject in follows.items():
        one = decisions[number]
        if one.image.status is not ImageStatus.ACTIVATING:
            one.outcome, one.cause, one.beside = Outcome.EXPIRE, Cause.FOLLOWS, decisions[subject].image.digest


def _settle(decisions: list[Decision], place: dict[str, int], follows: dict[int, int], *, expires_held: bool) -> None:
    """Take back what cannot be, until nothing more is taken back: outcomes only ever become less."""
    children: dict[int, list[int]] = {}
    for number, one in enumerate(decisions):
        for parent in one.image.parents:
            if parent in place:
                children.setdefault(place[parent], []).append(number)
    referrers: dict[int, list[int]] = {}
    for number, subject in follows.items():
        referrers.setdefault(subject, []).append(number)
    _take_back(decisions, [n for n, one in enumerate(decisions) if one.outcome is not _GOES], children, referrers)
    for number in () if expires_held else follows:
        one = decisions[number]
        if one.outcome is _GOES and one.image.is_held:
            one.outcome, one.cause = Outcome.KEEP, Cause.HELD
            _take_back(decisions, [number], children, referrers)
    _name_rules(decisions, follows)


def _take_back(
    decisions: list[Decision], waiting: list[int], children: dict[int, list[int]], referrers: dict[int, list[int]]
) -> None:
    while waiting:
        number = waiting.pop()
        one = decisions[number]
        waiting += [inner for inner in referrers.get(number, ()) if _limit_referrer(decisions[inner], one)]
        waiting += [inner for inner in children.get(number, ()) if _limit_child(decisions[inner], one)]


def _name_rules(decisions: list[Decision], follows: dict[int, int]) -> None:
    """Let each referrer name the rule that claimed the image at the end of its chain of subjects."""
    named: set[int] = set()
    for number in follows:
        chain = [number]
        while chain[-1] in follows and chain[-1] not in named:
            named.add(chain[-1])
            chain.append(follows[chain[-1]])
        root = decisions[chain[-1]]
        for one in map(decisions.__getitem__, reversed(chain[:-1])):
            if one.cause is Cause.FOLLOWS:
                one.rule, one.measure = root.rule, root.measure


def _limit_referrer(referrer: Decision, subject: Decision) -> bool:
    """Let a referrer come to no more than its subject; say whether that is less than before."""
    if referrer.cause is not Cause.FOLLOWS or subject.outcome is Outcome.EXPIRE:
        return False
    rests = subject.outcome is Outcome.ARCHIVE or subject.image.status is ImageStatus.ARCHIVED
    limit = Outcome.ARCHIVE if rests and referrer.image.status is ImageStatus.ACTIVE else Outcome.KEEP
    if referrer.outcome in {limit, Outcome.KEEP}:
        return False
    referrer.outcome = limit
    return True


def _limit_child(child: Decision, parent: Decision) -> bool:
    """Keep an image that an index lists which stays; say whether that is less than before."""
    if child.outcome is Outcome.KEEP or parent.outcome is Outcome.EXPIRE:
        return False
    rests = parent.outcome is Outcome.ARCHIVE or parent.image.status is ImageStatus.ARCHIVED
    if rests and child.outcome is Outcome.ARCHIVE:
        return False
    if rests and child.cause is Cause.FOLLOWS and child.image.status is ImageStatus.ACTIVE:
        child.outcome = Outcome.ARCHIVE
        return True
    child.outcome, child.cause, child.beside = Outcome.KEEP, Cause.LISTED, parent.image.digest
    return True
