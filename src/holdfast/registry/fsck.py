"""fsck: everything derived anew from the bytes, and held against what the database says.

Works on a data directory that no server has open. It believes nothing: a blob's file is hashed, a manifest is parsed
again, what each tag names is replayed from the record. A finding is harm done to a promise; a leftover is what a crash
may leave behind and the server sweeps by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError, StorageFailed
from holdfast.core.manifest import Kind
from holdfast.core.manifest import parse as parse_manifest
from holdfast.registry.seal import Seal, SealBroken
from holdfast.store import accounts, examination, usage
from holdfast.store.entries import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.core.manifest import Manifest
    from holdfast.registry.fsck_ledger import LedgerExamination
    from holdfast.store.blob_files import BlobFiles, StoredFile
    from holdfast.store.database import Reader
    from holdfast.store.examination import BlobRow, ManifestRow
    from holdfast.store.sqlite import SQLiteFile

ROWS_PER_PAGE: Final = 500
MAX_TOLD: Final = 10_000
"""Findings kept; of more, only the number is told."""


class Problem(StrEnum):
    """What an examination may come upon."""

    DATABASE_DAMAGED = "database-damaged"
    BLOB_FILE_MISSING = "blob-file-missing"
    BLOB_SIZE_WRONG = "blob-size-wrong"
    BLOB_BYTES_WRONG = "blob-bytes-wrong"
    BLOB_UNREADABLE = "blob-unreadable"
    MANIFEST_BYTES_WRONG = "manifest-bytes-wrong"
    MANIFEST_UNREADABLE = "manifest-unreadable"
    MANIFEST_ROW_WRONG = "manifest-row-wrong"
    REFERENCE_MISSING = "reference-missing"
    REFERENCE_UNFOUNDED = "reference-unfounded"
    PART_MISSING = "part-missing"
    TAG_WITHOUT_IMAGE = "tag-without-image"
    TAG_BOUND_TWICE = "tag-bound-twice"
    TAG_AGAINST_RECORD = "tag-against-record"
    TOMBSTONE_UNFOUNDED = "tombstone-unfounded"
    RECORD_HAS_GAP = "record-has-gap"
    LEDGER_WRONG = "ledger-wrong"
    USAGE_WRONG = "usage-wrong"
    DOOMED_FILE_NEEDED = "doomed-file-needed"
    SECRET_SEALED_OTHERWISE = "secret-sealed-otherwise"  # noqa: S105 - the name of a finding
    STRANGE_FILE = "strange-file"
    FILE_WITHOUT_BLOB = "file-without-blob"
    FILE_DOOMED = "file-doomed"
    UPLOAD_LEFT_BEHIND = "upload-left-behind"
    QUARANTINED = "quarantined"


class Meaning(NamedTuple):
    """What a problem means, what to do about it, and whether a promise is harmed."""

    sentence: str
    advice: str
    harm: bool = True


_PUSH_AGAIN: Final = "Push the image again: the blob is taken anew. Or restore a backup."
_RESTORE: Final = "Restore a backup (holdfast restore)."

MEANINGS: Final = {
    Problem.DATABASE_DAMAGED: Meaning("SQLite finds the database damaged.", _RESTORE),
    Problem.BLOB_FILE_MISSING: Meaning("A blob has no file.", _PUSH_AGAIN),
    Problem.BLOB_SIZE_WRONG: Meaning("The file of a blob has another size than the blob.", _PUSH_AGAIN),
    Problem.BLOB_BYTES_WRONG: Meaning("The file of a blob does not hash to its name.", _PUSH_AGAIN),
    Problem.BLOB_UNREADABLE: Meaning("The disk does not give the bytes of a blob.", "Look after the disk."),
    Problem.MANIFEST_BYTES_WRONG: Meaning("The bytes of a manifest do not hash to its digest.", _RESTORE),
    Problem.MANIFEST_UNREADABLE: Meaning("The bytes of a manifest are no manifest.", _RESTORE),
    Problem.MANIFEST_ROW_WRONG: Meaning("The database describes a manifest otherwise than its bytes do.", _RESTORE),
    Problem.REFERENCE_MISSING: Meaning(
        "The database does not know that a manifest needs a part of it.", "--repair writes the reference."
    ),
    Problem.REFERENCE_UNFOUNDED: Meaning("The database says that a manifest needs what its bytes do not name.", ""),
    Problem.PART_MISSING: Meaning("A manifest needs a blob or a manifest that is not there.", _PUSH_AGAIN),
    Problem.TAG_WITHOUT_IMAGE: Meaning("A tag names a manifest that is not there.", _RESTORE),
    Problem.TAG_BOUND_TWICE: Meaning("A tag was bound again before its binding ended.", _RESTORE),
    Problem.TAG_AGAINST_RECORD: Meaning("A tag names something else than the record of what happened says.", _RESTORE),
    Problem.TOMBSTONE_UNFOUNDED: Meaning("The name of a deleted tag waits for a digest that it never had.", _RESTORE),
    Problem.RECORD_HAS_GAP: Meaning("The record of what happened has a gap.", _RESTORE),
    Problem.LEDGER_WRONG: Meaning("The ledger does not prove what the record says.", _RESTORE),
    Problem.USAGE_WRONG: Meaning("What is counted for quotas is not what is there.", "--repair counts anew."),
    Problem.DOOMED_FILE_NEEDED: Meaning(
        "The file of a blob is noted for deletion.", "--repair takes the note back; do it before the next start."
    ),
    Problem.SECRET_SEALED_OTHERWISE: Meaning(
        "The secret of an access key cannot be opened with seal.key.", "Restore the seal.key that belongs here."
    ),
    Problem.STRANGE_FILE: Meaning("Something lies among the blobs that is none.", "Find out whose it is.", harm=False),
    Problem.FILE_WITHOUT_BLOB: Meaning(
        "A file that no row names, as a push leaves that is cut off.", "It is swept at a start.", harm=False
    ),
    Problem.FILE_DOOMED: Meaning("A file of a blob that was collected.", "It goes with the next gc.", harm=False),
    Problem.UPLOAD_LEFT_BEHIND: Meaning("A file of no upload session.", "It goes with the next gc.", harm=False),
    Problem.QUARANTINED: Meaning(
        "A damaged file that was set aside.", "Keep it as evidence, or delete it.", harm=False
    ),
}
"""Problem -> what it means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: what, where, and the facts."""

    problem: Problem
    subject: str
    detail: str = ""

    @property
    def is_harm(self) -> bool:
        """Whether it harms a promise."""
        return MEANINGS[self.problem].harm


@dataclass(slots=True)
class Report:
    """What an examination found."""

    findings: list[Finding] = field(default_factory=list)
    leftovers: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """What was examined: blobs, blob_bytes, hashed_bytes, manifests, tags, entries."""
    untold: int = 0
    """Findings beyond the most that are kept."""
    repaired: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether no promise is harmed."""
        return not self.findings

    def add(self, finding: Finding) -> None:
        """Keep a finding."""
        kept = self.findings if finding.is_harm else self.leftovers
        if len(kept) >= MAX_TOLD:
            self.untold += 1
        else:
            kept.append(finding)


