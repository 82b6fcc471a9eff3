"""Dockerfiles and Containerfiles: FROM, COPY --from, RUN --mount=from=, and the syntax line.

This file alone knows the grammar of a Dockerfile. It must not know which images are good.

Sources: Dockerfile reference (docs.docker.com/reference/dockerfile): "Parser directives", "FROM", "ARG", "COPY --from",
"RUN --mount", "Here-Documents". The lexer is ours: the parsers that can be had for Python drop places, or know neither
flags nor heredocs; moby's own is the judge in the tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.pin.mention import Context, Kind, Mention, Rewrite
from holdfast.pin.slots import Defaults, place_digest
from holdfast.pin.source import Excerpt, Source, UnreadableFile
from holdfast.pin.variables import expand, find_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INSTRUCTIONS: Final = 20_000
MAX_HEREDOCS: Final = 32
"""In one instruction."""

_DIRECTIVE: Final = re.compile(r"#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t\r]*$")
_HEREDOC: Final = re.compile(r"""(?<![<\d])\d*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_.]*)\2(?=[\s;&|)]|$)""")
_WORD: Final = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|\$\{[^}]*\}|[^\s"'\\]|["'\\])+""", re.DOTALL)
_FROM_FLAG: Final = re.compile(r"--from=", re.IGNORECASE)
_HAS_HEREDOCS: Final = frozenset({"RUN", "COPY", "ADD"})


class Instruction(NamedTuple):
    """One instruction: its keyword in capitals, and the rest without continuations."""

    keyword: str
    rest: Excerpt


