"""CI systems whose pipelines are lists of commands: CodeBuild, CircleCI, Bitbucket.

This file alone knows where their commands, variables and jobs stand. CircleCI's orbs that push are a table. Sources:
AWS CodeBuild "Build specification reference"; CircleCI "Configuration reference" and the orbs circleci/aws-ecr and
circleci/docker; Bitbucket "Configure your first pipeline" and the pipe atlassian/aws-ecr-push-image.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import passage as passages
from holdfast.pin.pushes import references, variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.push import Push
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import EMPTY, Part, Repetition, Values, concatenate, union, unknown, words_of
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.variables import Meaning
    from holdfast.pin.pushes.yaml_tree import Node

VARIABLE: Final = re.compile(r"\$\{([A-Za-z_]\w*)[^}]*\}|\$([A-Za-z_]\w*)")
_PHASES: Final = ("install", "pre_build", "build", "post_build")


def environment(
    name: str, known: Mapping[str, Meaning], names: Mapping[str, Values], span: Span | None, setting: str = "shell"
) -> Values:
    """Return what a variable in a setting stands for."""
    if name in names:
        return names[name]
    meaning = known.get(name)
    if meaning is None:
        return ((Part(f"${name}", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)
    return ((replace(meaning.part(f"${name}"), span=span, setting=setting),),)


def read_codebuild(text: str) -> Findings:
    """Read a build specification; its phases share one shell."""
    findings = Findings("codebuild")
    for root in yaml_tree.documents(text)[:1]:
        names: dict[str, Values] = {}
        for key, value in yaml_tree.pairs(yaml_tree.get(root, "env", "variables")):
            part = yaml_tree.passage(value, text)
            names[key] = ((Part(part.text, span=part.span(0, len(part.text)), setting="yaml"),),)
        for source in ("parameter-store", "secrets-manager"):
            for key, _ in yaml_tree.pairs(yaml_tree.get(root, "env", source)):
                names[key] = ((variables.SETTING.part(f"${key}"),),)
        script = Script(variables.in_shell(variables.CODEBUILD), names)
        for phase in _PHASES:
            node = yaml_tree.get(root, "phases", phase)
            for part_ in ("commands", "finally"):
                lines = [yaml_tree.passage(one, text) for one in yaml_tree.flat(yaml_tree.get(node, part_))]
                if lines:
                    findings.follow(script, passages.join(lines))
    return findings


# CircleCI

_PARAMETER: Final = re.compile(r"<<\s*([\w.-]+)\s*>>")
_CIRCLE_SETTING: Final = re.compile(rf"{_PARAMETER.pattern}|{VARIABLE.pattern}")
_MAX_COMMANDS: Final = 6


def _named(entry: Node) -> list[tuple[str, Node | None]]:
    """Return an entry of a list that is a name, or a name with its settings."""
    return [*yaml_tree.pairs(entry)] or [(yaml_tree.word(entry), None)]


class CircleReader:
    """One configuration of CircleCI."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.findings = Findings("circleci")
        self._orbs: dict[str, str] = {}
        self._commands: dict[str, Node] = {}
        self._walk = yaml_tree.Walk()
        self._known = variables.in_shell(variables.CIRCLECI)

    def read(self, root: Node) -> Findings:
        """Read a configuration: jobs as workflows call them, then those that nothing calls."""
        for name, orb in yaml_tree.pairs(yaml_tree.get(root, "orbs")):
            self._orbs[name] = yaml_tree.word(orb).partition("@")[0]
        self._commands = dict(yaml_tree.pairs(yaml_tree.get(root, "commands")))
        jobs = dict(yaml_tree.pairs(yaml_tree.get(root, "jobs")))
        called: set[str] = set()
        for _, workflow in yaml_tree.pairs(yaml_tree.get(root, "workflows")):
            for entry in yaml_tree.elements(yaml_tree.get(workflow, "jobs")):
                for name, arguments in _named(entry):
                    self._walk.step()
                    if name in jobs:
                        called.add(name)
                        self._job(jobs[name], arguments)
                    elif arguments is not None:
                        self._orb(name, arguments, {}, {}, yaml_tree.place(entry))
        for name, job in jobs.items():
            if name not in called:
                self._job(job, None)
        return self.findings

    def _parameters(self, node: Node, arguments: Node | None, outer: dict[str, Values]) -> dict[str, Values]:
        given = dict(yaml_tree.pairs(arguments))
        found: dict[str, Values] = {}
        for name, declared in yaml_tree.pairs(yaml_tree.get(node, "parameters")):
            value = given.get(name) or yaml_tree.get(declared, "default")
            found[name] = (
                self._value(value, outer, {})
                if value is not None
                else (unknown(f"<< parameters.{name} >>", "is what a caller gives"),)
            )
        return found

    def _job(self, node: Node, arguments: Node | None) -> None:
        parameters = self._parameters(node, arguments, {})
        for name, values in _matrix(arguments, self, {}).items():
            parameters[name] = values
        names: dict[str, Values] = {}
        for key, value in yaml_tree.pairs(yaml_tree.get(node, "environment")):
            names[key] = self._value(value, parameters, names)
        self._steps(yaml_tree.get(node, "steps"), parameters, names, 0)

    def _steps(self, node: Node | None, parameters: dict[str, Values], names: dict[str, Values], depth: int) -> None:
        for step in yaml_tree.elements(node):
            self._walk.step()
            entries = _named(step)
            for name, arguments in entries:
                if name == "run":
                    self._run(arguments, parameters, names)
                elif name in {"when", "unless"}:
                    self._steps(yaml_tree.get(arguments, "steps"), parameters, names, depth + 1)
                elif name in self._commands and depth < _MAX_COMMANDS:
                    command = self._commands[name]
                    inner = self._parameters(command, arguments, parameters)
                    self._steps(yaml_tree.get(command, "steps"), inner, names, depth + 1)
                elif arguments is not None:
                    self._orb(name, arguments, parameters, names, yaml_tree.place(step))

    def _run(self, node: Node | None, parameters: dict[str, Values], names: dict[str, Values]) -> None:
        command = yaml_tree.get(node, "command") if yaml_tree.is_mapping(node) else node
        own = dict(names)
        for key, value in yaml_tree.pairs(yaml_tree.get(node, "environment")):
            own[key] = self._value(value, parameters, names)
        placeholders = Placeholders()
        passage = placeholders.put(
            yaml_tree.passage(command, self._text),
            _PARAMETER,
            lambda name, span: self._parameter(name, parameters, span),
        )
        script = self.findings.follow(Script(self._known, own, placeholders), passage)
        if "BASH_ENV" in passage.text:
            names.update(script.outputs)

    def _parameter(self, name: str, parameters: dict[str, Values], span: Span | None) -> Values:
        kind, _, key = name.partition(".")
        if kind in {"parameters", "matrix"} and key in parameters:
            return parameters[key]
        meaning = variables.CIRCLECI.get(name)
        if meaning is not None:
            return ((replace(meaning.part(f"<< {name} >>"), span=span, setting="yaml"),),)
        return (unknown(f"<< {name} >>", "is a parameter that somebody gives"),)

    def _value(self, node: Node | None, parameters: dict[str, Values], names: Mapping[str, Values]) -> Values:
        def evaluate(name: str, span: Span | None) -> Values:
            if "." in name:
                return self._parameter(name, parameters, span)
            return environment(name, self._known, names, span)

        return template(yaml_tree.passage(node, self._text), _CIRCLE_SETTING, evaluate, "yaml")

    def _orb(
        self,
        name: str,
        arguments: Node,
        parameters: dict[str, Values],
        names: Mapping[str, Values],
        place: int | None = None,
    ) -> None:
        orb, _, verb = name.partition("/")
        source = self._orbs.get(orb, "")
        row = next((row for key, row in _ORBS.items() if source.startswith(key) and verb in row.verbs), None)
        if row is None:
            return
        given = dict(yaml_tree.pairs(arguments))
        matrix = _matrix(arguments, self, parameters)
        inner = {**parameters, **matrix}
        if yaml_tree.word(given.get("push-image", given.get("push_image"))) == "false":
            return
        if row.switch and yaml_tree.word(given.get(row.switch)) == "false":
            return
        repository = next((self._value(given[key], inner, names)[0] for key in row.images if key in given), ())
        node = next((given[key] for key in row.tags if key in given), None)
        if node is None:
            default = (row.default,)
            at = yaml_tree.place(arguments) if place is None else place
            self.findings.add([Push(repository, default, name, at, implied=row.default.literal)])
            return
        for text in self._value(node, inner, names):
            for tag in words_of(text):
                at = references.place_within(tag, yaml_tree.bounds(node))
                self.findings.add([Push(repository, tag, name, at, references.span_of(tag))])