def _nobody(_stage: str, _done: int, _total: int) -> None:
    """Watch nothing."""


class Examination:
    """One examination of a data directory that no server has open."""

    def __init__(
        self,
        database: SQLiteFile,
        files: BlobFiles,
        seal_key: Path,
        ledger: LedgerExamination,
        *,
        deep: bool = True,
        watch: Callable[[str, int, int], None] = _nobody,
    ) -> None:
        """`deep` hashes every blob; else only their sizes are looked at. `watch` is told stage, done, total."""
        self._database = database
        self._files = files
        self._seal_key = seal_key
        self._ledger = ledger
        self._deep = deep
        self._watch = watch
        self._report = Report()

    def run(self) -> Report:
        """Examine everything. A part of the database that cannot be read is a finding, and the rest goes on."""
        stages: tuple[Callable[[], Iterator[Finding]], ...] = (
            self._database_itself,
            self._count,
            self._blobs,
            self._files_without_blob,
            self._payloads,
            self._manifests,
            self._tags,
            self._record,
            self._ledgers,
            self._usage,
            self._secrets,
        )
        for stage in stages:
            try:
                for finding in stage():
                    self._report.add(finding)
            except StorageFailed as error:
                self._report.add(Finding(Problem.DATABASE_DAMAGED, stage.__name__.strip("_"), error.message))
        return self._report

    def _database_itself(self) -> Iterator[Finding]:
        self._watch("database", 0, 1)
        for told in self._database.damage():
            yield Finding(Problem.DATABASE_DAMAGED, "holdfast.db", told)
        self._watch("database", 1, 1)

    def _count(self) -> Iterator[Finding]:
        self._report.counts = {**examination.totals(self._database), "hashed_bytes": 0}
        yield from ()

    # --- content -----------------------------------------------------------------------------------------------------

    def _blobs(self) -> Iterator[Finding]:
        after = ""
        while page := examination.blobs_page(self._database, after=after, limit=ROWS_PER_PAGE):
            after = page[-1].digest
            for row in page:
                finding = self._judge_blob(row)
                if finding is not None:
                    yield finding

    def _judge_blob(self, row: BlobRow) -> Finding | None:
        digest = Digest.parse(row.digest)
        size = self._files.size(digest, row.generation)
        if size is None:
            aside = f"{digest.hex}.{row.generation}" in self._files.quarantined()
            return Finding(Problem.BLOB_FILE_MISSING, row.digest, "it was set aside as damaged" if aside else "")
        if size != row.size_bytes:
            return Finding(Problem.BLOB_SIZE_WRONG, row.digest, f"{size} bytes instead of {row.size_bytes}")
        if not self._deep:
            return None
        try:
            if not self._files.is_intact(digest, row.generation, self._hashed):
                return Finding(Problem.BLOB_BYTES_WRONG, row.digest)
        except OSError as error:
            return Finding(Problem.BLOB_UNREADABLE, row.digest, str(error.strerror))
        return None

    def _hashed(self, count: int) -> None:
        counts = self._report.counts
        counts["hashed_bytes"] += count
        self._watch("blobs", counts["hashed_bytes"], counts["blob_bytes"])

    def _files_without_blob(self) -> Iterator[Finding]:
        for stored in self._files.stored():
            if isinstance(stored, str):
                yield Finding(Problem.STRANGE_FILE, stored)
            elif not examination.is_named(self._database, str(stored.digest), stored.generation):
                yield Finding(Problem.FILE_WITHOUT_BLOB, str(stored.digest), stored.generation)
        for digest, generation, needed in examination.doomed(self._database):
            yield Finding(Problem.DOOMED_FILE_NEEDED if needed else Problem.FILE_DOOMED, digest, generation)
        sessions = examination.upload_ids(self._database)
        for name in self._files.staged():
            if name not in sessions:
                yield Finding(Problem.UPLOAD_LEFT_BEHIND, name)
        for name in self._files.quarantined():
            yield Finding(Problem.QUARANTINED, name)

    # --- manifests ---------------------------------------------------------------------------------------------------

    def _payloads(self) -> Iterator[Finding]:
        after = ""
        while page := examination.payloads_page(self._database, after=after, limit=ROWS_PER_PAGE):
            after = page[-1][0]
            for digest, payload in page:
                if not Digest.parse(digest).matches(payload):
                    yield Finding(Problem.MANIFEST_BYTES_WRONG, digest)

    def _manifests(self) -> Iterator[Finding]:
        after, done = (0, ""), 0
        while page := examination.manifests_page(self._database, after=after, limit=ROWS_PER_PAGE):
            after = (page[-1].repository_id, page[-1].digest)
            for row in page:
                yield from judge_manifest(self._database, row)
            done += len(page)
            self._watch("manifests", done, self._report.counts["manifests"])

    # --- tags and the record -----------------------------------------------------------------------------------------

    def _tags(self) -> Iterator[Finding]:
        for problem, found in (
            (Problem.TAG_WITHOUT_IMAGE, examination.bindings_without_image(self._database)),
            (Problem.TAG_BOUND_TWICE, examination.bindings_passed_over(self._database)),
            (Problem.TOMBSTONE_UNFOUNDED, examination.tombstones_without_past(self._database)),
        ):
            for row in found:
                yield Finding(problem, f"{row.repository}:{row.tag}", row.digest)

    def _record(self) -> Iterator[Finding]:
        named: dict[tuple[int, str, str], str] = {}
        last, done = 0, 0
        while page := examination.entries_page(self._database, after=last, limit=ROWS_PER_PAGE):
            for sequence, registry, kind, repository, tag, body in page:
                if sequence != last + 1:
                    yield Finding(Problem.RECORD_HAS_GAP, f"entry {sequence}", f"the one before is {last}")
                last = sequence
                if repository is not None and tag is not None:
                    _replay(named, (registry, repository, tag), kind, json.loads(body))
            done += len(page)
            self._watch("record", done, self._report.counts["entries"])
        live = {(row.registry_id, row.repository, row.tag): row.digest for row in self._live()}
        for key in sorted(named.keys() | live.keys()):
            if named.get(key) != live.get(key):
                told = f"it names {live.get(key) or 'nothing'}, the record says {named.get(key) or 'nothing'}"
                yield Finding(Problem.TAG_AGAINST_RECORD, f"{key[1]}:{key[2]}", told)

    def _live(self) -> list[examination.NamedRow]:
        return examination.live_bindings(self._database)

    def _ledgers(self) -> Iterator[Finding]:
        total = self._report.counts["entries"]
        for subject, detail in self._ledger.run(lambda done: self._watch("ledger", done, total)):
            yield Finding(Problem.LEDGER_WRONG, subject, detail)

    def _usage(self) -> Iterator[Finding]:
        for whose, told, counted in usage.miscounted(self._database):
            yield Finding(Problem.USAGE_WRONG, whose, f"it says {told}, there are {counted}")

    def _secrets(self) -> Iterator[Finding]:
        sealed = accounts.sealed_secrets(self._database)
        if not sealed:
            return
        try:
            seal = Seal(self._seal_key.read_bytes())
        except (OSError, HoldfastError) as error:
            yield Finding(Problem.SECRET_SEALED_OTHERWISE, "seal.key", str(error))
            return
        for identity, text in sealed:
            try:
                seal.open("secret", text)
            except SealBroken:
                yield Finding(Problem.SECRET_SEALED_OTHERWISE, f"access key {identity}")


