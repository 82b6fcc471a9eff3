"""Images that are written in parts: a repository here, a tag there, sometimes a registry or a digest beside them.

This file alone decides what such parts come to and which of them takes the digest. Helm values and the values that
custom resources carry are written so.

Sources: Helm docs, "Chart best practices: Values"; the charts of Bitnami (registry, repository, tag, digest).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.image import parse_image
from holdfast.pin.mention import Context, Form, Kind, Mention, Rewrite, Slot
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.readers.yaml_file import YamlFile

_REPOSITORIES: Final = ("repository", "repo", "image", "imageName", "name")
_TAGS: Final = ("tag", "imageTag")
_OF_IMAGES: Final = re.compile(r"image|container|sidecar", re.IGNORECASE)
_NO_TAG: Final = frozenset({"", "null", "~"})


def triple(file: YamlFile, mapping: Node, path: str, kind: Kind, context: Context) -> Iterator[Mention]:
    """Make the mention of a mapping that names an image in parts; nothing for any other mapping."""
    tag = next((node for name in _TAGS if (node := get(mapping, name)) is not None), None)
    name = next((node for key in _REPOSITORIES if text_of(node := get(mapping, key))), None)
    digest = get(mapping, "digest")
    if name is None or (tag is None and digest is None) or not _speaks_of_an_image(mapping, path):
        return
    registry, repository = text_of(get(mapping, "registry")) or "", text_of(name) or ""
    whole = f"{registry.rstrip('/')}/{repository}" if registry else repository
    written = text_of(tag) or ""
    known = text_of(digest) or ""
    reference = whole if written in _NO_TAG else f"{whole}:{written}"
    reference = f"{reference}@{known}" if known.startswith("sha") else reference
    if parse_image(reference) is None:
        return
    shown = tag if written not in _NO_TAG else name
    text = excerpt(file.source, shown)
    if text is None:
        return
    rewrite, notes = _digest_place(file, tag, digest, written)
    if written in _NO_TAG and not known:
        notes = ("The chart decides the tag, by its appVersion as a rule.", *notes)
    yield text.mention(
        0,
        len(text.text),
        kind=kind,
        where=path,
        image=reference if written not in _NO_TAG or known else None,
        context=context,
        rewrite=rewrite,
        notes=notes,
    )


def _speaks_of_an_image(mapping: Node, path: str) -> bool:
    """A repository and a tag may be of Git, too: the name must say image, or there is a pull policy."""
    keys = {"pullPolicy", "imagePullPolicy", "imageTag", "pullSecrets"}
    return bool(_OF_IMAGES.search(path.rpartition(".")[2]) or _OF_IMAGES.search(path)) or any(
        get(mapping, key) is not None for key in keys
    )


def _digest_place(
    file: YamlFile, tag: Node | None, digest: Node | None, written: str
) -> tuple[Rewrite | None, tuple[str, ...]]:
    text = excerpt(file.source, digest)
    if text is not None:
        bare = not text.text and file.source.text[text.origin(0) - 1 : text.origin(0)] == ":"
        span = file.source.span(*text.bounds(0, len(text.text)))
        return Rewrite((Slot(span, Form.DIGEST, before=" " if bare else ""),)), ()
    text = excerpt(file.source, tag)
    if text is None or written in _NO_TAG:
        return None, ("There is no tag here that could take a digest.",)
    span = file.source.span(*text.bounds(0, len(text.text)))
    return Rewrite((Slot(span, Form.TAG),)), (
        "The digest is written behind the tag: right for templates that write repository:tag.",
    )
