"""Which reader is for which file, and the one way to ask for a file's mentions.

This file alone decides by what a file is known. A file that no row of the table knows has no mentions; a file that a
row knows and whose reader gives up is told as unreadable, never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from holdfast.pin.image import parse_image
from holdfast.pin.mention import Context, Mention, Unreadable
from holdfast.pin.readers import (
    any_yaml,
    azure,
    bitbucket,
    cdk,
    circleci,
    cloudbuild,
    codebuild,
    compose,
    dockerfile,
    github_actions,
    gitlab,
    hcl,
    helm,
    jenkins,
    kustomize,
    make,
    script,
    workspace,
)
from holdfast.pin.source import Source, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""Of one file. A bundle of all CRDs of a large operator has about 3 MB; nobody writes more by hand."""


@dataclass(frozen=True, slots=True)
class Format:
    """One row: how the format is called, which paths it has, what its bytes must hold, and who reads it."""

    name: str
    path: re.Pattern[str]
    content: Callable[[bytes], bool]
    read: Callable[[Source], list[Mention]]


def _path(pattern: str) -> re.Pattern[str]:
    # From the start, so that a path that does not match is tried once for each slash, not once for each character.
    return re.compile(rf"\A(?:.*/)?(?:{pattern})\Z", re.IGNORECASE)


def _holds(*words: bytes) -> Callable[[bytes], bool]:
    """Bytes that hold one of these words: told ten times faster than by a pattern, and asked of every file."""
    return lambda data: any(word in data for word in words)


def _matches(pattern: bytes) -> Callable[[bytes], bool]:
    found = re.compile(pattern)
    return lambda data: found.search(data) is not None


_YAML: Final = r"\.ya?ml"
_NAMES_IMAGES: Final = _holds(b"mage", b"docker://")
_TOOLS: Final = _holds(
    *(
        b"docker",
        b"podman",
        b"buildah",
        b"skopeo",
        b"crane",
        b"nerdctl",
        b"buildctl",
        b"executor",
        b"kubectl",
        b"cloud",
    ),
    *(b"lambda", b"kind", b"k3d", b"finch", b"pack build", b"kustomize", b"oras "),
)
_RUNS_TOOLS: Final = _holds(
    *(b"mage", b"docker", b"podman", b"buildah", b"skopeo", b"crane", b"nerdctl", b"kaniko", b"buildctl", b"kubectl"),
    *(b"kind", b"container"),
)


_BEGINS_AS_DOCKERFILE: Final = _matches(
    rb"(?i)\A(?:\xef\xbb\xbf)?(?:[ \t\r]*(?:#[^\n]*)?\n)*[ \t]*(?!from\s+\S+\s+import\b)(?:FROM\s|ARG\s|[{<%@$])"
)
"""The first instruction is FROM or ARG (Dockerfile reference, "Format"), or of a template language. `dockerfile.py` and
`dockerfile.go` are mostly programs about Dockerfiles; `Dockerfile.go` is mostly the one for a program in Go."""


def _is_template(data: bytes) -> bool:
    return b"{{" in data and b"mage" in data