_NAMES: Final = frozenset({EntryKind.TAG_BOUND, EntryKind.TAG_RESTORED, EntryKind.TAG_MOVED})


def _replay(named: dict[tuple[int, str, str], str], key: tuple[int, str, str], kind: str, body: dict[str, Any]) -> None:
    """Do to a tag what an entry says was done."""
    if kind in _NAMES:
        named[key] = body["digest"]
    elif kind == EntryKind.TAG_DELETED:
        named.pop(key, None)


def judge_manifest(reader: Reader, row: ManifestRow) -> Iterator[Finding]:
    """Hold what the database says of a manifest against its bytes."""
    subject = f"{row.repository}@{row.digest}"
    try:
        manifest = parse_manifest(row.payload, row.media_type, algorithm=Digest.parse(row.digest).algorithm)
    except HoldfastError as error:
        yield Finding(Problem.MANIFEST_UNREADABLE, subject, error.message)
        return
    said = {
        "media_type": (row.media_type, manifest.media_type),
        "artifact_type": (row.artifact_type, manifest.referrer_type),
        "subject": (row.subject, str(manifest.subject.digest) if manifest.subject else None),
        "payload_bytes": (row.payload_bytes, len(row.payload)),
    }
    for name, (written, derived) in said.items():
        if written != derived:
            yield Finding(Problem.MANIFEST_ROW_WRONG, subject, f"{name} is {written}, the bytes say {derived}")
    yield from _judge_blobs(reader, row, manifest, subject)
    if manifest.kind is Kind.INDEX or manifest.children:
        yield from _judge_children(reader, row, manifest, subject)


