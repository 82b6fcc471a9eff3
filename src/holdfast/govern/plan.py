"""Plans: which settings become which, in which order, with what was seen and what must be read back.

Pure. This file alone decides what a plan consists of, how its digest is made, which wishes become no step, and what a
step does when it meets a repository as it is now. `flip` applies plans; nothing here calls anybody.

A plan is a JSON document for people to review. Its digest is the SHA-256 of the document without the member `digest`,
written with sorted keys and without white space: whoever approves a plan approves a digest.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import MutabilitySettings, TagMutability, parse_settings
from holdfast.govern import documents
from holdfast.govern.documents import DocumentInvalid, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.govern.estate import Inventory, RepositoryRecord

KIND: Final = "holdfast/plan/1"

Key: TypeAlias = tuple[str, str, str]
"""Account, region and name of a repository."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A mode and its filters, as they stand in a document. The order of filters means nothing."""

    mode: TagMutability
    filters: tuple[str, ...] = ()

    @property
    def same(self) -> tuple[TagMutability, tuple[str, ...]]:
        """What two settings have alike that are the same."""
        return self.mode, tuple(sorted(set(self.filters)))

    @classmethod
    def of(cls, settings: MutabilitySettings) -> Settings:
        """Take them from the tag rule's."""
        return cls(settings.mode, settings.filters)

    @property
    def rule(self) -> MutabilitySettings:
        """The same for the tag rule."""
        return MutabilitySettings(self.mode, self.filters)

    def __str__(self) -> str:
        return f"{self.mode} ({', '.join(self.filters)})" if self.filters else str(self.mode)

    def parameters(self) -> dict[str, Any]:
        """Return them as ECR's operations take them."""
        filters = [{"filterType": "WILDCARD", "filter": one} for one in self.filters]
        more = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
        return {"imageTagMutability": str(self.mode), **more}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Settings:
        """Take them from a repository or a template as ECR describes it."""
        filters = tuple(one["filter"] for one in described.get("imageTagMutabilityExclusionFilters") or ())
        return cls(TagMutability(described.get("imageTagMutability", "MUTABLE")), filters)


class Does(StrEnum):
    """What a step is about."""

    SET = "set-mutability"
    CREATE = "create-repository"
    TEMPLATE = "set-template"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of Amazon ECR, exactly."""

    operation: str
    parameters: dict[str, Any]

    @property
    def command(self) -> str:
        """The same for AWS's command line, for people."""
        words = ["aws", "ecr", re.sub(r"(?<!^)(?=[A-Z])", "-", self.operation).lower()]
        for name, value in self.parameters.items():
            words.append("--" + re.sub(r"(?=[A-Z])", "-", name).lower())
            words.append(value if isinstance(value, str) else json.dumps(value))
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `precondition` and `read_back` are None where nothing is there before or after."""

    id: str
    wave: int
    account: str
    region: str
    name: str
    """Of the repository; of a template its prefix."""

    does: Does
    precondition: Settings | None
    """What was seen when the plan was made: anything else stops the flip."""

    call: Call
    read_back: Settings
    """What must be read afterwards."""

    why: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Account and region."""
        return self.account, self.region

    @property
    def told(self) -> str:
        """The step in a few words."""
        before = "not there" if self.precondition is None else str(self.precondition)
        return f"{self.account}/{self.region} {self.name}: {before} -> {self.read_back}"