FORMATS: Final[tuple[Format, ...]] = (
    Format(
        "dockerfile",
        _path(r"(?:[^/]+[.-])?(?:Dockerfile|Containerfile)"),
        _holds(b"FROM", b"from", b"From"),
        dockerfile.read,
    ),
    Format(
        "dockerfile",
        _path(r"(?:[^/]+[.-])?(?:Dockerfile|Containerfile)[._-][^/]*(?<!\.dockerignore)"),
        _BEGINS_AS_DOCKERFILE,
        dockerfile.read,
    ),
    Format(
        "github-actions",
        _path(rf"\.(?:github|gitea|forgejo)/(?:workflows|actions)/.*{_YAML}"),
        _RUNS_TOOLS,
        github_actions.read,
    ),
    Format("github-action", _path(rf"action{_YAML}"), _RUNS_TOOLS, github_actions.read),
    Format(
        "gitlab",
        _path(rf"[^/]*\.gitlab-ci{_YAML}|\.gitlab(?:-ci)?/.*{_YAML}|gitlab-ci{_YAML}"),
        _RUNS_TOOLS,
        gitlab.read,
    ),
    Format("circleci", _path(rf"\.circleci/.*{_YAML}"), _RUNS_TOOLS, circleci.read),
    Format("bitbucket", _path(rf"bitbucket-pipelines{_YAML}"), _RUNS_TOOLS, bitbucket.read),
    Format(
        "azure",
        _path(rf"[^/]*azure-?pipelines?[^/]*{_YAML}|\.?(?:azure-?pipelines|azuredevops|pipelines|azdo)/.*{_YAML}"),
        _matches(rb"(?m)^[ \t-]*(?:container|script|bash|image|task|pwsh|powershell)s?:"),
        azure.read,
    ),
    Format("cloudbuild", _path(r"[^/]*cloudbuild[^/]*\.(?:ya?ml|json)"), _holds(b"steps"), cloudbuild.read),
    Format("codebuild", _path(rf"[^/]*build-?spec[^/]*{_YAML}|buildspecs?/.*{_YAML}"), _RUNS_TOOLS, codebuild.read),
    Format(
        "jenkins",
        _path(r"[^/]*Jenkinsfile[^/]*|[^/]*\.jenkinsfile|(?:vars|jenkins|pipelines?)/[^/]*\.groovy"),
        _RUNS_TOOLS,
        jenkins.read,
    ),
    Format("devcontainer", _path(r"\.?devcontainer(?:/.*)?\.json"), _NAMES_IMAGES, workspace.devcontainer),
    Format("ko", _path(r"\.ko\.ya?ml"), _NAMES_IMAGES, workspace.ko),
    Format("bake", _path(r"[^/]*docker-bake[^/]*\.hcl|bake\.hcl"), _holds(b"target"), hcl.bake),
    Format("terraform", _path(r"[^/]*\.(?:tf|hcl|nomad)"), _NAMES_IMAGES, hcl.terraform),
    Format("make", _path(r"(?:GNU)?Makefile(?:\.[^/]*)?|[^/]*\.(?:mk|mak)"), _TOOLS, make.read),
    Format("shell", _path(r"[^/]*\.(?:sh|bash|zsh|ksh|bats)"), _TOOLS, script.read),
    Format(
        "script",
        _path(r"(?:s?bin|scripts?|hack|ci|tools?|build|dev|\.?ci)/(?:.*/)?[^./]+"),
        _matches(rb"\A#![^\n]*sh\b[\s\S]*(?:docker|podman|buildah|skopeo|crane|nerdctl|kubectl)"),
        script.read,
    ),
    Format(
        "cdk",
        _path(r"[^/]*\.(?:ts|js|mjs|py|java|go|cs)"),
        _holds(b"fromRegistry", b"from_registry", b"FromRegistry", b"ockerRegistry", b"ocker_registry"),
        cdk.read,
    ),
    Format("kustomize", _path(rf"kustomization(?:{_YAML})?"), _holds(b"images"), kustomize.read),
    Format(
        "compose",
        _path(rf"(?:docker-)?compose[^/]*{_YAML}|[^/]*docker-compose[^/]*{_YAML}"),
        _NAMES_IMAGES,
        compose.read,
    ),
    Format("helm-template", _path(rf"templates/.*(?:{_YAML}|\.tpl)"), _is_template, helm.template),
    Format("yaml", _path(rf"[^/]*{_YAML}"), _NAMES_IMAGES, any_yaml.read),
    Format(
        "json",
        _path(r"[^/]*\.(?:json|template)"),
        _holds(b"containerDefinitions", b"AWS::", b'"image"'),
        any_yaml.read,
    ),
)
"""The first row that knows a file has it."""

_TEST_PATH: Final = re.compile(r"(?:^|/)(?:tests?|e2e|testdata|fixtures|examples?|samples?|demos?)/", re.IGNORECASE)


def may_name_images(path: str) -> bool:
    """Tell by a file's path alone whether a reader might be for it."""
    return bool(_rows(path))


@lru_cache(maxsize=1 << 16)
def _rows(path: str) -> tuple[Format, ...]:
    plain = path.replace("\\", "/")
    return tuple(row for row in FORMATS if row.path.match(plain))


def format_of(path: str, data: bytes) -> Format | None:
    """Return the row that a file is read by; None for a file that names no images."""
    return next((row for row in _rows(path) if row.content(data)), None)


def mentions(path: str, data: bytes) -> list[Mention] | Unreadable:
    """Return the mentions of a file in the order of their bytes, none overlapping; or why it cannot be read."""
    row = format_of(path, data)
    if row is None:
        return []
    if len(data) > MAX_FILE_BYTES:
        return Unreadable(path, f"It has {len(data)} bytes; more than {MAX_FILE_BYTES} are not read.")
    try:
        found = row.read(Source(path, data))
    except UnreadableFile as error:
        return Unreadable(path, str(error))
    except RecursionError:
        return Unreadable(path, "It is nested too deeply.")
    return _settled(path, found)


def _settled(path: str, found: list[Mention]) -> list[Mention]:
    """Order them; where two readers saw the same bytes the first stays, and what can be no reference goes.

    What lies in a folder of tests is a test's.
    """
    in_tests = bool(_TEST_PATH.search(path.replace("\\", "/")))
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda one: (one.span.start, one.span.end)):
        if kept and mention.span.start < kept[-1].span.end:
            continue
        if mention.image is not None and parse_image(mention.image) is None:
            continue
        kept.append(replace(mention, context=Context.TEST) if in_tests else mention)
    return kept
