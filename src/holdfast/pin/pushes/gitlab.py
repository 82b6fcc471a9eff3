"""GitLab CI: `.gitlab-ci.yml` and its kin to pushes.

This file alone knows jobs, `extends`, `default`, `variables`, `!reference` and `rules`. A script follows in one shell:
before_script, script, after_script. What `include` brings is not here. Source: GitLab docs, "CI/CD YAML syntax
reference".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import passage as passages
from holdfast.pin.pushes import variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import Values, union
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.yaml_tree import Node

_NO_JOBS: Final = frozenset(
    {"variables", "default", "stages", "include", "workflow", "image", "services", "cache", "spec", "before_script",
     "after_script"}
)  # fmt: skip
_VARIABLE: Final = re.compile(r"\$\$|\$\{(\w+)\}|\$(\w+)")
_MAX_EXTENDS: Final = 11
"""Levels of `extends`. Source: GitLab docs, "extends"."""
_TAGS_ONLY: Final = re.compile(r"^\s*\$CI_COMMIT_TAG(\s*(=~|!=\s*(null|\"\")).*)?\s*(&&.*)?$")


class Reader:
    """One file of GitLab CI."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._jobs: dict[str, Node] = {}
        self._walk = yaml_tree.Walk()
        self.findings = Findings("gitlab")
        self._variables: dict[str, Values] = {}

    def read(self, roots: list[Node]) -> Findings:
        """Read a file's documents."""
        for root in roots:
            self._jobs.update(yaml_tree.pairs(root))
        self._set(self._jobs.get("variables"), self._variables, {})
        default = self._jobs.get("default")
        for name, job in self._jobs.items():
            if name in _NO_JOBS or name.startswith(".") or not yaml_tree.is_mapping(job):
                continue
            chain = self._chain(job, 0)
            self._job(chain, default)
        return self.findings

    def _chain(self, job: Node, depth: int) -> list[Node]:
        """Return a job and what it extends, nearest first."""
        self._walk.step()
        found = [job]
        if depth < _MAX_EXTENDS:
            for name in reversed(yaml_tree.elements(yaml_tree.get(job, "extends"))):
                parent = self._jobs.get(yaml_tree.word(name))
                if parent is not None:
                    found += self._chain(parent, depth + 1)
        return found

    def _first(self, chain: list[Node], key: str) -> Node | None:
        return next((node for one in chain if (node := yaml_tree.get(one, key)) is not None), None)

    def _job(self, chain: list[Node], default: Node | None) -> None:
        releases_only = self._is_for_tags(chain)
        names = dict(self._variables)
        for one in reversed(chain):
            self._set(yaml_tree.get(one, "variables"), names, names)
        self._choices(chain, names)
        if releases_only:
            names = {name: variables.at_release(values) for name, values in names.items()}
        lines: list[passages.Passage] = []
        for key in ("before_script", "script", "after_script"):
            node = self._first(chain, key)
            if node is None and key != "script":
                node = yaml_tree.get(default, key) or self._jobs.get(key)
            lines += [yaml_tree.passage(line, self._text) for line in self._lines(node, 0)]
        if not lines:
            return
        known = variables.in_shell(variables.GITLAB, releases_only=releases_only)
        self.findings.follow(Script(known, names, releases_only=releases_only), passages.join(lines))

    def _choices(self, chain: list[Node], names: dict[str, Values]) -> None:
        """Take in variables that rules and matrices set: each is one more value."""
        for rule in yaml_tree.elements(self._first(chain, "rules")):
            found: dict[str, Values] = {}
            self._set(yaml_tree.get(rule, "variables"), found, names)
            for name, values in found.items():
                names[name] = union(names[name], values) if name in names else values
        for row in yaml_tree.elements(yaml_tree.get(self._first(chain, "parallel"), "matrix")):
            for name, cells in yaml_tree.pairs(row):
                values = union(*(self._value(cell, names) for cell in yaml_tree.elements(cells)))
                names[name] = union(names[name], values) if name in names else values

    def _lines(self, node: Node | None, depth: int) -> list[Node]:
        """Return a script's lines; `!reference [job, script]` is put in."""
        found: list[Node] = []
        if node is not None and yaml_tree.tag_of(node) == "!reference" and depth < _MAX_EXTENDS:
            path = [yaml_tree.word(one) for one in yaml_tree.elements(node)]
            target = self._jobs.get(path[0]) if path else None
            return self._lines(yaml_tree.get(target, *path[1:]), depth + 1)
        for one in yaml_tree.elements(node):
            self._walk.step()
            if yaml_tree.is_sequence(one) and depth < _MAX_EXTENDS:
                found += self._lines(one, depth + 1)
            elif not yaml_tree.is_sequence(one) and not yaml_tree.is_mapping(one):
                found.append(one)
        return found

    def _set(self, node: Node | None, into: dict[str, Values], names: dict[str, Values]) -> None:
        for name, value in yaml_tree.pairs(node):
            self._walk.step()
            given = yaml_tree.get(value, "value") if yaml_tree.is_mapping(value) else value
            if given is not None:
                into[name] = self._value(given, {**names, **into})

    def _value(self, node: Node, names: dict[str, Values]) -> Values:
        def evaluate(name: str, span: Span | None) -> Values:
            return variables_value(name, names, span)

        return template(yaml_tree.passage(node, self._text), _VARIABLE, evaluate, "yaml")

    def _is_for_tags(self, chain: list[Node]) -> bool:
        only = self._first(chain, "only")
        refs = yaml_tree.get(only, "refs") or only
        words = [yaml_tree.word(one) for one in yaml_tree.elements(refs) if not yaml_tree.is_mapping(one)]
        if words:
            return all(word == "tags" for word in words)
        rules = [
            yaml_tree.word(yaml_tree.get(rule, "if"))
            for rule in yaml_tree.elements(self._first(chain, "rules"))
            if yaml_tree.word(yaml_tree.get(rule, "when")) != "never"
        ]
        return bool(rules) and all(_TAGS_ONLY.match(rule) for rule in rules)


def variables_value(name: str, names: dict[str, Values], span: Span | None) -> Values:
    """Return what `$NAME` in a setting stands for."""
    from holdfast.pin.pushes.tag import Part, Repetition  # noqa: PLC0415

    if name == "$$":
        return ((Part("$"),),)
    if name in names:
        return names[name]
    meaning = variables.GITLAB.get(name)
    if meaning is None:
        return ((Part(f"${name}", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)
    part = meaning.part(f"${name}")
    return ((Part(part.text, part.repetition, part.reason, literal=False, span=span, optional=part.optional,
                  whole=part.whole, setting="yaml"),),)  # fmt: skip
