"""What the variables of CI systems stand for: one table for each system.

This file alone decides which known variable is unique per commit, per run, names a release, or is the same again. It
holds facts, no rules; a variable that no table has is unknown. Sources: the reference pages of predefined variables
of each system (GitLab CI "Predefined CI/CD variables", GitHub "Variables reference" and "Contexts reference", AWS
CodeBuild "Environment variables in build environments", Jenkins "Global variables" and its Git plugin, CircleCI
"Project values and variables", Bitbucket "Variables and secrets", Azure "Use predefined variables", Cloud Build
"Substituting variable values", Tekton triggers, Travis, Drone, Buildkite "Environment variables").
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from holdfast.pin.pushes.tag import Part, Repetition, Values

_COMMIT, _RUN, _RELEASE, _REUSED = (Repetition.COMMIT, Repetition.RUN, Repetition.RELEASE, Repetition.REUSED)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a variable stands for."""

    repetition: Repetition
    reason: str
    optional: bool = False
    whole: bool = False

    def part(self, text: str) -> Part:
        """Return the part that the variable is, written as `text`."""
        return Part(text, self.repetition, self.reason, literal=False, optional=self.optional, whole=self.whole)


SHA = Meaning(_COMMIT, "is the commit's SHA")
SHORT_SHA = Meaning(_COMMIT, "is the commit's SHA, abbreviated: rarely, two commits share it")
RUN = Meaning(_RUN, "is the number or id of the run")
RERUN = Meaning(_RUN, "is the number of the run; running it again keeps it")
NOW = Meaning(_RUN, "is the time of the run")
BRANCH = Meaning(_REUSED, "is the branch: every run for the branch pushes the same tag")
REF = Meaning(_REUSED, "is the branch or the tag of git: every run for one branch pushes the same tag")
GIT_TAG = Meaning(_RELEASE, "is the tag of git: it is the same again only if that is moved", optional=True)
RELEASE_REF = Meaning(_RELEASE, "is the tag of git, for nothing else starts this pipeline")
PULL_REQUEST = Meaning(_REUSED, "is the number of the pull request: every push to it has the same tag", optional=True)
ENVIRONMENT = Meaning(_REUSED, "is the environment: every deployment to it pushes the same tag", optional=True)
SETTING = Meaning(_REUSED, "is a setting: the same on every run until somebody changes it")
REPOSITORY = Meaning(_REUSED, "is the repository's name", whole=True)
PLACE = Meaning(_REUSED, "names an account, a region or a registry: the same on every run", whole=True)
FILE_VERSION = Meaning(
    _REUSED, "is a version that a file says: every run until the next edit of it pushes the same tag"
)

GITLAB: Final[dict[str, Meaning]] = {
    "CI_COMMIT_SHA": SHA,
    "CI_COMMIT_SHORT_SHA": SHORT_SHA,
    "CI_COMMIT_BEFORE_SHA": SHA,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": SHA,
    "CI_BUILD_REF": SHA,
    "CI_PIPELINE_ID": RUN,
    "CI_PIPELINE_IID": RUN,
    "CI_JOB_ID": RUN,
    "CI_BUILD_ID": RUN,
    "CI_PIPELINE_CREATED_AT": NOW,
    "CI_JOB_STARTED_AT": NOW,
    "CI_COMMIT_TIMESTAMP": Meaning(_COMMIT, "is the time of the commit"),
    "CI_COMMIT_TAG": GIT_TAG,
    "CI_BUILD_TAG": GIT_TAG,
    "CI_COMMIT_BRANCH": BRANCH,
    "CI_COMMIT_REF_NAME": REF,
    "CI_COMMIT_REF_SLUG": REF,
    "CI_BUILD_REF_NAME": REF,
    "CI_BUILD_REF_SLUG": REF,
    "CI_DEFAULT_BRANCH": BRANCH,
    "CI_MERGE_REQUEST_IID": PULL_REQUEST,
    "CI_MERGE_REQUEST_ID": PULL_REQUEST,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": BRANCH,
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": BRANCH,
    "CI_EXTERNAL_PULL_REQUEST_IID": PULL_REQUEST,
    "CI_ENVIRONMENT_NAME": ENVIRONMENT,
    "CI_ENVIRONMENT_SLUG": ENVIRONMENT,
    "CI_JOB_NAME": SETTING,
    "CI_JOB_NAME_SLUG": SETTING,
    "CI_REGISTRY": PLACE,
    "CI_REGISTRY_IMAGE": REPOSITORY,
    "CI_PROJECT_PATH": REPOSITORY,
    "CI_PROJECT_PATH_SLUG": REPOSITORY,
    "CI_PROJECT_NAME": REPOSITORY,
    "CI_PROJECT_NAMESPACE": REPOSITORY,
    "CI_TEMPLATE_REGISTRY_HOST": PLACE,
}

