"""`holdfast recheck`: what is less protected now than was agreed, by looking again and again, or by events.

`holdfast watch` reads the ledger of a Holdfast server and believes nothing that it cannot verify; this compares
settings with what was agreed, on AWS too, where there is no ledger. `holdfast drift` is about what runs. Hence three.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli.exits import Exit
from holdfast.cli.governing import READ_FILE, Reach, inventory_option, reaching, read_inventory_file
from holdfast.cli.output import Output, plain
from holdfast.cli.plan import read_plan
from holdfast.cli.teaching import TeachingCommand
from holdfast.govern import agreed as rules
from holdfast.govern import config_rule, places
from holdfast.govern.estate import Failure, Inventory, RegistryRecord, RepositoryRecord
from holdfast.govern.history import Gathered, read_bytes
from holdfast.govern.inventory import Wish, take
from holdfast.govern.plan import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from holdfast.govern.agreed import Agreed, Drift
    from holdfast.govern.events import Event
    from holdfast.govern.places import Place


@click.command(
    "recheck",
    cls=TeachingCommand,
    short_help="Tell what is less protected than was agreed.",
    sections={
        "Examples": (
            "holdfast recheck --plan plan.json --organization      once; 1 when it drifted",
            "holdfast recheck --plan plan.json --interval 60 --json",
            "holdfast recheck --events - --json < events.jsonl      EventBridge, CloudTrail",
        )
    },
)
@inventory_option
@click.option("--plan", "plans", multiple=True, type=READ_FILE, metavar="FILE", help="A plan that was approved.")
@click.option("--now", "now_path", type=READ_FILE, metavar="FILE", help="Compare with this inventory; call nobody.")
@click.option(
    "--events",
    "events_path",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Judge these events of EventBridge or CloudTrail, a line each; `-` reads them as they come.",
)
@click.option(
    "--interval", type=click.FloatRange(0.2), metavar="S", help="Look again and again, so many seconds apart."
)
@reaching
def recheck(
    reach: Reach,
    out: Output,
    *,
    inventory_file: Path,
    plans: Sequence[Path],
    now_path: Path | None,
    events_path: str | None,
    interval: float | None,
) -> int:
    """Compare what is with what was agreed: an inventory that was looked at, and the plans that were approved.

    A repository that held and may be moved again, a new mutable one, a creation template that was weakened or deleted:
    each is told once. With --interval or --events it goes on, and tells too when a repository comes to comply with the
    Config rule ecr-private-tag-immutability-enabled, or ceases to. With --json each is a line of JSON.
    """
    agreed = rules.Agreed.of(read_inventory_file(inventory_file), [read_plan(one) for one in plans])
    told = _Told(out)
    if events_path is not None:
        return _by_events(told, agreed, events_path)
    if now_path is not None:
        told.all(rules.compare(agreed, read_inventory_file(now_path)))
        return told.end()
    compliance: dict[tuple[str, str, str], str] | None = None
    while True:
        now = _look(reach)
        told.unread(now.failures)
        told.all(rules.compare(agreed, now))
        if interval is None:
            return Exit.UNFINISHED if now.failures and not told.count else told.end()
        compliance = told.compliance(compliance, now)
        time.sleep(interval)


class _Told:
    """Tells each drift once for as long as it lasts."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._known: set[tuple[str, ...]] = set()
        self.count = 0

    def all(self, drifts: Iterable[Drift]) -> None:
        """Tell what is new; what is mended may be told again when it comes back."""
        now = list(drifts)
        for one in now:
            if one.key not in self._known:
                self.one(one)
        self._known = {one.key for one in now}

    def one(self, drifted: Drift) -> None:
        """Tell one."""
        self.count += 1
        if self._out.as_json:
            self.line({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **drifted.document()})
            return
        by = f" ({drifted.by})" if drifted.by else ""
        where = f"{drifted.account}/{drifted.region} {drifted.name}"
        self.line(f"{drifted.gravity:8}{drifted.what}  {where}  {drifted.message}{by}")

    def unread(self, failures: Sequence[Failure]) -> None:
        """Tell what could not be read; nothing is said of it."""
        for one in failures:
            click.echo(plain(f"Not read: {one.account}/{one.region} {one.what}: {one.sentence}"), err=True)

    def compliance(
        self, before: dict[tuple[str, str, str], str] | None, now: Inventory
    ) -> dict[tuple[str, str, str], str]:
        """Tell which repositories came to comply with the Config rule, or ceased to."""
        verdicts = {one.key: str(config_rule.of_mode(str(one.mode))[0]) for one in now.repositories}
        for key, verdict in verdicts.items():
            if before is not None and before.get(key) != verdict:
                self.verdict(key, verdict)
        return verdicts

    def verdict(self, key: tuple[str, str, str], verdict: str) -> None:
        """Tell a verdict of the Config rule."""
        if self._out.as_json:
            names = dict(zip(("account", "region", "name"), key, strict=True))
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.line({"at": at, "gravity": "notice", "code": "compliance", **names, "compliance": verdict})
        else:
            self.line(f"{'notice':8}compliance  {key[0]}/{key[1]} {key[2]}  {config_rule.RULE}: {verdict}")

    def line(self, said: object) -> None:
        """Write a line, at once."""
        click.echo(plain(said) if isinstance(said, str) else json.dumps(said))
        sys.stdout.flush()

    def end(self) -> int:
        """Say how it ended."""
        if not self.count and not self._out.as_json:
            click.echo("Everything is as agreed.")
        return Exit.FOUND if self.count else Exit.DONE


def _by_events(told: _Told, agreed: Agreed, path: str) -> int:
    with click.open_file(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            gathered = Gathered()
            read_bytes(gathered, line, f"line {number}")
            for skipped in gathered.skipped:
                click.echo(plain(f"Not read: line {number}: {skipped.sentence}"), err=True)
            for event in gathered.events:
                _event(told, agreed, event)
    return told.end()


def _event(told: _Told, agreed: Agreed, event: Event) -> None:
    drifted = rules.judge_event(agreed, event)
    if drifted is not None:
        told.one(drifted)
    verdict = config_rule.of_event(event)
    if verdict is not None:
        told.verdict(event.key, str(verdict.compliance))
    if drifted is not None and drifted.what is rules.Drifted.NEW_MUTABLE:
        agreed.learn(event.key, Settings(event.mode, event.filters) if event.mode is not None else None)


class _Records:
    """Takes what an inventory finds, in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.found: list[RegistryRecord | RepositoryRecord | Failure] = []

    def add(self, record: RegistryRecord | RepositoryRecord | Failure) -> None:
        """Keep a record."""
        with self._lock:
            self.found.append(record)


class _Silent:
    """Is told how far the inventory is, and says nothing."""

    def begin(self, place: Place) -> None:
        """Say nothing."""

    def listed(self, place: Place, repositories: int) -> None:
        """Say nothing."""

    def read(self, place: Place, repositories: int) -> None:
        """Say nothing."""

    def end(self, place: Place) -> None:
        """Say nothing."""


def _look(reach: Reach) -> Inventory:
    """Read the settings of every repository that is reached: no images, no policies."""
    records = _Records()
    found = places.find(reach.aws(), reach.where)
    take(found.places, records, Wish(images=False, policies=False), _Silent())
    registries = tuple(one for one in records.found if isinstance(one, RegistryRecord))
    repositories = tuple(one for one in records.found if isinstance(one, RepositoryRecord))
    failures = (*found.failures, *(one for one in records.found if isinstance(one, Failure)))
    return Inventory(datetime.now(UTC), registries, repositories, failures)
