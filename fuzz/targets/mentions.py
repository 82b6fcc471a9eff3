"""Every reader of files that name images tells exact places that do not overlap, or says why it cannot read them."""

from __future__ import annotations

from typing import Final

from holdfast.pin.files import mentions
from holdfast.pin.image import parse_image
from holdfast.pin.mention import Unreadable, splices

PATHS: Final = (
    "Dockerfile",
    "compose.yaml",
    "a.yaml",
    "kustomization.yaml",
    "values.yaml",
    "templates/a.yaml",
    ".github/workflows/a.yml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    "bitbucket-pipelines.yml",
    "azure-pipelines.yml",
    "cloudbuild.yaml",
    "buildspec.yml",
    "Jenkinsfile",
    "Makefile",
    "a.sh",
    "docker-bake.hcl",
    "a.tf",
    "a.ts",
    "a.json",
    "devcontainer.json",
    ".ko.yaml",
)
SEEDS = (
    b"# syntax=a\nARG B=c:1\nFROM ${B} AS x\nCOPY --from=d:2 / /\nRUN --mount=from=e <<EOF\nfoo\nEOF\n",
    b"services:\n  a: &x\n    image: 'b:${C:-1}'\n  d: *x\n",
    b'apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: "b:1"}]}\n---\nimages: [{name: a, newTag: b}]\n',
    b"jobs:\n  a:\n    container: b:1\n    steps:\n    - run: |\n        docker push c:${{ github.sha }}\n",
    b"image: a\nscript: ['docker build -t b:1 . && docker push $C:latest']\n",
    b"Resources:\n  A:\n    Type: AWS::X\n    Properties: {Image: !Sub 'a:${B}'}\n",
    b'variable "a" { default = "b" }\nresource "c" "d" { image = "e:${var.a}" }\n',
    b"A ?= b\nc:\n\tdocker run --rm -it $(A):$$D sh -c 'docker pull e'\n",
    b'pipeline { agent { docker \'a:1\' }\n sh """docker push ${B}""" }\nContainerImage.fromRegistry(\'a\')\n',
)
WORDS = (
    b"image:",
    b"image",
    b"FROM ",
    b"docker ",
    b"${",
    b"}",
    b"{{",
    b"$(",
    b"'",
    b'"',
    b"|\n",
    b"<<EOF\n",
    b"\r\n",
    b"&a ",
    b"*a",
    b"\xff",
)
COVERS = (
    "pin/files.py",
    "pin/readers/any_yaml.py",
    "pin/readers/azure.py",
    "pin/readers/bitbucket.py",
    "pin/readers/cdk.py",
    "pin/readers/circleci.py",
    "pin/readers/cloudbuild.py",
    "pin/readers/cloudformation.py",
    "pin/readers/codebuild.py",
    "pin/readers/compose.py",
    "pin/readers/dockerfile.py",
    "pin/readers/github_actions.py",
    "pin/readers/gitlab.py",
    "pin/readers/hcl.py",
    "pin/readers/helm.py",
    "pin/readers/jenkins.py",
    "pin/readers/kubernetes.py",
    "pin/readers/kustomize.py",
    "pin/readers/make.py",
    "pin/readers/script.py",
    "pin/readers/shell.py",
    "pin/readers/shell_tools.py",
    "pin/readers/tokens.py",
    "pin/readers/triples.py",
    "pin/readers/workspace.py",
    "pin/readers/yaml_file.py",
    "pin/readers/yaml_nodes.py",
    "pin/source.py",
    "pin/slots.py",
    "pin/variables.py",
    "pin/mention.py",
)
PARSERS = ("pin.files.mentions",)


def check(data: bytes) -> None:
    """Read it as each kind of file."""
    for path in PATHS:
        found = mentions(path, data)
        if isinstance(found, Unreadable):
            assert found.reason
            continue
        end = 0
        for mention in found:
            assert end <= mention.span.start <= mention.span.end <= len(data)
            end = mention.span.end
            assert data[mention.span.start : end].decode("utf-8", "surrogateescape") == mention.text
            assert mention.image is None or parse_image(mention.image) is not None
            assert all(0 <= one.span.start <= one.span.end <= len(data) for one in splices(mention, data, "sha256:a"))