GITHUB: Final[dict[str, Meaning]] = {
    "GITHUB_SHA": SHA,
    "GITHUB_RUN_ID": RERUN,
    "GITHUB_RUN_NUMBER": RERUN,
    "GITHUB_RUN_ATTEMPT": Meaning(Repetition.UNKNOWN, "counts attempts of one run alone"),
    "GITHUB_REF": REF,
    "GITHUB_REF_NAME": REF,
    "GITHUB_HEAD_REF": BRANCH,
    "GITHUB_BASE_REF": BRANCH,
    "GITHUB_REPOSITORY": REPOSITORY,
    "GITHUB_REPOSITORY_OWNER": REPOSITORY,
    "GITHUB_ACTOR": PLACE,
    "GITHUB_WORKFLOW": SETTING,
    "GITHUB_JOB": SETTING,
}

GITHUB_CONTEXT: Final[dict[str, Meaning]] = {
    "github.sha": SHA,
    "github.workflow_sha": SHA,
    "github.run_id": RERUN,
    "github.run_number": RERUN,
    "github.run_attempt": GITHUB["GITHUB_RUN_ATTEMPT"],
    "github.ref": REF,
    "github.ref_name": REF,
    "github.head_ref": BRANCH,
    "github.base_ref": BRANCH,
    "github.repository": REPOSITORY,
    "github.repository_owner": REPOSITORY,
    "github.actor": PLACE,
    "github.workflow": SETTING,
    "github.job": SETTING,
    "github.event_name": SETTING,
    "github.event.repository.name": REPOSITORY,
    "github.event.repository.full_name": REPOSITORY,
    "github.event.after": SHA,
    "github.event.before": SHA,
    "github.event.head_commit.id": SHA,
    "github.event.head_commit.timestamp": Meaning(_COMMIT, "is the time of the commit"),
    "github.event.pull_request.head.sha": SHA,
    "github.event.workflow_run.head_sha": SHA,
    "github.event.workflow_run.head_branch": BRANCH,
    "github.event.workflow_run.id": RUN,
    "github.event.pull_request.number": PULL_REQUEST,
    "github.event.pull_request.head.ref": BRANCH,
    "github.event.pull_request.base.ref": BRANCH,
    "github.event.number": PULL_REQUEST,
    "github.event.issue.number": PULL_REQUEST,
    "github.event.release.tag_name": RELEASE_REF,
    "github.event.release.name": RELEASE_REF,
    "github.event.release.id": RELEASE_REF,
    "runner.os": SETTING,
    "runner.arch": SETTING,
}

CODEBUILD: Final[dict[str, Meaning]] = {
    "CODEBUILD_RESOLVED_SOURCE_VERSION": SHA,
    "CODEBUILD_SOURCE_VERSION": Meaning(
        Repetition.UNKNOWN, "is what the build was started for: a commit, a branch, or a place in S3"
    ),
    "CODEBUILD_BUILD_NUMBER": RUN,
    "CODEBUILD_BUILD_ID": RUN,
    "CODEBUILD_BUILD_UUID": RUN,
    "CODEBUILD_START_TIME": NOW,
    "CODEBUILD_WEBHOOK_HEAD_REF": BRANCH,
    "CODEBUILD_WEBHOOK_BASE_REF": BRANCH,
    "CODEBUILD_WEBHOOK_TRIGGER": REF,
    "CODEBUILD_WEBHOOK_PREV_COMMIT": SHA,
    "CODEBUILD_INITIATOR": SETTING,
    "AWS_REGION": PLACE,
    "AWS_DEFAULT_REGION": PLACE,
    "AWS_ACCOUNT_ID": PLACE,
    "IMAGE_REPO_NAME": REPOSITORY,
}

