"""GitHub Actions: workflows and composite actions to pushes.

This file alone knows jobs, steps, contexts and the actions that push (a table below). Expressions, scripts and
metadata-action's rules have files of their own. Source: GitHub docs "Workflow syntax"; each action's `action.yml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import github_expressions, metadata_action, references, variables, yaml_tree
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.push import Push
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import EMPTY, Part, Repetition, Text, Values, literal, shown, union, unknown, words_of
from holdfast.pin.pushes.templating import template

if TYPE_CHECKING:
    from holdfast.pin.pushes.passage import Span
    from holdfast.pin.pushes.yaml_tree import Node

_BUILDER: Final = "docker/github-builder/.github/workflows/"
_FOR_TAGS: Final = re.compile(r"refs/tags/|github\.ref_type\s*==\s*'tag'|event_name\s*==\s*'release'")
_NO_REQUESTS: Final = re.compile(r"event_name\s*(!=\s*'pull_request'|==\s*'push')|refs/heads/|refs/tags/")
_METADATA_FILE: Final = re.compile(r"DOCKER_METADATA_OUTPUT_JSON|docker-metadata-action")
_NEGATED: Final = re.compile(r"!\s*startsWith|ref_type\s*!=|\|\|")


@dataclass(frozen=True, slots=True)
class Pusher:
    """An action that pushes: which inputs name the repository and the tags, and what it does without them."""

    image: str
    tags: str
    default: str = "latest"
    registry: str = "registry"
    only_if: str = ""
    """The input that has to be on."""


BUILD_PUSH: Final = ("docker/build-push-action", "depot/build-push-action", "useblacksmith/build-push-action",
                     "int128/kaniko-action", "namespacelabs/nscloud-build-action")  # fmt: skip

PUSHERS: Final[dict[str, Pusher]] = {
    "redhat-actions/push-to-registry": Pusher("image", "tags"),
    "elgohr/publish-docker-github-action": Pusher("name", "tags", default="branch"),
    "mr-smithers-excellent/docker-build-push": Pusher("image", "tags", default="sha"),
    "whoan/docker-build-with-cache-action": Pusher("image_name", "image_tag"),
    "aevea/action-kaniko": Pusher("image", "tag"),
    "outillage/action-kaniko": Pusher("image", "tag"),
    "jerray/publish-docker-action": Pusher("repository", "tags"),
    "vitorscarvalho/docker-build-push": Pusher("image", "tag"),
    "kciter/aws-ecr-action": Pusher("repo", "tags"),
    "appleboy/docker-ecr-action": Pusher("repo", "tags"),
    "macbre/push-to-ghcr": Pusher("image_name", "image_tag", registry=""),
}
"""Actions that take repository and tags apart. Source: each one's action.yml."""

_DEFAULTS: Final[dict[str, Part]] = {
    "latest": Part("latest"),
    "branch": variables.BRANCH.part("the branch, or latest on the default branch,"),
    "sha": variables.SHORT_SHA.part("branch-SHA"),
}


@dataclass(slots=True)
class _Step:
    """What a later step may ask of an earlier one."""

    outputs: dict[str, Values] = field(default_factory=dict)
    tags: Values = ()
    images: Values = ()


@dataclass(slots=True)
class _Job:
    """Where a step runs: what its expressions can see."""

    env: dict[str, Values]
    matrix: dict[str, Values] = field(default_factory=dict)
    steps: dict[str, _Step] = field(default_factory=dict)
    releases_only: bool = False
    never_tags: bool = False
    """Whether the step is not run for tags of git."""
    metadata: Values = ()
    never_requests: bool = False
    """Whether nothing is pushed for pull requests."""


