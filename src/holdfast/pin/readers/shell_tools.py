"""What commands do with images: docker, podman, buildah, skopeo, crane, kubectl and the like.

This file alone knows the command lines of these tools: which word is an image, and what is done with it.

Sources: the command line references of Docker, Podman, Buildah, Skopeo, crane (go-containerregistry), kaniko, kubectl,
the AWS CLI (lambda update-function-code), gcloud (run deploy, builds submit), Cloud Native Buildpacks' pack, kind, k3d.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast.pin.image import parse_image
from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.shell import Command, Word, commands
from holdfast.pin.slots import Defaults, place_digest
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_ENGINES: Final = frozenset({"docker", "podman", "nerdctl", "finch", "buildah", "img"})
_PREFIXES: Final = frozenset({"sudo", "exec", "time", "command", "nohup", "env", "then", "retry", "nice"})
_WORTH_PARSING: Final = re.compile(
    r"docker|kustomize|oras |podman"
    r"|nerdctl|finch|buildah|skopeo|crane|buildctl|executor|kubectl|oc |lambda|cloud|\baz\b|pack |kind|k3d"
)
_SWITCHES: Final = frozenset(
    """
    --rm --detach --interactive --tty --privileged --init --publish-all --read-only --no-healthcheck
    --oom-kill-disable --quiet --help --replace --rmi --tls-verify --no-hosts --env-host --disable-content-trust
    --no-cache --pull --push --load --all-tags --squash --compress --force-rm --layers --debug --no-hostname
    --passwd --http-proxy --sig-proxy --use-api-socket --src-tls-verify --dest-tls-verify --all --insecure
    --preserve-digests --remove-signatures --cleanup --skip-tls-verify --single-snapshot --to-oci-layout
    --from-oci-layout --recursive --reproducible --publish
    --attach --stdin --record --wait --allow-unauthenticated --no-traffic --async
    """.split()  # noqa: SIM905 - a hundred quotes less
)
"""Long options that take no value."""
_OF_RUNS: Final = "ditPq"
_OF_OTHERS: Final = "qa"
"""Short options that take no value: `-t` is a terminal to run and create, and a name to build."""


@dataclass(slots=True)
class _Line:
    """The words of a command after the tool's verb."""

    places: list[Word] = field(default_factory=list)
    options: dict[str, list[Word]] = field(default_factory=dict)

    def given(self, *names: str) -> list[Word]:
        return [word for name in names for word in self.options.get(name, [])]

    def says(self, name: str) -> bool:
        return any(word.value != "false" for word in self.options.get(name, []))


_LISTS: Final = re.compile(r"\$[@*]|\$\{[^}]*\[[@*]\]\}")
"""All that was given, or all of an array: words of which the text names none."""

_Found: TypeAlias = tuple[Word, Kind, Role]
_Rule: TypeAlias = Callable[[_Line], "Iterable[_Found]"]


def shell_mentions(
    text: Excerpt,
    *,
    where: str = "",
    known: Mapping[str, str | None] | None = None,
    context: Context = Context.BUILD,
    defaults: Defaults | None = None,
) -> list[Mention]:
    """Return the mentions in a piece of shell; `where` is put before the name of the command."""
    if not _WORTH_PARSING.search(text.text):
        return []
    found: list[Mention] = []
    for command in commands(text, known):
        found.extend(_of(command, where, context, defaults or Defaults()))
    return found


def line_mentions(
    tool: str,
    words: Sequence[Excerpt],
    *,
    where: str = "",
    known: Mapping[str, str | None] | None = None,
    context: Context = Context.BUILD,
) -> list[Mention]:
    """Return the mentions of a command whose words are given one by one, as in a list of arguments."""
    if tool not in _TOOLS and words:
        tool, words = words[0].text, words[1:]
    if not words:
        return []
    text = Excerpt.lines(words)
    made, at = [], 0
    for word in words:
        made.append(Word(at, at + len(word.text), word.text))
        at += len(word.text) + 1
    return list(_of(Command(text, (Word(0, 0, tool), *made), known or {}), where, context, Defaults()))


