"""The evidence pack: a signed folder of plain files that can be verified without a network.

    report.html, report.json    what the ledger is evidence of in the period
    ledger/                     the ledger itself, as far as the checkpoint goes
    receipts/INDEX.tlog-proof   receipts of the acts that the report lists
    SHA256SUMS                  the hash of every file, in the format of sha256sum
    pack.note                   a signed note (C2SP signed-note): period, time, root, and the hash of SHA256SUMS

Everything but `ledger/` follows from the ledger and from what the note says: whoever verifies a pack derives each file
again and compares it byte for byte, so that not even the maker of a pack can report what the ledger does not say. It is
signed by whoever makes it, with a key of their own: the ledger's key signs checkpoints and nothing else, so that no
text that somebody had signed can ever pass for one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.audit.folder import CHECKPOINT, Folder, export
from holdfast.audit.report_page import page
from holdfast.audit.verdicts import Verdict, begin_audit, moment, signed_by
from holdfast.core.evidence import FORM, Gathered, report
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.merkle import inclusion_proof
from holdfast.core.signed_note import KeyKind, Note, NoteInvalid, VerifierKey, write_note
from holdfast.core.tiles import TILE_WIDTH, BundleInvalid, Tile, TileReader, split_bundle, width_of
from holdfast.core.tlog_policy import PolicyUnmet
from holdfast.core.tlog_proof import TlogProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdfast.core.ledger_audit import Fetch
    from holdfast.core.signed_note import Signer
    from holdfast.core.tlog_policy import Policy

SUMS: Final = "SHA256SUMS"
NOTE: Final = "pack.note"
LEDGER: Final = "ledger"
_SECOND: Final = 1_000_000
_MOMENT: Final = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
_TEXT: Final = re.compile(
    rf"holdfast evidence pack v(\d{{1,4}})\nperiod {_MOMENT} {_MOMENT}\nmade {_MOMENT}\n"
    r"ledger .+\nsha256sums (\w{64})\n",
    re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z0-9._/-]+", re.ASCII)
_NAMED: Final = 5


class PackBroken(Exception):
    """A folder that is not the pack that its maker signed; says why."""


@dataclass(frozen=True, slots=True)
class _Derived:
    """What follows from a ledger, a period, and the time of making."""

    head: dict[str, Any]
    report: dict[str, Any]
    files: dict[str, bytes]
    read: frozenset[str]
    """Files of the ledger that were read."""

    def text(self, sums: bytes) -> bytes:
        """Return what the maker signs."""
        start, end = (moment(self.report["period"][name]) for name in ("start", "end"))
        return (
            f"holdfast evidence pack v{FORM}\nperiod {start} {end}\nmade {self.head['made']}\n"
            f"ledger {self.head['size']} {self.head['root']} {self.head['origin']}\n"
            f"sha256sums {hashlib.sha256(sums).hexdigest()}\n"
        ).encode()


def make(
    fetch: Fetch,
    note: bytes,
    policy: Policy,
    root: Path,
    period: tuple[int, int],
    signer: Signer,
    made_at: int,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write a pack into an empty folder; return its report. Times are microseconds since the epoch, of whole seconds.

    Raises NoteInvalid and PolicyUnmet for a checkpoint that is not to be believed, FileMissing, BundleInvalid, OSError.
    """
    export(fetch, note, policy.judge(note).checkpoint, root / LEDGER, progress)
    derived = _derive(root / LEDGER, policy, period, made_at)
    for name, content in derived.files.items():
        _write(root / name, content)
    sums = sums_of(root)
    _write(root / SUMS, sums)
    text = derived.text(sums)
    _write(root / NOTE, write_note(text, [signer.sign(text)]))
    return derived.report


def verify(root: Path, policy: Policy, signers: Iterable[VerifierKey]) -> Verdict:
    """Judge a pack: who signed it, that no file was changed, the ledger's audit, and that all else follows from it."""
    try:
        note = Note.parse(Folder(root).fetch(NOTE))
        signed = note.verify(signers)
        if not signed:
            return _broken("no key that was given has signed it")
        derived = _checked(root, note.text, policy)
    except (PackBroken, NoteInvalid, PolicyUnmet, FileMissing, BundleInvalid, OSError) as error:
        return _broken(str(error))
    head, findings = derived.head, derived.report["findings"]
    if findings:
        codes = ", ".join(sorted({one["code"] for one in findings}))
        return _broken(f"no file was changed, but the audit of its ledger found {len(findings)} things: {codes}")
    by = ", ".join(one.key.name for one in signed)
    sentences = (
        f"The pack holds: made {head['made']} and signed by {by}; no file was changed.",
        f"Its ledger of {head['size']} entries was audited again ({head['signed_by']}).",
        f"The report and {len(derived.report['receipts'])} receipts were derived again from it, and are the same.",
    )
    return Verdict(holds=True, sentences=sentences, document={"holds": True, "maker": by, **head})


