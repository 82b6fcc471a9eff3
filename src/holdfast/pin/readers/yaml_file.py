"""What readers of YAML formats share: an image in a scalar, shell in a scalar, variables with defaults in the file.

This file alone decides how a scalar becomes a mention. It knows no format of files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.image import parse_image
from holdfast.pin.mention import Context, Kind, Mention, Rewrite, Role
from holdfast.pin.readers.shell_tools import shell_mentions
from holdfast.pin.readers.yaml_nodes import Node, documents, excerpt, items, pairs, text_of
from holdfast.pin.slots import Defaults, place_digest
from holdfast.pin.source import Excerpt
from holdfast.pin.variables import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from holdfast.pin.source import Source

FOREIGN: Final = re.compile(r"\$\{\{|\{\{|<<|\$\(|\$\[\[")
"""What is put in by a system before anybody reads the value: no default of a file tells what it comes to."""


_EXPRESSIONS: Final = re.compile(r"\$\{\{.*?\}\}|\{\{.*?\}\}|<<.*?>>|\$\([^()]*\)|\$\[\[.*?\]\]")


class YamlFile:
    """A file of YAML documents."""

    def __init__(self, source: Source, wanted: Callable[[str], bool] | None = None) -> None:
        self.source = source
        self.documents: list[Node] = documents(source, wanted)

    def image(
        self,
        node: Node | None,
        *,
        kind: Kind,
        where: str,
        role: Role = Role.CONSUMES,
        context: Context = Context.BUILD,
        defaults: Defaults | None = None,
    ) -> Iterator[Mention]:
        """Make the mention of a scalar that is an image; nothing for what can be none."""
        text = excerpt(self.source, node)
        if text is None:
            return
        start = len(text.text) - len(text.text.lstrip())
        end = len(text.text.rstrip())
        yield from image_in(
            text, start, end, kind=kind, where=where, role=role, context=context, defaults=defaults or Defaults()
        )

    def script(
        self,
        node: Node | None,
        *,
        where: str,
        known: Mapping[str, str | None] | None = None,
        context: Context = Context.BUILD,
    ) -> list[Mention]:
        """Return the mentions of shell in a scalar, or in the elements of a list; what one line sets the next knows."""
        parts = list(self.scripts(node))
        if not parts:
            return []
        whole = parts[0] if len(parts) == 1 else Excerpt.lines(parts)
        return self.script_text(whole, where=where, known=known, context=context)

    @staticmethod
    def script_text(
        text: Excerpt,
        *,
        where: str,
        known: Mapping[str, str | None] | None = None,
        context: Context = Context.BUILD,
    ) -> list[Mention]:
        """Return the mentions of shell in a text."""
        return shell_mentions(text, where=where, known=known, context=context)

    def scripts(self, node: Node | None) -> Iterator[Excerpt]:
        """Return the texts of a scalar or of nested lists of scalars."""
        text = excerpt(self.source, node)
        if text is not None:
            yield text
        for one in items(node):
            yield from self.scripts(one)

    def variables(self, node: Node | None, noun: str = "variable") -> Defaults:
        """Read a mapping of variables; a mapping in it may hold its value as `value`."""
        defaults = Defaults(noun)
        for name, value in pairs(node):
            inner = dict(pairs(value)).get("value", value)
            written, text = text_of(inner), excerpt(self.source, inner)
            if written is None:
                continue
            defaults.known[name] = None if FOREIGN.search(written) else expand(written, defaults.known)
            if text is not None and text.text:
                defaults.places[name] = text.bounds(0, len(text.text))
            befores = re.findall(rf"([\w./:${{}}-]*)\$\{{?{re.escape(name)}\b", self.source.text)
            defaults.uses[name] = len(set(befores))
        return defaults


def image_in(
    text: Excerpt,
    start: int,
    end: int,
    *,
    kind: Kind,
    where: str,
    role: Role = Role.CONSUMES,
    context: Context = Context.BUILD,
    defaults: Defaults,
    resolve: Callable[[str], str | None] | None = None,
) -> Iterator[Mention]:
    """Make the mention of a piece of a text, when it can be an image."""
    written = text.text[start:end]
    if not written or re.search(r"\s", _EXPRESSIONS.sub("", written)):
        return
    foreign = FOREIGN.search(written)
    known = None if foreign else expand(written, defaults.known)
    image = known if resolve is None else resolve(written)
    if image is not None and parse_image(image) is None:
        return
    rewrite, notes = _place(text, start, end, defaults) if role is Role.CONSUMES else (None, ())
    yield text.mention(
        start,
        end,
        kind=kind,
        where=where,
        role=role,
        image=image,
        context=context,
        rewrite=rewrite,
        notes=notes,
    )


def _place(text: Excerpt, start: int, end: int, defaults: Defaults) -> tuple[Rewrite | None, tuple[str, ...]]:
    plain = text.like(_EXPRESSIONS.sub(lambda found: "${" + "_" * (len(found.group()) - 3) + "}", text.text))
    return place_digest(plain, start, end, defaults)
