"""Entries that nobody waits for are published as soon as those that somebody waits for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from holdfast.store.ledger_files import LedgerFiles
from ledgers import ledger_of
from running import running, settings
from waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from running import Client


def acts(client: Client) -> list[str]:
    """Return what was done to access keys, as far as it is published."""
    return [one.kind.removeprefix("access-key-") for one in ledger_of(client).entries if "key" in one.kind]


def test_what_is_committed_while_another_entry_is_published_follows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later commit, no waiting answer: nothing but the ledger itself can notice that it is there."""
    publishing, go_on = threading.Event(), threading.Event()
    go_on.set()
    publish = LedgerFiles.publish

    def slowly(files: LedgerFiles, note: bytes) -> None:
        publish(files, note)
        publishing.set()
        assert go_on.wait(30)

    monkeypatch.setattr(LedgerFiles, "publish", slowly)
    with running(settings(tmp_path)) as up:
        client, holdfast = up.client(), up.aws("holdfast")
        key = holdfast.create_access_key(name="administrator")
        eventually(lambda: acts(client) == ["created"])
        publishing.clear()
        go_on.clear()
        holdfast.delete_access_key(accessKeyId=key["accessKeyId"])
        assert publishing.wait(30)
        holdfast.create_access_key(name="administrator")
        go_on.set()
        eventually(lambda: acts(client) == ["created", "deleted", "created"])
