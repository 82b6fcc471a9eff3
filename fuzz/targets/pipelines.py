"""Whatever a pipeline holds, its pushes have verdicts and places in it, or it cannot be read; and mending ends."""

from __future__ import annotations

from holdfast.pin.migration import pipelines
from holdfast.pin.pushes import reading

NAMES = (
    ".github/workflows/x.yml",
    ".gitlab-ci.yml",
    "buildspec.yml",
    ".circleci/config.yml",
    "bitbucket-pipelines.yml",
    "azure-pipelines.yml",
    "cloudbuild.yaml",
    "pods.yaml",
    ".travis.yml",
    "Jenkinsfile",
    "Makefile",
    "push.sh",
)

SEEDS = (
    b"\x00jobs:\n  a:\n    steps:\n      - run: docker push a/b:${{ github.sha || 'x' }}\n",
    b"\x01v: &v {A: x}\nj:\n  variables: *v\n  script: ['docker push $A:$CI_COMMIT_TAG']\n",
    b"\x02phases: {build: {commands: ['docker push $R:${T:-latest}']}}\n",
    b"\x06images: ['gcr.io/$PROJECT_ID/a:latest']\n",
    b'\x09node { def a = docker.build("x:${env.B}"); a.push("latest") }\n',
    b"\x0aT ?= $(shell git rev-parse HEAD)\np:\n\tdocker push a:$(T)\n",
    b"\x0bfor t in a $B; do docker push x:$t; done; f() { skopeo copy a docker://$1; }; f b:c\n",
)


MAX_MENDED = 6
WORDS = (
    b"docker push ",
    b"${{ ",
    b" }}",
    b"$(",
    b"|\n",
    b"- ",
    b"latest",
    b"$CI_COMMIT_SHA",
    b"<<",
    b"&a",
    b"*a",
    b'"""',
)
COVERS = (
    "pin/pushes/reading.py",
    "pin/pushes/shell.py",
    "pin/pushes/github.py",
    "pin/pushes/jenkins.py",
    "pin/pushes/makefile.py",
    "pin/migration/pipelines.py",
)
PARSERS = ("pin.pushes.reading.read",)


def check(data: bytes) -> None:
    """Read a pipeline of the kind that the first byte says, and mend it."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    text = data[1:].decode("utf-8", "surrogateescape")
    try:
        found = reading.read(name, text)
    except reading.PipelineUnreadable:
        return
    assert found is not None
    for push in found.pushes:
        assert push.reason
        assert 0 <= push.place <= len(text)
        if push.span is not None:
            assert 0 <= push.span.start <= push.span.end <= len(text)
    if len(found.pushes) <= MAX_MENDED:
        # Mending reads the file again for every change; the engine watches each step, which makes that slow.
        pipelines.mend(name, text)