def makers(vkeys: Iterable[str]) -> list[VerifierKey]:
    """Read the keys of those whose packs are believed. Raises NoteInvalid, also for none."""
    parsed = [VerifierKey.parse(one.strip()) for one in vkeys]
    if not parsed or any(one.kind is not KeyKind.ED25519 for one in parsed):
        raise NoteInvalid("say whose packs you believe: --signer VKEY, as the maker of the pack gave it to you")
    return parsed


def _checked(root: Path, text: bytes, policy: Policy) -> _Derived:
    said = _TEXT.fullmatch(text.decode("utf-8", "replace"))
    if said is None:
        raise PackBroken("what is signed is no evidence pack")
    form, start, end, made_at, _ = said.groups()
    kept, sums = Folder(root).fetch(SUMS), sums_of(root)
    if hashlib.sha256(kept).hexdigest() != said[5]:
        raise PackBroken(f"{SUMS} is not what was signed")
    if kept != sums:
        raise PackBroken(f"files were changed, added or taken away: {_differing(kept, sums)}")
    if int(form) != FORM:
        msg = (
            f"no file was changed, but its report is of form {form} and this program derives form {FORM}: verify it "
            "with the program that made it, or audit its ledger alone"
        )
        raise PackBroken(msg)
    try:
        times = _microseconds(start), _microseconds(end), _microseconds(made_at)
    except ValueError:
        raise PackBroken("what is signed names a time that cannot be") from None
    derived = _derive(root / LEDGER, policy, times[:2], times[2])
    here = set(_files(root))
    expected = {SUMS, NOTE, *derived.files, *(f"{LEDGER}/{path}" for path in derived.read)}
    if here != expected and not derived.report["findings"]:
        raise PackBroken(f"these files are no part of such a pack, or are missing: {_some(here ^ expected)}")
    for name, content in derived.files.items():
        if Folder(root).fetch(name) != content:
            raise PackBroken(f"{name} does not follow from the ledger beside it")
    if derived.text(sums) != text:
        raise PackBroken("what is signed is not said of the ledger beside it")
    return derived


def _derive(ledger: Path, policy: Policy, period: tuple[int, int], made_at: int) -> _Derived:
    read: set[str] = set()

    def fetch(path: str) -> bytes:
        read.add(path)
        return Folder(ledger).fetch(path)

    note, gathered = fetch(CHECKPOINT), Gathered(*period)
    audited = begin_audit(note, policy, fetch, told=gathered.take)
    checkpoint = audited.accepted.checkpoint
    head = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signed_by": signed_by(audited.accepted),
        "made": moment(made_at),
    }
    told = report(gathered, audited.examination.replay, [one.document() for one in audited.examination.all_findings])
    document = json.dumps({**head, "report": told}, indent=2, sort_keys=True) + "\n"
    files = {"report.json": document.encode(), "report.html": page(told, head).encode()}
    if not told["findings"]:
        receipts = _Receipts(fetch, note, checkpoint.size)
        files |= {f"receipts/{index}.tlog-proof": receipts.receipt(index) for index in told["receipts"]}
    return _Derived(head, told, files, frozenset(read))


class _Receipts:
    """Makes receipts out of the files of a ledger."""

    def __init__(self, fetch: Fetch, note: bytes, size: int) -> None:
        self._fetch, self._note, self._size = fetch, note, size
        self._reader = TileReader(size, lambda tile: fetch(tile.path))
        self._bundles: dict[int, list[bytes]] = {}

    def receipt(self, index: int) -> bytes:
        number, at = divmod(index, TILE_WIDTH)
        if number not in self._bundles:
            width = width_of(None, number, self._size)
            self._bundles = {number: split_bundle(self._fetch(Tile(None, number, width).path))}
        hashes = tuple(inclusion_proof(index, self._size, self._reader))
        return TlogProof(index, hashes, self._note, self._bundles[number][at]).encode()


def sums_of(root: Path) -> bytes:
    """Return the hash of every file of a pack but its two own, as sha256sum writes them. Raises PackBroken, OSError."""
    lines: list[str] = []
    for name in sorted(set(_files(root)) - {SUMS, NOTE}):
        with (root / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines).encode()


def _files(root: Path) -> Iterator[str]:
    """List the files of a pack; what sums cannot speak of, such as links and odd names, is refused."""
    for folder, folders, files in os.walk(root):
        for one in (*folders, *files):
            path = Path(folder, one)
            name = path.relative_to(root).as_posix()
            if not _NAME.fullmatch(name) or path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise PackBroken(f"{name!r} is no plain file of a pack")
            if one in files:
                yield name


def _differing(before: bytes, after: bytes) -> str:
    lines = set(before.decode("utf-8", "replace").splitlines()) ^ set(after.decode().splitlines())
    return _some({line.partition("  ")[2] for line in lines})


def _some(names: set[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def _microseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * _SECOND


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _broken(reason: str) -> Verdict:
    document = {"holds": False, "reason": reason}
    return Verdict(holds=False, sentences=(f"The pack does not hold: {reason}.",), document=document)
