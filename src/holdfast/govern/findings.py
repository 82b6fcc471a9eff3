"""Posture: every repository and creation template of an inventory, judged by Security Hub's controls and by ours.

Pure. This file alone decides what passes. The controls ECR.1, ECR.2, ECR.3 and ECR.5 say what AWS's would say (the
parity verdict); where AWS does not document what happens, the stricter reading is taken, and said. Ours say more: what
the exclusion filters of a repository leave movable, tag by tag, and which creation templates make mutable repositories.

Sources: AWS Security Hub User Guide, "Security Hub controls for Amazon ECR"; AWS Config Developer Guide, "List of AWS
Config managed rules". Renderers: `asff`, `ocsf`, `posture_page`; SARIF and JUnit by `core`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.finding import Finding, InResource, Report, Rule, Severity, fingerprinted
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern.tag_kinds import POINTERS, TagKind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.govern.estate import Inventory, RegistryRecord, RepositoryRecord, Template

REPOSITORY: Final = "AWS::ECR::Repository"
TEMPLATE: Final = "AWS::ECR::RepositoryCreationTemplate"
MAX_NAMED_TAGS: Final = 10
"""Of movable tags, in a sentence; all are counted."""

_MEANT_TO_MOVE: Final = POINTERS | {TagKind.SIGNATURE}
"""Kinds of names that filters may rightly leave movable; any other that may move is a failure."""


class Status(StrEnum):
    """How a control ended. Source: ASFF, Compliance.Status."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    WARNING = "WARNING"
    NOT_AVAILABLE = "NOT_AVAILABLE"


@dataclass(frozen=True, slots=True)
class Control:
    """One control, as a reader of findings needs it."""

    id: str
    title: str
    severity: Severity
    why: str
    fix: str
    config_rule: str | None = None
    requirements: tuple[str, ...] = ()
    url: str = "docs/governance.md"

    @property
    def is_parity(self) -> bool:
        """Whether it is Security Hub's own."""
        return self.id.startswith("ECR.")


def _hub(number: int) -> str:
    return f"https://docs.aws.amazon.com/console/securityhub/ECR.{number}/remediation"


CONTROLS: Final = (
    Control(
        "ECR.1",
        "ECR private repositories should have image scanning configured",
        Severity.HIGH,
        "Vulnerable packages are found when an image is pushed, not when it runs.",
        "Turn on scan on push, or a scanning rule of the registry that matches the repository.",
        "ecr-private-image-scanning-enabled",
        ("NIST.800-53.r5 RA-5", "PCI DSS v4.0.1/6.2.3", "PCI DSS v4.0.1/6.2.4"),
        _hub(1),
    ),
    Control(
        "ECR.2",
        "ECR private repositories should have tag immutability configured",
        Severity.MEDIUM,
        "A tag that can move does not say what runs: whoever can push can change it under the same name.",
        "See what would break (holdfast simulate), then switch it (holdfast plan, holdfast flip).",
        "ecr-private-tag-immutability-enabled",
        ("NIST.800-53.r5 CA-9(1)", "NIST.800-53.r5 CM-2", "NIST.800-53.r5 CM-8(1)"),
        _hub(2),
    ),
    Control(
        "ECR.3",
        "ECR repositories should have at least one lifecycle policy configured",
        Severity.MEDIUM,
        "Without one, images pile up, and old vulnerable ones stay within reach.",
        "Put a lifecycle policy that keeps what is in use.",
        "ecr-private-lifecycle-policy-configured",
        ("NIST.800-53.r5 CA-9(1)", "NIST.800-53.r5 CM-2", "NIST.800-53.r5 CM-2(2)"),
        _hub(3),
    ),
    Control(
        "ECR.5",
        "ECR repositories should be encrypted with customer managed AWS KMS keys",
        Severity.MEDIUM,
        "Only the owner of a key decides who may use it.",
        "Encryption is chosen when a repository is made: make it anew with a key of yours, and copy the images.",
        "ecr-repository-cmk-encryption-enabled",
        (),
        _hub(5),
    ),
    Control(
        "Holdfast.1",
        "Exclusion filters should leave no tag movable but pointers, caches and signatures",
        Severity.MEDIUM,
        "IMMUTABLE_WITH_EXCLUSION with wide filters holds nothing, and a filter-blind check passes it.",
        "Narrow the filters to the pointers that must move; give everything else a tag of its own.",
    ),
    Control(
        "Holdfast.2",
        "Creation templates should make repositories whose tags hold",
        Severity.MEDIUM,
        "Replication, caching and pushes make repositories by a template: a mutable one brings mutable ones back.",
        "Update the template to IMMUTABLE (holdfast plan makes the step).",
    ),
)
"""The controls, in the order of their ids."""

BY_ID: Final = {control.id: control for control in CONTROLS}


