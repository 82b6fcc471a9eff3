"""Planted bugs: each turns the suite red, or the suite proves nothing.

`make planted` takes a copy of the source, plants one bug at a time in it, runs what must notice, and demands that it
does. A bug is a substitution of text; when its text is no longer found, the table has to be mended, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from torture.model import Violation
from torture.part import memory_folder

if TYPE_CHECKING:
    from torture.part import Round

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("src", "tests", "pyproject.toml", "requirements")
SEED: Final = 1
LIMIT_SECONDS: Final = 900
BROKEN: Final = ("NameError", "ImportError", "AttributeError", "TypeError", "SyntaxError", "UnboundLocalError")
"""Signs of a bug that is planted badly: it breaks the program instead of a promise."""


@dataclass(frozen=True)
class Bug:
    """A bug, how it is planted, and who must notice."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    """Files below src/holdfast, the text that stands once in all of them, the text instead."""
    part: str = ""
    """The part of the battery that must turn red, in its short form."""
    tests: tuple[str, ...] = ()
    """Or the tests that must."""


_STORE = "store/*.py"
_RULES = "registry/*.py"
_SCHEMA = "store/schema/sqlite/0001_foundation.sql"
_WIRING = "wiring.py"


def _frees(through: str) -> tuple[tuple[str, str, str], ...]:
    """Let what comes by one way in be bound as if no tag were held, and the trigger say nothing."""
    return (
        (
            _RULES,
            "    judged = [(tag, *_judge(",
            f"    if act.through == {through!r}:\n"
            '        repository = __import__("dataclasses").replace('
            "repository, mutability=mutability.MutabilitySettings())\n"
            "    judged = [(tag, *_judge(",
        ),
        (_SCHEMA, "WHERE NEW.end_cause = 'moved'\n", "WHERE NEW.end_cause = 'never'\n"),
    )


BUGS: Final = (
    Bug("synchronous NORMAL", ((_STORE, '"synchronous": 2', '"synchronous": 1'),), "power"),
    Bug(
        "no fsync of the folder",
        ((_STORE, '        sync_folder(os.path.dirname(path))\n        reach("blob.after-folder-sync")\n', ""),),
        "power",
    ),
    Bug(
        "no fsync of the file",
        ((_STORE, '        staged.sync()\n        reach("blob.after-sync")\n', ""),),
        "power",
    ),
    Bug(
        "no fsync of an upload's name",
        ((_STORE, "        if not staged.is_named:\n", "        if False:\n"),),
        "power",
    ),
    Bug(
        "no lease",
        ((_RULES, "        if self.is_leased(blob):\n            return blob\n", "        return blob\n"),),
        "days",
    ),
    Bug(
        "no generation",
        (
            (_STORE, "        generation = secrets.token_hex(8)\n", '        generation = "0"\n'),
            (
                _STORE,
                "        os.link(staged.path, path, follow_symlinks=False)\n",
                "        with contextlib.suppress(FileExistsError):\n"
                "            os.link(staged.path, path, follow_symlinks=False)\n",
            ),
        ),
        "interleave",
    ),
    Bug(
        "check, then act on a tag",
        (
            (
                _RULES,
                "        is_new, outcome = await self._database.write(job)\n        places =",
                "        from holdfast.registry import binding as b\n"
                "        found = catalog.repository(self._database, registry.id, repository)\n"
                "        b.SEEN[id(manifest)] = {\n"
                "            tag: bindings.live(self._database, found.id, tag) if found else None for tag in tags\n"
                "        }\n"
                "        is_new, outcome = await self._database.write(job)\n"
                "        places =",
            ),
            (
                _RULES,
                "    bound = bindings.live(txn, repository.id, tag)\n    tombstone =",
                "    bound = SEEN[id(manifest)][tag]\n    tombstone =",
            ),
            (_RULES, "def bind_tags(\n", "SEEN: dict[int, dict[str, Any]] = {}\n\n\ndef bind_tags(\n"),
            (
                _RULES,
                "        raise TagHeld(mutability.refusal_sentence(tag, repository.name))\n",
                "        return\n",
            ),
        ),
        "histories",
    ),
    Bug(
        "a delete by digest leaves no tombstone",
        (
            (
                _RULES,
                "        unbind(txn, registry, repository, one, act, why=why)\n",
                '        bindings.end(txn, one.id, at=act.at, by=act.caller.arn, cause="deleted")\n',
            ),
            (_SCHEMA, "WHERE NEW.end_cause = 'deleted'\n", "WHERE NEW.end_cause = 'never'\n"),
        ),
        "days",
    ),
    Bug(
        "a mount asks for no right to the source",
        ((_RULES, "readable = [\n            name for name in candidates if self._access.allows("
          'caller, registry, "ecr:GetDownloadUrlForLayer", name)\n        ]', "readable = candidates"),),
        tests=("tests/faces/test_oci_access.py", "-k", "mount"),
    ),
    Bug(
        "tombstones are ignored",
        (
            (_RULES, "    if not registry.holds_deleted_tags:\n        tombstone = None\n", "    tombstone = None\n"),
            (_SCHEMA, "AND t.closed_at IS NULL AND t.digest <> NEW.digest);", "AND t.id < 0);"),
        ),
        "days",
    ),
    Bug(
        "the trigger that keeps held tags is dropped",
        ((_SCHEMA, "WHERE NEW.end_cause = 'moved'\n", "WHERE NEW.end_cause = 'never'\n"),),
        tests=("tests/store/test_schema_guards.py",),
    ),
    Bug(
        "the entry is written outside the act's transaction",
        (
            (_RULES, "    act.record(\n        txn,\n        registry,\n        kind,\n",
             "    _later(\n        act,\n        txn,\n        registry,\n        kind,\n"),
            (_RULES, "def bind_tags(\n",
             "LATER: list[Any] = []\n\n\ndef _later(act: Act, _txn: Any, *values: Any, **more: Any) -> None:\n"
             "    LATER.append((act, values, more))\n\n\ndef bind_tags(\n"),
            (_RULES, "        places = await self._included(act.entries)\n        if outcome",
             "        from holdfast.registry import binding as b\n"
             "        while b.LATER:\n            late, values, more = b.LATER.pop()\n"
             "            await self._database.write(lambda txn: late.record(txn, *values, **more))\n"
             "        places = await self._included(act.entries)\n        if outcome"),
        ),
        tests=("tests/ledger/test_kill.py", "-k", "commit"),
    ),
    Bug(
        "bytes are not held against their digest",
        ((_STORE, "        if not staged.hashes_to(digest):\n            return None\n", ""),),
        "days",
    ),
    Bug(
        "answered before the commit",
        ((_STORE, '        reach("commit.before")\n', '        _deliver(batch)\n        reach("commit.before")\n'),),
        "interleave",
    ),
    Bug(
        "kept answers outlive a change",
        ((_WIRING, "return self._database.commits + 2 * self._store.damaged", "return 0"),),
        "days",
    ),
    Bug(
        "leases by the clock of the wall",
        ((_WIRING, "(SteadyClock(clock) if clock is microseconds_now else clock)", "clock"),),
        "clock",
    ),
    Bug(
        "a failed fsync is passed over",
        ((_STORE, "            sync_file(self._descriptor)\n",
          "            with contextlib.suppress(OSError):\n                sync_file(self._descriptor)\n"),),
        tests=("tests/store/test_filesystem.py", "-k", "sync_that_fails"),
    ),
    Bug(
        "damaged blobs are served to their end",
        ((_STORE, "        if not intact:\n            raise BlobCorrupt(str(self.digest))\n", ""),),
        tests=("tests/store/test_filesystem.py", "-k", "damaged"),
    ),
    Bug(
        "two servers on one data directory",
        ((_STORE, "            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        except OSError:\n            os.close",
          "            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)\n        except OSError:\n            os.close"),),
        tests=("tests/store/test_sqlite.py", "-k", "second_server"),
    ),
    Bug(
        "the folders are not synced at the start",
        ((_STORE, '            sync_folder(self._root / "blobs" / algorithm)\n', "            pass\n"),),
        tests=("tests/store/test_filesystem.py", "-k", "folders_are_synced"),
    ),
    Bug(
        "half a seal key after a start that was cut off",
        ((_RULES, '    new = path.with_name(path.name + ".new")\n', "    new = path\n"),
         (_RULES, "        os.link(new, path)\n    new.unlink()\n", "        pass\n"),
         (_RULES, "        file.write(Fernet", '        reach("start.seal-written")\n        file.write(Fernet')),
        "failpoints",
    ),
    Bug(
        "the checkpoint is published before the entries that it covers",
        (
            (_RULES, '        self._files.extend(entries)\n        reach("ledger.entries-written")\n', ""),
            (_RULES, "            self._files.publish(note)\n",
             '            self._files.publish(note)\n        reach("ledger.entries-written")\n'
             "        self._files.extend(entries)\n"),
        ),
        tests=("tests/ledger/test_kill.py", "-k", "entries-written"),
    ),
    Bug(
        "an older state goes on beside what was published",
        ((_RULES, "            self._stop(str(error))\n            return\n", "            published = 0\n"),),
        tests=("tests/ledger/test_rollback.py", "-k", "old_state"),
    ),
    Bug(
        "the ledger is done when every entry has its place",
        ((_RULES, "                if self._is_at_rest():  #", "                if not statements.pending(self._database, 1):  #"),),
        tests=("tests/ledger/test_unawaited.py",),
    ),
    Bug(
        "tokens outlive the end of all tokens",
        ((_RULES, "            if key.opens_tokens or purpose in AT_REST:\n", "            if key:\n"),),
        tests=("tests/faces/test_seal_key.py", "-k", "end_at_once"),
    ),
    Bug(
        "a held tag follows upstream when it drifts",
        (
            (_RULES, "names is None or found.mutability.judge(seen.tag).held:", "names is None:"),
            *_frees("pull-through"),
        ),
        tests=("tests/flows/test_pull_through.py", "-k", "drift"),
    ),
    Bug(
        "replication writes over a tag that is held at the destination",
        _frees("replication"),
        tests=("tests/flows/test_replication.py", "-k", "holds_there"),
    ),
    Bug(
        "a backup takes its list of blobs before the database",
        (
            (_RULES, "    source = SQLiteFile(directory.database)\n",
             "    source, done = SQLiteFile(directory.database), BackedUp(name)\n"
             "    early = _keep_blobs(directory, target, source, done, link=link, watch=watch)\n"),
            (_RULES, "    done = BackedUp(name)\n    copied", "    copied"),
            (_RULES, "        listed = _keep_blobs(directory, target, copied, done, link=link, watch=watch)\n",
             "        listed = early\n"),
        ),
        tests=("tests/care/test_backup.py", "-k", "each_stage"),
    ),
    Bug(
        "a backup lets files be deleted meanwhile",
        (("care.py", "with folder.held(), directory.collection_paused():", "with folder.held():"),),
        tests=("tests/care/test_backup.py", "-k", "each_stage"),
    ),
    Bug(
        "the sweep takes the file whose row is being written",
        ((_STORE, " and found not in self._unrecorded:", ":"),),
        "interleave",
    ),
    Bug(
        "the sweep takes uploads that go on",
        ((_RULES, "        return upload_id in self._busy or content.upload(self._database, upload_id) is not None\n",
          "        return upload_id in self._busy\n"),),
        tests=("tests/care/test_sweep.py", "-k", "goes_on"),
    ),
    Bug(
        "a want of descriptors ends the server",
        ((_RULES, "frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})",
          "frozenset({errno.ENOSPC, errno.EDQUOT})"),),
        tests=("tests/care/test_refusing_system.py", "-k", "published_later"),
    ),
    Bug(
        "a pin may change bytes beside it",
        (("pin/rewrite.py", "    if undone != before:\n", "    if len(undone) != len(before):\n"),),
        tests=("tests/pin/test_rewrite.py", "-k", "proof_of_bytes"),
    ),
    Bug(
        "a pin may change another image",
        (("pin/rewrite.py", " and not _shares(was, touched):", " and not was.span:"),),
        tests=("tests/pin/test_rewrite.py", "-k", "proof_of_meaning"),
    ),
    Bug(
        "a pin is written through a link that leads out of the tree",
        (("cli/source_tree.py", "        if not goal.is_relative_to(self.root):\n", "        if not goal.exists():\n"),),
        tests=("tests/cli/test_pin.py", "-k", "link_out"),
    ),
    Bug(
        "nobody is told of a finding that is ignored without a reason",
        (("pin/acceptance.py", "        if not comment.reason:\n", "        if not comment.rules:\n"),),
        tests=("tests/pin/test_lint.py", "-k", "without_a_reason"),
    ),
)  # fmt: skip
"""A new promise brings a bug that breaks it."""


class NotPlanted(Exception):
    """The text that a bug changes is not there: mend the table."""


def plant(bug: Bug, source: Path) -> None:
    """Plant a bug in a copy of the source."""
    for files, text, instead in bug.changes:
        found = [(path, path.read_text("utf-8")) for path in sorted((source / "holdfast").glob(files))]
        count = sum(content.count(text) for _, content in found)
        if count != 1:
            msg = f"planted bug {bug.name!r}: in {files} this text stands {count} times, not once:\n{text}"
            raise NotPlanted(msg)
        for path, content in found:
            if text in content:
                path.write_text(content.replace(text, instead), "utf-8")


@dataclass(frozen=True)
class Outcome:
    """What became of a bug."""

    bug: Bug
    by: str
    caught: bool
    seconds: float
    said: str


def prove(bug: Bug) -> Outcome:
    """Plant a bug in a copy and run what must notice it."""
    began = time.monotonic()
    copy = Path(tempfile.mkdtemp(prefix="holdfast-planted-", dir=memory_folder()))
    try:
        for name in COPIED:
            where = ROOT / name
            if where.is_dir():
                shutil.copytree(where, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(where, copy / name)
        plant(bug, copy / "src")
        caught, said = _run(bug, copy)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    by = bug.part or Path(bug.tests[0]).name
    return Outcome(bug, by, caught, time.monotonic() - began, said)


def _run(bug: Bug, copy: Path) -> tuple[bool, str]:
    """Run the judge; a judge that could not judge, as what is planted does not even start, has caught nothing."""
    part = ("torture", "--only", bug.part, "--seed", str(SEED), "--once", "--short")
    tests = ("pytest", "-x", "-q", "-p", "no:cacheprovider", "--basetemp", f"{copy}/basetemp", *bug.tests)
    try:
        done = subprocess.run(
            [sys.executable, "-m", *(part if bug.part else tests)],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": f"{copy}/src:{copy}/tests", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"it took longer than {LIMIT_SECONDS} s"
    said = done.stdout + done.stderr
    broken = any(word in said for word in BROKEN)
    return done.returncode == 1 and ("RED: " if bug.part else "FAILED ") in said and not broken, said[-3_000:]


def all_caught(given: Round) -> None:
    """Prove all bugs in the long form, the ones that chance picks in the short. Raises Violation for one not caught."""
    wanted = BUGS if given.long else given.chance.sample(BUGS, 3)
    for bug in wanted:
        given.alive()
        outcome = prove(bug)
        given.tally.runs += 1
        given.tally.kills += 1
        if not outcome.caught:
            msg = f"the planted bug {bug.name!r} was not caught by {outcome.by}:\n{outcome.said}"
            raise Violation(msg)


def main() -> int:
    """Prove the bugs that are asked for, all by default, and print a table; 1 when one was not caught."""
    parser = argparse.ArgumentParser(prog="make planted", description=__doc__)
    parser.add_argument("--only", help="bugs whose name has this in it")
    parser.add_argument("--json", action="store_true", help="the table for programs")
    asked = parser.parse_args()
    outcomes = []
    for bug in BUGS:
        if asked.only and asked.only not in bug.name:
            continue
        outcome = prove(bug)
        outcomes.append(outcome)
        if not asked.json:
            verdict = "caught" if outcome.caught else "NOT CAUGHT"
            print(f"{verdict:10} {bug.name:52} by {outcome.by:28} {outcome.seconds:6.1f} s", flush=True)
            if not outcome.caught:
                print(outcome.said, file=sys.stderr)
    if asked.json:
        told = [{"bug": one.bug.name, "by": one.by, "caught": one.caught, "seconds": one.seconds} for one in outcomes]
        print(json.dumps(told))
    missed = sum(not one.caught for one in outcomes)
    if not asked.json:
        print(f"{len(outcomes)} bugs planted, {missed} not caught.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