def _of(command: Command, where: str, context: Context, defaults: Defaults) -> Iterator[Mention]:
    words = list(command.words)
    while words and (words[0].value in _PREFIXES or re.fullmatch(r"[A-Za-z_]\w*=.*", words[0].value)):
        words.pop(0)
        while words and words[0].value.startswith("-"):
            words.pop(0)
    if not words:
        return
    tool = words[0].value.rpartition("/")[2].lower()
    verb, rule, rest = _rule(tool, words[1:])
    if rule is None:
        return
    place = f"{where}{tool} {verb}".strip()
    runs = verb in {"run", "create", "container run", "container create", "debug"}
    line = _line(rest, stops=runs and tool in _ENGINES, switches=_OF_RUNS if runs else _OF_OTHERS)
    for word, kind, role in rule(line):
        yield from _mention(command, word, kind, role, where=place, context=context, defaults=defaults)


def _mention(
    command: Command, word: Word, kind: Kind, role: Role, *, where: str, context: Context, defaults: Defaults
) -> Iterator[Mention]:
    word = _without_scheme(word)
    if not word.value or word.value.startswith("-") or word.end <= word.start or _LISTS.fullmatch(word.value):
        return
    image = command.expand(word.value)
    # A makefile keeps quotes in its variables; the shell takes them away.
    image = image and re.sub(r"[\"']", "", image)
    if image is not None and parse_image(image) is None:
        return
    rewrite, notes = place_digest(command.text, word.start, word.end, defaults) if role is Role.CONSUMES else (None, ())
    if rewrite is not None and re.search(r"[\"'\\]", command.text.text[word.start : word.end]):
        rewrite, notes = None, ("It is quoted in parts; write it as one word to have it pinned.",)
    yield command.text.mention(
        word.start,
        word.end,
        kind=kind,
        role=role,
        where=where,
        image=image,
        context=Context.PRODUCTION if kind is Kind.SHELL_DEPLOY else context,
        rewrite=rewrite,
        notes=notes,
    )


def _without_scheme(word: Word) -> Word:
    for scheme in ("docker://", "docker-image://"):
        if word.value.startswith(scheme):
            return Word(word.start + len(scheme), word.end, word.value.removeprefix(scheme))
    return word


def _line(words: list[Word], *, stops: bool, switches: str) -> _Line:
    """Tell options from places; with `stops` the first place ends the options, as for `docker run`."""
    line = _Line()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.value.startswith("-") or word.value == "-":
            if stops and _is_options(words, at - 1):
                continue
            line.places.append(word)
            if stops:
                break
            continue
        name, equals, _ = word.value.partition("=")
        if equals and name.startswith("--"):
            line.options.setdefault(name, []).append(_after(word, len(name) + 1))
        elif _is_switch(name, switches) or at >= len(words) or words[at].value.startswith("-"):
            line.options.setdefault(name, []).append(Word(word.end, word.end, ""))
        elif not name.startswith("--") and len(name) > 2 and name[1] not in switches:  # noqa: PLR2004 - -p80:80
            line.options.setdefault(name[:2], []).append(_after(word, 2))
        else:
            line.options.setdefault(name, []).append(words[at])
            at += 1
    return line


def _is_options(words: list[Word], at: int) -> bool:
    """`docker run $OPTIONS -it image`: a bare variable before what is an option, or certainly an image, is options."""
    if not re.fullmatch(r"\$\{?\w+(?:\[@\])?\}?", words[at].value) or at + 1 >= len(words):
        return False
    following = words[at + 1].value
    return following.startswith(("-", "$")) or bool(re.fullmatch(r"[\w$][\w./${}-]*[:/][\w./${}:-]+", following))


def _is_switch(name: str, switches: str) -> bool:
    if name.startswith("--"):
        return name in _SWITCHES
    return all(letter in switches for letter in name[1:])