@dataclass(frozen=True, slots=True)
class Left:
    """A repository that the plan does not touch, and why."""

    account: str
    region: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The document. `steps` are in the order of their waves."""

    made_at: Moment
    inventory_taken_at: Moment
    steps: tuple[Step, ...]
    left: tuple[Left, ...] = ()
    kind: str = KIND
    digest: str = ""

    @property
    def waves(self) -> list[int]:
        """The waves that there are, in order."""
        return sorted({step.wave for step in self.steps})


def digest_of(plan: Plan) -> str:
    """Return the digest of a plan, whatever its member `digest` says."""
    document = documents.plain(replace(plan, digest=""))
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_plan(plan: Plan) -> str:
    """Write a plan for its file."""
    return json.dumps(documents.plain(plan), indent=2) + "\n"


def read_plan(content: bytes | str) -> Plan:
    """Read a plan. Raises DocumentInvalid: also for one that was changed after it was made."""
    plan = documents.read(Plan, content)
    if plan.kind != KIND:
        raise DocumentInvalid(f"This is no plan: its kind is {plan.kind!r}, not {KIND!r}.")
    if plan.digest != digest_of(plan):
        raise DocumentInvalid("The plan was changed after it was made: its digest is another. Make it anew.")
    if len({step.id for step in plan.steps}) != len(plan.steps):
        raise DocumentInvalid("The plan has two steps of one id.")
    return plan


# --- making a plan ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a repository shall become. `settings` None: it is left, for the reason given."""

    settings: MutabilitySettings | None
    why: str = ""
    risk: float = 0.0
    """What is riskier comes later: pushes that would have been refused, say."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A repository that pipelines need before the switch, such as one for their caches."""

    account: str
    region: str
    name: str
    settings: MutabilitySettings
    why: str = "pipelines need it before the switch"


@dataclass(frozen=True, slots=True)
class Waves:
    """How steps are spread over waves: by name patterns where given, else a few quiet ones first, then more."""

    patterns: tuple[str, ...] = ()
    """Wave 1 is what the first matches, wave 2 what the second does; what none matches is the last."""

    shares: tuple[float, ...] = (0.05, 0.3)
    """Without patterns: the share of all steps in the first waves; the rest is the last."""


def make_plan(
    inventory: Inventory,
    wishes: Mapping[Key, Wish],
    *,
    now: Moment,
    waves: Waves | None = None,
    creations: Iterable[Creation] = (),
    templates: bool = True,
    drop_filters: bool = False,
) -> Plan:
    """Make a plan of wishes. What already is as wished becomes no step; nor does what would lose filters unasked."""
    steps: list[tuple[float, Step]] = []
    left: list[Left] = []
    for repository in sorted(inventory.repositories, key=lambda one: one.key):
        wish = wishes.get(repository.key)
        why = _why_left(repository, wish, drop_filters=drop_filters)
        if why is not None or wish is None or wish.settings is None:
            left.append(Left(*repository.key, why or "no wish speaks of it"))
            continue
        wanted = Settings.of(wish.settings)
        if Settings.of(repository.settings).same != wanted.same:
            steps.append((wish.risk, _set(repository, wanted, wish.why)))
    first = [_create(one) for one in creations] + (_templates(inventory) if templates else [])
    planned = [*_numbered(first, 0), *_in_waves(steps, waves or Waves())]
    plan = Plan(now, inventory.taken_at, tuple(planned), tuple(left))
    return replace(plan, digest=digest_of(plan))


def _why_left(repository: RepositoryRecord, wish: Wish | None, *, drop_filters: bool) -> str | None:
    """Say why a repository becomes no step, None when it may."""
    if wish is None or wish.settings is None:
        return wish.why if wish is not None else "no wish speaks of it"
    try:
        parse_settings(wish.settings.mode, wish.settings.filters or None)
    except ParameterInvalid as error:
        return f"the wish cannot be: {error.message}"
    lost = set(repository.filters) - set(wish.settings.filters)
    if lost and not drop_filters and repository.mode is TagMutability.IMMUTABLE_WITH_EXCLUSION:
        named = ", ".join(sorted(lost))
        return f"somebody set the exclusion filters {named}, which the wish does not have; say so to drop filters"
    return None


def _set(repository: RepositoryRecord, wanted: Settings, why: str) -> Step:
    parameters = {"registryId": repository.account, "repositoryName": repository.name, **wanted.parameters()}
    seen = Settings.of(repository.settings)
    return Step("", 0, *repository.key, Does.SET, seen, Call("PutImageTagMutability", parameters), wanted, why)


def _create(one: Creation) -> Step:
    wanted = Settings.of(one.settings)
    parameters = {"registryId": one.account, "repositoryName": one.name, **wanted.parameters()}
    key = one.account, one.region, one.name
    return Step("", 0, *key, Does.CREATE, None, Call("CreateRepository", parameters), wanted, one.why)


