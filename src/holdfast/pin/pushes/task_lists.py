"""CI systems whose pipelines are tasks with inputs: Azure Pipelines and Cloud Build.

This file alone knows their steps, variables and tasks that push. Sources: Microsoft "YAML schema reference" and
"Docker@2"; Google "Build configuration file schema".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import references, variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.passage import single_dollars
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.push import Push
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import Part, Repetition, Values, cut, literal, shown, unknown, words_of
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.yaml_tree import Node

_MACRO: Final = re.compile(r"\$\(([\w.:-]+)\)|\$\{\{\s*([^}]*?)\s*\}\}|\$\[\s*([^\]]*?)\s*\]")
_TEMPLATE: Final = re.compile(r"\$\{\{\s*([^}]*?)\s*\}\}")
_MACRO_IN_SCRIPT: Final = re.compile(r"\$\(([A-Za-z][\w.]*)\)")
_MAX_DEPTH: Final = 25
_SCRIPTS: Final = ("script", "bash", "pwsh", "powershell")
_SCRIPT_TASKS: Final = {"bash@3": "script", "cmdline@2": "script", "azurecli@2": "inlineScript", "shellscript@2": "",
                        "azurecli@1": "inlineScript", "awsshellscript@1": "inlineScript"}  # fmt: skip


class AzureReader:
    """One file of Azure Pipelines."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.findings = Findings("azure")
        self._walk = yaml_tree.Walk()
        self._known = variables.in_shell({**variables.AZURE_IN_SHELL})
        self._parameters: dict[str, Values] = {}

    def read(self, root: Node) -> Findings:
        """Read a pipeline or a template."""
        for one in yaml_tree.elements(yaml_tree.get(root, "parameters")):
            name, default = yaml_tree.word(yaml_tree.get(one, "name")), yaml_tree.get(one, "default")
            if name and default is not None:
                self._parameters[name] = self._value(default, {})
        self._visit(root, {}, 0)
        return self.findings

    def _visit(self, node: Node, names: dict[str, Values], depth: int) -> None:
        self._walk.step()
        if depth > _MAX_DEPTH:
            return
        if yaml_tree.is_sequence(node):
            for one in yaml_tree.elements(node):
                self._visit(one, names, depth + 1)
            return
        if not yaml_tree.is_mapping(node):
            return
        inner = {**names, **self._variables(yaml_tree.get(node, "variables"), names)}
        entries = dict(yaml_tree.pairs(node))
        for key in _SCRIPTS:
            if key in entries and not yaml_tree.is_sequence(entries[key]):
                self._script(entries[key], entries.get("env"), inner, names)
        if "task" in entries:
            self._task(yaml_tree.word(entries["task"]).lower(), entries, inner, names)
        for key, value in entries.items():
            if key not in {"variables", "inputs", "env", "parameters", *_SCRIPTS}:
                self._visit(value, inner, depth + 1)

    def _variables(self, node: Node | None, names: dict[str, Values]) -> dict[str, Values]:
        found: dict[str, Values] = {}
        if yaml_tree.is_mapping(node):
            for key, value in yaml_tree.pairs(node):
                found[key] = self._value(value, {**names, **found})
        else:
            for one in yaml_tree.elements(node):
                name = yaml_tree.word(yaml_tree.get(one, "name"))
                if name and yaml_tree.get(one, "value") is not None:
                    found[name] = self._value(yaml_tree.get(one, "value"), {**names, **found})
        return found

    def _value(self, node: Node | None, names: Mapping[str, Values]) -> Values:
        return template(yaml_tree.passage(node, self._text), _MACRO, lambda n, s: self._macro(n, names, s), "yaml")

    def _macro(self, name: str, names: Mapping[str, Values], span: Span | None) -> Values:
        name = name.strip()
        if name.startswith("parameters."):
            return self._parameters.get(name[11:], (unknown(name, "is a parameter that somebody gives"),))
        indexed = re.fullmatch(r"variables(?:\.|\[')([\w.]+)(?:'\])?", name)
        name = indexed.group(1) if indexed else name
        if name in names:
            return names[name]
        meaning = next((row for key, row in variables.AZURE.items() if key.lower() == name.lower()), None)
        if meaning is None:
            if name.lower().startswith("date:"):
                return ((variables.Meaning(Repetition.REUSED, "is a date").part(f"$({name})"),),)
            return ((Part(f"$({name})", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)
        return ((replace(meaning.part(f"$({name})"), span=span, setting="yaml"),),)

    def _script(self, node: Node, env: Node | None, names: dict[str, Values], outer: dict[str, Values]) -> None:
        own = {name.upper().replace(".", "_"): values for name, values in names.items()}
        own |= {key: self._value(value, names) for key, value in yaml_tree.pairs(env)}
        placeholders = Placeholders()
        passage = yaml_tree.passage(node, self._text)
        for pattern in (_TEMPLATE, _MACRO_IN_SCRIPT):
            passage = placeholders.put(passage, pattern, lambda name, span: self._macro(name, names, span))
        script = self.findings.follow(Script(self._known, own, placeholders), passage)
        outer.update(script.outputs)

    def _task(self, task: str, entries: dict[str, Node], names: dict[str, Values], outer: dict[str, Values]) -> None:
        inputs = {key.lower(): value for key, value in yaml_tree.pairs(entries.get("inputs"))}
        place = yaml_tree.place(entries["task"])
        if task in _SCRIPT_TASKS and inputs.get(_SCRIPT_TASKS[task].lower()) is not None:
            self._script(inputs[_SCRIPT_TASKS[task].lower()], entries.get("env"), names, outer)
        elif task.startswith("docker@"):
            self._docker(task, inputs, place, names)
        elif task.startswith("ecrpushimage@"):
            repository = self._value(inputs.get("repositoryname"), names)[0]
            tags = self._value(inputs["pushtag"], names) if "pushtag" in inputs else (literal("latest"),)
            at = yaml_tree.place(inputs["pushtag"]) if "pushtag" in inputs else place
            self.findings.add([Push(repository, tag, "ECRPushImage", at, references.span_of(tag)) for tag in tags])
        elif task.startswith("dockercompose@") and "push" in yaml_tree.word(inputs.get("action")).lower():
            tag = unknown("compose", "has the tags that the Compose file says")
            self.findings.add([Push((), tag, "DockerCompose", place)])

    def _docker(self, task: str, inputs: dict[str, Node], place: int, names: dict[str, Values]) -> None:
        command = yaml_tree.word(inputs.get("command")).lower()
        command = (
            command or yaml_tree.word(inputs.get("action")).lower() or ("buildandpush" if task == "docker@2" else "")
        )
        if "push" not in command:
            return
        if task != "docker@2":
            node = inputs.get("imagename")
            for text in self._value(node, names) if node is not None else ():
                self.findings.add(references.pushes(text, "Docker task", place))
            if yaml_tree.word(inputs.get("includelatesttag")).lower() == "true" and node is not None:
                repository = references.repository_of(self._value(node, names)[0])
                self.findings.add([Push(repository, literal("latest"), "Docker task", place)])
            return
        repository = self._value(inputs["repository"], names)[0] if "repository" in inputs else ()
        node = inputs.get("tags")
        if node is None:
            default = (variables.RUN.part("$(Build.BuildId)"),)
            self.findings.add([Push(repository, default, "Docker@2", place)])
            return
        for text in self._value(node, names):
            for tag in words_of(text):
                at = references.place_within(tag, yaml_tree.bounds(node))
                self.findings.add([Push(repository, tag, "Docker@2", at, references.span_of(tag))])


def read_azure(text: str) -> Findings:
    """Read a file of Azure Pipelines."""
    findings = Findings("azure")
    for root in yaml_tree.documents(text)[:1]:
        findings = AzureReader(text).read(root)
    return findings


# Cloud Build

_SUBSTITUTION: Final = re.compile(r"\$\$|\$\{(\w+)[^}]*\}|\$([A-Z_][A-Z0-9_]*)")
_PROGRAMS: Final = {"docker": "docker", "kaniko": "executor", "executor": "executor", "gcloud": "gcloud",
                    "crane": "crane", "gcrane": "gcrane", "skopeo": "skopeo", "buildah": "buildah", "ko": "ko",
                    "helm": "helm", "mvn": "mvn", "gradle": "gradle", "pack": "pack", "oras": "oras",
                    "cosign": "cosign", "podman": "podman", "gcb-docker-gcloud": "docker"}  # fmt: skip


def read_cloud_build(text: str) -> Findings:
    """Read a build of Cloud Build."""
    findings = Findings("cloudbuild")
    for root in yaml_tree.documents(text)[:1]:
        names: dict[str, Values] = {}
        known = variables.in_shell(variables.CLOUD_BUILD)

        def value(node: Node | None, names: dict[str, Values] = names) -> Values:
            return template(
                yaml_tree.passage(node, text), _SUBSTITUTION, lambda n, s: _substituted(n, names, s), "yaml"
            )

        for name, default in yaml_tree.pairs(yaml_tree.get(root, "substitutions")):
            if name not in variables.CLOUD_BUILD:
                names[name] = value(default)
        for step in yaml_tree.elements(yaml_tree.get(root, "steps")):
            _cloud_build_step(step, text, findings, {**known}, names, value)
        images = yaml_tree.get(root, "images")
        for one in yaml_tree.elements(images):
            for reference in value(one):
                findings.add(references.pushes(reference, "images", yaml_tree.place(one)))
    return findings


def _substituted(name: str, names: Mapping[str, Values], span: Span | None) -> Values:
    if name == "$$":
        return (literal("$"),)
    if name in names:
        return names[name]
    meaning = variables.CLOUD_BUILD.get(name)
    if meaning is None:
        return (
            (Part(f"${name}", Repetition.UNKNOWN, "is a substitution without a default", literal=False, span=span),),
        )
    return ((replace(meaning.part(f"${name}"), span=span, setting="yaml"),),)


def _cloud_build_step(
    step: Node, text: str, findings: Findings, known: dict[str, variables.Meaning], names: dict[str, Values],
    value: Callable[[Node | None], Values],
) -> None:  # fmt: skip
    entrypoint = yaml_tree.word(yaml_tree.get(step, "entrypoint")).rsplit("/", 1)[-1]
    image = yaml_tree.word(yaml_tree.get(step, "name")).partition("@")[0]
    builder = image.rsplit("/", 1)[-1].partition(":")[0]
    own = dict(names)
    for one in yaml_tree.elements(yaml_tree.get(step, "env")):
        values = value(one)
        name = shown(values[0]).partition("=")[0]
        own[name] = tuple(cut(text, len(name) + 1) for text in values)
    script = yaml_tree.get(step, "script")
    arguments = yaml_tree.elements(yaml_tree.get(step, "args"))
    if script is not None:
        findings.follow(Script(known, own), yaml_tree.passage(script, text))
    elif entrypoint in {"bash", "sh", "ash"} or builder in {"bash", "sh"}:
        body = next((one for one in reversed(arguments) if len(yaml_tree.word(one)) > 3), None)  # noqa: PLR2004
        if body is not None:
            placeholders = Placeholders()
            passage = placeholders.put(
                yaml_tree.passage(body, text),
                re.compile(r"(?<!\$)\$\{?([A-Z_][A-Z0-9_]*)\}?"),
                lambda name, span: own.get(name, _substituted(name, own, span)),
            )
            findings.follow(Script(known, own, placeholders), single_dollars(passage))
    else:
        program = entrypoint or _PROGRAMS.get(builder, builder)
        words: list[Values] = [(literal(program),), *(value(one) for one in arguments)]
        findings.words(words, yaml_tree.bounds(step), own)
