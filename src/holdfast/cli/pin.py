"""`holdfast pin`: digests written into the files that name images, kept up to date, verified, and taken out again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.asking import Asking, asking_options, complaints, learn, registries
from holdfast.cli.connection import json_option
from holdfast.cli.examining import Job, examined, read_settings
from holdfast.cli.exits import Exit
from holdfast.cli.lint import judged, report, today
from holdfast.cli.output import Output, plain
from holdfast.cli.reports import format_option, tell
from holdfast.cli.source_tree import OutsideTree, SourceTree
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.finding import InFile
from holdfast.pin import lockfile
from holdfast.pin.consumers import consumed
from holdfast.pin.image import parse_image
from holdfast.pin.knowledge import tag_name
from holdfast.pin.lint import judge
from holdfast.pin.lockfile import Lock, Locked, LockInvalid
from holdfast.pin.mention import Span
from holdfast.pin.pinning import Aim, Plan, difference, plan
from holdfast.pin.rules import RULES, UNPINNED, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.core.finding import Finding
    from holdfast.pin.case import Case
    from holdfast.pin.knowledge import Known
    from holdfast.pin.lint import Examined
    from holdfast.pin.pinning import Left
    from holdfast.pin.settings import Settings

_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?", re.ASCII)
_SHORT: Final = len("sha256:") + 12


def _platform(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value is not None and not _PLATFORM.fullmatch(value):
        msg = f"{value!r} is not of the form os/architecture or os/architecture/variant, as linux/arm64."
        raise click.BadParameter(msg)
    return value or ""


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run works on."""

    tree: SourceTree
    settings: Settings
    files: Sequence[Examined]
    how: Asking
    lock_path: Path
    lock: Lock
    platform: str
    offline: bool

    @property
    def cases(self) -> list[Case]:
        """The files that could be read."""
        return [one.case for one in self.files if one.case is not None]

    def learn(self, *, closely: bool = False) -> Mapping[str, Known]:
        """Ask registries, or the lock file alone."""
        if self.offline:
            names = {tag_name(n.image) for case in self.cases for _, n in consumed(case) if n.image is not None}
            return {name: self.lock.known(name, self.platform) for name in names}
        with registries(self.how) as resolver:
            return learn(self.cases, resolver, closely=closely or bool(self.platform))