@dataclass(frozen=True, slots=True)
class Posture:
    """One control on one resource."""

    control: Control
    status: Status
    account: str
    region: str
    kind: str
    resource: str
    """The ARN of a repository; of a template, which has none, a name that is unique."""

    name: str
    message: str
    facts: dict[str, Any] = field(default_factory=dict)
    repository: RepositoryRecord | None = None

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "control": self.control.id,
            "title": self.control.title,
            "severity": self.control.severity.value,
            "status": str(self.status),
            "account": self.account,
            "region": self.region,
            "type": self.kind,
            "resource": self.resource,
            "name": self.name,
            "message": self.message,
            "facts": self.facts,
        }


def judge(inventory: Inventory, controls: Iterable[str] = (), *, keys: Sequence[str] = ()) -> list[Posture]:
    """Judge everything in an inventory, by these controls or by all. `keys`: ARNs of keys that a customer manages."""
    wanted = set(controls) or set(BY_ID)
    registries = {(one.account, one.region): one for one in inventory.registries}
    judged: list[Posture] = []
    for repository in inventory.repositories:
        registry = registries.get((repository.account, repository.region))
        judged += [
            made
            for control, rule in _RULES.items()
            if control in wanted and (made := rule(repository, registry, keys)) is not None
        ]
    if "Holdfast.2" in wanted:
        judged += [_template(registry, one) for registry in inventory.registries for one in registry.templates or ()]
    return sorted(judged, key=lambda one: (one.account, one.region, one.name, one.control.id))


def _of(
    repository: RepositoryRecord,
    control: str,
    status: Status,
    message: str,
    **facts: Any,  # noqa: ANN401 - facts
) -> Posture:
    return Posture(
        BY_ID[control],
        status,
        repository.account,
        repository.region,
        REPOSITORY,
        repository.arn,
        repository.name,
        message,
        facts,
        repository,
    )


def _scanning(repository: RepositoryRecord, registry: RegistryRecord | None, _keys: Sequence[str]) -> Posture:
    if repository.scan_on_push:
        return _of(repository, "ECR.1", Status.PASSED, "Images are scanned when they are pushed.")
    if registry is None or registry.scanning is None:
        why = "Scan on push is off, and the registry's scanning rules could not be read."
        return _of(repository, "ECR.1", Status.NOT_AVAILABLE, why)
    for rule in registry.scanning.rules:
        matched = any(fnmatchcase(repository.name, _wildcard(one)) for one in rule.filters)
        if matched and rule.frequency in {"SCAN_ON_PUSH", "CONTINUOUS_SCAN"}:
            return _of(repository, "ECR.1", Status.PASSED, f"A rule of the registry scans it: {rule.frequency}.")
    return _of(repository, "ECR.1", Status.FAILED, "Neither scan on push nor a scanning rule of the registry is on.")


def _wildcard(pattern: str) -> str:
    """Return ECR's filter for fnmatch: only `*` is special."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _immutability(repository: RepositoryRecord, _registry: RegistryRecord | None, _keys: Sequence[str]) -> Posture:
    facts = {"mode": str(repository.mode), "filters": list(repository.filters)}
    if repository.mode is TagMutability.IMMUTABLE:
        return _of(repository, "ECR.2", Status.PASSED, "Tag immutability is IMMUTABLE.", **facts)
    message = f"Tag immutability is {told(repository.settings)}, and only IMMUTABLE passes."
    return _of(repository, "ECR.2", Status.FAILED, message, **facts)


def _lifecycle(repository: RepositoryRecord, _registry: RegistryRecord | None, _keys: Sequence[str]) -> Posture:
    if repository.lifecycle_policy is None:
        return _of(repository, "ECR.3", Status.NOT_AVAILABLE, "The lifecycle policy could not be read.")
    if repository.lifecycle_policy:
        return _of(repository, "ECR.3", Status.PASSED, "There is a lifecycle policy.")
    return _of(repository, "ECR.3", Status.FAILED, "There is no lifecycle policy.")


def _encryption(repository: RepositoryRecord, _registry: RegistryRecord | None, keys: Sequence[str]) -> Posture:
    facts = {"encryption": repository.encryption_type, "key": repository.encryption_key}
    if repository.encryption_key is None or not repository.encryption_type.startswith("KMS"):
        message = f"It is encrypted with {repository.encryption_type}, no key of yours."
        return _of(repository, "ECR.5", Status.FAILED, message, **facts)
    if keys:
        known = any(fnmatchcase(repository.encryption_key, key) for key in keys)
        which = "one" if known else "none"
        message = f"It is encrypted with {repository.encryption_key}, which is {which} of the keys named."
        return _of(repository, "ECR.5", Status.PASSED if known else Status.FAILED, message, **facts)
    message = "It is encrypted with a KMS key; ECR does not tell whether a customer manages it: name yours (--kms-key)."
    return _of(repository, "ECR.5", Status.WARNING, message, **facts)


# --- ours ------------------------------------------------------------------------------------------------------------


def told(settings: MutabilitySettings) -> str:
    """Return settings in words."""
    return f"{settings.mode} ({', '.join(settings.filters)})" if settings.filters else str(settings.mode)


@dataclass(frozen=True, slots=True)
class Grade:
    """What the settings leave movable of the tags that are there."""

    letter: str
    """A: IMMUTABLE. B: filters, and no live tag matches. C: those that match are pointers, caches and signatures by
    their names. D: others match too, such as versions. F: nothing holds by default."""

    tags: int
    movable: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of live tags that may move."""
        return len(self.movable) / self.tags if self.tags else 0.0


