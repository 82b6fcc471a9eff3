"""`holdfast evidence`: a pack made of a server's ledger, verified where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import images

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from running import Client


def test_a_pack_is_made_and_verified_without_a_network(
    holdfast: Commands, repository: str, client: Client, tmp_path: Path
) -> None:
    holdfast("repo", "create", repository, "--mutability", "IMMUTABLE")
    assert images.push(client, repository, "v1", images.image()).status == 201
    assert images.push(client, repository, "v1", images.image()).status == 409
    trust = tmp_path / "trust.txt"
    trust.write_text(f"log {holdfast('ledger', 'key').out.strip()}\nquorum none\n")
    folder, key, today = tmp_path / "pack", tmp_path / "me.key", datetime.now(UTC).date().isoformat()
    make = ("evidence", str(folder), "--period", today, "--signing-key", str(key), "--policy", str(trust))
    made = holdfast(*make, "--json")
    assert made.code == 0, made.err
    assert key.stat().st_mode & 0o777 == 0o600
    signer = made.json()["signer"]
    verify = ("evidence", str(folder), "--verify", "--signer", signer, "--policy", str(trust))
    verified = holdfast(*verify, HOLDFAST_ENDPOINT="http://127.0.0.1:9", AWS_ACCESS_KEY_ID=None)
    assert verified.code == 0, verified.out
    (folder / "report.html").write_text("all is well")
    assert holdfast(*verify).code == 1
    assert holdfast(*make).code == 3, "a pack is never written over another"
    assert holdfast("evidence", str(folder), "--verify", "--policy", str(trust)).code == 2
    assert holdfast("evidence", str(folder), "--period", "soon", "--policy", str(trust)).code == 2
    assert holdfast("evidence", str(folder), "--policy", str(trust)).code == 2
