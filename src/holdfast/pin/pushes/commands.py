"""Which commands push a tag, and with which of their words: a table, and the one function that reads it.

This file alone knows the command lines of docker, podman, buildah, skopeo, crane, oras, ko, kaniko, jib, helm, cosign
and aws. It knows neither shells nor CI systems: words in, pushes out. Sources: each program's own `--help`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.pin.pushes import references, variables
from holdfast.pin.pushes.push import Purpose, Push
from holdfast.pin.pushes.tag import Text, Values, cut, literal, shown, unknown, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.pin.pushes.shell import Call, Word

_DOCKERS: Final = frozenset({"docker", "podman", "nerdctl", "img", "docker.exe", "finch"})
_BUILDERS: Final = frozenset({*_DOCKERS, "buildah"})
_COSIGN: Final = frozenset({"cosign"})
_GLOBAL_VALUED: Final = frozenset(
    {"--config", "-H", "--host", "-c", "--context", "-l", "--log-level", "--authfile", "--storage-driver", "--region",
     "--profile", "--output", "--project", "--namespace", "-n", "--address", "--root", "--runroot", "-s", "--settings",
     "-f", "--file", "-P", "-C", "--no-print-directory"}
)  # fmt: skip
_ENGINE: Final = re.compile(r"\$[({]?\w*(DOCKER|CONTAINER|PODMAN|ENGINE|RUNTIME|OCI)\w*[)}]?", re.IGNORECASE)
"""Variables that stand for a program, where nothing says which."""


@dataclass(frozen=True, slots=True)
class Row:
    """One form of a command that pushes."""

    programs: frozenset[str]
    path: tuple[str, ...]
    """The words after the program."""
    positional: str = ""
    """Which positional words are references: first, last, all, rest; empty for none."""
    flags: tuple[str, ...] = ()
    """Options whose value is a reference."""
    needs: tuple[str, ...] = ()
    """One of these options has to be there, or nothing is pushed."""
    valued: tuple[str, ...] = ()
    """Other options that take the next word."""
    scheme: str = ""
    """What a reference begins with."""
    purpose: Purpose = Purpose.IMAGE


_BUILD_VALUED: Final = (
    "-f", "--file", "--build-arg", "--target", "--platform", "--cache-from", "--label", "--secret", "--ssh",
    "--progress", "--network", "--builder", "--add-host", "--build-context", "--iidfile", "--metadata-file",
    "--provenance", "--sbom", "--annotation", "--attest", "--format", "--creds", "--authfile", "--jobs", "--isolation",
)  # fmt: skip
_PUSH_VALUED: Final = ("--platform", "--creds", "--authfile", "--cert-dir", "--format", "-f", "--digestfile",
                       "--compression-format", "--sign-by", "--namespace")  # fmt: skip
_COPY_VALUED: Final = (
    "--src-creds", "--dest-creds", "--authfile", "--src-authfile", "--dest-authfile", "--creds", "--format", "-f",
    "--src-cert-dir", "--dest-cert-dir", "--override-os", "--override-arch", "--policy", "--retry-times",
    "--src-username",
    "--src-password", "--dest-username", "--dest-password", "--platform", "--digestfile", "--multi-arch", "-m",
    "--dest-compress-format", "--src-registry-token", "--dest-registry-token", "-j", "--jobs", "--from-username",
    "--from-password", "--to-username", "--to-password", "--concurrency",
)  # fmt: skip
_ORAS_VALUED: Final = ("-u", "--username", "-p", "--password", "--artifact-type", "--config", "--annotation", "-a",
                       "--annotation-file", "--registry-config", "--concurrency", "--image-spec", "--export-manifest",
                       "--ca-file", "--platform")  # fmt: skip

ROWS: Final[tuple[Row, ...]] = (
    Row(_DOCKERS, ("push",), "last", valued=_PUSH_VALUED, scheme="docker://"),
    Row(_DOCKERS, ("image", "push"), "last", valued=_PUSH_VALUED, scheme="docker://"),
    Row(_DOCKERS, ("manifest", "push"), "last", valued=_PUSH_VALUED, scheme="docker://"),
    Row(frozenset({"buildah"}), ("push",), "last", valued=_PUSH_VALUED, scheme="docker://"),
    Row(frozenset({"buildah"}), ("manifest", "push"), "last", valued=_PUSH_VALUED, scheme="docker://"),
    Row(_DOCKERS, ("buildx", "build"), flags=("-t", "--tag"), needs=("--push", "push=true", "type=registry"),
        valued=_BUILD_VALUED),
    Row(_DOCKERS, ("build",), flags=("-t", "--tag"), needs=("--push", "push=true", "type=registry"),
        valued=_BUILD_VALUED),
    Row(frozenset({"buildctl", "buildctl-daemonless.sh"}), ("build",), needs=("push=true", "type=registry"),
        valued=_BUILD_VALUED),
    Row(_DOCKERS, ("buildx", "imagetools", "create"), flags=("-t", "--tag"), valued=("-f", "--file", "--builder")),
    Row(frozenset({"depot"}), ("build",), flags=("-t", "--tag"), needs=("--push",), valued=_BUILD_VALUED),
    Row(frozenset({"skopeo"}), ("copy",), "last", ("--additional-tag",), valued=_COPY_VALUED, scheme="docker://"),
    Row(frozenset({"crane", "gcrane"}), ("push",), "last", valued=("--platform", "--image-refs")),
    Row(frozenset({"crane", "gcrane"}), ("copy",), "last", valued=("--platform", "-j", "--jobs")),
    Row(frozenset({"crane", "gcrane"}), ("cp",), "last", valued=("--platform", "-j", "--jobs")),
    Row(frozenset({"crane", "gcrane"}), ("append",), flags=("-t", "--new_tag"), valued=("-f", "-b", "-o")),
    Row(frozenset({"crane", "gcrane"}), ("mutate",), flags=("-t", "--tag"), valued=("-l", "-e", "-a", "-o", "--label")),
    Row(frozenset({"crane", "gcrane"}), ("rebase",), flags=("-t", "--tag")),
    Row(frozenset({"regctl"}), ("image", "copy"), "last", valued=("--platform",)),
    Row(frozenset({"regctl"}), ("index", "create"), "first", valued=("--ref", "--platform", "--annotation")),
    Row(frozenset({"oras"}), ("push",), "first", valued=_ORAS_VALUED),
    Row(frozenset({"oras"}), ("copy",), "last", valued=_COPY_VALUED),
    Row(frozenset({"oras"}), ("cp",), "last", valued=_COPY_VALUED),
    Row(frozenset({"oras"}), ("manifest", "push"), "first", valued=_ORAS_VALUED),
    Row(frozenset({"executor", "kaniko"}), (), flags=("-d", "--destination"), valued=("-f", "-c")),
    Row(frozenset({"gcloud"}), ("builds", "submit"), flags=("-t", "--tag"), valued=("--config",)),
    Row(frozenset({"gcloud"}), ("container", "images", "add-tag"), "rest"),
    Row(frozenset({"gcloud"}), ("artifacts", "docker", "tags", "add"), "rest"),
    Row(frozenset({"az"}), ("acr", "build"), flags=("-t", "--image"), valued=("-r", "--registry", "-f", "--file")),
    Row(frozenset({"pack"}), ("build",), "first", ("-t", "--tag"), needs=("--publish",),
        valued=("-B", "--builder", "-b", "--buildpack", "-p", "--path", "-e", "--env", "--run-image", "--cache-image")),
    Row(frozenset({"s2i"}), ("build",)),
)  # fmt: skip

LABELS: Final[tuple[Row, ...]] = (
    Row(_BUILDERS, ("tag",), "rest"),
    Row(_DOCKERS, ("image", "tag"), "rest"),
    Row(_BUILDERS, ("build",), flags=("-t", "--tag"), valued=_BUILD_VALUED),
    Row(_DOCKERS, ("image", "build"), flags=("-t", "--tag"), valued=_BUILD_VALUED),
    Row(_DOCKERS, ("buildx", "build"), flags=("-t", "--tag"), valued=_BUILD_VALUED),
    Row(frozenset({"buildah"}), ("bud",), flags=("-t", "--tag"), valued=_BUILD_VALUED),
)
"""Commands that give an image a tag on this machine: what `docker push --all-tags` pushes, and what an edit of a pushed
tag has to change too."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The words of a call, sorted: positional ones and options."""

    positional: tuple[Word, ...]
    options: tuple[tuple[str, Values | None, Word], ...]

    def values(self, *names: str) -> list[Values]:
        """Return the values of options."""
        return [value for name, value, _ in self.options if name in names and value is not None]

    def has(self, *names: str) -> bool:
        """Tell whether one of the options is there, and not turned off."""
        return any(
            name in names and (value is None or shown(value[0]).lower() not in {"false", "0"})
            for name, value, _ in self.options
        )


