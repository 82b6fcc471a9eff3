"""Verdicts that an auditor asks for, each with the sentences that say it and a document for programs.

This file alone decides what is said about a receipt, two checkpoints, or a whole ledger. It prints nothing: the command
line of Holdfast and the stand-alone verifier both say what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.core import entry as entries
from holdfast.core.ledger_audit import Auditor, FileMissing
from holdfast.core.merkle import ProofInvalid, consistency_proof, verify_consistency
from holdfast.core.signed_note import NoteInvalid, VerifierKey
from holdfast.core.tiles import BundleInvalid, TileReader
from holdfast.core.tlog_policy import Policy, PolicyUnmet
from holdfast.core.tlog_proof import TlogProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.core.checkpoint import Checkpoint
    from holdfast.core.ledger_audit import Examination, Fetch
    from holdfast.core.live_comparison import Live
    from holdfast.core.replay import Finding
    from holdfast.core.tlog_policy import Accepted

_LISTED = 50


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it holds, in sentences and as a document."""

    holds: bool
    sentences: tuple[str, ...]
    document: dict[str, Any]


def policy_of(content: bytes | None, vkeys: Iterable[str]) -> Policy | None:
    """Make the policy that somebody trusts; None when nothing was given. Raises PolicyInvalid, NoteInvalid."""
    if content is not None:
        return Policy.parse(content)
    keys = [VerifierKey.parse(one.strip()) for one in vkeys]
    return Policy.trusting(*keys) if keys else None


def moment(microseconds: object) -> str:
    """Write a time of an entry as RFC 3339 in UTC."""
    if not isinstance(microseconds, int):
        return "at an unknown time"
    try:
        return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "at an impossible time"


def signed_by(accepted: Accepted) -> str:
    """Say who vouches for a checkpoint."""
    witnesses = ", ".join(
        f"{one.key.name} at {moment((one.seconds or 0) * 1_000_000)}" for one in accepted.cosignatures
    )
    return f"signed by {accepted.log.name}" + (f", cosigned by {witnesses}" if witnesses else ", without a witness")


def receipt(content: bytes, policy: Policy, entry: bytes | None = None) -> Verdict:
    """Judge a receipt; `entry` are the bytes that it should be for, if the receipt does not carry them."""
    try:
        proof = TlogProof.parse(content)
        told = entry if entry is not None else proof.extra
        if told is None:
            return broken("the receipt does not carry its entry, and none was given")
        if entry is not None and proof.extra is not None and entry != proof.extra:
            return broken("the receipt is for another entry than the one given")
        accepted = proof.verify(told, policy)
        read = entries.read(told)
    except (NoteInvalid, PolicyUnmet, ProofInvalid, entries.EntryInvalid) as error:
        return broken(str(error))
    size = accepted.checkpoint.size
    where = f"{read.registry}/{read.repository}" if read.repository else read.registry
    what = f"{where}:{read.tag}" if read.tag else where
    facts = read.facts
    digest = facts.get("pushed") or facts.get("digest")
    sentences = [
        f"The receipt holds: entry {proof.index} is in the ledger of {size} entries, {signed_by(accepted)}.",
        f"  {read.kind}  {what}{f' -> {digest}' if digest else ''}",
        (
            f"  {moment(facts.get('at'))}  by {facts.get('principal')}  from {facts.get('source')} through "
            f"{facts.get('through')}"
        ),
    ]
    document = {
        "holds": True,
        "index": proof.index,
        "size": size,
        "origin": accepted.checkpoint.origin,
        "log": str(accepted.log),
        "witnesses": [{"name": one.key.name, "seconds": one.seconds} for one in accepted.cosignatures],
        "entry": entry_document(read),
    }
    return Verdict(holds=True, sentences=tuple(sentences), document=document)


def entry_document(read: entries.Entry) -> dict[str, Any]:
    """Return an entry for programs."""
    own = {"kind": read.kind, "registry": read.registry, "repository": read.repository, "tag": read.tag}
    return {**own, **read.facts}


def checkpoint_in(content: bytes) -> bytes:
    """Return the checkpoint of a file that is one, or is a receipt. Raises NoteInvalid."""
    try:
        return TlogProof.parse(content).checkpoint
    except NoteInvalid:
        return content