def _matrix(arguments: Node | None, reader: CircleReader, parameters: dict[str, Values]) -> dict[str, Values]:
    return {
        name: union(*(reader._value(cell, parameters, {}) for cell in yaml_tree.elements(cells)))  # noqa: SLF001
        for name, cells in yaml_tree.pairs(yaml_tree.get(arguments, "matrix", "parameters"))
    }


class _Orb:
    def __init__(self, verbs: tuple[str, ...], images: tuple[str, ...], tags: tuple[str, ...], default: Part,
                 switch: str = "") -> None:  # fmt: skip
        self.verbs, self.images, self.tags, self.default, self.switch = verbs, images, tags, default, switch


_ORBS: Final = {
    "circleci/aws-ecr": _Orb(
        ("build-and-push-image", "build_and_push_image", "push-image", "push_image", "tag_image", "tag-image"),
        ("repo", "repository"),
        ("tag", "target_tag", "target-tag"),
        Part("latest"),
    ),
    "circleci/gcp-gcr": _Orb(("build-and-push-image", "push-image"), ("image",), ("tag",), Part("latest")),
    "circleci/docker": _Orb(
        ("publish", "push"), ("image",), ("tag",), variables.SHA.part("$CIRCLE_SHA1"), switch="deploy"
    ),
    "circleci/azure-acr": _Orb(("build-and-push-image", "push-image"), ("repo",), ("tag",), Part("latest")),
}
"""Orb -> what of it pushes. Source: the CircleCI orb registry."""