JENKINS: Final[dict[str, Meaning]] = {
    "GIT_COMMIT": SHA,
    "GIT_PREVIOUS_COMMIT": SHA,
    "BUILD_NUMBER": RUN,
    "BUILD_ID": RUN,
    "BUILD_TAG": RUN,
    "BUILD_TIMESTAMP": NOW,
    "BRANCH_NAME": BRANCH,
    "GIT_BRANCH": BRANCH,
    "GIT_LOCAL_BRANCH": BRANCH,
    "CHANGE_ID": PULL_REQUEST,
    "CHANGE_BRANCH": BRANCH,
    "CHANGE_TARGET": BRANCH,
    "TAG_NAME": GIT_TAG,
    "JOB_NAME": SETTING,
    "JOB_BASE_NAME": SETTING,
    "BUILD_DISPLAY_NAME": RUN,
}

CIRCLECI: Final[dict[str, Meaning]] = {
    "CIRCLE_SHA1": SHA,
    "CIRCLE_BUILD_NUM": RUN,
    "CIRCLE_WORKFLOW_ID": RUN,
    "CIRCLE_PIPELINE_ID": RUN,
    "CIRCLE_BRANCH": BRANCH,
    "CIRCLE_TAG": GIT_TAG,
    "CIRCLE_PR_NUMBER": PULL_REQUEST,
    "CIRCLE_PROJECT_REPONAME": REPOSITORY,
    "CIRCLE_PROJECT_USERNAME": REPOSITORY,
    "CIRCLE_JOB": SETTING,
    "pipeline.id": RUN,
    "pipeline.number": RUN,
    "pipeline.git.revision": SHA,
    "pipeline.git.branch": BRANCH,
    "pipeline.git.tag": GIT_TAG,
}

BITBUCKET: Final[dict[str, Meaning]] = {
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_BUILD_NUMBER": RUN,
    "BITBUCKET_PIPELINE_UUID": RUN,
    "BITBUCKET_STEP_UUID": RUN,
    "BITBUCKET_BRANCH": BRANCH,
    "BITBUCKET_TAG": GIT_TAG,
    "BITBUCKET_PR_ID": PULL_REQUEST,
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT": ENVIRONMENT,
    "BITBUCKET_REPO_SLUG": REPOSITORY,
    "BITBUCKET_REPO_FULL_NAME": REPOSITORY,
    "BITBUCKET_REPO_OWNER": REPOSITORY,
    "BITBUCKET_WORKSPACE": REPOSITORY,
}

AZURE: Final[dict[str, Meaning]] = {
    "Build.BuildId": RUN,
    "Build.BuildNumber": RUN,
    "Build.SourceVersion": SHA,
    "Build.SourceBranch": REF,
    "Build.SourceBranchName": REF,
    "Build.Repository.Name": REPOSITORY,
    "Build.DefinitionName": SETTING,
    "Build.Reason": SETTING,
    "Rev:r": RUN,
    "System.PullRequest.PullRequestId": PULL_REQUEST,
    "System.PullRequest.PullRequestNumber": PULL_REQUEST,
    "System.PullRequest.SourceBranch": BRANCH,
    "System.JobId": RUN,
    "Release.ReleaseId": RUN,
}

CLOUD_BUILD: Final[dict[str, Meaning]] = {
    "COMMIT_SHA": SHA,
    "REVISION_ID": SHA,
    "SHORT_SHA": SHORT_SHA,
    "BUILD_ID": RUN,
    "BRANCH_NAME": BRANCH,
    "REF_NAME": REF,
    "TAG_NAME": GIT_TAG,
    "REPO_NAME": REPOSITORY,
    "REPO_FULL_NAME": REPOSITORY,
    "PROJECT_ID": PLACE,
    "PROJECT_NUMBER": PLACE,
    "LOCATION": PLACE,
    "TRIGGER_NAME": SETTING,
    "_GIT_TAG": Meaning(_COMMIT, "is filled in by Kubernetes' image builder: a date and the commit"),
    "_PULL_BASE_REF": BRANCH,
    "_HEAD_BRANCH": BRANCH,
    "_BASE_BRANCH": BRANCH,
    "_PR_NUMBER": PULL_REQUEST,
}