def _after(word: Word, length: int) -> Word:
    """Return the value of `--name=value`; its quotes, if it has any, begin after the equals sign."""
    value, start, end = word.value[length:], word.start + length, word.end
    quotes = (end - start) - len(value)
    if quotes == 2:  # noqa: PLR2004 - one at each end
        start, end = start + 1, end - 1
    return Word(start, end, value)


# --- the tools -------------------------------------------------------------------------------------------------------


def _first(kind: Kind, role: Role) -> _Rule:
    return lambda line: [(word, kind, role) for word in line.places[:1]]


def _every(kind: Kind, role: Role) -> _Rule:
    return lambda line: [(word, kind, role) for word in line.places]


def _option(kind: Kind, role: Role, *names: str) -> _Rule:
    return lambda line: [(word, kind, role) for word in line.given(*names)]


def _pushed(line: _Line) -> Iterator[_Found]:
    """`docker push X`; podman and buildah may name another place to push to."""
    yield from ((word, Kind.SHELL_PUSH, Role.PUSHES) for word in line.places[-1:])


def _copied(line: _Line) -> Iterator[_Found]:
    """`skopeo copy FROM TO`, `crane copy FROM TO`; what has another transport than docker is no image in a registry."""
    if len(line.places) < 2:  # noqa: PLR2004 - from and to
        return
    for word, kind, role in (
        (line.places[0], Kind.SHELL_COPY, Role.CONSUMES),
        (line.places[1], Kind.SHELL_COPY, Role.PUSHES),
    ):
        if not re.match(r"(?:docker-daemon|docker-archive|oci|oci-archive|dir|containers-storage):", word.value):
            yield word, kind, role


def _built(line: _Line) -> Iterator[_Found]:
    """`docker build`, `docker buildx build`, `buildah bud`: tags, caches, named contexts."""
    outputs = [word.value for word in line.given("--output", "-o")]
    goes_out = line.says("--push") or "--push" in line.options
    goes_out = goes_out or any("type=registry" in one or "push=true" in one for one in outputs)
    for word in line.given("-t", "--tag"):
        yield (word, Kind.SHELL_PUSH, Role.PUSHES) if goes_out else (word, Kind.SHELL_BUILD, Role.BUILDS)
    for word in line.given("--output", "-o"):
        role = Role.PUSHES if "push=true" in word.value or "type=registry" in word.value else Role.BUILDS
        yield from ((one, Kind.SHELL_PUSH, role) for one in _attribute(word, "name"))
    yield from _caches(line, "--cache-from", "--cache-to")
    yield from _arguments(line)
    for word in line.given("--build-context"):
        name, found, _ = word.value.partition("=docker-image://")
        if found:
            yield _after(word, len(name) + len(found)), Kind.BAKE_CONTEXT, Role.CONSUMES


def _caches(line: _Line, come: str, go: str) -> Iterator[_Found]:
    for name, kind, role in ((come, Kind.CACHE_FROM, Role.CONSUMES), (go, Kind.CACHE_TO, Role.PUSHES)):
        for word in line.given(name):
            if "type=" not in word.value:
                yield word, kind, role
            elif "type=registry" in word.value:
                yield from ((one, kind, role) for one in _attribute(word, "ref"))


def _attribute(word: Word, name: str) -> Iterator[Word]:
    """Return the value of one of `type=registry,ref=...`."""
    at = word.start
    for part in word.value.split(","):
        key, equals, value = part.partition("=")
        if key.strip() == name and value:
            start = at + len(key) + len(equals)
            yield Word(start, start + len(value), value)
        at += len(part) + 1


def _arguments(line: _Line) -> Iterator[_Found]:
    """`--build-arg BASE_IMAGE=name:tag`: an argument that is called so and looks so."""
    for word in line.given("--build-arg"):
        name, equals, value = word.value.partition("=")
        if equals and re.search(r"image|base", name, re.IGNORECASE) and re.search(r"\w[/:]\w", value):
            yield _after(word, len(name) + 1), Kind.SHELL_BUILD, Role.CONSUMES