def text_of(word: Word) -> str:
    """Return a word as it is shown on its first path."""
    return shown(word.values[0]) if word.values else ""


def sort_arguments(words: Sequence[Word], valued: Sequence[str]) -> Arguments:
    """Sort words into options and positional ones; `valued` options take the next word."""
    positional: list[Word] = []
    options: list[tuple[str, Values | None, Word]] = []
    at = 0
    while at < len(words):
        word = words[at]
        text = text_of(word)
        at += 1
        if not text.startswith("-") or text in {"-", "--"}:
            if text != "--":
                positional.append(word)
            continue
        name, equals, _ = text.partition("=")
        if equals:
            values = tuple(cut(one, len(name) + 1) for one in word.values)
            options.append((name, values, word))
        elif name in valued and at < len(words):
            options.append((name, words[at].values, words[at]))
            at += 1
        else:
            options.append((name, None, word))
    return Arguments(tuple(positional), tuple(options))


def find_row(words: Sequence[Word], rows: Sequence[Row]) -> tuple[Row, Sequence[Word]] | None:
    """Return the row that a call is of, and the words after its path; wrappers before it (sudo, retry) are passed."""
    for at in range(min(len(words), 12)):
        program = _program(words[at])
        candidates = [row for row in rows if program in row.programs]
        if not candidates:
            continue
        after = list(words[at + 1 :])
        rest = _past_globals(after)
        for row in candidates:
            path = tuple(text_of(word) for word in rest[: len(row.path)])
            if path == row.path:
                return row, rest[len(row.path) :] if row.path else after
    return None


