"""Pipelines of each CI system: which tags are pushed, and whether each is the same on every run."""

from __future__ import annotations

import pytest

from holdfast.pin.pushes import reading
from holdfast.pin.pushes.push import Purpose
from holdfast.pin.pushes.tag import Repetition

RUN, COMMIT, RELEASE = Repetition.RUN, Repetition.COMMIT, Repetition.RELEASE
UNKNOWN, REUSED = Repetition.UNKNOWN, Repetition.REUSED


def pushed(path: str, text: str, purpose: Purpose = Purpose.IMAGE) -> list[tuple[str, Repetition]]:
    found = reading.read(path, text)
    assert found is not None
    return [(push.image, push.verdict) for push in found.pushes if push.purpose is purpose]


SHELL = [
    ("docker push a/b:latest", "a/b:latest", REUSED),
    ("docker push a/b", "a/b:latest", REUSED),
    ("docker push host:5000/a/b", "host:5000/a/b:latest", REUSED),
    ('docker push "a/b:$CI_COMMIT_SHA"', "a/b:$CI_COMMIT_SHA", COMMIT),
    ("docker push a/b:$BUILD_NUMBER", "a/b:$BUILD_NUMBER", RUN),
    ("docker push a/b:main-$GITHUB_SHA", "a/b:main-$GITHUB_SHA", COMMIT),
    ("docker push a/b:$CI_COMMIT_REF_SLUG", "a/b:$CI_COMMIT_REF_SLUG", REUSED),
    ("docker push a/b:$CI_COMMIT_TAG", "a/b:$CI_COMMIT_TAG", RELEASE),
    ("docker push a/b:$(date +%Y%m%d)", "a/b:$(date +%Y%m%d)", REUSED),
    ("docker push a/b:$(date +%Y%m%d%H%M%S)", "a/b:$(date +%Y%m%d%H%M%S)", RUN),
    ("docker push a/b:$(git rev-parse --short HEAD)", "a/b:$(git rev-parse --short HEAD)", COMMIT),
    ("docker push a/b:`git rev-parse --abbrev-ref HEAD`", "a/b:`git rev-parse --abbrev-ref HEAD`", REUSED),
    ("docker push a/b:$(cat VERSION)", "a/b:$(cat VERSION)", REUSED),
    ("T=1.2\ndocker push a/b:$T", "a/b:1.2", REUSED),
    ("T=${CIRCLE_SHA1:0:7}; sudo -E docker push a/b:$T", "a/b:${CIRCLE_SHA1:0:7}", COMMIT),
    ("docker push $IMAGE", "$IMAGE:$IMAGE", UNKNOWN),
    ("docker push a/b:$1", "a/b:$1", UNKNOWN),
    ("docker buildx build --push -t a/b:x .", "a/b:x", REUSED),
    ("docker buildx build --output type=image,name=a/b:x,push=true .", "a/b:x", REUSED),
    ("podman push localid docker://q.io/a/b:x", "q.io/a/b:x", REUSED),
    ("buildah push --creds u:p localid q.io/a/b:x", "q.io/a/b:x", REUSED),
    ("skopeo copy --all docker://a docker://q.io/b:x", "q.io/b:x", REUSED),
    ("crane copy a:1 q.io/b:x", "q.io/b:x", REUSED),
    ("crane tag q.io/b:1 x", "q.io/b:x", REUSED),
    ("oras push q.io/b:x file.txt", "q.io/b:x", REUSED),
    ("oras tag q.io/b:1 x", "q.io/b:x", REUSED),
    ("KO_DOCKER_REPO=q.io/a ko build ./cmd --tags=$GITHUB_SHA", "q.io/a:$GITHUB_SHA", COMMIT),
    ("KO_DOCKER_REPO=q.io/a ko apply -f config", "q.io/a:latest", REUSED),
    ("/kaniko/executor --context . --destination q.io/b:x", "q.io/b:x", REUSED),
    ("./mvnw compile jib:build -Dimage=q.io/b:$BUILD_NUMBER", "q.io/b:$BUILD_NUMBER", RUN),
    ("aws ecr put-image --repository-name r --image-tag prod --image-manifest x", "r:prod", REUSED),
    ("gcloud builds submit --tag gcr.io/p/i:$SHORT", "gcr.io/p/i:$SHORT", UNKNOWN),
    ('bash -c "docker push a/b:x"', "a/b:x", REUSED),
    ("push() { docker push $1; }\npush a/b:x", "a/b:x", REUSED),
    ("if docker pull x; then docker push a/b:x; fi", "a/b:x", REUSED),
    ('TAG="${TAG:-latest}"\nexport IMG=a/b:$TAG\ndocker push "$IMG"', "a/b:latest", REUSED),
]