@click.command(
    cls=TeachingCommand,
    short_help="Write digests into files that name images.",
    sections={
        "Examples": (
            "holdfast pin                              show what would change",
            "holdfast pin deploy/ Dockerfile --write   change it",
            "holdfast pin --check                      for CI: 1 when something has no digest; asks nobody",
            "holdfast pin --verify                     do the tags still name what was pinned?",
            "holdfast pin --update --write             newer digests of the same tags",
            "holdfast pin --unpin --write              as it was before",
        ),
    },
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--write", is_flag=True, help="Change the files, and write the lock file.")
@click.option("--check", is_flag=True, help="Change nothing; end with 1 when something would change.")
@click.option("--update", is_flag=True, help="Bring digests up to date with their tags, instead of adding digests.")
@click.option("--verify", is_flag=True, help="Judge what is pinned: does the digest exist, is it the tag's?")
@click.option("--unpin", is_flag=True, help="Take out what the lock file says was put in, as it was before.")
@click.option("--all", "every", is_flag=True, help="With --unpin: every digest beside a tag.")
@click.option("--platform", callback=_platform, metavar="OS/ARCH", help="Of one platform, instead of the index.")
@click.option("--offline", is_flag=True, help="Ask no registry: the lock file answers.")
@click.option("--lock", type=click.Path(dir_okay=False, path_type=Path), help=f"The lock file. [{lockfile.NAME}]")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="For .holdfast.yaml.")
@asking_options
@format_option
@json_option
def pin(  # noqa: PLR0913 - the options of the command
    paths: Sequence[Path],
    platform: str,
    lock: Path | None,
    config: Path | None,
    endpoint: str | None,
    profile: str | None,
    plain_http: tuple[str, ...],
    form: str,
    *,
    write: bool,
    check: bool,
    update: bool,
    verify: bool,
    unpin: bool,
    every: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Write `name:tag@sha256:...` where files below PATH (here, without one) name images by a tag.

    Registries are asked with docker's credentials, Amazon ECR with AWS's. The digest is that of the index, good for
    every platform. The difference is shown; nothing else of a file changes, which is proven for every edit. What
    .holdfast.yaml or a comment accepts stays. --format is for --check and --verify.
    """
    if sum((update, verify, unpin)) > 1 or (write and (check or verify)) or (every and not unpin):
        msg = (
            "Of --update, --verify and --unpin one at a time; --write goes with neither --check nor --verify; --all is "
            "for --unpin."
        )
        raise click.UsageError(msg)
    given = list(paths) or [Path()]
    tree = SourceTree.above(given)
    settings = read_settings(tree, config)
    lock_path = lock or tree.path(lockfile.NAME)
    files = [one.examined for one in examined(Job(tree, settings), given)]
    how = Asking(endpoint, profile, plain_http)
    run = _Run(tree, settings, files, how, lock_path, _read_lock(lock_path), platform, offline)
    if verify:
        return _verify(run, form, as_json=as_json)
    if check and not update and not unpin:
        return _check(run, form, as_json=as_json)
    aim = Aim.UPDATE if update else Aim.UNPIN if unpin else Aim.PIN
    knowledge: Mapping[str, Known] = {} if aim is Aim.UNPIN else run.learn()
    plans = [_plan(run, one, one.case, aim, knowledge, every=every) for one in files if one.case is not None]
    unreadable = [one for one in files if one.case is None]
    written = _write(run, plans, knowledge) if write else {}
    _tell(Output(as_json=as_json), run, plans, unreadable, written, write=write)
    failed = unreadable or any(left.is_failure for one in plans for left in one.left) or any(written.values())
    if failed:
        return Exit.UNFINISHED
    return Exit.FOUND if check and any(one.changes for one in plans) else Exit.DONE


def _read_lock(path: Path) -> Lock:
    try:
        return lockfile.parse(path.read_bytes())
    except FileNotFoundError:
        return Lock()
    except LockInvalid as error:
        msg = f"{path} {error}."
        raise click.UsageError(msg) from None


def _plan(run: _Run, file: Examined, case: Case, aim: Aim, knowledge: Mapping[str, Known], *, every: bool) -> Plan:
    records = run.lock.files.get(case.path, ())
    accepted = () if aim is Aim.UNPIN else _accepted(run, file)
    return plan(case, aim, knowledge, platform=run.platform, accepted=accepted, records=records, every=every)


def _accepted(run: _Run, file: Examined) -> set[Span]:
    """Return the places that people want as they are: findings that a digest would mend, and that they accepted."""
    found = judge(file, {}, run.settings, today(), [rule for rule in RULES if rule.id in UNPINNED])
    return {
        Span(one.location.span.start, one.location.span.end)
        for one in found
        if not one.counts and isinstance(one.location, InFile) and one.location.span is not None
    }


# --- judging ---------------------------------------------------------------------------------------------------------


def _check(run: _Run, form: str, *, as_json: bool) -> int:
    """Judge, and ask nobody: is there a digest wherever one could be?"""
    rules = [rule for rule in RULES if rule.id in UNPINNED | {UNREADABLE.id}]
    findings = [one for one in judged(run.files, run.settings, {}, rules) if _can_be_mended(one, run)]
    return tell(report(findings, run.files), form, fail_on="informational", as_json=as_json)


def _can_be_mended(finding: Finding, run: _Run) -> bool:
    """Whether pinning is possible there; what only a run can tell is no reason to fail every build."""
    location = finding.location
    if not isinstance(location, InFile) or location.span is None:
        return True
    case = next(one for one in run.cases if one.path == location.path)
    place = Span(location.span.start, location.span.end)
    return any(
        mention.span == place and mention.rewrite is not None and named.image is not None
        for mention, named in consumed(case)
    )


def _verify(run: _Run, form: str, *, as_json: bool) -> int:
    """Judge what is pinned by what registries say of it."""
    if run.offline:
        msg = "--verify asks registries; without them nothing can be verified."
        raise click.UsageError(msg)
    knowledge = run.learn(closely=True)
    asking = [rule for rule in RULES if rule.asks_registries]
    files = [
        one if one.case is None else replace(one, case=replace(one.case, platform=run.platform)) for one in run.files
    ]
    findings = judged(files, run.settings, knowledge, asking)
    end = tell(report(findings, run.files), form, fail_on="informational", as_json=as_json)
    troubled = complaints(run.cases, knowledge)
    for sentence in troubled:
        _complain(sentence)
    return Exit.UNFINISHED if troubled else end


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(run: _Run, plans: Sequence[Plan], knowledge: Mapping[str, Known]) -> dict[str, str | None]:
    """Change the files, each whole or not at all, then the lock file; return what went wrong with which."""
    outcome: dict[str, str | None] = {}
    files = dict(run.lock.files)
    images = dict(run.lock.images)
    for one in plans:
        made = one.rewritten
        if made.after == made.before:
            continue
        try:
            if run.tree.read(made.path) != made.before:
                outcome[made.path] = "it changed while it was worked on; run the command again"
                continue
            run.tree.replace(made.path, made.after)
        except (OSError, OutsideTree) as error:
            outcome[made.path] = str(error)
            continue
        outcome[made.path] = None
        files[made.path] = made.records
        for change in one.changes:
            images |= _locked(change.name, change.after, knowledge, run.platform)
    new = Lock(images, {path: records for path, records in files.items() if records})
    if new != run.lock:
        _write_lock(run, new)
    return outcome


def _locked(name: str, digest: str | None, knowledge: Mapping[str, Known], platform: str) -> dict[str, Locked]:
    """Return what the lock file learns from a change: by the name that registries are asked for."""
    image = parse_image(name)
    if image is None or digest is None:
        return {}
    told = knowledge.get(tag_name(image))
    media_type = told.media_type if told is not None and told.digest == digest else ""
    return {tag_name(image): Locked(digest, media_type, platform)}


def _write_lock(run: _Run, lock: Lock) -> None:
    content = lockfile.render(lock).encode()
    if not lock.images and not lock.files:
        run.lock_path.unlink(missing_ok=True)
    elif run.lock_path.exists():
        SourceTree(run.lock_path.parent).replace(run.lock_path.name, content)
    else:
        run.lock_path.write_bytes(content)


# --- telling ---------------------------------------------------------------------------------------------------------


def _tell(
    out: Output,
    run: _Run,
    plans: Sequence[Plan],
    unreadable: Sequence[Examined],
    written: Mapping[str, str | None],
    *,
    write: bool,
) -> None:
    changed = [one for one in plans if one.changes]
    changes = [change for one in changed for change in one.changes]
    left = [each for one in plans for each in one.left]
    if out.as_json:
        out.result(
            {
                "changes": [_change(one, written) for one in changed],
                "left": [_left(one) for one in left],
                "unreadable": [{"path": one.path, "reason": one.unreadable} for one in unreadable],
                "written": write,
                "lock": str(run.lock_path),
            }
        )
        return
    for one in changed:
        # A line end of Windows belongs to the difference; whatever else could move a cursor is shown, not done.
        click.echo("\r\n".join(map(plain, difference(one.rewritten).split("\r\n"))), nl=False)
    for each in left:
        where = f"{each.path}:{each.mention.line}:{each.mention.column}: {each.name}"
        kind = f"{each.trouble}: " if each.trouble is not None else ""
        _complain(f"{where}: {kind}{each.reason}" if each.is_failure else f"{where}: left as it is. {each.reason}")
    for file in unreadable:
        _complain(f"{file.path}: it cannot be read: {file.unreadable}")
    for path, why in written.items():
        if why is not None:
            _complain(f"{path}: it was not changed: {why}")
    moved = sorted({(one.name.partition("@")[0], one.before, one.after) for one in changes if one.before and one.after})
    for name, before, after in moved:
        _complain(f"{name}  {(before or '')[:_SHORT]} -> {(after or '')[:_SHORT]}")
    verb = "changed" if write else "would change"
    files = sum(1 for one in changed if written.get(one.rewritten.path) is None)
    _complain(
        f"{len(changes)} {'image' if len(changes) == 1 else 'images'} {verb} in {files} of {len(run.files)} files."
    )


def _change(one: Plan, written: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "path": one.rewritten.path,
        "error": written.get(one.rewritten.path),
        "difference": difference(one.rewritten),
        "images": [
            {
                "line": change.mention.line,
                "column": change.mention.column,
                "where": change.mention.where,
                "name": change.name,
                "before": change.before,
                "after": change.after,
            }
            for change in one.changes
        ],
    }


def _left(one: Left) -> dict[str, Any]:
    return {
        "path": one.path,
        "line": one.mention.line,
        "column": one.mention.column,
        "name": one.name,
        "trouble": one.trouble.value if one.trouble else None,
        "failure": one.is_failure,
        "reason": one.reason,
    }


def _complain(sentence: str) -> None:
    click.echo(plain(sentence), err=True)