def _program(word: Word) -> str:
    text = text_of(word)
    name = text.rsplit("/", 1)[-1]
    written = not word.values or all(part.literal for part in word.values[0])
    if not written and _ENGINE.fullmatch(text):
        return "docker"
    return name


def _past_globals(words: list[Word]) -> list[Word]:
    at = 0
    while at < len(words) and (text_of(words[at]).startswith("-") or not text_of(words[at])):
        at += 2 if text_of(words[at]) in _GLOBAL_VALUED else 1
    return words[at:]


def labels_of(call: Call) -> list[Push]:
    """Return the references that a call gives an image on this machine."""
    if not _may_matter(call):
        return []
    found = find_row(call.words, LABELS)
    return _by_row(call, *found) if found else []


def _may_matter(call: Call) -> bool:
    """Tell whether one of the first words is a program of the tables: most calls of a script are not."""
    return any(_program(word) in _PROGRAMS for word in call.words[:12])


def pushes_of(call: Call) -> list[Push]:
    """Return what a call pushes."""
    if not _may_matter(call):
        return []
    found = find_row(call.words, ROWS)
    result: list[Push] = []
    if found is not None:
        result += _by_row(call, *found)
        result += _caches(call, found[1], found[0])
    for read in (_bake, _oras_tag, _crane_tag, _aws, _ko, _jib, _helm, _cosign):
        result += read(call)
    return result


