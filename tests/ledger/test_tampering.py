"""Whoever has the database file and drops its triggers can change rows; the ledger tells.

The fields of the test: what is changed by a shell, and who notices: the server at its start, or whoever verifies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from holdfast.core import merkle
from images import image, push
from ledgers import checkpoint_of, ledger_of, tiles_over_http
from running import running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from ledgers import Ledger
    from running import Client

ENTRIES = {
    "changed": 'UPDATE entries SET body = replace(body, \'"tag":"v2"\', \'"tag":"v9"\') WHERE leaf_index = 5',
    "deleted": "DELETE FROM entries WHERE leaf_index = 4",
    "swapped": "UPDATE entries SET leaf_index = CASE leaf_index WHEN 3 THEN -4 WHEN 4 THEN -3 END "
    "WHERE leaf_index IN (3, 4); UPDATE entries SET leaf_index = -leaf_index WHERE leaf_index < 0",
    "put in": "UPDATE entries SET body = (SELECT body FROM entries WHERE leaf_index = 3) WHERE leaf_index = 4",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        for number in range(6):
            push(up.client(), "t/app", f"v{number}", image())
    return data


def shell(data: Path, statements: str) -> None:
    connection = apsw.Connection(str(data / "holdfast.db"))
    for (name,) in list(connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(statements)
    assert connection.changes() > 0
    connection.close()


def verified(client: Client) -> Ledger:
    """Verify as an auditor does, who has nothing but the public files."""
    ledger = ledger_of(client)
    ledger.require_sound()
    return ledger


@pytest.mark.parametrize("how", ENTRIES)
def test_an_entry_that_was_touched_does_not_verify(data: Path, how: str) -> None:
    with running(settings(data)) as up:
        assert verified(up.client()).checkpoint.size >= 7
    shell(data, ENTRIES[how])
    with running(settings(data)) as up, pytest.raises(AssertionError):
        verified(up.client())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0",
        "UPDATE ledger_tiles SET hashes = substr(hashes, 33, 32) || substr(hashes, 1, 32) || substr(hashes, 65)",
        "DELETE FROM ledger_tiles",
        "UPDATE ledger_tree SET frontier = zeroblob(length(frontier))",
    ],
)
def test_a_tree_that_was_touched_signs_nothing(data: Path, statement: str) -> None:
    statement = statement.replace("substr(hashes, 33", "CAST(substr(hashes, 33").replace("65)", "65) AS BLOB)")
    shell(data, statement)
    with running(settings(data)) as up:
        assert up.holdfast._ledger.problem is not None
        assert up.client()("POST", "/v2/t/app/blobs/uploads/").status == 503


def test_history_rewritten_with_everything_that_the_server_has_is_not_consistent_with_what_was_seen(data: Path) -> None:
    """The operator rewrites database, tree, key and files together: only who kept a checkpoint, a witness, can tell."""
    with running(settings(data)) as up:
        kept = checkpoint_of(up.client())
    shell(data, "DELETE FROM ledger_tiles")
    shell(data, "DELETE FROM ledger_tree")
    shell(data, "UPDATE entries SET leaf_index = NULL")
    shell(data, ENTRIES["changed"].replace("leaf_index = 5", 'body LIKE \'%"tag":"v2"%\''))
    (data / "ledger" / "checkpoint").unlink()
    with running(settings(data, create_on_push="IMMUTABLE")) as up:
        assert push(up.client(), "t/app", "new", image()).status == 201, "nothing is left to notice it by here"
        now = checkpoint_of(up.client())
        read = tiles_over_http(up.client(), now.size)
        proof = merkle.consistency_proof(kept.size, now.size, read)
        with pytest.raises(merkle.ProofInvalid, match="forked"):
            merkle.verify_consistency(kept.size, now.size, proof, kept.root, now.root)
