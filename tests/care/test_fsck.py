"""fsck finds every kind of harm that is done to a data directory, calls leftovers leftovers, and mends what is safe."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import apsw
import pytest

from holdfast import care
from holdfast.registry.fsck import MEANINGS, Problem
from images import image, index, push, push_blob, sha256
from running import running, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from commands import Commands
    from holdfast.registry.fsck import Report

WHOLE = image(b"a layer that lies on the disk", config=b'{"architecture":"amd64","id":"1"}')
OTHER = image(b"another layer", config=b'{"architecture":"arm64","id":"2"}')
LIST = index(WHOLE, OTHER)
LAYER = sha256(WHOLE.blobs[1])


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a server that was used and stopped."""
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with running(settings(folder, create_on_push="MUTABLE")) as up:
        client = up.client()
        push(client, "t/a", "v1", WHOLE)
        push(client, "t/a", "v1", OTHER)
        push(client, "t/a", "list", LIST)
        push(client, "t/b", "gone", WHOLE)
        client("DELETE", "/v2/t/b/manifests/gone")
        up.aws().delete_repository(repositoryName="t/b", force=True)
        push_blob(client, "t/c", b"named by no image")
    return folder


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(stopped, tmp_path / "data")


def blob_file(data: Path, digest: str) -> Path:
    (found,) = (data / "blobs").rglob(f"{digest.partition(':')[2]}.*")
    return found


def sql(data: Path, *statements: str) -> None:
    """Change the database as a shell or a bug would: without its guards."""
    connection = apsw.Connection(str(data / "holdfast.db"))
    for kind, name, text in list(connection.execute("SELECT type, name, sql FROM sqlite_schema")):
        if kind == "trigger":
            connection.execute(f"DROP TRIGGER {name}")
            assert text
    for statement in statements:
        connection.execute(statement)
    connection.close()


def sql_on(statement: str, data: Path) -> None:
    sql(data, statement)


