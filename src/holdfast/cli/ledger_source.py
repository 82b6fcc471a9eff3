"""Where commands about the ledger read it, and whom they believe: the options that say so."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.audit.folder import CHECKPOINT, Folder
from holdfast.audit.verdicts import policy_of
from holdfast.cli.exits import Unfinished
from holdfast.cli.repo import settings_of
from holdfast.client.api import APIError, CredentialsMissing
from holdfast.client.ledger import LedgerClient
from holdfast.client.transport import Credentials
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.live_comparison import Live, LiveBinding, compare
from holdfast.core.replay import Finding
from holdfast.core.signed_note import NoteInvalid
from holdfast.core.tlog_policy import Policy, PolicyInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from holdfast.audit.verdicts import Audited
    from holdfast.cli.connection import Connection
    from holdfast.core.ledger_audit import Fetch

_PATIENCE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.2
_TRUST: Final = (
    "Say whose signatures you believe: --policy FILE (C2SP tlog-policy), or --key VKEY as the operator gave it to you "
    "(holdfast ledger status tells it). A ledger cannot vouch for itself."
)


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say whom to believe."""
    command = click.option(
        "--key", "keys", multiple=True, metavar="VKEY", help="Believe the ledger with this verifier key."
    )(command)
    return click.option(
        "--policy",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="HOLDFAST_TRUST",
        metavar="FILE",
        help="Believe the ledgers and ask for the witnesses of this policy.  [HOLDFAST_TRUST]",
    )(command)


def bundle_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option to read a folder instead of a server."""
    return click.option(
        "--bundle",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Read this folder (holdfast ledger export), not a server.",
    )(command)


def trusted(policy: Path | None, keys: tuple[str, ...]) -> Policy:
    """Return whom to believe; a usage error when nobody was named."""
    try:
        made = policy_of(policy.read_bytes() if policy else None, keys)
    except (PolicyInvalid, NoteInvalid) as error:
        raise click.UsageError(f"{policy or '--key'}: {error}") from None
    if made is None:
        raise click.UsageError(_TRUST)
    return made


@contextlib.contextmanager
def reading(at: Connection, bundle: Path | None) -> Iterator[Fetch]:
    """Give what reads the ledger: of a folder, or of the server."""
    if bundle is not None:
        yield Folder(bundle).fetch
        return
    with live_client(at) as client:
        yield client.fetch


@contextlib.contextmanager
def live_client(at: Connection) -> Iterator[LedgerClient]:
    """Give a client of the server's ledger, logged in if there are credentials."""
    try:
        credentials = Credentials(*at.api.login())
    except CredentialsMissing:
        credentials = None
    client = LedgerClient(at.endpoint, credentials, ca_bundle=at.api.ca_bundle)
    try:
        yield client
    finally:
        client.close()


def checkpoint_of(fetch: Fetch) -> bytes:
    """Return the checkpoint; a ledger without one is told."""
    try:
        return fetch(CHECKPOINT)
    except FileMissing:
        msg = "The ledger has published no checkpoint."
        raise Unfinished(
            msg, "A server publishes the first one when something happens: see holdfast ledger status"
        ) from None


def compare_live(at: Connection, audited: Audited, policy: Policy, fetch: Fetch) -> Live:
    """Compare the registry of the connection with the replayed past.

    The registry is looked at after the audited checkpoint; then the audit goes on to a newer one, and what its entries
    touched is left out. A difference is looked at again for some seconds: its entry may be on the way.
    """
    registry = _registry_of(at)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        seen = _look(at, audited, registry)
        before = audited.auditor.done.size
        touched: set[tuple[str | None, str | None]] = set()
        audited.auditor.told = lambda _index, entry, into=touched: into.add((entry.repository, entry.tag))
        newer = policy.judge(checkpoint_of(fetch)).checkpoint
        audited.examination = audited.auditor.follow(newer)
        live = Live()
        for name, (settings, bindings) in sorted(seen.items()):
            past = audited.examination.replay.past(registry, name)
            if (name, None) in touched:
                live.skipped += 1
            elif past is not None:
                compare(
                    live, past, settings, bindings, {tag for repository, tag in touched if repository == name and tag}
                )
            else:
                live.findings.append(_unknown(registry, name))
        if not live.findings or (time.monotonic() > deadline and newer.size == before):
            return live
        if time.monotonic() > deadline + _PATIENCE_SECONDS:
            return live
        time.sleep(_LOOK_SECONDS)


def _unknown(registry: str, name: str) -> Finding:
    message = "the registry has this repository, and no entry of the ledger says that it was made"
    return Finding("live-repository-unknown", message, None, registry, name)


def _registry_of(at: Connection) -> str:
    described = at.api.ecr("describe_registry")
    return f"{described['registryId']}/{at.api.region}"


def _look(at: Connection, audited: Audited, registry: str) -> dict[str, tuple[Any, list[LiveBinding]]]:
    described = {one["repositoryName"]: one for one in at.api.pages("ecr", "describe_repositories", "repositories")}
    names = {name for where, name in audited.examination.replay.repositories if where == registry} | described.keys()
    return {
        name: (settings_of(described[name]) if name in described else None, list(_bindings(at, name)))
        for name in sorted(names)
    }


def _bindings(at: Connection, name: str) -> Iterator[LiveBinding]:
    try:
        for one in at.api.pages("holdfast", "list_tag_history", "bindings", repositoryName=name):
            yield LiveBinding(
                one["imageTag"],
                one["imageDigest"],
                _micro(one["boundAt"]) or 0,
                one["boundBy"],
                _micro(one.get("endedAt")),
                one.get("endedBy"),
                one.get("endCause"),
            )
    except APIError as error:
        if error.code != "RepositoryNotFoundException":
            raise


def _micro(value: datetime | None) -> int | None:
    return None if value is None else round(value.timestamp() * 1_000_000)