def _judge_blobs(reader: Reader, row: ManifestRow, manifest: Manifest, subject: str) -> Iterator[Finding]:
    wanted = {str(one.digest): one.size_bytes for one in manifest.blobs}
    allowed = wanted.keys() | {str(one.digest) for one in manifest.foreign_blobs}
    known = examination.blobs_of_manifest(reader, row.repository_id, row.digest)
    for digest, size in wanted.items():
        if digest not in known:
            yield Finding(Problem.REFERENCE_MISSING, subject, f"blob {digest}")
        elif known[digest] != size:
            yield Finding(Problem.PART_MISSING, subject, f"{digest} with {size} bytes (the blob has {known[digest]})")
    for digest in known.keys() - allowed:
        yield Finding(Problem.REFERENCE_UNFOUNDED, subject, digest)
    if manifest.kind is not Kind.INDEX and row.image_bytes != sum(known.get(digest) or 0 for digest in wanted):
        yield Finding(Problem.MANIFEST_ROW_WRONG, subject, f"image_bytes is {row.image_bytes}")


def _judge_children(reader: Reader, row: ManifestRow, manifest: Manifest, subject: str) -> Iterator[Finding]:
    wanted = {str(one.digest): one.size_bytes for one in manifest.children}
    known = examination.children_of_manifest(reader, row.repository_id, row.digest)
    for digest, size in wanted.items():
        if digest not in known:
            yield Finding(Problem.REFERENCE_MISSING, subject, f"manifest {digest}")
        elif (child := known[digest]) is None or child[0] != size:
            yield Finding(Problem.PART_MISSING, subject, digest)
    for digest in known.keys() - wanted.keys():
        yield Finding(Problem.REFERENCE_UNFOUNDED, subject, digest)
    if row.image_bytes != max((child[1] for child in known.values() if child is not None), default=0):
        yield Finding(Problem.MANIFEST_ROW_WRONG, subject, f"image_bytes is {row.image_bytes}")


