"""Kubernetes documents that push: Tekton's tasks and pipelines, Argo's workflows, jobs that run kaniko.

This file alone knows their steps and parameters. Sources: Tekton "Tasks" and "Pipelines"; the catalogue's tasks kaniko,
buildah, buildpacks, jib; Argo Workflows "Fields".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import references, variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import Part, Repetition, Values, literal
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.yaml_tree import Node

_PARAM: Final = re.compile(r"\$\(([\w.\[\]\"'-]+)\)|\{\{([^{}]+)\}\}")
_IN_SCRIPT: Final = re.compile(r"\$\(((?:params|context|tasks|inputs)\.[\w.-]+)\)|\{\{([^{}]+)\}\}")
_PUSHING_TASKS: Final = {"kaniko": "IMAGE", "buildah": "IMAGE", "buildpacks": "APP_IMAGE", "jib-maven": "IMAGE",
                         "jib-gradle": "IMAGE", "s2i": "IMAGE", "img": "IMAGE", "ko": "image", "buildkit": "IMAGE",
                         "buildpacks-phases": "APP_IMAGE", "kaniko-trusted": "IMAGE"}  # fmt: skip
"""Task of the catalogue -> the parameter that names what it pushes."""
_HOLDERS: Final = (("spec",), ("spec", "pipelineSpec"), ("spec", "taskSpec"), ("spec", "arguments"))
_MAX_DEPTH: Final = 25


class Reader:
    """One file of documents."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.findings = Findings("tekton")
        self._walk = yaml_tree.Walk()
        self._params: dict[str, Values] = {}

    def read(self) -> Findings:
        """Read every document."""
        for root in yaml_tree.documents(self._text):
            self._params = {}
            for holder in _HOLDERS:
                for key in ("params", "parameters"):
                    for one in yaml_tree.elements(yaml_tree.get(root, *holder, key)):
                        default = yaml_tree.get(one, "default") or yaml_tree.get(one, "value")
                        name = yaml_tree.word(yaml_tree.get(one, "name"))
                        if name and yaml_tree.word(default):
                            self._params[name] = self._value(default)
            self._visit(root, 0)
        return self.findings

    def _visit(self, node: Node, depth: int) -> None:
        self._walk.step()
        if depth > _MAX_DEPTH:
            return
        if yaml_tree.is_sequence(node):
            for one in yaml_tree.elements(node):
                self._visit(one, depth + 1)
            return
        entries = dict(yaml_tree.pairs(node))
        self._task(entries, node)
        for key in ("script", "source"):
            if key in entries and yaml_tree.word(entries[key]):
                placeholders = Placeholders()
                passage = placeholders.put(yaml_tree.passage(entries[key], self._text), _IN_SCRIPT, self._evaluate)
                self.findings.follow(Script(variables.SHELL, {}, placeholders), passage)
        if "image" in entries and ("args" in entries or "command" in entries):
            self._container(entries, node)
        for key, value in entries.items():
            if key not in {"script", "source"}:
                self._visit(value, depth + 1)

    def _task(self, entries: dict[str, Node], node: Node) -> None:
        task = yaml_tree.word(yaml_tree.get(entries.get("taskRef"), "name"))
        for one in yaml_tree.elements(entries.get("params")) if task in _PUSHING_TASKS else []:
            if yaml_tree.word(yaml_tree.get(one, "name")) != _PUSHING_TASKS[task]:
                continue
            value = yaml_tree.get(one, "value")
            for reference in self._value(value):
                self.findings.add(references.pushes(reference, f"task {task}", yaml_tree.place(value or node)))

    def _container(self, entries: dict[str, Node], node: Node) -> None:
        """Read the words of a container: a command with arguments, or a script that a shell is handed."""
        nodes = [one for key in ("command", "args") for one in yaml_tree.elements(entries.get(key))]
        first = yaml_tree.word(nodes[0]).rsplit("/", 1)[-1] if nodes else ""
        if first in {"sh", "bash", "ash"}:
            body = next((one for one in nodes[1:] if not yaml_tree.word(one).startswith("-")), None)
            if body is not None:
                placeholders = Placeholders()
                passage = placeholders.put(yaml_tree.passage(body, self._text), _IN_SCRIPT, self._evaluate)
                self.findings.follow(Script(variables.SHELL, {}, placeholders), passage)
            return
        words = [self._value(one) for one in nodes]
        if "kaniko" in yaml_tree.word(entries["image"]) and not first.endswith("executor"):
            words.insert(0, (literal("/kaniko/executor"),))
        if words:
            self.findings.words(words, yaml_tree.bounds(node), {})

    def _value(self, node: Node | None) -> Values:
        return template(yaml_tree.passage(node, self._text), _PARAM, self._evaluate, "yaml")

    def _evaluate(self, name: str, span: Span | None) -> Values:
        name = name.strip()
        key = re.sub(r"^(inputs\.|workflow\.)?param(eter)?s\.", "", name)
        if key in self._params:
            return self._params[key]
        meaning = variables.TEKTON.get(name)
        if meaning is not None:
            return ((replace(meaning.part(f"$({name})"), span=span, setting="yaml"),),)
        if ".results." in name and re.search(r"(commit|sha|revision)$", name, re.IGNORECASE):
            return ((variables.SHA.part(f"$({name})"),),)
        return ((Part(f"$({name})", Repetition.UNKNOWN, "is what a run gives", literal=False, span=span),),)


def read(text: str) -> Findings:
    """Read Kubernetes documents."""
    return Reader(text).read()