def _edited(line: _Line) -> Iterator[_Found]:
    """`kustomize edit set image name=image`."""
    for word in line.places:
        name, equals, value = word.value.partition("=")
        if equals and value:
            yield _after(word, len(name) + 1), Kind.SHELL_DEPLOY, Role.CONSUMES


def _oras(line: _Line) -> Iterator[_Found]:
    """`oras cp FROM TO`, either of which may be a folder."""
    ends = (("--from-oci-layout", Role.CONSUMES), ("--to-oci-layout", Role.PUSHES))
    for word, (layout, role) in zip(line.places, ends, strict=False):
        if layout not in line.options:
            yield word, Kind.SHELL_COPY, role


def _buildctl(line: _Line) -> Iterator[_Found]:
    for word in line.given("--output", "-o"):
        role = Role.PUSHES if "push=true" in word.value else Role.BUILDS
        yield from ((one, Kind.SHELL_PUSH, role) for one in _attribute(word, "name"))
    yield from _caches(line, "--import-cache", "--export-cache")


def _set_image(line: _Line) -> Iterator[_Found]:
    """`kubectl set image deployment/x container=image`."""
    for word in line.places[1:]:
        name, equals, value = word.value.partition("=")
        if equals and value:
            yield _after(word, len(name) + 1), Kind.SHELL_DEPLOY, Role.CONSUMES


def _packed(line: _Line) -> Iterator[_Found]:
    """`pack build NAME --builder X`."""
    push = "--publish" in line.options
    yield from (
        (word, Kind.SHELL_PUSH if push else Kind.SHELL_BUILD, Role.PUSHES if push else Role.BUILDS)
        for word in line.places[:1]
    )
    yield from ((word, Kind.SHELL_RUN, Role.CONSUMES) for word in line.given("--builder", "-B", "--run-image"))


def _crane_push(line: _Line) -> Iterator[_Found]:
    yield from ((word, Kind.SHELL_PUSH, Role.PUSHES) for word in line.places[1:2])


def _appended(line: _Line) -> Iterator[_Found]:
    yield from ((word, Kind.SHELL_COPY, Role.CONSUMES) for word in line.given("-b", "--base"))
    yield from ((word, Kind.SHELL_PUSH, Role.PUSHES) for word in line.given("-t", "--new_tag", "--tag"))


def _tagged(line: _Line) -> Iterator[_Found]:
    yield from ((word, Kind.SHELL_TAG, Role.BUILDS) for word in line.places[1:])


def _listed(line: _Line) -> Iterator[_Found]:
    """`docker manifest create LIST IMAGE...`."""
    yield from ((word, Kind.SHELL_BUILD, Role.BUILDS) for word in line.places[:1])


_RUN: Final = _first(Kind.SHELL_RUN, Role.CONSUMES)
_PULL: Final = _every(Kind.SHELL_PULL, Role.CONSUMES)
_DEPLOY_IMAGE: Final = _option(Kind.SHELL_DEPLOY, Role.CONSUMES, "--image")
_CLUSTER_IMAGE: Final = _option(Kind.SHELL_RUN, Role.CONSUMES, "--image", "-i")