def _templates(inventory: Inventory) -> list[Step]:
    """Make the steps for creation templates that make mutable repositories."""
    made = []
    for registry in inventory.registries:
        for template in registry.templates or ():
            if template.mode.holds_by_default:
                continue
            wanted = Settings(TagMutability.IMMUTABLE)
            call = Call("UpdateRepositoryCreationTemplate", {"prefix": template.prefix, **wanted.parameters()})
            seen = Settings(template.mode, template.filters)
            key = registry.account, registry.region, template.prefix
            why = f"it makes mutable repositories ({', '.join(template.applied_for)})"
            made.append(Step("", 0, *key, Does.TEMPLATE, seen, call, wanted, why))
    return made


def _numbered(steps: Iterable[Step], wave: int) -> list[Step]:
    return [replace(step, id=f"{wave}-{place:05}", wave=wave) for place, step in enumerate(steps, 1)]


def _in_waves(steps: Iterable[tuple[float, Step]], waves: Waves) -> list[Step]:
    """Put steps into waves, the quietest first. Wave 0 is what has to be there before."""
    quiet = [step for _, step in sorted(steps, key=lambda one: (one[0], one[1].account, one[1].region, one[1].name))]
    if waves.patterns:
        last = len(waves.patterns)
        numbered = [next((n for n, one in enumerate(waves.patterns) if _meant(one, step)), last) for step in quiet]
    else:
        bounds = [max(1 + place, round(share * len(quiet))) for place, share in enumerate(waves.shares)]
        numbered = [sum(place >= bound for bound in bounds) for place in range(len(quiet))]
    present = {number: wave for wave, number in enumerate(sorted(set(numbered)), 1)}
    made = []
    for number, wave in present.items():
        made += _numbered([step for step, of in zip(quiet, numbered, strict=True) if of == number], wave)
    return made


def _meant(pattern: str, step: Step) -> bool:
    return named(pattern, (step.account, step.region, step.name))


def named(pattern: str, key: Key) -> bool:
    """Whether a pattern names a repository: NAME, or ACCOUNT/REGION/NAME; `*` is any run of characters."""
    expression = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return any(expression.fullmatch(one) is not None for one in (key[2], "/".join(key)))


# --- what a step does ------------------------------------------------------------------------------------------------


class Meets(StrEnum):
    """What a step meets, and so what becomes of it."""

    CHANGE = "change"
    ALREADY = "already"
    SURPRISE = "surprise"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a step now, and the sentence for a person."""

    meets: Meets
    reason: str


def judge(step: Step, seen: Settings | None) -> Verdict:
    """Say what a step does that meets these settings (None: what it is about is not there)."""
    if seen is not None and seen.same == step.read_back.same:
        return Verdict(Meets.ALREADY, f"it is {seen} already")
    if step.precondition is None:
        if seen is None:
            return Verdict(Meets.CHANGE, "it is not there yet")
        return Verdict(Meets.SURPRISE, f"it was made meanwhile, and is {seen}, not {step.read_back}")
    if seen is None:
        return Verdict(Meets.GONE, "it is not there any more")
    if seen.same == step.precondition.same:
        return Verdict(Meets.CHANGE, f"it is {seen}, as it was when the plan was made")
    return Verdict(Meets.SURPRISE, f"it is {seen} now, and was {step.precondition} when the plan was made")


def reversal(step: Step) -> Step:
    """Return the step that takes a step back. Raises ValueError for one that makes what was not there."""
    if step.precondition is None:
        msg = "what was made is taken away by hand: it may hold images"
        raise ValueError(msg)
    kept = {
        name: value
        for name, value in step.call.parameters.items()
        if name not in {"imageTagMutability", "imageTagMutabilityExclusionFilters"}
    }
    call = Call(step.call.operation, {**kept, **step.precondition.parameters()})
    return replace(step, precondition=step.read_back, read_back=step.precondition, call=call)