class Repair:
    """Does what is provably safe about findings, and says what it did.

    Provably safe is: what can be derived from bytes that hash to their name, and what removes a file that nothing
    names from a store whose database is sound.
    """

    def __init__(self, database: SQLiteFile, files: BlobFiles) -> None:
        self._database = database
        self._files = files

    def run(self, report: Report) -> list[str]:
        """Repair what can be; return a sentence for each deed."""
        done: list[str] = []
        sound_database = not any(one.problem in _ABOUT_DATABASE for one in report.findings)
        orphans = {
            (stored.digest, stored.generation): stored
            for stored in self._files.stored()
            if not isinstance(stored, str)
            and not examination.is_named(self._database, str(stored.digest), stored.generation)
        }
        for finding in report.findings:
            done += self._mend(finding, orphans)
        if any(one.problem is Problem.USAGE_WRONG for one in report.findings):
            self._database.change(usage.recount)
            done.append("counted anew what repositories and registries use")
        if sound_database:
            done += self._tidy(report, orphans)
        return done

    def _mend(self, finding: Finding, orphans: dict[tuple[Digest, str], StoredFile]) -> Iterator[str]:
        if finding.problem in _BAD_FILE:
            yield from self._mend_blob(finding, orphans)
        elif finding.problem is Problem.REFERENCE_MISSING:
            repository, _, manifest = finding.subject.partition("@")
            kind, _, part = finding.detail.partition(" ")
            add = examination.add_blob_reference if kind == "blob" else examination.add_child_reference
            if self._database.change(lambda txn: add(txn, repository, manifest, part)):
                yield f"wrote down that {finding.subject} needs {finding.detail}"
        elif finding.problem is Problem.DOOMED_FILE_NEEDED:
            self._database.change(lambda txn: examination.forget_doom(txn, finding.subject, finding.detail))
            yield f"{finding.subject} is not noted for deletion any more"

    def _mend_blob(self, finding: Finding, orphans: dict[tuple[Digest, str], StoredFile]) -> Iterator[str]:
        digest = Digest.parse(finding.subject)
        row = examination.blob(self._database, finding.subject)
        if row is None:
            return
        if finding.problem is not Problem.BLOB_FILE_MISSING:
            self._files.set_aside(digest, row.generation)
            yield f"set the damaged file of {digest} aside: a push heals it"
        for key, stored in list(orphans.items()):
            size = self._files.size(digest, stored.generation)
            if stored.digest == digest and size == row.size_bytes and self._files.is_intact(*key):
                self._database.change(partial(examination.set_generation, row=row, generation=stored.generation))
                del orphans[key]
                yield f"gave {digest} a sound file that nothing named"
                return

    def _tidy(self, report: Report, orphans: dict[tuple[Digest, str], StoredFile]) -> Iterator[str]:
        for stored in orphans.values():
            self._files.delete(stored)
            yield f"deleted a file of {stored.digest} that no row names"
        for one in report.leftovers:
            if one.problem is Problem.UPLOAD_LEFT_BEHIND:
                self._files.delete_staged(one.subject)
                yield f"deleted what the upload {one.subject} left behind"


_BAD_FILE: Final = frozenset({Problem.BLOB_FILE_MISSING, Problem.BLOB_SIZE_WRONG, Problem.BLOB_BYTES_WRONG})
_ABOUT_DATABASE: Final = frozenset(
    {
        Problem.DATABASE_DAMAGED,
        Problem.RECORD_HAS_GAP,
        Problem.TAG_AGAINST_RECORD,
        Problem.TAG_WITHOUT_IMAGE,
        Problem.LEDGER_WRONG,
        Problem.MANIFEST_UNREADABLE,
    }
)
"""With one of these, a file that no row names may be the last of something: it stays."""
