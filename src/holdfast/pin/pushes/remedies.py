"""What to do about a tag that is pushed again and again: the words for each CI system, and the exact edit where safe.

This file alone decides how a commit's SHA is written in each system and each kind of text, and when an edit is safe: it
changes literal text whose syntax is known, it changes every place of the file that gives the same tag to the same
image, and the file read again afterwards pushes a tag that is unique per commit, all else as before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import reading
from holdfast.pin.pushes.passage import Span
from holdfast.pin.pushes.push import Purpose
from holdfast.pin.pushes.tag import Repetition, is_literal, shown

if TYPE_CHECKING:
    from holdfast.pin.pushes.following import Findings
    from holdfast.pin.pushes.push import Push

POINTERS: Final = frozenset({"latest", "stable", "edge", "nightly", "current", "release", "snapshot", "canary"})
"""Tags that say nothing but "the newest": a commit's SHA takes their place; other tags keep their text before it."""


@dataclass(frozen=True, slots=True)
class Words:
    """How one system writes the commit's SHA: in settings, in scripts, and for people."""

    setting: str
    script: str
    release: str
    """The tag of git, for a version beside the SHA; empty where there is none."""


WORDS: Final[dict[str, Words]] = {
    "github": Words("${{ github.sha }}", "${GITHUB_SHA}", "type=semver,pattern={{version}} of docker/metadata-action"),
    "gitlab": Words("$CI_COMMIT_SHA", "${CI_COMMIT_SHA}", "$CI_COMMIT_TAG"),
    "codebuild": Words("", "${CODEBUILD_RESOLVED_SOURCE_VERSION}", "$CODEBUILD_WEBHOOK_TRIGGER of a tag"),
    "jenkins": Words("", "${GIT_COMMIT}", "$TAG_NAME"),
    "jenkins-scripted": Words("", "${BUILD_NUMBER}", "$TAG_NAME"),
    "circleci": Words("${CIRCLE_SHA1}", "${CIRCLE_SHA1}", "$CIRCLE_TAG"),
    "bitbucket": Words("$BITBUCKET_COMMIT", "${BITBUCKET_COMMIT}", "$BITBUCKET_TAG"),
    "azure": Words("$(Build.SourceVersion)", "$(Build.SourceVersion)", "$(Build.SourceBranchName) of a tag"),
    "cloudbuild": Words("$COMMIT_SHA", "$COMMIT_SHA", "$TAG_NAME"),
    "tekton": Words("", "", "the version as a parameter"),
    "make": Words("$(shell git rev-parse HEAD)", "$(shell git rev-parse HEAD)", "git describe --exact-match"),
    "shell": Words("$(git rev-parse HEAD)", "$(git rev-parse HEAD)", "git describe --exact-match"),
    "other": Words("", "", "the tag of git"),
}


def fix(push: Push) -> str:
    """Say how to give the push a tag of its own."""
    words = WORDS.get(push.system, WORDS["other"])
    sha = words.setting or words.script or "the commit's SHA"
    version = f"; for releases also {words.release}" if words.release else ""
    return (
        f"Push a tag of the commit ({sha}){version}. What is deployed is written in a file (deploy/images.yaml), "
        "not moved in the registry: docs/retire-latest.md."
    )


def short_fix(push: Push) -> str:
    """Say in a few words how to give the push a tag of its own."""
    words = WORDS.get(push.system, WORDS["other"])
    return f"Push a tag of the commit: {words.setting or words.script or 'its SHA'}."


def written_sha(push: Push, setting: str) -> str:
    """Return how the commit's SHA is written where the tag stands; empty where no way is safe."""
    words = WORDS.get(push.system, WORDS["other"])
    if setting == "yaml":
        return words.setting
    if setting == "raw":
        return words.setting if push.system == "github" else ""
    if setting == "groovy":
        return "${env.GIT_COMMIT}" if push.system == "jenkins" else "${env.BUILD_NUMBER}"
    if setting == "make":
        return words.setting if push.system == "make" else ""
    if setting == "shell":
        return words.script
    return ""


@dataclass(frozen=True, slots=True)
class Change:
    """New text for a span of characters."""

    span: Span
    new: str


def change_of(push: Push) -> Change | None:
    """Return the change of one place that makes its tag unique per commit; None where it is not safe."""
    if push.span is None or push.implied or not push.tag:
        return None
    settings = {part.setting for part in push.tag}
    if len(settings) != 1:
        return None
    sha = written_sha(push, next(iter(settings)))
    if not sha:
        return None
    text = shown(push.tag)
    if is_literal(push.tag) and text.lower() in POINTERS:
        return Change(push.span, sha)
    return Change(Span(push.span.end, push.span.end), f"-{sha}")


def edits(path: str, text: str, findings: Findings, push: Push) -> tuple[Change, ...]:
    """Return all changes of a file that give a push a tag of its own; empty where no exact change is known."""
    image = push.image
    same = [one for one in (*findings.pushes, *findings.labels) if one.image == image and not one.implied]
    found: dict[Span, Change] = {}
    for one in (push, *same):
        change = change_of(one)
        if change is None:
            return ()
        found[change.span] = change
    changes = tuple(sorted(found.values(), key=lambda change: change.span))
    # One place may give its tag to several images: `env: {TAG: latest}`.
    spans = [one.span for one in same if one.span is not None]
    images = {one.image for one in findings.pushes if one.span in spans}
    return changes if is_proven(path, text, findings, changes, {image, *images}) else ()


def applied(text: str, changes: tuple[Change, ...]) -> str:
    """Return a text with changes made; everything else stays."""
    pieces: list[str] = []
    at = 0
    for change in changes:
        pieces += [text[at : change.span.start], change.new]
        at = change.span.end
    return "".join([*pieces, text[at:]])


def is_proven(path: str, text: str, before: Findings, changes: tuple[Change, ...], images: set[str]) -> bool:
    """Tell whether the file, read again, pushes what it did, but for these images, and those once per commit."""
    try:
        after = reading.read(path, applied(text, changes))
    except reading.PipelineUnreadable:
        return False
    if after is None or len(after.pushes) != len(before.pushes):
        return False
    for old, new in zip(before.pushes, after.pushes, strict=True):
        if old.purpose is Purpose.IMAGE and old.image in images:
            if new.verdict not in {Repetition.COMMIT, Repetition.RUN} or shown(new.repository) != shown(old.repository):
                return False
        elif (old.image, old.verdict) != (new.image, new.verdict):
            return False
    return True


def count_by_image(findings: Findings) -> Counter[str]:
    """Count the pushes of each image."""
    return Counter(push.image for push in findings.pushes)