_ENGINE: Final[dict[str, _Rule]] = {
    "container run": _RUN,
    "container create": _RUN,
    "run": _RUN,
    "create": _RUN,
    "image pull": _PULL,
    "pull": _PULL,
    "image push": _pushed,
    "manifest push": _first(Kind.SHELL_PUSH, Role.PUSHES),
    "manifest create": _listed,
    "push": _pushed,
    "buildx build": _built,
    "builder build": _built,
    "image build": _built,
    "build": _built,
    "bud": _built,
    "build-using-dockerfile": _built,
    "buildx imagetools create": _option(Kind.SHELL_PUSH, Role.PUSHES, "-t", "--tag"),
    "image tag": _tagged,
    "tag": _tagged,
    "commit": lambda line: [(word, Kind.SHELL_BUILD, Role.BUILDS) for word in line.places[1:2]],
    "service create": _first(Kind.SHELL_DEPLOY, Role.CONSUMES),
    "service update": _DEPLOY_IMAGE,
}
_BUILDAH: Final = {**_ENGINE, "from": _PULL}
del _BUILDAH["run"]
_CRANE: Final[dict[str, _Rule]] = {
    "copy": _copied,
    "cp": _copied,
    "pull": _first(Kind.SHELL_PULL, Role.CONSUMES),
    "push": _crane_push,
    "append": _appended,
    "tag": _first(Kind.SHELL_COPY, Role.CONSUMES),
}
_KUBECTL: Final[dict[str, _Rule]] = {
    "run": _DEPLOY_IMAGE,
    "create deployment": _DEPLOY_IMAGE,
    "create job": _DEPLOY_IMAGE,
    "create cronjob": _DEPLOY_IMAGE,
    "debug": _option(Kind.SHELL_RUN, Role.CONSUMES, "--image"),
    "set image": _set_image,
}
_TOOLS: Final[dict[str, dict[str, _Rule]]] = {
    "docker": _ENGINE,
    "podman": _ENGINE,
    "nerdctl": _ENGINE,
    "finch": _ENGINE,
    "img": _ENGINE,
    "buildah": _BUILDAH,
    "skopeo": {"copy": _copied},
    "crane": _CRANE,
    "gcrane": _CRANE,
    "buildctl": {"build": _buildctl},
    "executor": {"": _option(Kind.SHELL_PUSH, Role.PUSHES, "--destination", "-d")},
    "kubectl": _KUBECTL,
    "oc": _KUBECTL,
    "aws": {
        "lambda update-function-code": _option(Kind.SHELL_DEPLOY, Role.CONSUMES, "--image-uri"),
    },
    "gcloud": {
        "run deploy": _DEPLOY_IMAGE,
        "run jobs deploy": _DEPLOY_IMAGE,
        "builds submit": _option(Kind.SHELL_PUSH, Role.PUSHES, "--tag", "-t"),
    },
    "az": {"acr build": _option(Kind.SHELL_PUSH, Role.PUSHES, "-t", "--image")},
    "pack": {"build": _packed},
    "kind": {
        "create cluster": _CLUSTER_IMAGE,
        "build node-image": _option(Kind.SHELL_BUILD, Role.BUILDS, "--image"),
    },
    "kustomize": {"edit set image": _edited},
    "oras": {"cp": _oras, "copy": _oras, "pull": _first(Kind.SHELL_PULL, Role.CONSUMES)},
    "k3d": {"cluster create": _CLUSTER_IMAGE},
}
"""Tool -> verb, as its words -> what that does with images."""
_LONGEST_VERB_WORDS: Final = 3
_GLOBAL_WITH_VALUE: Final = frozenset(
    {
        "--config",
        "--context",
        "-H",
        "--host",
        "--log-level",
        "-l",
        "-n",
        "--namespace",
        "--kubeconfig",
        "--region",
        "--profile",
        "--project",
        "--addr",
        "--storage-driver",
        "--root",
    }
)


def _rule(tool: str, words: list[Word]) -> tuple[str, _Rule | None, list[Word]]:
    """Find the verb behind the tool's own options; the longest that the table knows is meant."""
    verbs = _TOOLS.get(tool)
    if verbs is None:
        return "", None, []
    if "" in verbs:
        return "", verbs[""], words
    at = 0
    while at < len(words) and words[at].value.startswith("-"):
        at += 2 if words[at].value in _GLOBAL_WITH_VALUE else 1
    for length in range(_LONGEST_VERB_WORDS, 0, -1):
        verb = " ".join(word.value for word in words[at : at + length])
        if verb in verbs:
            return verb, verbs[verb], words[at + length :]
    return "", None, []