def read_circleci(text: str) -> Findings:
    """Read a configuration of CircleCI."""
    findings = Findings("circleci")
    for root in yaml_tree.documents(text)[:1]:
        findings = CircleReader(text).read(root)
    return findings


# Bitbucket


def read_bitbucket(text: str) -> Findings:
    """Read Bitbucket's pipelines: every step's script in a shell of its own, and the pipes that push."""
    findings = Findings("bitbucket")
    walk = yaml_tree.Walk()
    for root in yaml_tree.documents(text)[:1]:
        for name, node in yaml_tree.pairs(yaml_tree.get(root, "pipelines")):
            _bitbucket(node, text, findings, walk, releases_only=name == "tags", depth=0)
    return findings


def _bitbucket(
    node: Node, text: str, findings: Findings, walk: yaml_tree.Walk, *, releases_only: bool, depth: int
) -> None:
    walk.step()
    if depth > 12:  # noqa: PLR2004 - pipelines, branches, steps, parallel, stages
        return
    if yaml_tree.is_sequence(node):
        for one in yaml_tree.elements(node):
            _bitbucket(one, text, findings, walk, releases_only=releases_only, depth=depth + 1)
        return
    for key, value in yaml_tree.pairs(node):
        if key in {"script", "after-script"}:
            _bitbucket_script(value, text, findings, releases_only=releases_only)
        elif key not in {"image", "services", "caches", "artifacts"}:
            _bitbucket(value, text, findings, walk, releases_only=releases_only or key == "tags", depth=depth + 1)


def _bitbucket_script(node: Node, text: str, findings: Findings, *, releases_only: bool) -> None:
    known = variables.in_shell(variables.BITBUCKET, releases_only=releases_only)
    script = Script(known, releases_only=releases_only)
    lines: list[passages.Passage] = []
    for one in yaml_tree.elements(node):
        if not yaml_tree.is_mapping(one):
            lines.append(yaml_tree.passage(one, text))
            continue
        findings.follow(script, passages.join(lines))
        lines = []
        if "aws-ecr-push-image" in yaml_tree.word(yaml_tree.get(one, "pipe")):
            _ecr_pipe(one, text, findings, script)
    findings.follow(script, passages.join(lines))


def _ecr_pipe(node: Node, text: str, findings: Findings, script: Script) -> None:
    def value(key: str) -> Values:
        given = yaml_tree.get(node, "variables", key)
        if given is None:
            return EMPTY
        return template(
            yaml_tree.passage(given, text),
            VARIABLE,
            lambda name, span: environment(name, script.known, script.names, span),
            "yaml",
        )

    image, tags = value("IMAGE_NAME"), value("TAGS")
    place = yaml_tree.place(yaml_tree.get(node, "variables", "TAGS") or node)
    texts = [one for given in tags for one in words_of(given)]
    for tag in texts:
        findings.add([Push(image[0], tag, "atlassian/aws-ecr-push-image", place, references.span_of(tag))])
    if not texts:
        findings.add(references.pushes(concatenate([image])[0], "atlassian/aws-ecr-push-image", place))
