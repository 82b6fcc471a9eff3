"""`holdfast-verify`: the verifier as a command of its own, for laptops that have neither the server nor a network.

This file alone decides its options and exit codes: 0 it holds, 1 it does not, 2 usage, 3 something could not be read.
It needs the standard library, `holdfast.core` and `holdfast.audit`; what it says stands in `verdicts` and `pack`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.audit import pack, verdicts
from holdfast.audit.folder import CHECKPOINT, Folder
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.signed_note import NoteInvalid
from holdfast.core.tlog_policy import PolicyInvalid, PolicyUnmet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.audit.verdicts import Verdict
    from holdfast.core.tlog_policy import Policy

HOLDS: Final = 0
BROKEN: Final = 1
USAGE: Final = 2
UNREADABLE: Final = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        policy = verdicts.policy_of(given.policy.read_bytes() if given.policy else None, given.key)
        if policy is None:
            parser.error(
                "say whose signatures you believe: --policy FILE or --key VKEY; a ledger cannot vouch for itself"
            )
        verdict = _judge(given, policy)
    except PolicyInvalid as error:
        parser.error(f"{given.policy}: {error}")
    except NoteInvalid as error:
        parser.error(str(error))
    except (OSError, FileMissing) as error:
        print(f"holdfast-verify: {error}", file=sys.stderr)
        return UNREADABLE
    print(json.dumps(verdict.document, indent=2) if given.json else "\n".join(verdict.sentences))
    return HOLDS if verdict.holds else BROKEN


def _judge(given: argparse.Namespace, policy: Policy) -> Verdict:
    if given.what == "receipt":
        return verdicts.receipt(given.file.read_bytes(), policy, given.entry.read_bytes() if given.entry else None)
    if given.what == "pack":
        return pack.verify(given.folder, policy, pack.makers(given.signer))
    fetch = Folder(given.bundle).fetch
    if given.what == "consistency":
        old, new = (
            verdicts.checkpoint_in(one.read_bytes()) if one else fetch(CHECKPOINT) for one in (given.old, given.new)
        )
        return verdicts.consistency(old, new, policy, fetch)
    note, earlier = fetch(CHECKPOINT), [verdicts.checkpoint_in(one.read_bytes()) for one in given.since]
    try:
        return verdicts.audit(verdicts.begin_audit(note, policy, fetch, earlier=earlier))
    except (NoteInvalid, PolicyUnmet) as error:
        return verdicts.broken(f"the checkpoint is not to be believed: {error}")


def _parser() -> argparse.ArgumentParser:
    believed = argparse.ArgumentParser(add_help=False)
    believed.add_argument("--policy", type=Path, metavar="FILE", help="whom to believe (C2SP tlog-policy)")
    believed.add_argument("--key", action="append", default=[], metavar="VKEY", help="believe the ledger with this key")
    believed.add_argument("--json", action="store_true", help="print one JSON document")
    parser = argparse.ArgumentParser(
        prog="holdfast-verify",
        description="Verify what a Holdfast ledger proves, without a network. Code 0: it holds; 1: it does not.",
    )
    of = parser.add_subparsers(dest="what", required=True)
    one = of.add_parser("receipt", parents=[believed], help="a receipt (.tlog-proof): what was bound, when, by whom")
    one.add_argument("file", type=Path, metavar="RECEIPT")
    one.add_argument("--entry", type=Path, metavar="FILE", help="the entry, for receipts that do not carry it")
    one = of.add_parser("consistency", parents=[believed], help="that a ledger only grew between two checkpoints")
    one.add_argument("old", type=Path, metavar="OLD", help="a checkpoint or a receipt")
    one.add_argument("new", type=Path, nargs="?", metavar="NEW", help="as OLD; the checkpoint of FOLDER without it")
    one.add_argument("--bundle", type=Path, required=True, metavar="FOLDER", help="the newer ledger's files")
    one = of.add_parser("audit", parents=[believed], help="every entry and tile of an exported ledger, and its past")
    one.add_argument("bundle", type=Path, metavar="FOLDER")
    one.add_argument("--since", type=Path, action="append", default=[], metavar="FILE", help="a checkpoint seen before")
    one = of.add_parser("pack", parents=[believed], help="an evidence pack (holdfast evidence)")
    one.add_argument("folder", type=Path, metavar="FOLDER")
    one.add_argument("--signer", action="append", default=[], metavar="VKEY", help="believe packs of this key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
