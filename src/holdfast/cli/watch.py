"""`holdfast watch`: read the ledger as it grows, and alert."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.audit.verdicts import moment
from holdfast.cli.connection import Connection, connected
from holdfast.cli.exits import Exit
from holdfast.cli.ledger_source import bundle_option, checkpoint_of, policy_options, reading, trusted
from holdfast.cli.output import Output, plain
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.alerts import alert_of, alert_of_finding
from holdfast.core.ledger_audit import Auditor
from holdfast.core.signed_note import NoteInvalid
from holdfast.core.tlog_policy import PolicyUnmet

if TYPE_CHECKING:
    from holdfast.core.checkpoint import Checkpoint
    from holdfast.core.entry import Entry
    from holdfast.core.ledger_audit import Fetch
    from holdfast.core.tlog_policy import Policy


@click.command(
    cls=TeachingCommand,
    short_help="Alert on moved tags, switches, refused overwrites.",
    sections={
        "Examples": (
            "holdfast watch --policy trust.txt --state watch.checkpoint",
            "holdfast watch --policy trust.txt --state watch.checkpoint --once --json    from cron",
        )
    },
)
@bundle_option
@policy_options
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the checkpoint seen last here; alerts begin behind it, and a ledger that forked from it is a breach.",
)
@click.option("--once", is_flag=True, help="Look once; end with 1 if there was an alert.")
@click.option("--interval", type=click.IntRange(1), default=10, show_default=True, metavar="S", help="Seconds between.")
@connected
def watch(
    at: Connection,
    out: Output,
    bundle: Path | None,
    policy: Path | None,
    keys: tuple[str, ...],
    state: Path | None,
    interval: int,
    *,
    once: bool,
) -> int:
    """Audit the ledger as it grows, and alert: moved tags, mode switches, refused overwrites, deletions, a line each.

    At its start everything is audited from the first entry; alerts begin behind what --state has seen. A breach (a
    held tag that moved, an entry or tile that was changed, a fork) ends it with code 1: nothing that such a ledger says
    is to be believed. With --json, each alert is one line of JSON.
    """
    believed = trusted(policy, keys)
    with reading(at, bundle) as fetch:
        watching = _Watch(out, believed, fetch, state)
        while True:
            alerts, breached = watching.look()
            if once or breached:
                return Exit.FOUND if alerts else Exit.DONE
            time.sleep(interval)


class _Watch:
    """What was seen so far."""

    def __init__(self, out: Output, policy: Policy, fetch: Fetch, state: Path | None) -> None:
        self._out = out
        self._policy = policy
        self._fetch = fetch
        self._state = state
        self._alerts = 0
        self._told = 0
        kept = state.read_bytes() if state is not None and state.is_file() else None
        self._kept = policy.judge(kept).checkpoint if kept is not None else None
        self._auditor = Auditor(fetch, told=self._entry)

    def look(self) -> tuple[int, bool]:
        """Read on; return how many alerts there were, and whether one is a breach."""
        self._alerts = 0
        note = checkpoint_of(self._fetch)
        try:
            checkpoint: Checkpoint = self._policy.judge(note).checkpoint
        except (NoteInvalid, PolicyUnmet) as error:
            self._tell({"gravity": "breach", "code": "checkpoint-not-believed", "message": str(error), "at": None})
            return self._alerts, True
        done = self._auditor.follow(checkpoint, [self._kept] if self._kept is not None else [])
        for finding in done.all_findings:
            self._tell(alert_of_finding(finding))
        if done.all_findings:
            return self._alerts, True
        self._kept = None
        if self._state is not None:
            draft = self._state.with_name(self._state.name + ".new")
            draft.write_bytes(note)
            draft.replace(self._state)
        return self._alerts, False

    def _entry(self, index: int, entry: Entry) -> None:
        if self._kept is not None and index < self._kept.size:
            return
        alert = alert_of(index, entry)
        if alert is not None:
            self._tell(alert)

    def _tell(self, alert: dict[str, Any]) -> None:
        self._alerts += 1
        if self._out.as_json:
            click.echo(json.dumps(alert))
            return
        where = f"{alert.get('repository') or ''}"
        when = moment(alert["at"]) if alert.get("at") else ""
        click.echo(plain(f"{alert['gravity']:8}{when}  {where}  {alert['message']}"))
