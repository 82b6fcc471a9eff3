"""The rules of those who push images, and of those who create repositories: do tags hold, and would pipelines live?

Pure functions of a case; each answers for one row of the table in `rules`. They know pushes and creations, and nothing
of how files are read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from holdfast.pin.case import Verdict
from holdfast.pin.creation import programs, templates, terraform
from holdfast.pin.creation.creation import Creation, Hold
from holdfast.pin.mention import Context, Splice
from holdfast.pin.pushes import reading, references, remedies
from holdfast.pin.pushes.push import Purpose, Push
from holdfast.pin.pushes.tag import Repetition, shown
from holdfast.pin.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.case import Case
    from holdfast.pin.pushes.following import Findings

MAX_FILE_BYTES: Final = 1_000_000
"""Of a pipeline. The longest hand-written ones have a tenth of it."""

PIPELINES: Final = re.compile("|".join(row.path.pattern for row in reading.SYSTEMS), re.IGNORECASE)
"""Files that may push; asked of the relative path."""

CREATORS: Final = re.compile(r"\.(?:tf|tofu|ya?ml|json|template|ts|js|py)$", re.IGNORECASE)
"""Files that may create repositories."""

_WORD: Final = re.compile(r"(?:\$\{\{[^}\n]*\}\}|\S)+")
_TEST_PATH: Final = re.compile(r"(?:^|/)(?:tests?|e2e|testdata|fixtures|examples?|samples?|demos?)/", re.IGNORECASE)


def is_test_path(path: str) -> bool:
    """Tell whether a file lies in a folder of tests or examples."""
    return bool(_TEST_PATH.search(path))


class _Pushed:
    """A pipeline read: its text, and what it pushes."""

    def __init__(self, path: str, data: bytes) -> None:
        self.source = Source(path, data)
        self.path = path
        self.findings: Findings | None = None
        try:
            self.findings = reading.read(path, self.source.text)
        except reading.PipelineUnreadable:
            # Readers of mentions tell the same of it, as `file-unreadable`.
            return

    def of(self, *purposes: Purpose) -> list[Push]:
        """Return what is pushed for some purposes."""
        return [push for push in self.findings.pushes if push.purpose in purposes] if self.findings else []


@lru_cache(maxsize=2)
def _pushed(path: str, data: bytes) -> _Pushed:
    """Read a file once for all rules."""
    return _Pushed(path, data)


@lru_cache(maxsize=1 << 16)
def _is_pipeline(path: str) -> bool:
    return PIPELINES.match(path) is not None


def pushed(case: Case) -> _Pushed | None:
    """Return what a file pushes; None if it is no pipeline."""
    if len(case.data) > MAX_FILE_BYTES or not _is_pipeline(case.path):
        return None
    found = _pushed(case.path, case.data)
    return found if found.findings is not None and found.findings.pushes else None


def reused_tag(case: Case) -> Iterator[Verdict]:
    """A pushed tag that is the same on many runs."""
    found = pushed(case)
    if found is None or found.findings is None:
        return
    for push in found.of(Purpose.IMAGE, Purpose.CHART):
        if push.verdict is not Repetition.REUSED or references.is_throwaway(push.repository):
            continue
        changes = remedies.edits(found.path, found.source.text, found.findings, push)
        splices = tuple(
            Splice(found.source.span(change.span.start, change.span.end), change.new.encode()) for change in changes
        )
        message = f"{push.via} pushes {push.image} again and again: {push.reason}."
        yield _verdict(case, found, push, message, remedies.fix(push), splices)


def made_mutable(case: Case) -> Iterator[Verdict]:
    """A script that lets a repository's tags move again."""
    found = pushed(case)
    for push in found.of(Purpose.MAKE_MUTABLE) if found else ():
        name = shown(push.repository) or "a repository"
        yield _verdict(case, found, push, f"The tags of {name} are made movable: {push.via} {shown(push.tag)}.")


def deleted_first(case: Case) -> Iterator[Verdict]:
    """Images deleted in a pipeline that pushes to the same repository: a way round a tag that holds."""
    found = pushed(case)
    if found is None:
        return
    pushes = found.of(Purpose.IMAGE)
    for push in found.of(Purpose.DELETE):
        name = shown(push.repository)
        after = [
            one
            for one in pushes
            if one.place > push.place and one.verdict is not Repetition.RUN and _same_repository(name, one)
        ]
        if after and (not push.tag or any(shown(one.tag) == shown(push.tag) for one in after)):
            message = f"An image of {name or 'the repository'} is deleted, and {after[0].image} pushed after it."
            yield _verdict(case, found, push, message)