def _by_row(call: Call, row: Row, words: Sequence[Word]) -> list[Push]:
    arguments = sort_arguments(
        words, (*row.flags, *row.valued, "-o", "--output", "--cache-to", "--cache-repo", "--set")
    )
    program = next(name for one in call.words if (name := _program(one)) in row.programs)
    via = "kaniko" if "executor" in row.programs else " ".join([program, *row.path])
    outputs = [shown(text) for values in arguments.values("-o", "--output") for text in values]
    if arguments.has("--no-push", "--load") and "--push" not in {name for name, _, _ in arguments.options}:
        return []
    if row.needs and not (
        arguments.has(*row.needs) or any(need in output.split(",") for need in row.needs for output in outputs)
    ):
        return []
    found: list[tuple[Values, Word]] = [
        (value, word) for name, value, word in arguments.options if name in row.flags and value is not None
    ]
    for values in arguments.values("-o", "--output"):
        for text in values:
            if "push-by-digest=true" in shown(text):
                return []
            named = [cut_after(piece, "name=") for piece in words_of(text) if shown(piece).startswith("name=")]
            found += [((one,), call.words[0]) for one in named]
    positional = arguments.positional
    if row.positional and positional:
        chosen = {"first": positional[:1], "last": positional[-1:], "rest": positional[1:], "all": positional}
        found += [(word.values, word) for word in chosen[row.positional]]
    elif row.positional and any(text_of(word) == "xargs" for word in call.words):
        found.append(((unknown("...", "is what xargs is given"),), call.words[0]))
    whole = row.positional != "" and arguments.has("-a", "--all-tags")
    if "az" in row.programs:
        found = [(tuple(_run_of_az(text) for text in values), word) for values, word in found]
    return [
        push
        for values, word in found
        for text in values
        for one in words_of(text)
        for push in references.pushes(one, via, call.script.place(word.start), row.scheme, row.purpose, every_tag=whole)
    ]


def _run_of_az(text: Text) -> Text:
    """Put the run's id in the place of `{{.Run.ID}}`, which `az acr build` knows."""
    said = shown(text)
    at = said.find("{{.Run.ID}}")
    if at < 0:
        return text
    return (*cut(text, 0, at), variables.RUN.part("{{.Run.ID}}"), *cut(text, at + len("{{.Run.ID}}")))


def cut_after(text: Text, prefix: str) -> Text:
    """Return a text without what it begins with."""
    return cut(text, len(prefix)) if shown(text).startswith(prefix) else text


def _caches(call: Call, words: Sequence[Word], row: Row) -> list[Push]:
    if not (row.flags or row.path[:1] == ("build",)):
        return []
    arguments = sort_arguments(words, (*row.flags, *row.valued, "--cache-to", "--cache-repo"))
    result: list[Push] = []
    for name, values, word in arguments.options:
        if name not in {"--cache-to", "--cache-repo", "--export-cache"} or values is None:
            continue
        for text in values:
            place = call.script.place(word.start)
            if name == "--cache-repo" and "executor" in row.programs:
                result += references.caches(text, "kaniko --cache-repo", place, content=True)
            else:
                result += references.cache_setting(text, name, place)
    return result


def _reference(call: Call, word: Word, tag: Word, via: str) -> list[Push]:
    return [
        Push(references.repository_of(reference), one, via, call.script.place(tag.start), references.span_of(one))
        for reference in word.values
        for text in tag.values
        for one in words_of(text)
    ]


def _separate_tag(call: Call, programs: set[str]) -> list[Push]:
    row = Row(frozenset(programs), ("tag",), valued=_ORAS_VALUED)
    found = find_row(call.words, (row,))
    if found is None:
        return []
    positional = sort_arguments(found[1], row.valued).positional
    via = f"{_program(call.words[0])} tag"
    return [push for word in positional[1:] for push in _reference(call, positional[0], word, via)]


