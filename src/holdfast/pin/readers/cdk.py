"""CDK programs: images given as text to `fromRegistry` and its kin, in any of its languages.

Source: AWS CDK API reference, ContainerImage.fromRegistry, LinuxBuildImage.fromDockerRegistry,
DockerImage.fromRegistry.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention
from holdfast.pin.readers.tokens import tokens
from holdfast.pin.readers.yaml_file import image_in
from holdfast.pin.slots import Defaults
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from holdfast.pin.source import Source

_CALL: Final = re.compile(r"(?:[A-Za-z]+_)?from_?(docker_?)?registry", re.IGNORECASE)


def read(source: Source) -> list[Mention]:
    """Return the mentions of a program; raises UnreadableFile."""
    found: list[Mention] = []
    seen = tokens(source, hash_comments=source.path.endswith(".py"))
    whole = Excerpt.of(source)
    constants = {
        name.text: value
        for name, sign, value in zip(seen, seen[1:], seen[2:], strict=False)
        if sign.text == "=" and value.quote and not name.quote
    }
    for number, token in enumerate(seen):
        call = _CALL.fullmatch(token.text) if not token.quote else None
        if call is None or number + 2 >= len(seen) or seen[number + 1].text != "(":
            continue
        given = seen[number + 2]
        if given.text in {"f", "r", "rf", "fr"} and len(seen) > number + 3:
            given = seen[number + 3]
        if given.text == "jsii" and len(seen) > number + 6:
            given = seen[number + 6]
        if not given.quote:
            given = constants.get(given.text, given)
        if given.quote:
            found.extend(
                image_in(
                    whole,
                    given.start,
                    given.end,
                    kind=Kind.CDK_IMAGE,
                    where=token.text,
                    context=Context.BUILD if call[1] else Context.PRODUCTION,
                    defaults=Defaults(),
                    resolve=lambda written: None if re.search(r"\{[\w.$]+\}", written) else written,
                )
            )
    return found