@pytest.mark.parametrize(("script", "image", "verdict"), SHELL)
def test_a_command_pushes(script: str, image: str, verdict: Repetition) -> None:
    assert (image, verdict) in pushed("release.sh", script)


NOTHING = [
    "docker build -t a/b:latest .",
    "docker pull a/b:latest",
    "docker buildx build -t a/b:x --load .",
    "docker push a/b@sha256:" + "0" * 64,
    "skopeo copy docker://a:x oci:layout:x",
    "git push origin main",
    "echo docker push a/b:latest",
    "# docker push a/b:latest",
    "docker tag a/b:1 a/b:latest",
    "ko build --push=false ./cmd",
    "/kaniko/executor --no-push --destination q.io/b:x",
]


@pytest.mark.parametrize("script", NOTHING)
def test_nothing_is_pushed(script: str) -> None:
    assert pushed("release.sh", script) == []


def test_every_path_through_a_script_counts() -> None:
    script = 'if [ "$B" = main ]; then T=latest; else T=$GITHUB_SHA; fi\ndocker push a/b:$T'
    assert pushed("x.sh", script) == [("a/b:latest", REUSED), ("a/b:$GITHUB_SHA", COMMIT)]


def test_a_loop_pushes_each_of_its_words() -> None:
    script = "for t in latest $GITHUB_SHA; do docker push a/b:$t; done"
    assert pushed("x.sh", script) == [("a/b:latest", REUSED), ("a/b:$GITHUB_SHA", COMMIT)]


def test_all_tags_are_those_that_were_given() -> None:
    script = "docker tag x a/b:$GITHUB_SHA\ndocker tag x a/b:latest\ndocker push --all-tags a/b"
    assert pushed("x.sh", script) == [("a/b:$GITHUB_SHA", COMMIT), ("a/b:latest", REUSED)]


def test_a_default_counts_only_if_the_variable_may_be_empty() -> None:
    assert pushed("x.sh", "docker push a/b:${CI_COMMIT_SHA:-latest}") == [("a/b:$CI_COMMIT_SHA", COMMIT)]
    assert pushed("x.sh", "docker push a/b:${CI_COMMIT_TAG:-latest}") == [
        ("a/b:$CI_COMMIT_TAG", RELEASE),
        ("a/b:latest", REUSED),
    ]


def workflow(steps: str, on: str = "push", env: str = "") -> str:
    return f"on: {on}\n{env}jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{steps}"


METADATA = """\
      - uses: docker/metadata-action@v5
        id: meta
        with:
          images: q.io/a
          {flavor}
          tags: |
            {rule}
      - uses: docker/build-push-action@v6
        with:
          push: true
          tags: ${{{{ steps.meta.outputs.tags }}}}
"""

RULES = [
    ("type=sha", [COMMIT]),
    ("type=ref,event=branch", [REUSED]),
    ("type=ref,event=pr", [REUSED]),
    ("type=ref,event=tag", [RELEASE, REUSED]),
    ("type=semver,pattern={{version}}", [RELEASE, REUSED]),
    ("type=semver,pattern={{major}}.{{minor}}", [REUSED, REUSED]),
    ("type=raw,value=latest,enable={{is_default_branch}}", [REUSED]),
    ("type=raw,value=latest,enable=false", []),
    ("type=raw,value={{branch}}-{{sha}}-{{date 'X'}}", [RUN]),
    ("type=raw,value={{date 'YYYYMMDD'}}", [REUSED]),
    ("type=schedule", [REUSED]),
    ("type=edge", [REUSED]),
    ("type=raw,value=${{ github.run_id }}", [RUN]),
]


