"""`holdfast ledger`: what an auditor does with a server, and that no tampering with its database goes unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import apsw
import pytest

import images
from commands import Commands, Ran, environment
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import KeyKind, Signer, write_note
from running import running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TypeAlias

    from running import RunningServer

    Own: TypeAlias = tuple[RunningServer, Commands, list[images.Image]]

REPOSITORY = "demo/app"


@pytest.fixture
def own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[RunningServer, Commands, list[images.Image]]]:
    """A server of its own with a short past: v1 is held, a push was refused, dev-1 moved, v0 was deleted."""
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "HOLDFAST_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with running(settings(tmp_path / "data")) as server:
        program = Commands(monkeypatch, capsys, environment(server.url))
        program("repo", "create", REPOSITORY, "--mutability", "IMMUTABLE_WITH_EXCLUSION", "--exclude", "dev-*")
        client, pushed = server.client(), [images.image(), images.image()]
        for tag, number, status in (
            ("v1", 0, 201),
            ("dev-1", 0, 201),
            ("v1", 1, 409),
            ("dev-1", 1, 201),
            ("v0", 0, 201),
        ):
            assert images.push(client, REPOSITORY, tag, pushed[number]).status == status
        server.aws().batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "v0"}])
        policy = tmp_path / "trust.txt"
        policy.write_text(f"log {program('ledger', 'key').out.strip()}\nquorum none\n")
        program.environment["HOLDFAST_TRUST"] = str(policy)
        yield server, program, pushed


def codes(ran: Ran) -> set[str]:
    """Return what an audit found."""
    assert ran.code == 1, ran.out + ran.err
    return {one["code"] for one in ran.json()["findings"]}


def tamper(data: Path, *statements: str) -> None:
    """Change the database behind the server's back: the triggers are taken away first, as an intruder would."""
    # By the server's own copy of SQLite: POSIX locks are a process's, and a second copy in it would not see them.
    database = apsw.Connection(str(data / "holdfast.db"))
    database.set_busy_timeout(30_000)
    triggers = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    with database:
        for name in triggers:
            database.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            database.execute(statement)
            assert database.changes() > 0, statement
    database.close()


