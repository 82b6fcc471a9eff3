"""Which reader is for which file, and the one way to ask what a file pushes.

This file alone decides by what a pipeline is known: its path first, then what it holds. A file that no row knows pushes
nothing; a file that cannot be read is `PipelineUnreadable`, never anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import (
    command_lists,
    github,
    gitlab,
    jenkins,
    makefile,
    pods,
    script_lists,
    task_lists,
    variables,
    yaml_tree,
)
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.passage import Passage
from holdfast.pin.pushes.shell import Script

if TYPE_CHECKING:
    from collections.abc import Callable

PipelineUnreadable = yaml_tree.PipelineUnreadable


@dataclass(frozen=True, slots=True)
class System:
    """One row: how the system is called, which paths its files have, and who reads them."""

    name: str
    path: re.Pattern[str]
    read: Callable[[str], Findings]


def _path(pattern: str) -> re.Pattern[str]:
    # From the start: a path that does not match is tried once for each slash, not once for each character.
    return re.compile(rf"\A(?:.*/)?(?:{pattern})\Z", re.IGNORECASE)


def read_shell(text: str) -> Findings:
    """Read a shell script."""
    findings = Findings("shell")
    findings.follow(Script(variables.SHELL), Passage.whole(text))
    return findings


def read_github(text: str) -> Findings:
    """Read a workflow or a composite action."""
    findings = Findings("github")
    for root in yaml_tree.documents(text)[:1]:
        findings = github.Reader(text).read(root)
    return findings


def read_gitlab(text: str) -> Findings:
    """Read a file of GitLab CI."""
    return gitlab.Reader(text).read(yaml_tree.documents(text))


_PODS: Final = re.compile(
    r"^kind:\s*(?:Task|ClusterTask|Pipeline|PipelineRun|TaskRun|TriggerTemplate|Workflow\w*|Pod|Job|CronJob|StepAction"
    r"|CronWorkflow)\b",
    re.MULTILINE,
)


_PODS_MAY_PUSH: Final = re.compile(
    r"kaniko|buildah|buildpacks|\bpush\b|crane|skopeo|oras|jib|taskRef|imagetools|put-image|\bko\b|executor"
)


def _has_line(text: str, start: str) -> bool:
    """Tell whether a line begins so: a tenth of what the pattern takes in the long texts that are none of ours."""
    return text.startswith(start) or f"\n{start}" in text


def read_other_yaml(text: str) -> Findings:
    """Read YAML of any name: a pod that pushes, or a pipeline that was kept elsewhere, known by what it holds."""
    if _has_line(text, "kind:") and _PODS.search(text):
        return pods.read(text) if _PODS_MAY_PUSH.search(text) else Findings("tekton")
    if _has_line(text, "phases:") and re.search(r"^version:\s*['\"]?0\.", text, re.MULTILINE):
        return command_lists.read_codebuild(text)
    if _has_line(text, "jobs:") and "runs-on:" in text:
        return read_github(text)
    if _has_line(text, "steps:") and ("cloud-builders" in text or "gcr.io/" in text):
        return task_lists.read_cloud_build(text)
    if "vmImage:" in text or ("- task: " in text and re.search(r"^[ \t]*- task: \w+@\d", text, re.MULTILINE)):
        return task_lists.read_azure(text)
    may_be_gitlab = "script:" in text and ("$CI_REGISTRY" in text or _has_line(text, "stages:"))
    if may_be_gitlab and re.search(r"^[ \t]+script:", text, re.MULTILINE):
        return read_gitlab(text)
    return Findings("yaml")


SYSTEMS: Final[tuple[System, ...]] = (
    System("github", _path(r"\.github/workflows/[^/]+\.ya?ml|action\.ya?ml"), read_github),
    System("gitlab", _path(r"[^/]*\.gitlab-ci[^/]*\.ya?ml|\.gitlab/.*\.ya?ml|gitlab-ci/.*\.ya?ml"), read_gitlab),
    System("codebuild", _path(r"[^/]*build_?-?spec[^/]*\.ya?ml"), command_lists.read_codebuild),
    System("circleci", _path(r"\.circleci/.*\.ya?ml"), command_lists.read_circleci),
    System("bitbucket", _path(r"bitbucket-pipelines\.ya?ml"), command_lists.read_bitbucket),
    System(
        "azure",
        _path(r"[^/]*azure-?pipelines?[^/]*\.ya?ml|\.?(?:azure|azuredevops|azure-pipelines|ado)/.*\.ya?ml"),
        task_lists.read_azure,
    ),
    System(
        "cloudbuild",
        _path(r"[^/]*cloud-?build[^/]*\.(?:ya?ml|json)|\.cloudbuild/.*\.ya?ml"),
        task_lists.read_cloud_build,
    ),
    System(
        "other",
        _path(
            r"\.travis\.ya?ml|\.drone\.ya?ml|\.woodpecker(?:/.*)?\.ya?ml|\.buildkite/.*\.ya?ml"
            r"|\.semaphore/.*\.ya?ml|\.?appveyor\.ya?ml|taskfile[^/]*\.ya?ml"
        ),
        script_lists.read,
    ),
    System("jenkins", _path(r"[^/]*jenkinsfile[^/]*|[^/]+\.jenkins(?:file)?|[^/]+\.groovy"), jenkins.read),
    System("make", _path(r"(?:gnu)?makefile(?:\.[^/]+)?|[^/]+\.(?:mk|make)"), makefile.read),
    System("tekton", _path(r"[^/]+\.ya?ml"), read_other_yaml),
    System("shell", _path(r"[^/]+\.(?:sh|bash)"), read_shell),
)
"""The first row that knows a path has it."""

_MAY_PUSH: Final = (
    *("push", "kaniko", "executor", "jib", "skopeo", "crane", "oras", "put-image", "imagetools", "batch-delete"),
    *("create-repository", "cosign", "builds submit", "acr build", "publish", "docker", "images:", "regctl", "aws-ecr"),
    *("buildpacks", "repository"),
)
"""What a file has to hold to be read at all: three thousand files are looked at, a few push."""


_KO: Final = re.compile(r"\bko\b")


def system_of(path: str) -> System | None:
    """Return the row that a file is read by."""
    plain = path.replace("\\", "/")
    return next((row for row in SYSTEMS if row.path.search(plain)), None)


def read(path: str, text: str) -> Findings | None:
    """Return what a file pushes; None if no row knows it. Raises PipelineUnreadable."""
    row = system_of(path)
    if row is None:
        return None
    lowered = text.lower()
    if not any(word in lowered for word in _MAY_PUSH) and not _KO.search(text):
        return Findings(row.name)
    try:
        return row.read(text)
    except RecursionError as error:
        raise PipelineUnreadable("It is nested too deeply.") from error