class Reader:
    """One workflow or composite action."""

    def __init__(self, text: str, system: str = "github") -> None:
        self._text = text
        self.findings = Findings(system)
        self._inputs: dict[str, Values] = {}
        self._needs: dict[str, dict[str, Values]] = {}
        self._walk = yaml_tree.Walk()
        self._events: set[str] = set()
        self._metadata_tags: Values = ()

    def read(self, root: Node) -> Findings:
        """Read a document."""
        on = yaml_tree.get(root, "on")
        self._events = _events(on)
        releases_only = _starts_for_tags_only(on)
        for source in (yaml_tree.get(root, "inputs"), yaml_tree.get(on, "workflow_dispatch", "inputs"),
                       yaml_tree.get(on, "workflow_call", "inputs")):  # fmt: skip
            self._read_inputs(source)
        env: dict[str, Values] = {}
        job = _Job(env, releases_only=releases_only)
        self._environment(yaml_tree.get(root, "env"), job)
        if yaml_tree.get(root, "runs") is not None:
            for step in yaml_tree.elements(yaml_tree.get(root, "runs", "steps")):
                self._step(step, job)
        for name, node in self._ordered(yaml_tree.get(root, "jobs")):
            self._job(name, node, job)
        return self.findings

    def _read_inputs(self, node: Node | None) -> None:
        for name, given in yaml_tree.pairs(node):
            values: Values = (unknown(f"inputs.{name}", "is what somebody enters"),)
            default = yaml_tree.get(given, "default")
            if yaml_tree.word(default):
                said = self._values(default, _Job({}))
                values = union(said, values) if yaml_tree.word(yaml_tree.get(given, "type")) != "choice" else said
            self._inputs[name] = values

    @staticmethod
    def _ordered(jobs: Node | None) -> list[tuple[str, Node]]:
        """Return jobs so that each comes after those it needs, as far as the file has them in some order."""
        waiting = dict(yaml_tree.pairs(jobs))
        done: list[tuple[str, Node]] = []
        while waiting:
            ready = [
                name
                for name, node in waiting.items()
                if not any(yaml_tree.word(one) in waiting for one in yaml_tree.elements(yaml_tree.get(node, "needs")))
            ]
            done += [(name, waiting.pop(name)) for name in ready or list(waiting)]
        return done

    def _job(self, name: str, node: Node, above: _Job) -> None:
        self._walk.step()
        job = _Job(dict(above.env), releases_only=above.releases_only or _is_for_tags(yaml_tree.get(node, "if")))
        self._matrix(yaml_tree.get(node, "strategy", "matrix"), job)
        self._environment(yaml_tree.get(node, "env"), job)
        if yaml_tree.word(yaml_tree.get(node, "uses")).startswith(_BUILDER):
            self._builder(node, job)
        for step in yaml_tree.elements(yaml_tree.get(node, "steps")):
            self._step(step, job)
        outputs = {key: self._values(value, job) for key, value in yaml_tree.pairs(yaml_tree.get(node, "outputs"))}
        self._needs[name] = outputs

    def _matrix(self, node: Node | None, job: _Job) -> None:
        found: dict[str, Values] = {}
        for key, value in yaml_tree.pairs(node):
            if key == "include":
                for row in yaml_tree.elements(value):
                    for inner, cell in yaml_tree.pairs(row):
                        self._cell(inner, cell, found, job)
            elif key != "exclude":
                for cell in yaml_tree.elements(value):
                    self._cell(key, cell, found, job)
        job.matrix = found

    def _cell(self, key: str, cell: Node, found: dict[str, Values], job: _Job) -> None:
        self._walk.step()
        if yaml_tree.is_mapping(cell):
            for inner, value in yaml_tree.pairs(cell):
                self._cell(f"{key}.{inner}", value, found, job)
        elif yaml_tree.word(cell):
            values = self._values(cell, job)
            found[key] = union(found[key], values) if key in found else values

    def _environment(self, node: Node | None, job: _Job) -> None:
        for key, value in yaml_tree.pairs(node):
            job.env[key] = self._values(value, job)

    def _step(self, node: Node, job: _Job) -> None:
        self._walk.step()
        before = job.releases_only
        job.releases_only = before or _is_for_tags(yaml_tree.get(node, "if"))
        job.never_tags = "!startsWith(github.ref,'refs/tags" in yaml_tree.word(yaml_tree.get(node, "if")).replace(
            " ", ""
        )
        outer = job.env
        job.env = dict(outer)
        if job.releases_only:
            job.env = {name: variables.at_release(values) for name, values in outer.items()}
        self._environment(yaml_tree.get(node, "env"), job)
        step = _Step()
        uses = yaml_tree.word(yaml_tree.get(node, "uses"))
        run = yaml_tree.get(node, "run")
        if run is not None:
            written = self._run(run, step, job)
            outer.update(written)
        elif uses:
            self._uses(uses.partition("@")[0].lower(), node, step, job)
        name = yaml_tree.word(yaml_tree.get(node, "id"))
        if name:
            job.steps[name] = step
        job.env, job.releases_only = outer, before

    def _run(self, node: Node, step: _Step, job: _Job) -> dict[str, Values]:
        placeholders = Placeholders()
        passage = placeholders.put(
            yaml_tree.passage(node, self._text),
            github_expressions.EXPRESSION,
            lambda expression, span: self._evaluate(expression, span, job),
        )
        known = variables.in_shell(variables.GITHUB, releases_only=job.releases_only)
        names = {**job.env}
        if job.metadata:
            names["DOCKER_METADATA_OUTPUT_TAGS"] = job.metadata
        script = Script(known, names, placeholders, releases_only=job.releases_only)
        self.findings.follow(script, passage)
        if "imagetools create" in passage.text and _METADATA_FILE.search(passage.text):
            at = passage.place(passage.text.index("imagetools create"))
            self._references(job.metadata or self._metadata_tags, "docker buildx imagetools create", (at, at))
        step.outputs.update(script.outputs)
        return script.outputs if "GITHUB_ENV" in passage.text or "::set-env" in passage.text else {}

    # Actions

    def _uses(self, action: str, node: Node, step: _Step, job: _Job) -> None:
        inputs = dict(yaml_tree.pairs(yaml_tree.get(node, "with")))
        place = yaml_tree.place(yaml_tree.get(node, "uses") or node)
        if action in {"docker/metadata-action", "crazy-max/ghaction-docker-meta"}:
            self._metadata(inputs, step, job)
        elif action in BUILD_PUSH:
            self._build_push(action, inputs, job)
        elif action == "docker/bake-action" and self._is_on(inputs.get("push")):
            self._bake(inputs, place, job)
        elif action in PUSHERS:
            self._pusher(action, PUSHERS[action], inputs, place, job)
        elif action == "docker/login-action" or action.startswith("aws-actions/amazon-ecr-login"):
            step.outputs["registry"] = ((variables.PLACE.part("registry"),),)

    def _is_on(self, node: Node | None) -> bool:
        """Tell whether an input is on, or may be: an expression is."""
        value = yaml_tree.word(node).strip().lower()
        return value == "true" or "${{" in value

    def _input(self, node: Node | None, job: _Job) -> Values:
        return self._values(node, job) if node is not None else EMPTY

    def _lines(self, node: Node | None, job: _Job) -> list[Text]:
        """Return the lines of an input that is a list by lines."""
        found: list[Text] = []
        for text in self._input(node, job):
            current: list[Part] = []
            for part in text:
                if part.text == "\n" and part.literal:
                    if shown(tuple(current)).strip():
                        found.append(tuple(current))
                    current = []
                else:
                    current.append(part)
            if shown(tuple(current)).strip():
                found.append(tuple(current))
        return [line for line in found if not shown(line).lstrip().startswith("#")]

    def _metadata(self, inputs: dict[str, Node], step: _Step, job: _Job) -> None:
        rules, flavor = self._lines(inputs.get("tags"), job), self._lines(inputs.get("flavor"), job)
        flavor = [_trimmed(line) for line in flavor]
        made = metadata_action.tags(
            [_trimmed(rule) for rule in rules], flavor, written=bool(rules), events=self._events
        )
        if job.releases_only:
            made = [tuple(_at_release(part) for part in text) for text in made]
        node = inputs.get("images")
        images = [one for text in self._input(node, job) for one in words_of(text)]
        step.images = tuple(images)
        step.tags = tuple((*image, *literal(":"), *tag) for image in images or [()] for tag in made)
        step.outputs["tags"] = step.tags
        for index, reference in enumerate(step.tags):
            step.outputs[f"tags-{index}"] = (reference,)
        step.outputs["version"] = tuple(made[:1]) or EMPTY
        job.metadata = (*job.metadata, *step.tags)
        self._metadata_tags = job.metadata

    def _build_push(self, action: str, inputs: dict[str, Node], job: _Job) -> None:
        outputs = shown(self._input(inputs.get("outputs"), job)[0])
        push = inputs.get("push")
        on = self._is_on(push) or (action == "int128/kaniko-action" and push is None)
        if "cache-to" in inputs:
            for line in self._input(inputs["cache-to"], job):
                self.findings.add(references.cache_setting(line, "cache-to", yaml_tree.place(inputs["cache-to"])))
        if not on and "push=true" not in outputs and "type=registry" not in outputs:
            return
        if "push-by-digest=true" in outputs:
            return
        tags = inputs.get("tags")
        if tags is None:
            return
        given = _for_condition(self._input(tags, job), self._conditioned(push, job))
        self._references(given, action, yaml_tree.bounds(tags))

    def _builder(self, node: Node, job: _Job) -> None:
        """Read a call of Docker's reusable workflows: metadata-action's rules, and whether it pushes."""
        inputs = dict(yaml_tree.pairs(yaml_tree.get(node, "with")))
        if not self._is_on(inputs.get("push")):
            return
        names = {"images": "meta-images", "tags": "meta-tags", "flavor": "meta-flavor"}
        step = _Step()
        self._metadata({key: inputs[name] for key, name in names.items() if name in inputs}, step, job)
        place = yaml_tree.place(yaml_tree.get(node, "uses") or node)
        given = _for_condition(step.tags, self._conditioned(inputs.get("push"), job))
        self._references(given, "docker/github-builder", (place, place))

    def _conditioned(self, push: Node | None, job: _Job) -> _Job:
        """Return the job as the condition of `push:` narrows it."""
        text = yaml_tree.word(push)
        for_tags = job.releases_only or (bool(_FOR_TAGS.search(text)) and not _NEGATED.search(text))
        return replace(job, releases_only=for_tags, never_requests=bool(_NO_REQUESTS.search(text)))

    def _bake(self, inputs: dict[str, Node], place: int, job: _Job) -> None:
        """Take the tags of metadata-action if its bake file is given; those of other files are not seen."""
        files = yaml_tree.word(inputs.get("files"))
        if "bake-file" in files and job.metadata:
            given = _for_condition(job.metadata, self._conditioned(inputs.get("push"), job))
            self._references(given, "docker/bake-action", (place, place))
            return
        tag = unknown("bake", "has the tags that the bake file says")
        self.findings.add([Push((), tag, "docker/bake-action", place)])

    def _references(self, values: Values, via: str, bounds: tuple[int, int]) -> None:
        for text in values:
            for reference in words_of(text):
                self.findings.add(references.pushes(reference, via, references.place_within(reference, bounds)))

    def _pusher(self, action: str, row: Pusher, inputs: dict[str, Node], place: int, job: _Job) -> None:
        image = self._input(inputs.get(row.image), job)[0]
        registry = self._input(inputs.get(row.registry), job)[0] if row.registry in inputs else ()
        repository = (*registry, *literal("/"), *image) if registry and shown(image) else image
        texts = self._input(inputs.get(row.tags), job) if row.tags in inputs else ()
        tags = [one for text in texts for one in words_of(text)]
        for tag in tags:
            if ":" in shown(tag) and "/" in shown(tag):
                self._references((tag,), action, yaml_tree.bounds(inputs[row.tags]))
                continue
            at = references.place_within(tag, yaml_tree.bounds(inputs[row.tags]))
            self.findings.add([Push(repository, tag, action, at, references.span_of(tag))])
        if not tags:
            default = (_DEFAULTS[row.default],)
            self.findings.add([Push(repository, default, action, place, implied=row.default == "latest")])

    # Expressions

    def _values(self, node: Node | None, job: _Job) -> Values:
        passage = yaml_tree.passage(node, self._text)
        return template(
            passage,
            github_expressions.EXPRESSION,
            lambda expression, span: self._evaluate(expression, span, job),
            "yaml",
        )

    def _evaluate(self, expression: str, span: Span | None, job: _Job) -> Values:
        return github_expressions.evaluate(expression, lambda name: self._lookup(name, job), span)

    def _lookup(self, name: str, job: _Job) -> Values:  # noqa: PLR0911 - a row for each context
        table = variables.for_releases(variables.GITHUB_CONTEXT) if job.releases_only else variables.GITHUB_CONTEXT
        meaning = table.get(name.lower())
        if meaning is not None:
            return ((replace(meaning.part(name), setting="name"),),)
        context, _, rest = name.partition(".")
        if context == "env":
            known = variables.in_shell(variables.GITHUB, releases_only=job.releases_only).get(rest)
            outside = known.part(name) if known else Part(name, Repetition.UNKNOWN, "is not set in this file", False)  # noqa: FBT003
            return job.env.get(rest, ((outside,),))
        if context == "matrix":
            return job.matrix.get(rest, ((variables.SETTING.part(name),),))
        if context == "inputs" or name.startswith("github.event.inputs."):
            key = rest.rpartition(".")[2]
            return self._inputs.get(key, (unknown(name, "is what somebody enters"),))
        if context in {"secrets", "vars"}:
            return ((variables.SETTING.part(name),),)
        if context == "steps":
            step, _, output = rest.partition(".outputs.")
            if step in job.steps:
                return job.steps[step].outputs.get(output, (unknown(name, "is what an action says"),))
        if context == "needs":
            other, _, output = rest.partition(".outputs.")
            if output in self._needs.get(other, {}):
                return self._needs[other][output]
        return (unknown(name, "is not known before it runs"),)