def test_a_receipt_proves_without_a_server_what_was_bound(own: Own, tmp_path: Path) -> None:
    _, program, pushed = own
    file = tmp_path / "v1.tlog-proof"
    assert program("ledger", "receipt", f"{REPOSITORY}:v1", "-o", str(file)).code == 0
    nowhere = {"HOLDFAST_ENDPOINT": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    verified = program("ledger", "verify", str(file), "--json", **nowhere)
    assert verified.code == 0, verified.err
    entry = verified.json()["entry"]
    assert (entry["kind"], entry["tag"], entry["digest"]) == ("tag-bound", "v1", pushed[0].digest)
    assert (
        f"tag-bound  123456789012/eu-central-1/{REPOSITORY}:v1 -> {pushed[0].digest}"
        in program("ledger", "verify", str(file)).out
    )
    by_index = program("ledger", "receipt", "--index", str(verified.json()["index"]), "--json").json()
    assert by_index["index"] == verified.json()["index"]
    content = file.read_bytes()
    for at in range(0, len(content), 7):
        broken = tmp_path / "broken"
        broken.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert program("ledger", "verify", str(broken)).code == 1, at


def test_nobody_is_believed_who_was_not_named(own: Own, tmp_path: Path) -> None:
    _, program, _ = own
    file = tmp_path / "v1.tlog-proof"
    program("ledger", "receipt", f"{REPOSITORY}:v1", "-o", str(file))
    ran = program("ledger", "verify", str(file), HOLDFAST_TRUST=None)
    assert ran.code == 2
    assert "--policy FILE" in ran.err
    stranger = Signer.from_seed("holdfast/123456789012/eu-central-1", KeyKind.ED25519, b"s" * 32)
    ran = program("ledger", "verify", str(file), "--key", str(stranger.verifier), HOLDFAST_TRUST=None)
    assert ran.code == 1
    assert "no key of the policy has signed" in ran.out
    assert program("ledger", "audit", "--key", str(stranger.verifier), HOLDFAST_TRUST=None).code == 1
    assert program("ledger", "audit", "--key", "nonsense", HOLDFAST_TRUST=None).code == 2


def test_an_audit_of_a_server_that_was_left_alone_finds_nothing(own: Own) -> None:
    _, program, _ = own
    ran = program("ledger", "audit", "--json")
    assert ran.code == 0, ran.out
    told = ran.json()
    assert told["holds"]
    assert told["live"] == {"repositories": 1, "bindings": 4, "skipped": 0}
    assert told["kinds"]["tag-refused"] == 1
    text = program("ledger", "audit").out
    assert "No tag named another digest while it was held: 3 tags in 1 repositories were replayed." in text
    assert "The live registry agrees: 4 bindings of 1 repositories." in text


TAMPERED = {
    "entry-changed": (
        "UPDATE entries SET body = replace(body, 'through', 'THROUGH') WHERE leaf_index = 4",
        "root-differs",
    ),
    "entry-deleted": ("DELETE FROM entries WHERE leaf_index = 4", "entries-missing"),
    "entries-exchanged": (
        (
            "UPDATE entries SET leaf_index = 1000 WHERE leaf_index = 4;"
            "UPDATE entries SET leaf_index = 4 WHERE leaf_index = 5;"
            "UPDATE entries SET leaf_index = 5 WHERE leaf_index = 1000"
        ),
        "root-differs",
    ),
    "tile-changed": (
        "UPDATE ledger_tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB)",
        "tile-differs",
    ),
    "tile-deleted": ("DELETE FROM ledger_tiles", "file-missing"),
    "tag-moved": (
        (
            "UPDATE bindings SET digest = (SELECT digest FROM bindings WHERE tag = 'dev-1' AND ended_at IS NULL) "
            "WHERE tag = 'v1'"
        ),
        "live-binding-differs",
    ),
    "author-changed": ("UPDATE bindings SET bound_by = 'somebody-else' WHERE tag = 'v0'", "live-binding-differs"),
    "past-deleted": ("DELETE FROM bindings WHERE tag = 'dev-1' AND ended_at IS NOT NULL", "live-binding-missing"),
    "switched": (
        "UPDATE repositories SET tag_mutability = 'MUTABLE';DELETE FROM exclusion_filters",
        "live-settings-differ",
    ),
}
"""What an intruder does to the database -> how the finding begins."""


@pytest.mark.parametrize("name", TAMPERED)
def test_every_row_that_is_changed_deleted_or_put_elsewhere_is_found(own: Own, tmp_path: Path, name: str) -> None:
    _, program, _ = own
    statements, code = TAMPERED[name]
    tamper(tmp_path / "data", *statements.split(";"))
    assert any(one.startswith(code) for one in codes(program("ledger", "audit", "--json")))


def test_an_export_is_audited_without_a_server(own: Own, tmp_path: Path) -> None:
    server, program, pushed = own
    folder = tmp_path / "bundle"
    assert program("ledger", "export", str(folder)).code == 0
    nowhere = {"HOLDFAST_ENDPOINT": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    assert program("ledger", "audit", "--bundle", str(folder), **nowhere).code == 0
    [bundle] = [one for one in (folder / "tile" / "entries").rglob("*") if one.is_file()]
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(pushed[0].digest.encode(), pushed[1].digest.encode()))
    assert "root-differs" in codes(program("ledger", "audit", "--bundle", str(folder), "--json", **nowhere))
    bundle.write_bytes(content)
    old = (folder / "checkpoint").read_bytes()
    (tmp_path / "old").write_bytes(old)
    assert images.push(server.client(), REPOSITORY, "v2", pushed[1]).status == 201
    assert program("ledger", "export", str(folder)).code == 0
    assert (folder / "checkpoint").read_bytes() != old
    assert program("ledger", "audit", "--bundle", str(folder), "--since", str(tmp_path / "old"), **nowhere).code == 0
    grown = program("ledger", "consistency", str(tmp_path / "old"), "--bundle", str(folder), "--json", **nowhere)
    assert grown.code == 0
    assert program("ledger", "consistency", str(tmp_path / "old")).code == 0


def test_a_forked_ledger_is_refused(own: Own, tmp_path: Path) -> None:
    """Whoever has the log's own key signs another past: the checkpoint that somebody kept contradicts it."""
    _, program, _ = own
    [key] = (tmp_path / "data").rglob("ledger-*.key")
    signer = Signer.parse(key.read_text())
    folder = tmp_path / "bundle"
    program("ledger", "export", str(folder))
    size = program("ledger", "status", "--json").json()["published_size"]
    for forked_size in (size, size - 2):
        text = Checkpoint(signer.verifier.name, forked_size, b"f" * 32).text()
        kept = tmp_path / "kept"
        kept.write_bytes(write_note(text, [signer.sign(text)]))
        ran = program("ledger", "consistency", str(kept), "--json")
        assert ran.code == 1
        assert "forked" in ran.json()["reason"]
        assert codes(program("ledger", "audit", "--since", str(kept), "--json")) == {"forked"}
        (folder / "checkpoint").write_bytes(kept.read_bytes())
        refused = program("ledger", "export", str(folder))
        assert refused.code == 3
        assert "forked" in refused.err


def test_json_is_one_document(own: Own) -> None:
    _, program, _ = own
    for command in (["status"], ["receipt", f"{REPOSITORY}:v1"], ["audit"]):
        json.loads(program("ledger", *command, "--json").out)