def swap_digit(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def problems(report: Report) -> set[Problem]:
    return {one.problem for one in report.findings}


def test_a_server_that_was_stopped_is_sound(data: Path) -> None:
    report = care.fsck(data)
    assert report.findings == []
    assert report.leftovers == []
    assert report.counts["blobs"] == 5
    assert report.counts["manifests"] >= 3
    assert report.counts["tags"] == 2
    assert report.counts["hashed_bytes"] == report.counts["blob_bytes"] > 0


def _flip(data: Path) -> None:
    path = blob_file(data, LAYER)
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(bytes(content))


def _other_bytes(data: Path) -> None:
    sql(data, f"UPDATE manifest_payloads SET payload = CAST(payload || ' ' AS BLOB) WHERE digest = '{WHOLE.digest}'")


def _no_manifest(data: Path) -> None:
    digest = "sha256:" + hashlib.sha256(b"[]").hexdigest()
    sql(
        data,
        "PRAGMA foreign_keys = OFF",
        f"INSERT INTO manifest_payloads VALUES ('{digest}', x'5b5d')",
        "INSERT INTO manifests (repository_id, digest, media_type, payload_bytes, image_bytes, pushed_at, pushed_by) "
        f"SELECT repository_id, '{digest}', media_type, 2, 0, 1, 'x' FROM manifests WHERE digest = '{LIST.digest}'",
    )


HARM: dict[Problem, tuple[Callable[[Path], object], ...]] = {
    Problem.BLOB_FILE_MISSING: (lambda data: blob_file(data, LAYER).unlink(),),
    Problem.BLOB_SIZE_WRONG: (
        lambda data: os.truncate(blob_file(data, LAYER), 0),
        lambda data: blob_file(data, LAYER).write_bytes(b"much longer" * 100),
    ),
    Problem.BLOB_BYTES_WRONG: (_flip,),
    Problem.BLOB_UNREADABLE: (lambda data: blob_folder(data, LAYER),),
    Problem.MANIFEST_BYTES_WRONG: (_other_bytes,),
    Problem.MANIFEST_UNREADABLE: (_no_manifest,),
    Problem.MANIFEST_ROW_WRONG: (
        lambda data: describe(data, "subject = 'sha256:00'"),
        lambda data: describe(data, "artifact_type = 'x/y'"),
        lambda data: describe(data, "payload_bytes = 1"),
        lambda data: describe(data, "image_bytes = 1"),
    ),
    Problem.REFERENCE_MISSING: (
        lambda data: sql(data, f"DELETE FROM manifest_blobs WHERE manifest = '{WHOLE.digest}' AND blob = '{LAYER}'"),
        lambda data: sql(data, f"DELETE FROM manifest_children WHERE child = '{WHOLE.digest}'"),
    ),
    Problem.REFERENCE_UNFOUNDED: (
        lambda data: sql(
            data,
            f"INSERT INTO manifest_blobs SELECT repository_id, '{WHOLE.digest}', blob FROM manifest_blobs "
            f"WHERE manifest = '{OTHER.digest}' ON CONFLICT DO NOTHING",
        ),
    ),
    Problem.PART_MISSING: (
        lambda data: sql(data, f"UPDATE blobs SET size_bytes = 1 WHERE digest = '{LAYER}'"),
        lambda data: sql(data, f"DELETE FROM blobs WHERE digest = '{LAYER}'"),
        lambda data: sql(data, f"DELETE FROM manifests WHERE digest = '{WHOLE.digest}'"),
    ),
    Problem.TAG_WITHOUT_IMAGE: (
        lambda data: sql(data, f"DELETE FROM manifests WHERE digest = '{LIST.digest}'"),
        lambda data: sql(data, "UPDATE repositories SET deleted_at = 1 WHERE name = 't/a'"),
    ),
    Problem.TAG_BOUND_TWICE: (
        lambda data: sql(
            data,
            "DROP INDEX live_binding",
            "UPDATE bindings SET ended_at = NULL, ended_by = NULL, end_cause = NULL WHERE tag = 'v1'",
        ),
    ),
    Problem.TAG_AGAINST_RECORD: (
        lambda data: sql(data, f"UPDATE bindings SET digest = '{WHOLE.digest}' WHERE tag = 'v1' AND ended_at IS NULL"),
        lambda data: sql(data, "DELETE FROM bindings WHERE tag = 'list'"),
        lambda data: sql(data, "UPDATE entries SET tag = 'v9' WHERE tag = 'list'"),
    ),
    Problem.TOMBSTONE_UNFOUNDED: (
        lambda data: sql(
            data,
            "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
            "VALUES (1, 't/a', 'never', 'sha256:00', 1, 'x')",
        ),
    ),
    Problem.RECORD_HAS_GAP: (lambda data: sql(data, "DELETE FROM entries WHERE sequence = 2"),),
    Problem.LEDGER_WRONG: (
        lambda data: sql(data, "UPDATE entries SET body = replace(body, 't/a', 't/z') WHERE tag = 'list'"),
        lambda data: sql(data, "UPDATE entries SET body = body || ' ' WHERE leaf_index = 0"),
        lambda data: sql(
            data,
            "UPDATE entries SET leaf_index = 1001 - leaf_index WHERE leaf_index < 2",
            "UPDATE entries SET leaf_index = leaf_index - 1000 WHERE leaf_index >= 1000",
        ),
        lambda data: sql(data, "UPDATE ledger_tree SET size = 8, frontier = zeroblob(32)"),
        lambda data: sql(data, "DELETE FROM entries WHERE sequence = (SELECT max(sequence) FROM entries)"),
        lambda data: sql(data, "UPDATE ledger_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0"),
        lambda data: sql(data, "UPDATE ledger_tree SET note = (SELECT CAST(replace(note, '— ', '— x') AS BLOB))"),
        lambda data: sql(data, "UPDATE ledger_tree SET size = size - 1, frontier = zeroblob(32 * 8)"),
        lambda data: (data / "ledger" / "checkpoint").unlink(),
        lambda data: shutil.rmtree(data / "ledger"),
        lambda data: swap_digit(data / "ledger" / "checkpoint"),
        lambda data: (data / "ledger" / "entries" / "000").unlink(),
        lambda data: os.truncate(data / "ledger" / "entries" / "000", 100),
        lambda data: swap_digit(data / "ledger" / "entries" / "000"),
        lambda data: list(map(os.unlink, data.glob("ledger-*.key"))),
        lambda data: [path.write_text("no key") for path in data.glob("ledger-*.key")],
    ),
    Problem.USAGE_WRONG: tuple(
        partial(sql_on, f"{statement} WHERE {of}")
        for of, statement in (
            ("images > 0", "UPDATE repository_usage SET images = images - 1"),
            ("images > 0", "UPDATE repository_usage SET bytes = bytes + 1"),
            ("images > 0", "DELETE FROM repository_usage"),
            ("registry_id = 1", "UPDATE registry_usage SET repositories = repositories + 1"),
            ("registry_id = 1", "UPDATE registry_usage SET images = 0"),
            ("registry_id = 1", "UPDATE registry_usage SET bytes = 0"),
            ("registry_id = 1", "DELETE FROM registry_usage"),
        )
    ),
    Problem.DOOMED_FILE_NEEDED: (
        lambda data: sql(
            data, f"INSERT INTO doomed_files SELECT digest, generation, 1 FROM blobs WHERE digest = '{LAYER}'"
        ),
    ),
    Problem.SECRET_SEALED_OTHERWISE: (
        lambda data: (data / "seal.key").unlink(),
        lambda data: (data / "seal.key").write_text("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=\n"),
    ),
    Problem.DATABASE_DAMAGED: (
        lambda data: (data / "holdfast.db").write_bytes(b"no database" * 1000),
        lambda data: sql(data, "DELETE FROM registries"),
        lambda data: scribble(data / "holdfast.db"),
    ),
}


def describe(data: Path, otherwise: str) -> None:
    """Describe a manifest otherwise than its bytes do."""
    sql(data, f"UPDATE manifests SET {otherwise} WHERE digest = '{WHOLE.digest}'")


def blob_folder(data: Path, digest: str) -> None:
    """Put in the place of a file what has its size and cannot be read as one."""
    connection = apsw.Connection(str(data / "holdfast.db"), flags=apsw.SQLITE_OPEN_READONLY)
    ((generation,),) = list(connection.execute("SELECT generation FROM blobs WHERE digest = ?", (digest,)))
    connection.close()
    hexadecimal = digest.partition(":")[2]
    path = data / "blobs" / "sha256" / hexadecimal[:2] / f"{hexadecimal}.{generation}"
    path.unlink()
    path.mkdir()
    sql(data, f"UPDATE blobs SET size_bytes = {path.stat().st_size} WHERE digest = '{digest}'")


def scribble(path: Path) -> None:
    """Write over the middle pages of the database."""
    with path.open("r+b") as file:
        file.seek(4096 * 8)
        file.write(b"\xff" * 4096 * 12)


@pytest.mark.parametrize(
    ("problem", "damage"), [(problem, damage) for problem, many in HARM.items() for damage in many]
)
def test_harm_is_found(data: Path, problem: Problem, damage: Callable[[Path], object]) -> None:
    damage(data)
    assert problem in problems(care.fsck(data))


def test_every_harm_is_tried_here() -> None:
    harms = {problem for problem, meaning in MEANINGS.items() if meaning.harm}
    assert harms == set(HARM)
    assert set(MEANINGS) == set(Problem)


def test_the_fast_mode_sees_sizes_and_not_bytes(data: Path) -> None:
    _flip(data)
    assert care.fsck(data, deep=False).is_sound
    os.truncate(blob_file(data, LAYER), 5)
    assert problems(care.fsck(data, deep=False)) == {Problem.BLOB_SIZE_WRONG}


def leave_behind(data: Path) -> None:
    """Leave what crashes leave: a linked file without a row, an upload without a session, a doomed file, a stranger."""
    path = blob_file(data, LAYER)
    shutil.copy(path, path.with_suffix(".00000000000000aa"))
    (data / "uploads" / "a-session-of-nobody").write_bytes(b"half")
    (data / "blobs" / "sha256" / "00" / "notes.txt").write_text("?")
    (data / "quarantine" / "old").write_text("?")
    sql(data, "INSERT INTO doomed_files VALUES ('sha256:" + "0" * 64 + "', '00000000000000bb', 3)")


def test_leftovers_are_no_findings(data: Path) -> None:
    leave_behind(data)
    report = care.fsck(data)
    assert report.findings == []
    assert {one.problem for one in report.leftovers} == {
        Problem.FILE_WITHOUT_BLOB,
        Problem.UPLOAD_LEFT_BEHIND,
        Problem.STRANGE_FILE,
        Problem.QUARANTINED,
        Problem.FILE_DOOMED,
    }


# --- repair ----------------------------------------------------------------------------------------------------------


def test_repair_mends_references_and_dooms_and_tidies(data: Path) -> None:
    leave_behind(data)
    for problem in (Problem.REFERENCE_MISSING, Problem.DOOMED_FILE_NEEDED):
        for damage in HARM[problem]:
            damage(data)
    report = care.fsck(data, repair=True)
    assert report.findings == []
    assert len(report.repaired) == 5
    assert (data / "blobs" / "sha256" / "00" / "notes.txt").exists(), "not ours to delete"
    assert not (data / "uploads" / "a-session-of-nobody").exists()


@pytest.mark.parametrize("damage", HARM[Problem.USAGE_WRONG])
def test_repair_counts_anew_what_is_used(data: Path, damage: Callable[[Path], object]) -> None:
    before = usage(data)
    damage(data)
    assert usage(data) != before
    report = care.fsck(data, repair=True)
    assert report.findings == []
    assert len(report.repaired) == 1
    assert usage(data) == before


def usage(data: Path) -> list[list[tuple[object, ...]]]:
    """Return what is noted of use."""
    connection = apsw.Connection(str(data / "holdfast.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found = [list(connection.execute(f"SELECT * FROM {of}_usage ORDER BY 1")) for of in ("repository", "registry")]
    connection.close()
    return found


def test_a_tail_behind_the_published_checkpoint_is_no_finding(data: Path) -> None:
    """As a crash leaves it between the entries and the checkpoint that covers them."""
    with (data / "ledger" / "entries" / "000").open("ab") as file:
        file.write(b"\x00\x05hal")
    assert care.fsck(data).findings == []


def test_repair_gives_a_blob_the_sound_file_that_nothing_named(data: Path) -> None:
    _flip(data)
    path = blob_file(data, LAYER)
    path.with_suffix(".00000000000000aa").write_bytes(WHOLE.blobs[1])
    report = care.fsck(data, repair=True)
    assert report.is_sound
    assert any("gave" in deed for deed in report.repaired)
    assert [one.name for one in (data / "quarantine").iterdir()] == [path.name]


def test_repair_sets_a_damaged_blob_aside_and_a_push_heals_it(data: Path) -> None:
    _flip(data)
    report = care.fsck(data, repair=True)
    assert problems(report) == {Problem.BLOB_FILE_MISSING}
    with running(settings(data)) as up:
        assert up.client()("GET", f"/v2/t/a/blobs/{LAYER}").status == 404
        push_blob(up.client(), "t/a", WHOLE.blobs[1])
        assert up.client()("GET", f"/v2/t/a/blobs/{LAYER}").body == WHOLE.blobs[1]
    assert care.fsck(data).is_sound


def test_repair_deletes_nothing_where_the_database_is_not_sound(data: Path) -> None:
    leave_behind(data)
    HARM[Problem.TAG_AGAINST_RECORD][0](data)
    report = care.fsck(data, repair=True)
    assert problems(report) == {Problem.TAG_AGAINST_RECORD}
    assert report.repaired == []
    assert (data / "uploads" / "a-session-of-nobody").exists()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_tells_and_ends_with_a_code(data: Path, holdfast: Commands) -> None:
    ran = holdfast("fsck", "--data", str(data))
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Everything fits."
    _flip(data)
    ran = holdfast("fsck", "--data", str(data))
    assert ran.code == 1
    assert f"  {LAYER}" in ran.out.splitlines()
    told = holdfast("fsck", "--data", str(data), "--json")
    assert told.code == 1
    assert told.json()["findings"][0]["problem"] == "blob-bytes-wrong"
    assert holdfast("fsck", "--data", str(data), "--fast").code == 0


def test_the_command_wants_data_that_no_server_has(tmp_path: Path, holdfast: Commands) -> None:
    assert holdfast("fsck", "--data", str(tmp_path)).code == 2
    with running(settings(tmp_path / "data")):
        ran = holdfast("fsck", "--data", str(tmp_path / "data"))
    assert ran.code == 2
    assert "Another server is using" in ran.err


def test_the_command_does_not_judge_another_schema(data: Path, holdfast: Commands) -> None:
    sql(data, "PRAGMA user_version = 0")
    ran = holdfast("fsck", "--data", str(data))
    assert ran.code == 2
    assert "holdfast migrate" in ran.err
    sql(data, "PRAGMA user_version = 99")
    assert "or a newer one" in holdfast("fsck", "--data", str(data)).err


def test_json_is_whole(data: Path, holdfast: Commands) -> None:
    told = json.loads(holdfast("fsck", "--data", str(data), "--json").out)
    assert set(told) == {"sound", "examined", "findings", "leftovers", "untold", "repaired"}
