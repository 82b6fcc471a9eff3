"""The whole change for a repository: which files become what, put together from its parts.

This file alone decides what belongs to a migration. It reads nothing: files come in as bytes, changes go out as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.pin.migration import deployments, patch, pipelines, pointer
from holdfast.pin.pushers import MAX_FILE_BYTES, PIPELINES, is_test_path
from holdfast.pin.pushes import reading, remedies
from holdfast.pin.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.pin.migration.deployments import Deployment
    from holdfast.pin.migration.pipelines import Mended

MAX_FILES: Final = 20_000


@dataclass(slots=True)
class Migration:
    """What a repository's files become, and what is told of it."""

    before: dict[str, bytes | None] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    pipelines: list[Mended] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    pointer: str | None = None
    pins: list[tuple[str, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def changed(self) -> list[str]:
        """Return the files that change or come, in order."""
        return sorted(path for path, content in self.after.items() if content != self.before.get(path))

    def patch(self) -> bytes:
        """Return the change as one unified diff."""
        return b"".join(patch.of_file(path, self.before.get(path), self.after[path]) for path in self.changed)


def to_mend(files: Mapping[str, bytes]) -> list[str]:
    """Return which of some files are pipelines that a migration looks at."""
    return [
        path
        for path in sorted(files)[:MAX_FILES]
        if PIPELINES.search(path) and len(files[path]) <= MAX_FILE_BYTES and not is_test_path(path)
    ]


def mend(path: str, data: bytes) -> Mended | None:
    """Mend one pipeline."""
    return pipelines.mend(path, Source(path, data).text)


def migrate(
    files: Mapping[str, bytes],
    *,
    has_pointer: bool,
    resolved: Mapping[str, str],
    mended_files: Mapping[str, Mended | None] | None = None,
) -> Migration:
    """Put a migration together; `resolved`: repository -> reference now.

    `mended_files` are pipelines that were mended elsewhere, under a limit of time; without them it is done here.
    """
    result = Migration()
    chosen = to_mend(files) if mended_files is None else [path for path in to_mend(files) if path in mended_files]
    for path in chosen:
        data = files[path]
        if not patch.can_be_named(path):
            result.notes.append(f"{path!r} is left out: its name cannot stand in a patch.")
            continue
        mended = mend(path, data) if mended_files is None else mended_files[path]
        if mended is not None:
            result.pipelines.append(mended)
            _keep(result, path, data, mended.after)
    steps = [step for one in result.pipelines for step in (*one.done, *one.left)]
    result.entries = pointer.entries(steps)
    moved = {
        step.image: (pointer.environment_of(step), pointer.name_of(step.repository))
        for one in result.pipelines
        for step in one.done
        if step.literal
    }
    for path in chosen:
        _deployments(result, path, files[path], moved)
    if result.entries and not has_pointer:
        result.pointer = pointer.render(result.entries, resolved)
        result.before[pointer.PATH] = None
        result.after[pointer.PATH] = result.pointer.encode("utf-8", "surrogateescape")
    elif result.entries:
        result.notes.append(f"{pointer.PATH} is there already and stays as it is.")
    return result


def _keep(result: Migration, path: str, before: bytes, text: str) -> None:
    body = text.encode("utf-8", "surrogateescape")
    mark = b"\xef\xbb\xbf"
    result.before[path] = before
    result.after[path] = mark + body if before.startswith(mark) else body


def _deployments(result: Migration, path: str, data: bytes, moved: Mapping[str, tuple[str, str]]) -> None:
    source = Source(path, result.after.get(path, data))
    changes, found = deployments.find(path, source.text, moved)
    if changes:
        text = remedies.applied(source.text, tuple(changes))
        if _pushes_the_same(path, source.text, text):
            _keep(result, path, data, text)
        else:
            found = [type(one)(one.path, one.line, one.text) for one in found]
    result.deployments += found


def _pushes_the_same(path: str, before: str, after: str) -> bool:
    try:
        old, new = reading.read(path, before), reading.read(path, after)
    except reading.PipelineUnreadable:
        return False
    if old is None or new is None:
        return False
    return [(one.image, one.verdict) for one in old.pushes] == [(one.image, one.verdict) for one in new.pushes]
