"""The rules of those who use images: is what is named today still what is named tomorrow?

Pure functions of a case; each answers for one rule of the table. They know how an image is named and what a registry
told, and nothing of files' formats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.pin.case import Verdict
from holdfast.pin.image import DEFAULT_TAG, parse_image
from holdfast.pin.knowledge import digest_name, tag_name
from holdfast.pin.mention import Role, has_tag, splices, without_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.case import Case
    from holdfast.pin.image import ImageReference
    from holdfast.pin.knowledge import Knowledge, Known
    from holdfast.pin.mention import Mention

_SHORT: Final = len("sha256:") + 12
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/:@-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """How a mention names its image: the tag as far as the file tells it, and whether there is a digest."""

    name: str
    tag: str | None
    digest: str | None
    image: ImageReference | None
    """What a registry can be asked for; None when only a run can tell."""


def named(mention: Mention) -> Named | None:
    """Read a mention; None where the part that matters is made of variables that have no value here."""
    image = parse_image(mention.image) if mention.image is not None else None
    if image is not None:
        return Named(mention.image or "", image.tag, image.digest, image)
    return _by_its_end(mention.text)


def _by_its_end(written: str) -> Named | None:
    """Read `$REGISTRY/app:latest`: the name is open, but the tag stands there."""
    last = written.rpartition("/")[2]
    if not _PLAIN.fullmatch(last) or "/" not in written:
        return None
    tail, _, digest = last.partition("@")
    tag = tail.rpartition(":")[2] if has_tag(tail) else None
    return Named(written, tag, digest or None, None)


def consumed(case: Case) -> Iterator[tuple[Mention, Named]]:
    """Give the mentions that use an image and can be judged."""
    for mention in case.mentions:
        if mention.role is Role.CONSUMES and (read := named(mention)) is not None:
            yield mention, read


def no_tag(case: Case) -> Iterator[Verdict]:
    """Neither tag nor digest: `latest` is meant, and nobody sees it."""
    for mention, read in consumed(case):
        if read.tag is None and read.digest is None and not _is_held(read, case.knowledge):
            message = f"{read.name} names no tag, so that it means {DEFAULT_TAG}."
            yield _unpinned(case, mention, read, message)


def latest(case: Case) -> Iterator[Verdict]:
    """The tag `latest` without a digest."""
    for mention, read in consumed(case):
        if read.tag == DEFAULT_TAG and read.digest is None and not _is_held(read, case.knowledge):
            message = f"{read.name} is whatever was pushed last when it is pulled."
            yield _unpinned(case, mention, read, message)


def movable_tag(case: Case) -> Iterator[Verdict]:
    """Another tag without a digest; a tag that its repository holds is as good as one."""
    for mention, read in consumed(case):
        if read.tag is None or read.tag == DEFAULT_TAG or read.digest is not None:
            continue
        told = _told_of_tag(read, case.knowledge)
        if told is not None and (told.held or told.is_gone):
            continue
        moves = "can move: its repository does not hold it" if told is not None and told.held is False else "may move"
        yield _unpinned(case, mention, read, f"The tag {read.name} {moves}; no digest says which image is meant.")


def gone(case: Case) -> Iterator[Verdict]:
    """A tag or a digest that the registry does not have: the next pull fails."""
    for mention, read in consumed(case):
        if read.image is None:
            continue
        name = digest_name(read.image) if read.digest is not None else tag_name(read.image)
        told = case.knowledge.get(name)
        if told is not None and told.is_gone:
            message = f"Nothing is called {name}: the next pull fails."
            yield Verdict(mention.span, read.name, message, mention.context)


def stale_digest(case: Case) -> Iterator[Verdict]:
    """A tag beside a digest, and the tag names another image now."""
    for mention, read in consumed(case):
        told = _told_of_tag(read, case.knowledge)
        if read.digest is None or read.tag is None or told is None or told.digest in {None, read.digest}:
            continue
        if any(one.digest == read.digest for one in told.children):
            continue  # the digest of one platform of what the tag names: another rule
        now = told.digest or ""
        message = f"{without_digest(read.name)} names {now[:_SHORT]} now, but the digest is {read.digest[:_SHORT]}."
        yield Verdict(mention.span, read.name, message, mention.context, splices=splices(mention, case.data, now))


def platform_digest(case: Case) -> Iterator[Verdict]:
    """The digest of one platform, where the tag names an index of several."""
    for mention, read in consumed(case):
        told = _told_of_tag(read, case.knowledge)
        if read.digest is None or read.tag is None or told is None or told.digest is None:
            continue
        child = next((one for one in told.children if one.digest == read.digest), None)
        if child is None or len(told.children) == 1:
            continue
        platform = child.platform or "one platform"
        others = len(told.children) - 1
        message = f"The digest is that of {platform} alone; {without_digest(read.name)} has {others} more."
        yield Verdict(
            mention.span, read.name, message, mention.context, splices=splices(mention, case.data, told.digest)
        )


def wrong_platform(case: Case) -> Iterator[Verdict]:
    """What is named has no image for the platform that was asked for."""
    for mention, read in consumed(case) if case.platform else ():
        if read.image is None:
            continue
        name = digest_name(read.image) if read.digest is not None else tag_name(read.image)
        told = case.knowledge.get(name)
        if told is None or told.digest is None or not (told.children or told.platform):
            continue
        if told.for_platform(case.platform) is None:
            offered = ", ".join(sorted({one.platform for one in told.children})) or told.platform
            message = f"{name} has no image for {case.platform}; it is for {offered}."
            yield Verdict(mention.span, read.name, message, mention.context)


def _unpinned(case: Case, mention: Mention, read: Named, message: str) -> Verdict:
    told = _told_of_tag(read, case.knowledge)
    if mention.rewrite is None:
        fix = " ".join(mention.notes)
        return Verdict(mention.span, read.name, message, mention.context, fix=fix)
    if told is None or told.digest is None:
        return Verdict(mention.span, read.name, message, mention.context)
    tag = read.tag or DEFAULT_TAG
    return Verdict(
        mention.span,
        read.name,
        message,
        mention.context,
        fix=f"Write the digest beside the tag: {tag}@{told.digest}",
        splices=splices(mention, case.data, told.digest, tag),
    )


def _told_of_tag(read: Named, knowledge: Knowledge) -> Known | None:
    return None if read.image is None else knowledge.get(tag_name(read.image))


def _is_held(read: Named, knowledge: Knowledge) -> bool:
    told = _told_of_tag(read, knowledge)
    return told is not None and told.held is True
