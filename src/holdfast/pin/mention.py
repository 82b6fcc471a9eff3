"""A mention: one place in one file where an image is named; and where a digest would be written.

This file alone decides what a reader tells about a place. It knows no format of files, no registry, and no rule about
which images are good: readers make mentions, the rules judge them, and a rewrite changes the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Span(NamedTuple):
    """Bytes of a file, from `start` up to but without `end`."""

    start: int
    end: int


class Role(StrEnum):
    """What is done with the image."""

    CONSUMES = "consumes"
    BUILDS = "builds"
    PUSHES = "pushes"


class Context(StrEnum):
    """Where the image runs, as far as the file tells: how bad it is when it changes."""

    PRODUCTION = "production"
    BUILD = "build"
    TEST = "test"


class Kind(StrEnum):
    """By what an image is named."""

    DOCKERFILE_FROM = "dockerfile-from"
    DOCKERFILE_COPY_FROM = "dockerfile-copy-from"
    DOCKERFILE_MOUNT_FROM = "dockerfile-mount-from"
    DOCKERFILE_SYNTAX = "dockerfile-syntax"
    COMPOSE_IMAGE = "compose-image"
    KUBERNETES_IMAGE = "kubernetes-image"
    KUSTOMIZE_IMAGE = "kustomize-image"
    HELM_VALUES = "helm-values"
    HELM_TEMPLATE = "helm-template"
    GITHUB_CONTAINER = "gha-container"
    GITHUB_SERVICE = "gha-service"
    GITHUB_USES = "gha-uses"
    GITHUB_MATRIX = "gha-matrix"
    GITHUB_BUILD = "gha-build-push"
    GITHUB_METADATA = "gha-metadata"
    GITHUB_ECS = "gha-ecs-task"
    GITLAB_IMAGE = "gitlab-image"
    JENKINS_AGENT = "jenkins-agent"
    JENKINS_IMAGE = "jenkins-image"
    CODEBUILD_IMAGE = "codebuild-image"
    CIRCLECI_IMAGE = "circleci-image"
    BITBUCKET_IMAGE = "bitbucket-image"
    AZURE_IMAGE = "azure-image"
    CLOUDBUILD_STEP = "cloudbuild-step"
    CLOUDBUILD_IMAGE = "cloudbuild-image"
    TEKTON_IMAGE = "tekton-image"
    SHELL_RUN = "shell-run"
    SHELL_PULL = "shell-pull"
    SHELL_BUILD = "shell-build"
    SHELL_TAG = "shell-tag"
    SHELL_PUSH = "shell-push"
    SHELL_COPY = "shell-copy"
    SHELL_DEPLOY = "shell-deploy"
    CACHE_FROM = "cache-from"
    CACHE_TO = "cache-to"
    DEVCONTAINER_IMAGE = "devcontainer-image"
    KO_BASE = "ko-base"
    BAKE_TAG = "bake-tag"
    BAKE_CONTEXT = "bake-context"
    ECS_CONTAINER = "ecs-container"
    CLOUDFORMATION_IMAGE = "cloudformation-image"
    CDK_IMAGE = "cdk-image"
    TERRAFORM_IMAGE = "terraform-image"


class Form(StrEnum):
    """What stands in a slot, and so what it becomes."""

    REFERENCE = "reference"
    """`name`, `name:tag` or `name:tag@digest`; becomes `name:tag@digest`."""
    TAG = "tag"
    """`tag` or `tag@digest`; becomes `tag@digest`."""
    DIGEST = "digest"
    """A digest or nothing; becomes the digest, with `before` and `after` round it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place that changes when an image is pinned. An empty span is a place where something is put in."""

    span: Span
    form: Form = Form.REFERENCE
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """All the places that put a digest on one mention. Two mentions may share a slot: one ARG that two stages use."""

    slots: tuple[Slot, ...]


class Splice(NamedTuple):
    """New bytes for a span; everything else stays."""

    span: Span
    new: bytes


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where an image is named.

    `text` is what stands in the span, as written. `image` is the reference that it comes to when defaults of variables
    are taken, or None when only a run can tell. `where` is a short path for people. `line` counts from 1, and `column`
    from 1 in characters. `rewrite` is None when no change of this file alone would pin it; then a note says why.
    """

    span: Span
    text: str
    image: str | None
    kind: Kind
    role: Role
    where: str
    line: int
    column: int
    context: Context
    rewrite: Rewrite | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that looks like one of ours and cannot be read, and why; the run goes on with the next."""

    file: str
    reason: str


_VARIABLE: Final = re.compile(r"\$\{\{.*?\}\}|\$\{[^{}]*\}|\$\([^()]*\)|\{\{.*?\}\}|<<.*?>>")


def splices(mention: Mention, data: bytes, digest: str, tag: str | None = None) -> tuple[Splice, ...]:
    """Return what changes in a file's bytes so that the mention names this digest; nothing without a rewrite.

    `tag` is written where the file names none (`python` becomes `python:latest@sha256:...`); None leaves it so. A
    digest that is there already is replaced.
    """
    if mention.rewrite is None:
        return ()
    return tuple(Splice(slot.span, _filled(slot, data, digest, tag)) for slot in mention.rewrite.slots)


def _filled(slot: Slot, data: bytes, digest: str, tag: str | None) -> bytes:
    if slot.form is Form.DIGEST:
        return f"{slot.before}{digest}{slot.after}".encode()
    written = data[slot.span.start : slot.span.end].decode("utf-8", "surrogateescape")
    name = without_digest(written)
    if tag is not None and slot.form is Form.REFERENCE and not has_tag(name):
        name = f"{name}:{tag}"
    elif tag is not None and slot.form is Form.TAG and not name:
        name = tag
    return f"{slot.before}{name}@{digest}{slot.after}".encode("utf-8", "surrogateescape")


def without_digest(written: str) -> str:
    """Return a reference as written, without its `@digest`; variables in it are left alone."""
    at = _masked(written).rfind("@")
    return written if at < 0 else written[:at]


def has_tag(written: str) -> bool:
    """Tell whether a reference as written names a tag: a colon after the last slash, outside variables."""
    return ":" in _masked(without_digest(written)).rpartition("/")[2]


def _masked(written: str) -> str:
    """Return the text with what stands in variables made harmless, at the same length."""
    return _VARIABLE.sub(lambda found: "_" * len(found.group()), written)