TEKTON: Final[dict[str, Meaning]] = {
    "context.pipelineRun.name": RUN,
    "context.pipelineRun.uid": RUN,
    "context.taskRun.name": RUN,
    "context.taskRun.uid": RUN,
    "workflow.name": RUN,
    "workflow.uid": RUN,
    "workflow.creationTimestamp": NOW,
    "context.pipeline.name": SETTING,
    "context.task.name": SETTING,
}

OTHERS: Final[dict[str, Meaning]] = {
    "TRAVIS_COMMIT": SHA,
    "TRAVIS_BUILD_NUMBER": RUN,
    "TRAVIS_BUILD_ID": RUN,
    "TRAVIS_JOB_ID": RUN,
    "TRAVIS_BRANCH": REF,
    "TRAVIS_TAG": GIT_TAG,
    "TRAVIS_PULL_REQUEST": PULL_REQUEST,
    "TRAVIS_REPO_SLUG": REPOSITORY,
    "DRONE_COMMIT": SHA,
    "DRONE_COMMIT_SHA": SHA,
    "DRONE_BUILD_NUMBER": RUN,
    "DRONE_BRANCH": BRANCH,
    "DRONE_COMMIT_BRANCH": BRANCH,
    "DRONE_TAG": GIT_TAG,
    "BUILDKITE_COMMIT": SHA,
    "BUILDKITE_BUILD_NUMBER": RUN,
    "BUILDKITE_BUILD_ID": RUN,
    "BUILDKITE_BRANCH": BRANCH,
    "BUILDKITE_TAG": GIT_TAG,
    "SEMAPHORE_GIT_SHA": SHA,
    "SEMAPHORE_GIT_BRANCH": BRANCH,
    "APPVEYOR_BUILD_NUMBER": RUN,
    "APPVEYOR_REPO_COMMIT": SHA,
    "PULL_BASE_SHA": SHA,
    "PULL_PULL_SHA": SHA,
    "EPOCHSECONDS": NOW,
    "EPOCHREALTIME": NOW,
    "RANDOM": Meaning(Repetition.RUN, "is random; of 32,768 numbers, some come twice"),
    "ECR_REGISTRY": PLACE,
    "REGISTRY": PLACE,
    "AWS_ECR_ACCOUNT_URL": PLACE,
}

AZURE_IN_SHELL: Final[dict[str, Meaning]] = {name.upper().replace(".", "_"): meaning for name, meaning in AZURE.items()}

SHELL: Final[dict[str, Meaning]] = {
    **OTHERS,
    **{name: meaning for name, meaning in JENKINS.items() if name != "TAG_NAME"},
    **CODEBUILD,
    **GITHUB,
    **GITLAB,
    **CIRCLECI,
    **BITBUCKET,
    **AZURE_IN_SHELL,
}
"""What a script may find in its environment, whichever CI system runs it. Names do not collide but where told."""


def at_release(values: Values) -> Values:
    """Return values as a run for a tag of git sees them: what is the branch or the tag is the tag."""
    return tuple(
        tuple(
            replace(part, repetition=Repetition.RELEASE, reason=RELEASE_REF.reason)
            if part.reason.endswith(REF.reason) or part.reason.endswith(GIT_TAG.reason)
            else part
            for part in text
        )
        for text in values
    )


def in_shell(system: dict[str, Meaning], *, releases_only: bool = False) -> dict[str, Meaning]:
    """Return what a script of one system finds; `releases_only`: nothing but tags of git start the pipeline."""
    known = {**SHELL, **system}
    return for_releases(known) if releases_only else known


def for_releases(known: dict[str, Meaning]) -> dict[str, Meaning]:
    """Return a table where references of git are tags, and versions in files follow them."""
    changed = {REF: RELEASE_REF, GIT_TAG: RELEASE_REF}
    return {name: changed.get(meaning, meaning) for name, meaning in known.items()}