def consistency(old: bytes, new: bytes, policy: Policy, fetch: Fetch) -> Verdict:
    """Judge whether a checkpoint continues an older one; the hashes between come from the tiles of the newer."""
    try:
        older, newer = policy.judge(old), policy.judge(new)
    except (NoteInvalid, PolicyUnmet) as error:
        return broken(str(error))
    first, last = older.checkpoint, newer.checkpoint
    if first.origin != last.origin:
        return broken(f"the checkpoints are of two ledgers, {first.origin!r} and {last.origin!r}")
    if first.size > last.size:
        return broken(
            f"the older checkpoint is of {first.size} entries and the newer of {last.size}: give the smaller one "
            "first; if the newer one was made later, the ledger became shorter"
        )
    try:
        reader = TileReader(last.size, lambda tile: fetch(tile.path))
        proof = consistency_proof(first.size, last.size, reader)
        verify_consistency(first.size, last.size, proof, first.root, last.root)
    except ProofInvalid as error:
        return broken(str(error))
    except (FileMissing, BundleInvalid) as error:
        return broken(f"the tiles between the checkpoints cannot be read: {error}")
    sentence = (
        f"The ledger only grew: its {last.size} entries begin with the {first.size} of the older checkpoint. "
        f"The newer one is {signed_by(newer)}."
    )
    return Verdict(
        holds=True,
        sentences=(sentence,),
        document={"holds": True, "old": first.size, "new": last.size, "origin": last.origin},
    )


@dataclass(slots=True)
class Audited:
    """An audit so far: what was examined, by whom it is signed; `auditor` may go on."""

    accepted: Accepted
    auditor: Auditor
    examination: Examination


def begin_audit(
    note: bytes,
    policy: Policy,
    fetch: Fetch,
    *,
    earlier: Sequence[bytes] = (),
    told: Callable[[int, entries.Entry], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Audited:
    """Audit a ledger as far as a checkpoint goes. Raises NoteInvalid and PolicyUnmet for what is not to be believed."""
    accepted = policy.judge(note)
    before: list[Checkpoint] = []
    for one in earlier:
        known = policy.judge(one).checkpoint
        if known.origin != accepted.checkpoint.origin:
            msg = f"an earlier checkpoint is of another ledger, {known.origin!r}"
            raise PolicyUnmet(msg)
        before.append(known)
    auditor = Auditor(fetch, told=told)
    return Audited(accepted, auditor, auditor.follow(accepted.checkpoint, before, progress))


def audit(audited: Audited, live: Live | None = None) -> Verdict:
    """Judge an audit that is done."""
    examination, checkpoint = audited.examination, audited.accepted.checkpoint
    replay = examination.replay
    findings = [*examination.all_findings, *(live.findings if live else ())]
    tags = sum(len({one.tag for one in past.intervals}) for past in replay.repositories.values())
    sentences = [
        (
            f"Ledger {checkpoint.origin}: {examination.size} entries, {examination.tiles} tiles, "
            f"{examination.documents} "
            f"documents examined; the checkpoint is {signed_by(audited.accepted)}."
        )
    ]
    if findings:
        sentences.append(f"The audit found {len(findings)} thing{'s' if len(findings) > 1 else ''}:")
        sentences += [f"  {one.code}: {_placed(one)}{one.message}" for one in findings[:_LISTED]]
        if len(findings) > _LISTED:
            sentences.append(f"  ... and {len(findings) - _LISTED} more (--json lists all)")
    else:
        sentences += [
            "The root was built anew from every entry and is the one that was signed; every tile agrees.",
            (
                "No tag named another digest while it was held: "
                f"{tags} tags in {len(replay.repositories)} repositories were replayed."
            ),
        ]
    if replay.grown:
        sentences.append(
            f"{replay.grown} held signature tags grew, as they may (their manifests are not in the ledger)."
        )
    sentences += [f"  let go, then moved: {_placed(one)}{one.message}" for one in replay.released[:_LISTED]]
    if live is not None and not live.findings:
        sentences.append(
            f"The live registry agrees: {live.bindings} bindings of {live.repositories} repositories"
            + (f"; {live.skipped} changed meanwhile and were left out." if live.skipped else ".")
        )
    document = {
        "holds": not findings,
        "origin": checkpoint.origin,
        "size": examination.size,
        "root": checkpoint.root.hex(),
        "log": str(audited.accepted.log),
        "witnesses": [one.key.name for one in audited.accepted.cosignatures],
        "tiles": examination.tiles,
        "documents": examination.documents,
        "repositories": len(replay.repositories),
        "tags": tags,
        "kinds": dict(sorted(replay.counts.items())),
        "grown": replay.grown,
        "released": [one.document() for one in replay.released],
        "findings": [one.document() for one in findings],
        "live": live.document() if live else None,
    }
    return Verdict(not findings, tuple(sentences), document)


def _placed(finding: Finding) -> str:
    where = f"{finding.repository}:{finding.tag}" if finding.tag else finding.repository
    return f"entry {finding.index}, {where}: " if where else ""


def broken(reason: str) -> Verdict:
    """Say that something does not hold, and why."""
    return Verdict(
        holds=False, sentences=(f"It does not hold: {reason}.",), document={"holds": False, "reason": reason}
    )