def _same_repository(name: str, push: Push) -> bool:
    other = shown(push.repository)
    return not name or other == name or other.endswith(f"/{name}")


def cache_tag(case: Case) -> Iterator[Verdict]:
    """A build cache under one tag in a registry."""
    found = pushed(case)
    for push in found.of(Purpose.CACHE) if found else ():
        if push.verdict is Repetition.REUSED and not references.is_throwaway(push.repository):
            yield _verdict(case, found, push, f"{push.via} moves {push.image} on every run.")


def signature_tag(case: Case) -> Iterator[Verdict]:
    """Signatures that are kept under tags."""
    found = pushed(case)
    for push in found.of(Purpose.SIGNATURE) if found else ():
        message = f"{push.via} keeps what it makes under the tag {shown(push.tag)}, and moves it when it signs again."
        yield _verdict(case, found, push, message)


def _verdict(
    case: Case, found: _Pushed | None, push: Push, message: str, fix: str = "", splices: tuple[Splice, ...] = ()
) -> Verdict:
    source = found.source if found is not None else Source(case.path, case.data)
    start = push.place
    end = _end_of_word(source.text, start)
    if push.span is not None and start <= push.span.start < _end_of_line(source.text, start):
        start, end = push.span.start, push.span.end
    context = Context.TEST if is_test_path(case.path) else Context.BUILD
    return Verdict(source.span(start, end), push.image, message, context, fix=fix, splices=splices)


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _end_of_word(text: str, at: int) -> int:
    stop = _end_of_line(text, at)
    word = _WORD.match(text, at, stop)
    return word.end() if word else min(at + 1, len(text))


# Repositories


@lru_cache(maxsize=2)
def _marked(data: bytes) -> bool:
    return (
        b"aws_ecr_repository" in data
        or b"AWS::ECR::Repository" in data
        or any(word in data for word in (b"ecr.Repository", b"/ecr/aws", b"module/", b"modules/"))
    )


def created(case: Case) -> list[tuple[Source, Creation]]:
    """Return the repositories that a file creates."""
    if len(case.data) > MAX_FILE_BYTES or not CREATORS.search(case.path) or not _marked(case.data):
        return []
    source = Source(case.path, case.data)
    ending = case.path.rpartition(".")[2].lower()
    if ending in {"tf", "tofu"}:

        def neighbour(path: str) -> str | None:
            content = case.neighbour(path)
            return None if content is None else content.decode("utf-8", "surrogateescape")

        found = terraform.read(case.path, source.text, neighbour)
    elif ending in {"ts", "js", "py"}:
        found = programs.read(source.text)
    else:
        found = templates.read(source.text) if "AWS::ECR::Repo" in source.text else []
    return [(source, one) for one in found]


def mutable_repository(case: Case) -> Iterator[Verdict]:
    """A repository created so that its tags move."""
    for source, one in created(case):
        if one.hold is Hold.MOVABLE:
            yield _creation(case, source, one)
    found = pushed(case)
    for push in found.of(Purpose.CREATE_MUTABLE) if found else ():
        name = shown(push.repository) or "a repository"
        mode = shown(push.tag)
        said = f"says {mode}" if mode else "says nothing of tags, and so makes it MUTABLE"
        yield _verdict(case, found, push, f"aws ecr create-repository of {name} {said}.")


def partly_held(case: Case) -> Iterator[Verdict]:
    """A repository whose filters leave some tags movable."""
    for source, one in created(case):
        if one.hold is Hold.PARTLY:
            yield _creation(case, source, one)


def _creation(case: Case, source: Source, one: Creation) -> Verdict:
    context = Context.TEST if is_test_path(case.path) else Context.PRODUCTION
    splices: tuple[Splice, ...] = ()
    if one.edit is not None and one.hold is Hold.MOVABLE:
        splices = (Splice(source.span(one.edit.start, one.edit.end), one.edit.new.encode()),)
    return Verdict(source.span(one.start, one.end), one.name, one.sentence, context, splices=splices)