def _trimmed(text: Text) -> Text:
    """Return a line without white space at its ends."""
    pieces = words_of(tuple(replace(part, text=part.text) for part in text))
    return text if len(pieces) != 1 else pieces[0]


def _at_release(part: Part) -> Part:
    if part.repetition is Repetition.REUSED and part.text == "type=ref,event=branch":
        return replace(part, repetition=Repetition.RELEASE)
    return part


def _starts_for_tags_only(on: Node | None) -> bool:
    """Tell whether nothing but tags of git and releases start a workflow."""
    if not yaml_tree.is_mapping(on):
        return bool(on is not None and yaml_tree.word(on) == "release")
    for event, filters in yaml_tree.pairs(on):
        if event == "release":
            continue
        if event != "push":
            return False
        names = {name for name, _ in yaml_tree.pairs(filters)}
        if "tags" not in names or "branches" in names or "branches-ignore" in names:
            return False
    return any(True for _ in yaml_tree.pairs(on))


_OF_BRANCHES: Final = ("type=ref,event=branch", "type=ref,event=pr", "type=edge", "nightly")
_OF_TAGS: Final = ("type=ref,event=tag", "type=semver", "type=pep440", "type=match")


def _for_condition(values: Values, job: _Job) -> Values:
    """Leave out what metadata-action does not make in a run that the step's condition lets pass."""

    def made_by(text: Text, rules: tuple[str, ...]) -> bool:
        return any(part.text.startswith(rules) and not part.literal for part in text)

    if job.never_requests:
        values = tuple(text for text in values if not made_by(text, ("type=ref,event=pr",)))
    if job.releases_only:
        return tuple(text for text in values if not made_by(text, _OF_BRANCHES))
    if job.never_tags:
        latest = any(made_by(text, _OF_TAGS) for text in values)
        return tuple(
            text
            for text in values
            if not made_by(text, _OF_TAGS) and not (latest and any(part.setting == "flavor" for part in text))
        )
    return values


def _events(on: Node | None) -> set[str]:
    """Return the events that start a workflow; `push tags` for a push of tags alone."""
    if not yaml_tree.is_mapping(on):
        return {yaml_tree.word(one) for one in yaml_tree.elements(on)} - {""}
    found: set[str] = set()
    for event, filters in yaml_tree.pairs(on):
        names = {name for name, _ in yaml_tree.pairs(filters)}
        tags_alone = event == "push" and "tags" in names and not names & {"branches", "branches-ignore"}
        found.add("push tags" if tags_alone else event)
        if event == "push" and names & {"branches"} and "tags" not in names:
            found.discard("push")
            found.add("push branches")
    return found


def _is_for_tags(condition: Node | None) -> bool:
    """Tell whether a condition lets only tags of git pass."""
    text = yaml_tree.word(condition)
    return bool(_FOR_TAGS.search(text)) and not _NEGATED.search(text)