def _bake(call: Call) -> list[Push]:
    found = find_row(call.words, (Row(_DOCKERS, ("buildx", "bake")),))
    if found is None:
        return []
    arguments = sort_arguments(
        found[1], ("-f", "--file", "--set", "--progress", "--builder", "--allow", "--provenance")
    )
    outputs = [shown(text) for values in arguments.values("--set") for text in values]
    if not arguments.has("--push") and not any("type=registry" in one or "push=true" in one for one in outputs):
        return []
    tag = unknown("bake", "has the tags that the bake file says")
    return [Push((), tag, "docker buildx bake", call.script.place(call.start))]


def _oras_tag(call: Call) -> list[Push]:
    return _separate_tag(call, {"oras"})


def _crane_tag(call: Call) -> list[Push]:
    return _separate_tag(call, {"crane", "gcrane"})


_AWS: Final = (
    Row(frozenset({"aws"}), ("ecr", "put-image")),
    Row(frozenset({"aws"}), ("ecr", "put-image-tag-mutability")),
    Row(frozenset({"aws"}), ("ecr", "batch-delete-image")),
    Row(frozenset({"aws"}), ("ecr", "create-repository")),
)
_AWS_VALUED: Final = ("--repository-name", "--image-tag", "--image-tag-mutability", "--image-ids", "--image-manifest",
                      "--region", "--registry-id", "--image-tag-mutability-exclusion-filters", "--image-digest",
                      "--image-manifest-media-type", "--profile", "--query", "--output", "--tags",
                      "--image-scanning-configuration", "--encryption-configuration", "--cli-input-json")  # fmt: skip


def _aws(call: Call) -> list[Push]:
    found = find_row(call.words, _AWS)
    if found is None:
        return []
    verb, arguments = found[0].path[1], sort_arguments(found[1], _AWS_VALUED)
    repository = (arguments.values("--repository-name") or [((),)])[0][0]
    place, via = call.script.place(call.start), f"aws ecr {verb}"
    if verb == "put-image":
        tags = (arguments.values("--image-tag") or [()])[0]
        return [Push(repository, tag, via, place, references.span_of(tag)) for tag in tags]
    if verb == "batch-delete-image":
        ids = [text for values in arguments.values("--image-ids") for text in values]
        tags = tuple(cut_after(text, "imageTag=") for text in ids if shown(text).startswith("imageTag="))
        return [Push(repository, tag, via, place, purpose=Purpose.DELETE) for tag in tags or ((),)]
    if "--cli-input-json" in {name for name, _, _ in arguments.options}:
        return []
    mode = (arguments.values("--image-tag-mutability") or [((),)])[0][0]
    purpose = Purpose.CREATE_MUTABLE if verb == "create-repository" else Purpose.MAKE_MUTABLE
    flips = shown(mode).startswith("MUTABLE")
    if flips or (purpose is Purpose.CREATE_MUTABLE and not shown(mode).startswith(("IMMUTABLE", "$"))):
        return [Push(repository, mode, via, place, references.span_of(mode), purpose=purpose)]
    return []


_KO: Final = tuple(Row(frozenset({"ko"}), (verb,)) for verb in ("build", "publish", "resolve", "apply", "create"))
_KO_VALUED: Final = ("-t", "--tags", "-f", "--filename", "--platform", "--sbom", "--image-refs", "--image-label", "-j",
                     "--base-import-paths", "--tarball", "--oci-layout-path")  # fmt: skip


def _ko(call: Call) -> list[Push]:
    found = find_row(call.words, _KO)
    if found is None:
        return []
    arguments = sort_arguments(found[1], _KO_VALUED)
    off = any(name == "--push" and value and shown(value[0]) == "false" for name, value, _ in arguments.options)
    if off or arguments.has("-L", "--local"):
        return []
    repository = call.names.get("KO_DOCKER_REPO", (unknown("$KO_DOCKER_REPO", "is not set in this file"),))[0]
    if shown(repository).startswith(("ko.local", "kind.local")):
        return []
    place = call.script.place(call.start)
    given = [(value, word) for name, value, word in arguments.options if name in {"-t", "--tags"} and value]
    if not given:
        return [Push(repository, literal("latest"), "ko", place, implied=True)]
    return [
        Push(repository, tag, "ko", call.script.place(word.start), references.span_of(tag))
        for value, word in given
        for text in value
        for tag in words_of(text)
    ]


