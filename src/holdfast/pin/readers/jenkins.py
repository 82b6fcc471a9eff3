"""Jenkinsfiles: agents, `docker.image` and `docker.build`, pushes, shell steps, and the YAML of pods.

This file alone knows what a pipeline of Jenkins does with images. Groovy is read loosely: strings, names, comments.

Sources: Jenkins handbook, "Using Docker with Pipeline", "Pipeline syntax: agent"; the Kubernetes plugin's documentation
(containerTemplate, yaml).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.helm import image_lines
from holdfast.pin.readers.shell_tools import shell_mentions
from holdfast.pin.readers.tokens import Token, tokens
from holdfast.pin.readers.yaml_file import image_in
from holdfast.pin.slots import Defaults
from holdfast.pin.source import Excerpt
from holdfast.pin.variables import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source

_SHELLS: Final = frozenset({"sh", "bat", "script", "powershell", "pwsh"})
_ENV: Final = re.compile(r"\$\{(?:env|params)\.(\w+)\}")


def read(source: Source) -> list[Mention]:
    """Return the mentions of a pipeline; raises UnreadableFile."""
    return list(_pipeline(source))


def _pipeline(source: Source) -> Iterator[Mention]:
    seen = tokens(source)
    whole = Excerpt.of(source)
    known = _known(seen)
    for number, token in enumerate(seen):
        if not token.quote:
            continue
        before = _before(seen, number)
        names = [one for one in before if re.fullmatch(r"\w+", one)]
        named = names[-1] if names else ""
        if named in _SHELLS:
            text = whole.piece(token.start, token.end)
            yield from shell_mentions(text, where=f"{named}: ", known=known if '"' in token.quote else None)
        elif named == "yaml":
            yield from image_lines(whole.piece(token.start, token.end), Kind.JENKINS_AGENT, Context.BUILD)
        else:
            rule = _rule(before, names)
            if rule is not None:
                yield from _image(whole, token, *rule, known)


def _known(seen: list[Token]) -> dict[str, str | None]:
    """Return what names are set to; one that is set twice holds neither for certain."""
    known: dict[str, str | None] = {}
    for name, sign, value in zip(seen, seen[1:], seen[2:], strict=False):
        if sign.text == "=" and value.quote and not sign.quote and not name.quote:
            new = expand(_ENV.sub(r"${\1}", value.text), known) if '"' in value.quote else value.text
            known[name.text] = new if known.get(name.text, new) == new else None
    return known


def _before(seen: list[Token], number: int) -> list[str]:
    """Return the names and signs of the call that a string is given to, back to the end of what stands before it."""
    found: list[str] = []
    for token in reversed(seen[max(0, number - 6) : number]):
        if token.quote or token.text in {"{", "}", ";", ","}:
            break
        found.append(token.text)
    return found[::-1]


def _rule(before: list[str], names: list[str]) -> tuple[Kind, Role] | None:
    """Say what a string is by what it is given to."""
    call = "".join(before[-4:])
    if call.endswith("docker.image("):
        return Kind.JENKINS_IMAGE, Role.CONSUMES
    if call.endswith("docker.build("):
        return Kind.JENKINS_IMAGE, Role.BUILDS
    if names[-1:] == ["image"] and before[-1:] in (["image"], [":"], ["("]):
        return Kind.JENKINS_AGENT, Role.CONSUMES
    if names[-2:-1] != ["withDockerContainer"] and before[-1:] == ["docker"]:
        return Kind.JENKINS_AGENT, Role.CONSUMES
    if call.endswith(".push("):
        return Kind.JENKINS_IMAGE, Role.PUSHES
    return None


def _image(whole: Excerpt, token: Token, kind: Kind, role: Role, known: dict[str, str | None]) -> Iterator[Mention]:
    def resolve(written: str) -> str | None:
        return expand(_ENV.sub(r"${\1}", written), known) if '"' in token.quote else written

    yield from image_in(
        whole,
        token.start,
        token.end,
        kind=kind,
        where={Role.CONSUMES: "docker image", Role.BUILDS: "docker.build", Role.PUSHES: "push (a tag)"}[role],
        role=role,
        defaults=Defaults(),
        resolve=resolve,
    )