def grade(settings: MutabilitySettings, tags: Sequence[str]) -> Grade:
    """Grade settings by the tags that are there now."""
    movable = tuple(tag for tag in tags if not settings.judge(tag).held)
    if not settings.mode.holds_by_default or "*" in settings.filters:
        return Grade("F", len(tags), movable)
    if settings.mode is TagMutability.IMMUTABLE:
        return Grade("A", len(tags), movable)
    if not movable:
        return Grade("B", len(tags), movable)
    meant = all(kind_of(tag) in _MEANT_TO_MOVE for tag in movable)
    return Grade("C" if meant else "D", len(tags), movable)


_OF_GRADE: Final = {
    "A": Status.PASSED,
    "B": Status.PASSED,
    "C": Status.WARNING,
    "D": Status.FAILED,
    "F": Status.FAILED,
}


def _graded(repository: RepositoryRecord, _registry: RegistryRecord | None, _keys: Sequence[str]) -> Posture:
    control, settings = "Holdfast.1", repository.settings
    words = told(settings)
    if repository.live_tags is None and settings.mode is TagMutability.IMMUTABLE_WITH_EXCLUSION:
        why = f"It is {words}; its tags were not read, so that nobody can say what the filters leave movable."
        return _of(repository, control, Status.NOT_AVAILABLE, why)
    found = grade(settings, [one.tag for one in repository.live_tags or ()])
    facts = {
        "grade": found.letter,
        "tags": found.tags if repository.live_tags is not None else None,
        "movable": len(found.movable),
        "movable_share": round(found.share, 4),
        "movable_tags": list(found.movable[:MAX_NAMED_TAGS]),
    }
    if found.letter == "A":
        message = "Every tag holds."
    elif found.letter == "B":
        message = f"It is {words}: every one of its {found.tags} tags holds; new ones that a filter matches may move."
    else:
        named = ", ".join(found.movable[:MAX_NAMED_TAGS])
        more = len(found.movable) - MAX_NAMED_TAGS
        which = f": {named}{f' and {more} more' if more > 0 else ''}" if named else ""
        message = f"It is {words}: {len(found.movable)} of {found.tags} tags ({found.share:.0%}) may move{which}."
    return _of(repository, control, _OF_GRADE[found.letter], message, **facts)


def _template(registry: RegistryRecord, template: Template) -> Posture:
    settings = MutabilitySettings(template.mode, template.filters)
    holds = template.mode.holds_by_default and "*" not in template.filters
    made = ", ".join(template.applied_for) or "nothing"
    message = f"Repositories made below {template.prefix} (by {made}) are {told(settings)}."
    return Posture(
        BY_ID["Holdfast.2"],
        Status.PASSED if holds else Status.FAILED,
        registry.account,
        registry.region,
        TEMPLATE,
        f"{registry.account}/{registry.region}/creation-template/{template.prefix}",
        template.prefix,
        message,
        {"mode": str(template.mode), "filters": list(template.filters), "applied_for": list(template.applied_for)},
    )


_RULES: Final[dict[str, Callable[[RepositoryRecord, RegistryRecord | None, Sequence[str]], Posture | None]]] = {
    "ECR.1": _scanning,
    "ECR.2": _immutability,
    "ECR.3": _lifecycle,
    "ECR.5": _encryption,
    "Holdfast.1": _graded,
}


# --- as findings -----------------------------------------------------------------------------------------------------


def report(judged: Sequence[Posture], version: str) -> Report:
    """Return what failed as a report of findings, for SARIF and JUnit; what passed is examined without one."""
    rules = tuple(Rule(one.id, one.title, one.severity, one.why, "docs/governance.md") for one in CONTROLS)
    findings = [
        Finding(
            one.control.id,
            one.control.severity,
            InResource(one.resource, one.kind, one.name),
            one.message,
            one.control.why,
            one.control.fix,
            one.resource,
        )
        for one in judged
        if one.status is Status.FAILED
    ]
    examined = tuple(dict.fromkeys(one.resource for one in judged))
    return Report("holdfast", version, rules, tuple(fingerprinted(findings)), examined)


def counted(judged: Iterable[Posture]) -> dict[str, dict[str, int]]:
    """Return how many of each control ended how."""
    counts: dict[str, dict[str, int]] = {}
    for one in judged:
        of = counts.setdefault(one.control.id, {str(status): 0 for status in Status})
        of[str(one.status)] += 1
    return dict(sorted(counts.items()))