_JIB_IMAGE: Final = ("-Djib.to.image=", "-Dimage=", "--image=", "-Djib.to.image")
_JIB_TAGS: Final = ("-Djib.to.tags=",)


def _jib(call: Call) -> list[Push]:
    texts = [text_of(word) for word in call.words]
    if _program(call.words[0]) not in {"mvn", "mvnw", "gradle", "gradlew"}:
        return []
    if not any(re.search(r"(jib:build|:jib$|^jib$|jib-maven-plugin.*:build)", text) for text in texts):
        return []
    images = [(cut_after(value, prefix), word) for word in call.words for prefix in _JIB_IMAGE for value in word.values
              if shown(value).startswith(prefix)]  # fmt: skip
    tags = [(one, word) for word in call.words for value in word.values for prefix in _JIB_TAGS
            if shown(value).startswith(prefix) for one in words_of(cut_after(value, prefix))]  # fmt: skip
    result = [push for image, word in images for push in references.pushes(image, "jib", call.script.place(word.start))]
    repository = references.repository_of(images[0][0]) if images else unknown("jib.to.image", "is in the build file")
    if tags and images and result and result[0].implied:
        result = []
    result += [
        Push(repository, tag, "jib", call.script.place(word.start), references.span_of(tag)) for tag, word in tags
    ]
    if not result:
        tag = unknown("jib.to.image", "is in the build file")
        return [Push(repository, tag, "jib", call.script.place(call.start))]
    return result


def _helm(call: Call) -> list[Push]:
    row = Row(frozenset({"helm"}), ("push",), valued=("--ca-file", "--cert-file", "--key-file"))
    found = find_row(call.words, (row,))
    if found is None:
        return []
    positional = sort_arguments(found[1], row.valued).positional
    if len(positional) < 2 or not text_of(positional[-1]).startswith("oci://"):  # noqa: PLR2004 - chart and registry
        return []
    place = call.script.place(positional[0].start)
    result = []
    for chart in positional[0].values:
        found_version = re.search(r"-(v?\d[\w.+-]*)\.tgz$", shown(chart))
        variable = [part for part in chart if not part.literal]
        if found_version and not variable:
            tag: Text = literal(found_version.group(1))
        elif variable:
            tag = tuple(variable)
        else:
            tag = unknown(shown(chart), "has the version that Chart.yaml says")
        repository = cut_after(positional[-1].values[0], "oci://")
        result.append(Push(repository, tag, "helm push", place, purpose=Purpose.CHART))
    return result


_COSIGN_VALUED: Final = ("--key", "--predicate", "--type", "-a", "--annotations", "--registry-referrers-mode", "--sbom",
                         "--output", "--identity-token", "--certificate", "--signature")  # fmt: skip


def _cosign(call: Call) -> list[Push]:
    rows = tuple(Row(_COSIGN, (verb,)) for verb in ("sign", "attest", "attach"))
    found = find_row(call.words, rows)
    if found is None:
        return []
    suffix = {"sign": "sig", "attest": "att"}.get(found[0].path[0], "sbom")
    arguments = sort_arguments(found[1], _COSIGN_VALUED)
    modes = [shown(value[0]) for value in arguments.values("--registry-referrers-mode")]
    if "oci-1-1" in modes or not arguments.positional:
        return []
    word = arguments.positional[-1]
    return [
        Push(
            references.repository_of(text),
            literal(f"sha256-DIGEST.{suffix}"),
            f"cosign {found[0].path[0]}",
            call.script.place(word.start),
            purpose=Purpose.SIGNATURE,
        )
        for text in word.values[:1]
    ]


_PROGRAMS: Final = frozenset().union(
    *(row.programs for row in (*ROWS, *LABELS, *_AWS, *_KO)),
    {"oras", "crane", "gcrane", "mvn", "mvnw", "gradle", "gradlew", "helm", "cosign"},
)
"""Every program that some row or function here knows."""