class _Word(NamedTuple):
    """A word without its quotes."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class _Stage:
    name: str | None
    base: str | None
    """The name of the stage that it is built from."""
    used: bool = False


@dataclass(slots=True)
class _State:
    defaults: Defaults = field(default_factory=lambda: Defaults("ARG"))
    stages: list[_Stage] = field(default_factory=list)

    @property
    def known(self) -> dict[str, str | None]:
        """What the ARGs before the first FROM come to."""
        return self.defaults.known


def read(source: Source) -> list[Mention]:
    """Return the mentions of a Dockerfile in their order; raises UnreadableFile."""
    found = list(_syntax(source))
    instructions = instructions_of(source)
    state = _arguments(instructions)
    _note_stages(instructions, state)
    stage = -1
    for keyword, rest in instructions:
        if keyword == "FROM":
            stage += 1
            found.extend(_from(rest, state, stage))
        elif stage >= 0 and keyword in {"COPY", "ADD"}:
            found.extend(_copy(rest, state))
        elif stage >= 0 and keyword == "RUN":
            found.extend(_mounts(rest, state))
    return found


# --- lines -----------------------------------------------------------------------------------------------------------


def instructions_of(source: Source) -> list[Instruction]:
    """Split a Dockerfile into instructions: comments, continuations and the bodies of heredocs are gone."""
    escape = _directives(source).get("escape", ("\\", 0, 0))[0]
    continued = re.compile(rf"{re.escape(escape if escape in {'`', chr(92)} else chr(92))}[ \t]*\r?$")
    found: list[Instruction] = []
    lines = _lines(source.text)
    for start, line in lines:
        if not _says_something(line):
            continue
        text, starts, origins = _joined(start, line, lines, continued)
        whole = Excerpt(source, text, starts, origins)
        instruction = _instruction(whole)
        if instruction is None:
            continue
        if instruction.keyword in _HAS_HEREDOCS or instruction.keyword == "ONBUILD":
            _skip_heredocs(text, lines, source)
        found.append(instruction)
        if len(found) > MAX_INSTRUCTIONS:
            msg = f"It has more than {MAX_INSTRUCTIONS} instructions."
            raise UnreadableFile(msg)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield at, text[at:end]
        at = end + 1


def _says_something(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")


def _joined(
    start: int, line: str, lines: Iterator[tuple[int, str]], continued: re.Pattern[str]
) -> tuple[str, list[int], list[int]]:
    """Take the lines that continue this one; comments and empty lines between are dropped, as BuildKit drops them."""
    parts: list[str] = []
    starts: list[int] = []
    origins: list[int] = []
    length = 0
    while True:
        mark = continued.search(line)
        part = line[: mark.start()] if mark else line.rstrip("\r")
        if part or not parts:
            parts.append(part)
            starts.append(length)
            origins.append(start)
            length += len(part)
        if mark is None:
            break
        following = next((one for one in lines if _says_something(one[1])), None)
        if following is None:
            break
        start, line = following
    return "".join(parts), starts, origins


def _instruction(whole: Excerpt) -> Instruction | None:
    found = re.match(r"\s*([A-Za-z]+)(?:\s+|$)", whole.text)
    if found is None:
        return None
    keyword, rest = (
        found[1].upper(),
        whole.piece(found.end(), len(whole.text)) if found.end() < len(whole.text) else None,
    )
    if rest is None:
        return None
    return Instruction(keyword, rest)


def _skip_heredocs(text: str, lines: Iterator[tuple[int, str]], source: Source) -> None:
    for number, (dash, _quote, name) in enumerate(_HEREDOC.findall(text)):
        if number >= MAX_HEREDOCS:
            msg = f"An instruction has more than {MAX_HEREDOCS} heredocs."
            raise UnreadableFile(msg)
        for _start, line in lines:
            body = line.rstrip("\r")
            if (body.lstrip("\t") if dash else body) == name:
                break
        else:
            msg = f"The heredoc {name} has no end ({source.path})."
            raise UnreadableFile(msg)


# --- the first lines -------------------------------------------------------------------------------------------------


def _directives(source: Source) -> dict[str, tuple[str, int, int]]:
    """Return the parser directives: name -> value and where it stands. Any other line ends them."""
    found: dict[str, tuple[str, int, int]] = {}
    for number, (start, line) in enumerate(_lines(source.text)):
        if number == 0 and line.startswith("#!"):
            continue
        directive = _DIRECTIVE.match(line)
        if directive is None or directive[1].lower() in found:
            break
        found[directive[1].lower()] = (directive[2], start + directive.start(2), start + directive.end(2))
    return found


def _syntax(source: Source) -> Iterator[Mention]:
    directive = _directives(source).get("syntax")
    if directive is None:
        return
    value, start, _end = directive
    # What follows the image, after a blank, are options of the frontend.
    end = start + len(value.split()[0])
    whole = Excerpt.of(source)
    yield whole.mention(
        start,
        end,
        kind=Kind.DOCKERFILE_SYNTAX,
        where="# syntax",
        image=source.text[start:end],
        rewrite=Rewrite((whole.slot(start, end),)),
    )


# --- arguments and stages --------------------------------------------------------------------------------------------


def _words(text: str) -> Iterator[_Word]:
    for found in _WORD.finditer(text):
        start, end = found.span()
        if end - start >= 2 and text[start] == text[end - 1] and text[start] in "\"'":  # noqa: PLR2004 - two quotes
            start, end = start + 1, end - 1
        yield _Word(start, end, text[start:end])


def _arguments(instructions: list[Instruction]) -> _State:
    """Read the ARGs before the first FROM: only these reach a FROM."""
    state = _State()
    for keyword, rest in instructions:
        if keyword == "FROM":
            break
        if keyword != "ARG":
            continue
        for found in _WORD.finditer(rest.text):
            name, equals, value = found.group().partition("=")
            if not equals:
                state.known.setdefault(name, None)
                continue
            start, end = found.start() + len(name) + 1, found.end()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":  # noqa: PLR2004 - two quotes
                start, end = start + 1, end - 1
            state.known[name] = expand(rest.text[start:end], state.known)
            state.defaults.places[name] = rest.bounds(start, end)
    return state


def _note_stages(instructions: list[Instruction], state: _State) -> None:
    """Read the names of all stages, which of them the last is built from, and how often an ARG is part of an image."""
    parts: dict[str, set[str]] = {}
    for keyword, rest in instructions:
        if keyword != "FROM":
            continue
        words = [word for word in _words(rest.text) if not word.text.startswith("--")]
        name = words[2].text.lower() if len(words) > 2 and words[1].text.lower() == "as" else None  # noqa: PLR2004
        image = words[0].text if words else ""
        known = {stage.name for stage in state.stages}
        base = expand(image, state.known)
        state.stages.append(_Stage(name, base.lower() if base and base.lower() in known else None))
        for variable in find_variables(image) or ():
            parts.setdefault(variable.name, set()).add(image[: variable.start])
    state.defaults.uses = {name: len(befores) for name, befores in parts.items()}
    if state.stages:
        _mark_used(state.stages)


def _mark_used(stages: list[_Stage]) -> None:
    """The last stage is what runs, and so is what it is built from."""
    wanted = len(stages) - 1
    while True:
        stage = stages[wanted]
        stage.used = True
        before = [number for number in range(wanted) if stage.base is not None and stages[number].name == stage.base]
        if not before:
            return
        wanted = before[-1]


def _from(rest: Excerpt, state: _State, number: int) -> Iterator[Mention]:
    words = [word for word in _words(rest.text) if not word.text.startswith("--")]
    if not words:
        return
    word = words[0]
    image = expand(word.text, state.known)
    stage = state.stages[number]
    if image is not None and (image == "scratch" or stage.base is not None):
        return
    if image is None and _may_be_stage(word.text, state, number):
        return
    rewrite, notes = place_digest(rest, word.start, word.end, state.defaults)
    yield rest.mention(
        word.start,
        word.end,
        kind=Kind.DOCKERFILE_FROM,
        where=f"FROM {stage.name}" if stage.name else f"FROM (stage {number})",
        image=image or None,
        context=Context.PRODUCTION if stage.used else Context.BUILD,
        rewrite=rewrite,
        notes=notes,
    )


def _may_be_stage(text: str, state: _State, number: int) -> bool:
    """`FROM build-${TARGETARCH}`: when stages before are named so, one of them is meant, not an image."""
    variables = find_variables(text)
    if not variables or variables[0].start == 0:
        return False
    pattern, at = [], 0
    for variable in variables:
        pattern.append(re.escape(text[at : variable.start].lower()))
        at = variable.end
    pattern.append(re.escape(text[at:].lower()))
    shape = re.compile("[a-z0-9._-]*".join(pattern))
    return any(stage.name and shape.fullmatch(stage.name) for stage in state.stages[:number])


# --- flags -----------------------------------------------------------------------------------------------------------


def _copy(rest: Excerpt, state: _State) -> Iterator[Mention]:
    for word in _words(rest.text):
        if not word.text.startswith("--"):
            return
        flag = _FROM_FLAG.match(word.text)
        if flag is not None:
            yield from _foreign(rest, word.start + flag.end(), word.end, Kind.DOCKERFILE_COPY_FROM, state)


def _mounts(rest: Excerpt, state: _State) -> Iterator[Mention]:
    for word in _words(rest.text):
        if not word.text.startswith("--"):
            return
        if not word.text.startswith("--mount="):
            continue
        at = word.start + len("--mount=")
        for option in word.text.removeprefix("--mount=").split(","):
            name, equals, value = option.partition("=")
            if name.strip().lower() == "from" and value:
                start = at + len(name) + len(equals)
                yield from _foreign(rest, start, start + len(value), Kind.DOCKERFILE_MOUNT_FROM, state)
            at += len(option) + 1


def _foreign(rest: Excerpt, start: int, end: int, kind: Kind, state: _State) -> Iterator[Mention]:
    """What a flag names is a stage, by name or number, or else an image."""
    while end - start >= 2 and rest.text[start] == rest.text[end - 1] and rest.text[start] in "\"'":  # noqa: PLR2004
        start, end = start + 1, end - 1
    name = rest.text[start:end]
    if not name or name.isdigit() or name == "scratch" or any(stage.name == name.lower() for stage in state.stages):
        return
    if "$" in name:
        yield rest.mention(
            start, end, kind=kind, where="--from", image=None, notes=("Docker puts no variable into this flag.",)
        )
        return
    yield rest.mention(start, end, kind=kind, where="--from", image=name, rewrite=Rewrite((rest.slot(start, end),)))