@pytest.mark.parametrize(("rule", "verdicts"), RULES)
def test_rules_of_metadata_action(rule: str, verdicts: list[Repetition]) -> None:
    text = workflow(METADATA.format(rule=rule, flavor=""), on="[push, pull_request, schedule]")
    assert [verdict for _, verdict in pushed(".github/workflows/x.yml", text)] == verdicts


def test_flavor_decides_on_latest() -> None:
    rule = "type=semver,pattern={{version}}"
    off = workflow(METADATA.format(rule=rule, flavor="flavor: latest=false"))
    assert [verdict for _, verdict in pushed(".github/workflows/x.yml", off)] == [RELEASE]
    on = workflow(METADATA.format(rule="type=sha", flavor="flavor: latest=true"))
    assert pushed(".github/workflows/x.yml", on)[-1] == ("q.io/a:latest", REUSED)


TAGS = [
    ("q.io/a:${{ github.sha }}", [COMMIT]),
    ("q.io/a:${{ github.ref_name }}", [REUSED]),
    ("q.io/a:${{ env.T }}", [REUSED]),
    ("q.io/a:${{ github.event_name == 'x' && 'p' || github.sha }}", [REUSED, COMMIT]),
    ("q.io/a:${{ format('v{0}', github.run_number) }}", [RUN]),
    ("q.io/a:${{ inputs.tag }}", [UNKNOWN]),
    ("q.io/a:latest,q.io/a:${{ github.sha }}", [REUSED, COMMIT]),
]


@pytest.mark.parametrize(("tags", "verdicts"), TAGS)
def test_tags_of_build_push_action(tags: str, verdicts: list[Repetition]) -> None:
    step = f'      - uses: docker/build-push-action@v6\n        with:\n          push: true\n          tags: "{tags}"\n'
    text = workflow(step, env="env: {T: stable}\n")
    assert [verdict for _, verdict in pushed(".github/workflows/x.yml", text)] == verdicts


def test_a_workflow_that_only_tags_start_pushes_releases() -> None:
    step = "      - run: docker push q.io/a:${GITHUB_REF#refs/tags/}\n"
    assert pushed(".github/workflows/x.yml", workflow(step, on="{push: {tags: ['v*']}}"))[0][1] is RELEASE
    assert pushed(".github/workflows/x.yml", workflow(step))[0][1] is REUSED
    step = "      - if: startsWith(github.ref, 'refs/tags/')\n        run: docker push q.io/a:${{ github.ref_name }}\n"
    assert pushed(".github/workflows/x.yml", workflow(step))[0][1] is RELEASE


def test_outputs_and_the_environment_are_followed_between_steps_and_jobs() -> None:
    text = """\
on: push
jobs:
  a:
    outputs: {t: "${{ steps.v.outputs.tag }}"}
    steps:
      - id: v
        run: |
          echo "tag=$(git rev-parse --short HEAD)" >> "$GITHUB_OUTPUT"
          echo "B=${GITHUB_REF##*/}" >> $GITHUB_ENV
      - run: docker push a/b:$B
  b:
    needs: [a]
    steps:
      - run: docker push a/b:${{ needs.a.outputs.t }}
"""
    assert [verdict for _, verdict in pushed(".github/workflows/x.yml", text)] == [REUSED, COMMIT]


