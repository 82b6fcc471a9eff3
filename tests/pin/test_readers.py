"""Each format: what is an image in it, what it comes to, and that a pin changes only its place."""

from __future__ import annotations

from itertools import pairwise

import pytest

from holdfast.pin.files import mentions
from holdfast.pin.mention import Mention, Role, splices

DIGEST = "sha256:" + "a" * 64


def read(path: str, text: str) -> list[Mention]:
    data = text.encode()
    found = mentions(path, data)
    assert isinstance(found, list), found
    for before, after in pairwise(found):
        assert before.span.end <= after.span.start
    for mention in found:
        assert data[mention.span.start : mention.span.end].decode() == mention.text
    return found


def pinned(path: str, text: str) -> str:
    data = text.encode()
    made = {one for mention in read(path, text) for one in splices(mention, data, DIGEST)}
    for span, new in sorted(made, reverse=True):
        data = data[: span.start] + new + data[span.end :]
    return data.decode().replace(DIGEST, "D")


CASES: list[tuple[str, str, list[tuple[str, str | None]]]] = [
    (
        "compose.yaml",
        "x-db: &db\n  image: 'postgres:16'\nservices:\n  a:\n    <<: *db\n  b: {image: \"redis\\x3a7\"}\n"
        "  c:\n    build: .\n    image: me/c:${TAG:-dev}\n  d:\n    image: $NOPE\n",
        [("postgres:16", "postgres:16"), ("redis\\x3a7", "redis:7"), ("me/c:${TAG:-dev}", "me/c:dev"), ("$NOPE", None)],
    ),
    (
        "deploy/app.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  spec:\n    template:\n      spec:\n"
        "        initContainers: [{name: i, image: busybox}]\n        containers:\n        - image: nginx:1.27 # web\n"
        "          name: w\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  image: not:this\n"
        "---\napiVersion: example.com/v1\nkind: Thing\nspec:\n  image: {repository: quay.io/a/b, tag: v1}\n",
        [("busybox", "busybox"), ("nginx:1.27", "nginx:1.27"), ("v1", "quay.io/a/b:v1")],
    ),
    (
        "kustomization.yaml",
        "images:\n- name: app\n  newName: reg.io/app\n  newTag: v2\n- name: other\n  digest: sha256:" + "b" * 64 + "\n",
        [("v2", "reg.io/app:v2"), ("sha256:" + "b" * 64, "other@sha256:" + "b" * 64)],
    ),
    (
        "chart/values.yaml",
        'image:\n  repository: a/b\n  tag: "1.0"\nsidecar:\n  image: envoy/envoy:v1\nweb:\n  image:\n    registry: quay.io\n'
        "    repository: c/d\n    tag: ''\n    digest: \"\"\n",
        [("1.0", "a/b:1.0"), ("envoy/envoy:v1", "envoy/envoy:v1"), ("c/d", None)],
    ),
    (
        "chart/templates/pod.yaml",
        'spec:\n  containers:\n  - name: a\n    image: "{{ .Values.image }}:{{ .Values.tag }}"\n  - image: busybox:1 # {{ x }}\n',
        [("{{ .Values.image }}:{{ .Values.tag }}", None), ("busybox:1", "busybox:1")],
    ),
    (
        ".github/workflows/ci.yml",
        "env: {IMG: ghcr.io/a/b}\njobs:\n  a:\n    container: node:20\n    services: {db: {image: 'postgres:16'}}\n    steps:\n"
        "    - uses: docker://alpine:3\n    - run: |\n        docker build -t ${{ env.IMG }}:latest .\n        docker push x/y:${{ github.sha }}\n"
        "    - uses: docker/build-push-action@v6\n      with:\n        push: true\n        tags: |\n          ${{ env.IMG }}:edge\n          a/b:${{ github.sha }}\n"
        "  b:\n    strategy: {matrix: {img: [debian:12, 'debian:13']}}\n    container: {image: '${{ matrix.img }}'}\n",
        [
            ("node:20", "node:20"),
            ("postgres:16", "postgres:16"),
            ("alpine:3", "alpine:3"),
            ("${{ env.IMG }}:latest", None),
            ("x/y:${{ github.sha }}", None),
            ("${{ env.IMG }}:edge", "ghcr.io/a/b:edge"),
            ("a/b:${{ github.sha }}", None),
            ("debian:12", "debian:12"),
            ("debian:13", "debian:13"),
        ],
    ),
    (
        ".gitlab-ci.yml",
        'variables: {PY: \'python:3.12\'}\nimage: $PY\njob:\n  image: {name: "docker:27", entrypoint: [""]}\n  services: [docker:27-dind]\n'
        "  script:\n  - IMG=reg/x\n  - docker push $IMG:latest\n",
        [
            ("$PY", "python:3.12"),
            ("docker:27", "docker:27"),
            ("docker:27-dind", "docker:27-dind"),
            ("$IMG:latest", "reg/x:latest"),
        ],
    ),
    (
        ".circleci/config.yml",
        "executors: {e: {docker: [{image: cimg/go:1.22}]}}\njobs:\n  a:\n    machine: {image: ubuntu-2204:current}\n    steps:\n"
        "    - run: docker pull redis\n    - run: {name: x, command: 'docker run --rm -v a:b alpine:3 true'}\n",
        [("cimg/go:1.22", "cimg/go:1.22"), ("redis", "redis"), ("alpine:3", "alpine:3")],
    ),
    (
        "bitbucket-pipelines.yml",
        "image: node:20\npipelines:\n  default:\n  - step:\n      image: {name: a/b:1}\n      script:\n      - pipe: docker://c/d:2\n      - pipe: atlassian/x:1.0\n"
        "      - docker push me/app:latest\ndefinitions: {services: {db: {image: mysql}}}\n",
        [
            ("node:20", "node:20"),
            ("a/b:1", "a/b:1"),
            ("c/d:2", "c/d:2"),
            ("me/app:latest", "me/app:latest"),
            ("mysql", "mysql"),
        ],
    ),
    (
        "azure-pipelines.yml",
        "resources: {containers: [{container: c, image: 'ubuntu:22.04'}]}\njobs:\n- job: a\n  container: c\n  pool: {vmImage: ubuntu-latest}\n"
        "- job: b\n  container: debian:12\n  steps:\n  - script: docker pull busybox:1\n",
        [("ubuntu:22.04", "ubuntu:22.04"), ("debian:12", "debian:12"), ("busybox:1", "busybox:1")],
    ),
    (
        "cloudbuild.yaml",
        "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, -t, 'gcr.io/$PROJECT_ID/a:latest', .]\nimages: ['gcr.io/$PROJECT_ID/a:latest']\n",
        [
            ("gcr.io/cloud-builders/docker",) * 2,
            ("gcr.io/$PROJECT_ID/a:latest", None),
            ("gcr.io/$PROJECT_ID/a:latest", None),
        ],
    ),
    (
        "buildspec.yml",
        "version: 0.2\nphases:\n  build:\n    commands:\n    - IMAGE=x/y\n    - docker build -t $IMAGE:latest .\n    - docker push $IMAGE:$CODEBUILD_RESOLVED_SOURCE_VERSION\n",
        [("$IMAGE:latest", "x/y:latest"), ("$IMAGE:$CODEBUILD_RESOLVED_SOURCE_VERSION", None)],
    ),
    (
        "task.yaml",
        "apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n  - image: alpine:3\n    script: |\n      #!/bin/sh\n      crane copy a.io/b:1 c.io/d:latest\n",
        [("alpine:3", "alpine:3"), ("a.io/b:1", "a.io/b:1"), ("c.io/d:latest", "c.io/d:latest")],
    ),
    (
        "run.sh",
        "#!/bin/sh\nV=1.2\nsudo docker --debug run -it --rm -p 80:80 -e A=b \"nginx:$V\" sh -c 'docker pull inner:1'\n"
        "skopeo copy --all docker://a/b:1 docker://c/d:1\n# docker pull comment\nbuildah bud -t x:1 . && buildah push x:1 docker://r.io/x:1\n"
        "kubectl set image deploy/a a=r.io/a:2\ndocker buildx build --push --cache-to type=registry,ref=r.io/c:cache,mode=max -t r.io/a:2 .\n",
        [
            ("nginx:$V", "nginx:1.2"),
            ("inner:1", "inner:1"),
            ("a/b:1", "a/b:1"),
            ("c/d:1", "c/d:1"),
            ("x:1", "x:1"),
            ("r.io/x:1", "r.io/x:1"),
            ("r.io/a:2", "r.io/a:2"),
            ("r.io/c:cache", "r.io/c:cache"),
            ("r.io/a:2", "r.io/a:2"),
        ],
    ),
    (
        "Makefile",
        "TAG ?= 1.0\nIMG := r.io/x:$(TAG)\nall:\n\t@docker build -t $(IMG) . \\\n\t  && docker push $(IMG)\n\tfor i in a; do docker pull $$i; done\n",
        [("$(IMG)", "r.io/x:1.0"), ("$(IMG)", "r.io/x:1.0"), ("$$i", None)],
    ),
    (
        "docker-bake.hcl",
        'variable "TAG" { default = "1" }\ntarget "a" {\n  tags = ["r.io/a:${TAG}", "r.io/a:latest"]\n  contexts = { base = "docker-image://alpine:3" }\n}\n',
        [("r.io/a:${TAG}", "r.io/a:1"), ("r.io/a:latest", "r.io/a:latest"), ("alpine:3", "alpine:3")],
    ),
    (
        "taskdef.json",
        '{\n\t"family": "a",\n\t"containerDefinitions": [{"name": "a", "image": "nginx:latest"}]\n}\n',
        [("nginx:latest", "nginx:latest")],
    ),
    (
        "template.yaml",
        "Parameters: {Tag: {Type: String, Default: '1'}, Img: {Type: String, Default: 'a/b:2'}}\nResources:\n  T:\n    Type: AWS::ECS::TaskDefinition\n"
        "    Properties:\n      ContainerDefinitions:\n      - Image: !Sub 'nginx:${Tag}'\n      - Image: !Ref Img\n"
        "  F:\n    Type: AWS::Serverless::Function\n    Properties: {ImageUri: !Sub '${AWS::AccountId}.dkr.ecr.eu-west-1.amazonaws.com/f:latest'}\n",
        [
            ("a/b:2", "a/b:2"),
            ("nginx:${Tag}", "nginx:1"),
            ("${AWS::AccountId}.dkr.ecr.eu-west-1.amazonaws.com/f:latest", None),
        ],
    ),
    (
        "lib/stack.ts",
        "// ContainerImage.fromRegistry('no:1')\nconst a = ecs.ContainerImage.fromRegistry(\n  'amazon/sample:1');\nconst X = \"b:2\";\nf(ContainerImage.fromRegistry(X));\n",
        [("amazon/sample:1", "amazon/sample:1"), ("b:2", "b:2")],
    ),
    (
        "main.tf",
        'variable "tag" { default = "1" }\nvariable "img" { default = "r.io/a:1" }\nresource "aws_ecs_task_definition" "a" {\n'
        '  container_definitions = jsonencode([{ image = "nginx:${var.tag}" }, { "image" : var.img }])\n}\n'
        'resource "docker_image" "x" { name = "redis:7" }\nresource "google_compute_instance" "v" {\n  boot_disk { initialize_params { image = "debian-cloud/debian-12" } }\n}\n'
        'resource "x" "y" {\n  container_definitions = <<EOF\n[{"image": "busybox:1"}]\nEOF\n}\n',
        [("r.io/a:1", "r.io/a:1"), ("nginx:${var.tag}", "nginx:1"), ("redis:7", "redis:7"), ("busybox:1", "busybox:1")],
    ),
    (
        "Jenkinsfile",
        "pipeline { agent { docker { image 'maven:3' } }\n environment { IMG = 'r.io/a' }\n stages { stage('x') { steps {\n  sh \"docker push ${IMG}:latest\"\n"
        "  sh '''\n  docker pull redis:7\n'''\n  script { def i = docker.build(\"r.io/b:${env.BUILD_NUMBER}\"); docker.image('node:20').inside { }\n  // docker.image('no')\n } } } } }\n",
        [
            ("maven:3", "maven:3"),
            ("${IMG}:latest", "r.io/a:latest"),
            ("redis:7", "redis:7"),
            ("r.io/b:${env.BUILD_NUMBER}", None),
            ("node:20", "node:20"),
        ],
    ),
]


