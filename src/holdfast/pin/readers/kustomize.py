"""Kustomizations: the `images` transformer, whose entries name an image in parts.

Source: Kustomize docs, "images": name, newName, newTag, digest; the digest wins over the tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from holdfast.pin.image import parse_image
from holdfast.pin.mention import Context, Form, Kind, Mention, Rewrite, Slot
from holdfast.pin.readers.yaml_file import YamlFile
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, items, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Source


_NOTES: Final = {
    "newName": ("The tag is the one that the manifests name.",),
    "*": ("It is the tag of every image: one digest cannot be right for all.",),
}


def read(source: Source) -> list[Mention]:
    """Return the mentions of a kustomization; raises UnreadableFile."""
    file = YamlFile(source)
    return [mention for document in file.documents for mention in of_document(file, document)]


def of_document(file: YamlFile, document: Node) -> Iterator[Mention]:
    """Return a mention for each entry of `images` that sets a name, a tag or a digest."""
    for number, entry in enumerate(items(get(document, "images"))):
        yield from _entry(file, entry, f"images[{number}]")


def _entry(file: YamlFile, entry: Node, where: str) -> Iterator[Mention]:
    tag, digest, new = get(entry, "newTag"), get(entry, "digest"), get(entry, "newName")
    name = text_of(new) or text_of(get(entry, "name")) or ""
    key, shown = next(
        ((key, node) for key, node in (("newTag", tag), ("digest", digest), ("newName", new)) if text_of(node)),
        ("", None),
    )
    text = excerpt(file.source, shown)
    if text is None:
        return
    reference = f"{name}:{text_of(tag)}" if text_of(tag) else name
    reference = f"{reference}@{text_of(digest)}" if text_of(digest) else reference
    every = name == "*"
    if parse_image(reference.replace("*", "every", 1) if every else reference) is None:
        return
    bare = key == "newName"
    yield text.mention(
        0,
        len(text.text),
        kind=Kind.KUSTOMIZE_IMAGE,
        where=f"{where}.{key}",
        image=None if bare or every else reference,
        context=Context.PRODUCTION,
        rewrite=None if every else _rewrite(file, entry, key, digest),
        notes=_NOTES.get("*" if every else key, ()),
    )


def _rewrite(file: YamlFile, entry: Node, key: str, digest: Node | None) -> Rewrite | None:
    """Put the digest where there is one already, or before the key that names the tag or the image."""
    held = excerpt(file.source, digest)
    if held is not None and held.text:
        return Rewrite((Slot(file.source.span(*held.bounds(0, len(held.text))), Form.DIGEST),))
    if not isinstance(entry, yaml.MappingNode):
        return None
    mark = next((one.start_mark for one, _ in entry.value if one.value == key), None)
    if mark is None:
        return None
    line_end = "\r\n" if "\r\n" in file.source.text else "\n"
    after = ", " if entry.flow_style else line_end + " " * mark.column
    return Rewrite((Slot(file.source.span(mark.index, mark.index), Form.DIGEST, before="digest: ", after=after),))