OTHERS = [
    (
        ".gitlab-ci.yml",
        ("variables:\n  T: $CI_COMMIT_REF_SLUG\n.b:\n  script: ['docker push $CI_REGISTRY_IMAGE:$T']\n"
        "j:\n  extends: .b\nk:\n  variables: {T: $CI_PIPELINE_ID}\n  extends: .b\n"
        "l:\n  only: [tags]\n  script:\n    - !reference [.b, script]\n"),
        [REUSED, RUN, RELEASE],
    ),
    (
        "buildspec.yml",
        ("version: 0.2\nenv:\n  variables: {T: prod}\nphases:\n  pre_build:\n    commands:\n"
        "      - H=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)\n      - IMAGE_TAG=${H:=latest}\n"
        "  post_build:\n    commands: ['docker push $R:$IMAGE_TAG', 'docker push $R:$T']\n"),
        [COMMIT, REUSED],
    ),
    (
        "Jenkinsfile",
        ("node {\n  def app = docker.build(\"a/b:${env.BUILD_ID}\")\n  app.push()\n  app.push('latest')\n"
        "  sh \"docker push a/c:${GIT_COMMIT}\"\n  sh(script: 'docker push a/c:$BRANCH_NAME')\n}\n"),
        [RUN, REUSED, COMMIT, REUSED],
    ),
    (
        ".circleci/config.yml",
        ("orbs: {e: circleci/aws-ecr@8}\njobs:\n  b:\n    parameters: {t: {default: latest}}\n    steps:\n"
        "      - run: {command: 'docker push a/b:<< parameters.t >>'}\n"
        "workflows:\n  w:\n    jobs:\n      - b: {t: x}\n"
        "      - e/build-and-push-image: {repo: r, tag: 'latest,${CIRCLE_SHA1}'}\n"),
        [REUSED, REUSED, COMMIT],
    ),
    (
        "bitbucket-pipelines.yml",
        ("pipelines:\n  default:\n    - step:\n        script:\n          - docker push a/b:$BITBUCKET_COMMIT\n"
        "          - pipe: atlassian/aws-ecr-push-image:2\n            variables: {IMAGE_NAME: r, TAGS: latest}\n"),
        [COMMIT, REUSED],
    ),
    (
        "azure-pipelines.yml",
        ("variables:\n  t: $(Build.SourceBranchName)\nsteps:\n- task: Docker@2\n  inputs:\n    command: buildAndPush\n"
        "    repository: a\n    tags: |\n      $(Build.BuildId)\n      $(t)\n- task: Docker@2\n  inputs:\n"
        "    command: push\n    repository: a\n- script: docker push q.io/a:$(Build.SourceVersion)\n"),
        [RUN, REUSED, RUN, COMMIT],
    ),
    (
        "cloudbuild.yaml",
        ("steps:\n- name: gcr.io/cloud-builders/docker\n  args: [push, 'gcr.io/$PROJECT_ID/a:$SHORT_SHA']\n"
        "- name: gcr.io/kaniko-project/executor\n  args: ['--destination=gcr.io/p/a:${_T}']\n"
        "substitutions: {_T: dev}\nimages: ['gcr.io/p/a']\n"),
        [COMMIT, REUSED, REUSED],
    ),
    (
        "task.yaml",
        ("apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  params: [{name: T, default: latest}]\n  steps:\n"
        "  - image: gcr.io/kaniko-project/executor\n    args: ['--destination=q.io/a:$(params.T)']\n"
        "  - image: x\n    script: docker push q.io/a:$(context.taskRun.name)\n"),
        [REUSED, RUN],
    ),
    (
        "Makefile",
        ("IMG ?= a/b:latest\nV := $(shell git describe --tags --always)\npush: build\n\t@docker push ${IMG}\n"
        "\tdocker push a/b:$(V) && \\\n\t  docker push a/b:$(NOT_SET)\n"),
        [REUSED, COMMIT, UNKNOWN],
    ),
    (
        ".travis.yml",
        "after_success:\n  - docker push a/b:$TRAVIS_BRANCH\n  - docker push a/b:$TRAVIS_COMMIT\n",
        [REUSED, COMMIT],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "verdicts"), OTHERS, ids=[row[0] for row in OTHERS])
def test_other_systems(path: str, text: str, verdicts: list[Repetition]) -> None:
    assert [verdict for _, verdict in pushed(path, text)] == verdicts


def test_caches_and_signatures_are_told_apart() -> None:
    script = (
        "docker buildx build --push -t q.io/a:$GITHUB_SHA --cache-to type=registry,ref=q.io/a:cache .\n"
        "cosign sign --yes q.io/a@sha256:1\n"
    )
    assert pushed("x.sh", script) == [("q.io/a:$GITHUB_SHA", COMMIT)]
    assert pushed("x.sh", script, Purpose.CACHE) == [("q.io/a:cache", REUSED)]
    assert pushed("x.sh", script, Purpose.SIGNATURE) == [("q.io/a:sha256-DIGEST.sig", REUSED)]


def test_places_are_exact_in_nested_text() -> None:
    text = workflow("      - run: |\n          # é\n          docker push q.io/a:stable\n")
    found = reading.read(".github/workflows/x.yml", text)
    assert found is not None
    (push,) = found.pushes
    assert push.span is not None
    assert text[push.span.start : push.span.end] == "stable"