@pytest.mark.parametrize(("path", "text", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_is_named(path: str, text: str, expected: list[tuple[str, str | None]]) -> None:
    assert [(one.text, one.image) for one in read(path, text)] == expected


@pytest.mark.parametrize(("path", "text", "expected"), CASES, ids=[case[0] for case in CASES])
def test_line_ends_and_marks_change_nothing(path: str, text: str, expected: list[tuple[str, str | None]]) -> None:
    data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    found = mentions(path, data)
    assert isinstance(found, list)
    assert [(one.text, one.image) for one in found] == expected
    assert all(data[one.span.start : one.span.end].decode() == one.text for one in found)


def test_roles() -> None:
    text = next(case[1] for case in CASES if case[0] == ".github/workflows/ci.yml")
    roles = [one.role for one in read(".github/workflows/ci.yml", text)]
    assert roles == [Role.CONSUMES] * 3 + [Role.BUILDS] + [Role.PUSHES] * 3 + [Role.CONSUMES] * 2


def test_parts_are_pinned_in_their_place() -> None:
    text = "images:\n- name: app\n  newTag: v2 # why\n- {name: b, newTag: v3}\n"
    assert pinned("kustomization.yaml", text) == (
        "images:\n- name: app\n  digest: D\n  newTag: v2 # why\n- {name: b, digest: D, newTag: v3}\n"
    )
    text = "image:\n  repository: a/b\n  tag: 1.0\nb:\n  image: {repository: c, tag: '2', digest: ''}\n"
    assert pinned("values.yaml", text) == text.replace("1.0", "1.0@D").replace("digest: ''", "digest: 'D'")
    assert pinned(".gitlab-ci.yml", "variables:\n  PY: python:3\nimage: ${PY}\n") == (
        "variables:\n  PY: python:3@D\nimage: ${PY}\n"
    )


@pytest.mark.parametrize(
    ("path", "text", "is_one"),
    [
        ("Dockerfile.go", "# for Go\n\nFROM golang:1\n", True),
        ("Dockerfile.py", "ARG V=3\nFROM python:${V}\n", True),
        ("dockerfile.py", "from typing import Final\n", False),
        ("dockerfile.go", "package dockerfile\n\n// FROM x\n", False),
        ("src/dockerfile.py", '"""Reads.\n\nFROM x\n"""\nfrom typing import Final\n', False),
        ("Dockerfile.j2", "{% if x %}\nFROM alpine:3\n{% endif %}\n", True),
    ],
)
def test_a_program_about_dockerfiles_is_none(path: str, text: str, *, is_one: bool) -> None:
    found = mentions(path, text.encode())
    assert isinstance(found, list)
    assert bool(found) is is_one


def test_a_description_of_an_api_names_nothing_and_is_not_even_parsed() -> None:
    text = "openapi: 3.1.0\npaths: {/x: {get: {example: {image: 'nginx:1'}}}}\nbroken: [\n"
    assert mentions("api.yaml", text.encode()) == []
