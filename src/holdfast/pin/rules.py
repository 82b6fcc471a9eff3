"""The table of lint rules. To add one: a row here, its function in a module of its kind, its page in docs/rules.

The page has a bad and a good example; a test runs both. Identifiers stay for ever: people write them into comments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.finding import Severity
from holdfast.pin import consumers, pushers
from holdfast.pin.case import LintRule, severities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.case import Case, Verdict

CRITICAL, HIGH, MEDIUM, LOW, NOTE = Severity


def _by_the_run(_case: Case) -> Iterator[Verdict]:
    """What a run itself finds: `lint` makes these."""
    return iter(())


UNREADABLE: Final = LintRule(
    "file-unreadable",
    "A file that should name images cannot be read",
    "What cannot be read was not judged; a broken or hostile file must not pass for a clean one.",
    "Mend the file, or exclude it in .holdfast.yaml with a reason.",
    severities(MEDIUM, MEDIUM, LOW),
    _by_the_run,
)

NO_REASON: Final = LintRule(
    "ignore-without-reason",
    "A finding is ignored without a reason",
    "Whoever reads it in a year, and an auditor, cannot tell whether it still holds. It is not heeded.",
    "Write why behind the bracket: holdfast: ignore[rule] because ...",
    severities(LOW, LOW, LOW),
    _by_the_run,
)

RULES: Final[tuple[LintRule, ...]] = (
    LintRule(
        "image-no-tag",
        "An image is named without tag and digest",
        "It means latest, and is another image after the next push; nothing in the file or its history shows that.",
        "Name a version and its digest: holdfast pin FILE --write does it.",
        severities(HIGH, MEDIUM, LOW),
        consumers.no_tag,
    ),
    LintRule(
        "image-latest",
        "An image is named by the tag latest",
        "Two machines that pull it on two days run two programs, and going back to what ran before has no name.",
        "Name a version and its digest: holdfast pin FILE --write adds the digest.",
        severities(HIGH, MEDIUM, LOW),
        consumers.latest,
    ),
    LintRule(
        "image-movable-tag",
        "An image is named by a tag without a digest",
        "Whoever may push to the repository decides what runs here, by a mistake or a stolen key, unseen.",
        "Add the digest: holdfast pin FILE --write does it.",
        severities(MEDIUM, LOW, NOTE),
        consumers.movable_tag,
    ),
    LintRule(
        "image-gone",
        "An image is named that the registry does not have",
        "It runs until the next pull: a new node, a scale-out, a build without its cache.",
        "Find what is there (holdfast tags REPO on a Holdfast server) and name that, or push the image again.",
        severities(CRITICAL, HIGH, MEDIUM),
        consumers.gone,
        asks_registries=True,
    ),
    LintRule(
        "image-stale-digest",
        "The tag beside a digest names another image now",
        "The digest decides what runs, and the tag tells people something else; fixes made since are not here.",
        "Take the new one after a look at it: holdfast pin FILE --update --write.",
        severities(MEDIUM, LOW, NOTE),
        consumers.stale_digest,
        asks_registries=True,
    ),
    LintRule(
        "image-platform-digest",
        "The digest is of one platform, the tag names an index",
        "On machines of another kind the pull fails or runs under emulation, and signatures of the index do not fit.",
        "Write the digest of the index: holdfast pin FILE --update --write.",
        severities(MEDIUM, MEDIUM, LOW),
        consumers.platform_digest,
        asks_registries=True,
    ),
    LintRule(
        "image-wrong-platform",
        "An image is named that is not for the platform it has to run on",
        "The pull fails, or the program runs under emulation, many times slower.",
        "Build for that platform too, or name an image that is.",
        severities(HIGH, HIGH, MEDIUM),
        consumers.wrong_platform,
        asks_registries=True,
    ),
    LintRule(
        "push-reused-tag",
        "A pipeline pushes a tag that is the same on every run",
        "What the tag names changes under everybody who uses it; where tags hold, the second run is refused.",
        "Push a tag of the commit, and keep what is deployed in a file: docs/retire-latest.md.",
        severities(HIGH, HIGH, LOW),
        pushers.reused_tag,
        paths=pushers.PIPELINES,
    ),
    LintRule(
        "push-makes-mutable",
        "A script makes the tags of a repository movable",
        "Whoever may run it may replace what every tag of the repository names; a hold with a switch is none.",
        "Remove the call. What has to move belongs under an exclusion filter, or in a file.",
        severities(CRITICAL, HIGH, MEDIUM),
        pushers.made_mutable,
        paths=pushers.PIPELINES,
    ),
    LintRule(
        "push-after-delete",
        "A pipeline deletes an image and pushes the same tag again",
        "It moves the tag under a repository that would not let it; between the two, whoever pulls finds nothing.",
        "Push a tag of the commit instead, and leave old images to a lifecycle policy.",
        severities(CRITICAL, HIGH, MEDIUM),
        pushers.deleted_first,
        paths=pushers.PIPELINES,
    ),
    LintRule(
        "push-cache-tag",
        "A build cache is pushed under one tag",
        "Where tags hold, the second export is refused and every build is slow, or fails.",
        "Keep caches in a repository of their own that stays mutable, or under a tag that an exclusion filter names.",
        severities(LOW, LOW, NOTE),
        pushers.cache_tag,
        paths=pushers.PIPELINES,
    ),
    LintRule(
        "push-signature-tag",
        "Signatures are kept under tags",
        "Signing the same image again moves the tag sha256-...; where tags hold, the second signature is refused.",
        "Sign once per image, or keep signatures as referrers (cosign: --registry-referrers-mode oci-1-1).",
        severities(NOTE, NOTE, NOTE),
        pushers.signature_tag,
        paths=pushers.PIPELINES,
    ),
    LintRule(
        "repository-mutable",
        "A repository is created whose tags may move",
        "Whoever may push may replace what a tag names, and nothing shows it; a default nobody chose is enough.",
        "Say IMMUTABLE where it is created; first let its pipelines push unique tags (push-reused-tag).",
        severities(HIGH, HIGH, MEDIUM),
        pushers.mutable_repository,
        paths=pushers.CREATORS,
    ),
    LintRule(
        "repository-exclusion",
        "A repository holds its tags, but for some",
        "Tags that an exclusion filter names move like any others; scanners that read only the mode do not see it.",
        "Keep filters to caches and signatures, each as narrow as it can be.",
        severities(LOW, LOW, NOTE),
        pushers.partly_held,
        paths=pushers.CREATORS,
    ),
    UNREADABLE,
    NO_REASON,
)

BY_ID: Final = {rule.id: rule for rule in RULES}

UNPINNED: Final = frozenset({"image-no-tag", "image-latest", "image-movable-tag"})
"""Rules that are satisfied by a digest: what `holdfast pin` mends."""
