"""The rules about pushes: what is found where, with which edit."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from holdfast.pin.lint import examine, judge
from holdfast.pin.settings import Settings

if TYPE_CHECKING:
    from holdfast.core.finding import Finding

TODAY = dt.date(2026, 11, 23)


def found(path: str, text: str, rule: str = "push-reused-tag") -> list[Finding]:
    examined = examine(path, text.encode(), Settings(), lambda _: None)
    return [one for one in judge(examined, {}, Settings(), TODAY) if one.rule == rule]


def edited(text: str, finding: Finding) -> str:
    content = text.encode()
    for edit in sorted(finding.edits, key=lambda one: -one.span.start):
        content = content[: edit.span.start] + edit.after.encode() + content[edit.span.end :]
    return content.decode()


EDITS = [
    ("x.sh", "docker build -t q.io/a:latest .\ndocker push q.io/a:latest\n", "q.io/a:$(git rev-parse HEAD)"),
    (".gitlab-ci.yml", "j:\n  script:\n    - docker push q.io/a:latest\n", "q.io/a:${CI_COMMIT_SHA}"),
    (".gitlab-ci.yml", "variables:\n  T: dev\nj:\n  script: ['docker push q.io/a:$T']\n", "T: dev-$CI_COMMIT_SHA"),
    ("buildspec.yml", "phases:\n  build:\n    commands:\n      - docker push q.io/a:prod\n",
     "q.io/a:prod-${CODEBUILD_RESOLVED_SOURCE_VERSION}"),
    ("Jenkinsfile", 'node { docker.build("q.io/a:1").push("latest") }', '.push("${env.BUILD_NUMBER}")'),
    ("Jenkinsfile", 'pipeline { steps { script { docker.build("q.io/a").push("latest") } } }',
     '.push("${env.GIT_COMMIT}")'),
    ("cloudbuild.yaml", "images:\n- gcr.io/p/a:latest\n", "gcr.io/p/a:$COMMIT_SHA"),
    ("azure-pipelines.yml", "steps:\n- task: Docker@2\n  inputs: {repository: a, tags: latest}\n",
     "$(Build.SourceVersion)"),
    ("Makefile", "T = latest\np:\n\tdocker push q.io/a:$(T)\n", "T = $(shell git rev-parse HEAD)"),
    ("bitbucket-pipelines.yml", "pipelines:\n  default:\n    - step: {script: ['docker push q.io/a:dev']}\n",
     "q.io/a:dev-${BITBUCKET_COMMIT}"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "after"), EDITS)
def test_the_edit_pushes_the_commit(path: str, text: str, after: str) -> None:
    (finding,) = found(path, text)
    assert finding.edits
    changed = edited(text, finding)
    assert after in changed
    assert found(path, changed) == []


NO_EDIT = [
    ("x.sh", "docker push 'q.io/a:latest'\n"),  # in single quotes nothing is put in
    ("x.sh", "docker push q.io/a\n"),  # no tag stands there
    ("buildspec.yml", "env:\n  variables: {T: dev}\nphases:\n  build:\n    commands: ['docker push q.io/a:$T']\n"),
    ("Jenkinsfile", "node { docker.build('q.io/a:1').push('latest') }"),
    (".github/workflows/x.yml", ("jobs: {a: {steps: [{uses: docker/build-push-action@v6, with: "
     "{push: true, tags: q.io/a:latest}}]}}")),  # braces would end the mapping
]  # fmt: skip


@pytest.mark.parametrize(("path", "text"), NO_EDIT)
def test_no_edit_where_none_is_safe(path: str, text: str) -> None:
    (finding,) = found(path, text)
    assert not finding.edits
    assert finding.fix


def test_registries_of_tests_do_not_count() -> None:
    assert found("x.sh", "docker push localhost:5000/a:latest\ndocker push ttl.sh/a:1h\n") == []


def test_a_finding_points_at_the_tag() -> None:
    text = "# é\ndocker push q.io/a:latest\n"
    (finding,) = found("x.sh", text)
    assert getattr(finding.location, "span", None) is not None
    assert str(finding.location) == "x.sh:2:20"


def test_deleting_first_is_found_only_before_a_push_of_the_same() -> None:
    delete = "aws ecr batch-delete-image --repository-name shop/api --image-ids imageTag=prod\n"
    push = "docker push x.dkr.ecr.eu-west-1.amazonaws.com/shop/{}\n"
    assert len(found("x.sh", delete + push.format("api:prod"), "push-after-delete")) == 1
    assert found("x.sh", delete + push.format("web:prod"), "push-after-delete") == []
    assert found("x.sh", push.format("api:prod") + delete, "push-after-delete") == []
    assert found("x.sh", delete, "push-after-delete") == []
