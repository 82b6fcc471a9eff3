"""CI systems that need no more than their scripts: Travis, Drone, Woodpecker, Buildkite, Semaphore, AppVeyor, Task.

This file alone knows under which keys such systems keep commands, and the plugin of Drone that pushes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import references, variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.passage import join
from holdfast.pin.pushes.push import Push
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import Values, literal, unknown, words_of
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.yaml_tree import Node

_MAX_DEPTH: Final = 25
_SCRIPT_KEYS: Final = frozenset(
    {"script", "before_script", "after_script", "after_success", "before_install", "install", "before_deploy", "deploy",
     "after_deploy", "commands", "command", "run", "cmds", "build_script", "deploy_script"}
)  # fmt: skip


def read(text: str) -> Findings:
    """Read what is a list of commands under a well-known key: Travis, Drone, Woodpecker, Buildkite, AppVeyor, Task."""
    findings = Findings("other")
    walk = yaml_tree.Walk()
    for root in yaml_tree.documents(text):
        _scripts(root, text, findings, walk, 0)
    return findings


def _scripts(node: Node, text: str, findings: Findings, walk: yaml_tree.Walk, depth: int) -> None:
    walk.step()
    if depth > _MAX_DEPTH:
        return
    if yaml_tree.is_sequence(node):
        for one in yaml_tree.elements(node):
            _scripts(one, text, findings, walk, depth + 1)
        return
    entries = dict(yaml_tree.pairs(node))
    settings = entries.get("settings")
    if "plugins/" in yaml_tree.word(entries.get("image")) and yaml_tree.get(settings, "repo") is not None:
        _drone_plugin(settings, text, findings)
    for key, value in entries.items():
        if key in _SCRIPT_KEYS and not yaml_tree.is_mapping(value):
            lines = [one for one in yaml_tree.flat(value) if not yaml_tree.is_mapping(one)]
            if lines:
                script = Script(variables.SHELL)
                findings.follow(script, join([yaml_tree.passage(one, text) for one in lines]))
        _scripts(value, text, findings, walk, depth + 1)


def _drone_plugin(settings: Node | None, text: str, findings: Findings) -> None:
    repository = yaml_tree.word(yaml_tree.get(settings, "repo"))
    tags = yaml_tree.get(settings, "tags")
    pattern = re.compile(r"\$\{(\w+)[^}]*\}")
    for one in yaml_tree.elements(tags):
        for given in template(yaml_tree.passage(one, text), pattern, _drone_variable, "yaml"):
            for tag in words_of(given):
                span = references.span_of(tag)
                findings.add([Push(literal(repository), tag, "plugins/docker", yaml_tree.place(one), span)])
    if tags is None and yaml_tree.word(yaml_tree.get(settings, "auto_tag")) != "true":
        place = yaml_tree.place(settings) if settings is not None else 0
        findings.add([Push(literal(repository), literal("latest"), "plugins/docker", place, implied=True)])


def _drone_variable(name: str, span: Span | None) -> Values:
    meaning = variables.SHELL.get(name)
    if meaning is None:
        return (unknown(f"${name}", "is not set in this file"),)
    return ((replace(meaning.part(f"${name}"), span=span, setting="yaml"),),)
