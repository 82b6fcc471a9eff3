"""The triggers: neither a bug of ours nor a shell on the file moves a held tag or rewrites what happened.

Each statement below is an attempt. Whether SQLite refuses it or ignores it does not matter; what matters is that every
guarded row is the same afterwards, through the product's adapter and through a plain connection alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.mutability import MutabilitySettings, TagMutability, is_signature_tag
from holdfast.store.sqlite import SQLiteDatabase
from store.held_file import DIGEST_A, DIGEST_B, WHO, A, B, Numbers, Refused, Through, fill, product, shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = {"product": product, "shell": shell}
NUMBERS: dict[str, Numbers] = {}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "holdfast.db"
    database = SQLiteDatabase(path)
    NUMBERS["of"] = asyncio.run(database.write(fill))
    database.close()
    return path


@pytest.fixture(params=list(WAYS))
def file(request: pytest.FixtureRequest, filled: Path, tmp_path: Path) -> Iterator[Through]:
    copy = tmp_path / "holdfast.db"
    shutil.copyfile(filled, copy)
    with WAYS[request.param](copy) as through:
        yield through


def _attempt(file: Through, statement: str) -> None:
    """Try the statement; every guarded row must be as it was, and the held tag still names A."""
    before = file.guarded()
    numbers = NUMBERS["of"]
    values = {name: getattr(numbers, name) for name in Numbers.__dataclass_fields__}
    filled_in = statement.format(A=DIGEST_A, B=DIGEST_B, WHO=WHO, **values)
    with contextlib.suppress(Refused):
        file.run(filled_in)
    assert file.guarded() == before
    assert file.v1() == (DIGEST_A, A)


_NEW_BINDING = "(id, repository_id, tag, digest, bound_at, bound_by) VALUES"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bindings SET digest = '{B}' WHERE tag = 'v1'",
        "UPDATE OR REPLACE bindings SET digest = '{B}' WHERE id = {held_binding}",
        "UPDATE OR IGNORE bindings SET digest = '{B}' WHERE id = {held_binding}",
        "UPDATE OR FAIL bindings SET digest = '{B}' WHERE id = {held_binding}",
        "UPDATE OR ROLLBACK bindings SET digest = '{B}' WHERE id = {held_binding}",
        "UPDATE bindings SET tag = 'v2' WHERE id = {held_binding}",
        "UPDATE bindings SET repository_id = {free} WHERE id = {held_binding}",
        "UPDATE bindings SET bound_at = 0 WHERE id = {held_binding}",
        "UPDATE bindings SET bound_by = 'somebody else' WHERE id = {held_binding}",
        "UPDATE bindings SET id = 999 WHERE id = {held_binding}",
        "UPDATE bindings SET rowid = 999 WHERE id = {held_binding}",
        "UPDATE OR REPLACE bindings SET _rowid_ = {held_binding} WHERE id = {free_binding}",
        "UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'moved' WHERE id = {held_binding}",
        "UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'appended' WHERE id = {held_binding}",
        "UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'deleted' WHERE id = {held_binding}",
        "UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'vanished' WHERE id = {held_binding}",
        "UPDATE bindings SET ended_at = 9 WHERE id = {held_binding}",
        "UPDATE bindings SET digest = '{B}', ended_at = 9, ended_by = '{WHO}', end_cause = 'moved'",
        "DELETE FROM bindings WHERE id = {held_binding}",
        "DELETE FROM bindings",
        f"INSERT OR REPLACE INTO bindings {_NEW_BINDING} ({{held_binding}}, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}')",
        f"REPLACE INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}')",
        f"INSERT OR REPLACE INTO bindings {_NEW_BINDING} ({{held_binding}}, {{held}}, 'v9', '{{B}}', 9, '{{WHO}}')",
        f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}')",
        f"INSERT OR IGNORE INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}')",
        (
            f"INSERT INTO bindings {_NEW_BINDING} ({{held_binding}}, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}') "
            "ON CONFLICT (id) DO UPDATE SET digest = excluded.digest"
        ),
        (
            f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'v1', '{{B}}', 9, '{{WHO}}') "
            "ON CONFLICT (repository_id, tag) WHERE ended_at IS NULL DO UPDATE SET digest = excluded.digest"
        ),
    ],
)
def test_a_held_binding_is_not_moved_ended_or_written_over(file: Through, statement: str) -> None:
    _attempt(file, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bindings SET ended_at = NULL, ended_by = NULL, end_cause = NULL WHERE id = {ended_binding}",
        "UPDATE OR REPLACE bindings SET ended_at = NULL, ended_by = NULL, end_cause = NULL WHERE id = {ended_binding}",
        "UPDATE bindings SET ended_at = 99 WHERE id = {ended_binding}",
        "UPDATE bindings SET ended_by = 'somebody else' WHERE id = {ended_binding}",
        "UPDATE bindings SET end_cause = 'deleted' WHERE id = {ended_binding}",
        "UPDATE bindings SET digest = '{B}' WHERE id = {ended_binding}",
        "UPDATE bindings SET bound_at = 0 WHERE id = {ended_binding}",
        "UPDATE bindings SET tag = 'other' WHERE id = {ended_binding}",
        "UPDATE bindings SET id = 500 WHERE id = {ended_binding}",
        "DELETE FROM bindings WHERE id = {ended_binding}",
        f"INSERT OR REPLACE INTO bindings {_NEW_BINDING} ({{ended_binding}}, {{free}}, 'v1', '{{B}}', 9, '{{WHO}}')",
        f"INSERT OR REPLACE INTO bindings {_NEW_BINDING} ({{ended_binding}}, {{free}}, 'n', '{{B}}', 9, '{{WHO}}')",
        # A past that never was.
        (
            "INSERT INTO bindings (repository_id, tag, digest, bound_at, bound_by, ended_at, ended_by, end_cause) "
            "VALUES ({held}, 'old', '{B}', 1, '{WHO}', 2, '{WHO}', 'moved')"
        ),
    ],
)
def test_the_history_of_a_tag_is_not_edited(file: Through, statement: str) -> None:
    _attempt(file, statement)


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{B}}', 9, '{{WHO}}')",
        f"INSERT OR REPLACE INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{B}}', 9, '{{WHO}}')",
        "UPDATE tombstones SET digest = '{B}'",
        "UPDATE tombstones SET tag = 'other'",
        "UPDATE tombstones SET repository = 'team/other'",
        "UPDATE tombstones SET registry_id = 99",
        "UPDATE tombstones SET deleted_at = 1",
        "UPDATE tombstones SET deleted_by = 'somebody else'",
        "UPDATE tombstones SET id = 77",
        "UPDATE tombstones SET rowid = 77",
        "UPDATE tombstones SET closed_at = 9, closed_by = '{WHO}', close_cause = 'restored'",
        "UPDATE tombstones SET digest = '{B}', closed_at = 9, closed_by = '{WHO}', close_cause = 'forgotten'",
        "UPDATE tombstones SET closed_at = 9, closed_by = '{WHO}', close_cause = 'tired of it'",
        "DELETE FROM tombstones",
        (
            "INSERT OR REPLACE INTO tombstones (id, registry_id, repository, tag, digest, deleted_at, deleted_by) "
            "VALUES ({tombstone}, {registry}, 'team/held', 'gone', '{B}', 9, '{WHO}')"
        ),
        (
            "INSERT OR REPLACE INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
            "VALUES ({registry}, 'team/held', 'gone', '{B}', 9, '{WHO}')"
        ),
        (
            "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
            "VALUES ({registry}, 'team/held', 'gone', '{B}', 9, '{WHO}') "
            "ON CONFLICT (registry_id, repository, tag) WHERE closed_at IS NULL DO UPDATE SET digest = excluded.digest"
        ),
        (
            "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by, closed_at, "
            "closed_by, close_cause) VALUES ({registry}, 'team/held', 'x', '{B}', 9, '{WHO}', 9, '{WHO}', 'forgotten')"
        ),
    ],
)
def test_the_name_of_a_deleted_tag_waits_for_its_digest(file: Through, statement: str) -> None:
    _attempt(file, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{{}}'",
        "UPDATE entries SET kind = 'tag-deleted'",
        "UPDATE entries SET sequence = 500",
        "UPDATE entries SET rowid = 500",
        "UPDATE entries SET tag = 'other', repository = 'team/other', registry_id = 9",
        "DELETE FROM entries",
        "INSERT OR REPLACE INTO entries (sequence, registry_id, kind, body) VALUES (1, {registry}, 'tag-bound', '')",
        (
            "INSERT INTO entries (sequence, registry_id, kind, body) VALUES (1, {registry}, 'tag-moved', '{{}}') "
            "ON CONFLICT (sequence) DO UPDATE SET body = excluded.body"
        ),
    ],
)
def test_the_record_of_what_happened_does_not_change(file: Through, statement: str) -> None:
    _attempt(file, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM manifests WHERE repository_id = {held} AND digest = '{A}'",
        "DELETE FROM manifests",
        "UPDATE manifests SET digest = 'sha256:other' WHERE repository_id = {held} AND digest = '{A}'",
        "UPDATE OR REPLACE manifests SET digest = '{A}' WHERE repository_id = {held} AND digest = '{B}'",
        "UPDATE manifests SET repository_id = {gone} WHERE repository_id = {held} AND digest = '{A}'",
        "UPDATE manifests SET media_type = 'text/html' WHERE repository_id = {held} AND digest = '{A}'",
        (
            "INSERT OR REPLACE INTO manifests (repository_id, digest, media_type, payload_bytes, image_bytes, "
            "pushed_at, pushed_by) VALUES ({held}, '{A}', 'text/html', 1, 1, 1, '{WHO}')"
        ),
        "UPDATE manifest_payloads SET payload = x'00' WHERE digest = '{A}'",
        "UPDATE manifest_payloads SET digest = 'sha256:other' WHERE digest = '{A}'",
        "UPDATE OR REPLACE manifest_payloads SET digest = '{A}' WHERE digest = '{B}'",
        "DELETE FROM manifest_payloads WHERE digest = '{A}'",
        "DELETE FROM manifest_payloads",
        "INSERT OR REPLACE INTO manifest_payloads (digest, payload) VALUES ('{A}', x'00')",
        "INSERT OR REPLACE INTO manifest_payloads (rowid, digest, payload) VALUES (1, 'sha256:other', x'00')",
        (
            "INSERT INTO manifest_payloads (digest, payload) VALUES ('{A}', x'00') "
            "ON CONFLICT (digest) DO UPDATE SET payload = excluded.payload"
        ),
    ],
)
def test_the_manifest_under_a_tag_stays_with_its_bytes(file: Through, statement: str) -> None:
    _attempt(file, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE repositories SET name = 'team/other' WHERE id = {held}",
        "UPDATE OR REPLACE repositories SET name = 'team/held' WHERE id = {free}",
        "UPDATE repositories SET registry_id = 99 WHERE id = {held}",
        "UPDATE repositories SET id = 99 WHERE id = {held}",
        "UPDATE repositories SET rowid = 99 WHERE id = {held}",
        "UPDATE repositories SET _rowid_ = 99 WHERE id = {held}",
        "UPDATE OR REPLACE repositories SET oid = {held} WHERE id = {free}",
        "UPDATE repositories SET deleted_at = 9, deleted_by = '{WHO}' WHERE id = {held}",
        "UPDATE repositories SET deleted_at = NULL, deleted_by = NULL WHERE id = {gone}",
        "UPDATE repositories SET deleted_at = 99 WHERE id = {gone}",
        "UPDATE repositories SET created_at = 99, created_by = 'somebody else' WHERE id = {held}",
        "UPDATE repositories SET deleted_by = 'somebody else' WHERE id = {gone}",
        "DELETE FROM repositories WHERE id = {held}",
        "DELETE FROM repositories",
        (
            "INSERT OR REPLACE INTO repositories (id, registry_id, name, tag_mutability, created_at, created_by) "
            "VALUES ({held}, {registry}, 'team/held', 'MUTABLE', 9, '{WHO}')"
        ),
        (
            "INSERT OR REPLACE INTO repositories (id, registry_id, name, tag_mutability, created_at, created_by) "
            "VALUES ({held}, {registry}, 'team/elsewhere', 'MUTABLE', 9, '{WHO}')"
        ),
        (
            "REPLACE INTO repositories (registry_id, name, tag_mutability, created_at, created_by) "
            "VALUES ({registry}, 'team/held', 'MUTABLE', 9, '{WHO}')"
        ),
        (
            "INSERT INTO repositories (id, registry_id, name, tag_mutability, created_at, created_by) "
            "VALUES ({held}, {registry}, 'team/x', 'MUTABLE', 9, '{WHO}') "
            "ON CONFLICT (id) DO UPDATE SET name = 'team/x'"
        ),
        "UPDATE registries SET account_id = '999999999999'",
        "UPDATE registries SET region = 'us-east-1'",
        "UPDATE registries SET id = 99",
        "UPDATE registries SET rowid = 99",
        "UPDATE registries SET created_at = 99",
        "DELETE FROM registries",
        (
            "INSERT OR REPLACE INTO registries (id, account_id, region, created_at) "
            "VALUES ({registry}, '999999999999', 'us-east-1', 9)"
        ),
        "REPLACE INTO registries (account_id, region, created_at) VALUES ('123456789012', 'eu-central-1', 9)",
    ],
)
def test_a_repository_is_not_renamed_replaced_or_made_away_with(file: Through, statement: str) -> None:
    _attempt(file, statement)


# --- what the guards let through, so that the tests above are known to test something ---------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        [f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'v2', '{{B}}', 9, '{{WHO}}')"],
        [f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{A}}', 9, '{{WHO}}')"],
        ["UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'moved' WHERE id = {free_binding}"],
        ["UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'deleted' WHERE id = {free_binding}"],
        [
            (
                "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
                "VALUES ({registry}, 'team/held', 'v1', '{A}', 9, '{WHO}')"
            ),
            "UPDATE bindings SET ended_at = 9, ended_by = '{WHO}', end_cause = 'deleted' WHERE id = {held_binding}",
        ],
        [
            f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{A}}', 9, '{{WHO}}')",
            "UPDATE tombstones SET closed_at = 9, closed_by = '{WHO}', close_cause = 'restored'",
        ],
        [
            "UPDATE tombstones SET closed_at = 9, closed_by = '{WHO}', close_cause = 'forgotten'",
            f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{B}}', 9, '{{WHO}}')",
        ],
        [
            "UPDATE registries SET deleted_tags = 'free'",
            f"INSERT INTO bindings {_NEW_BINDING} (NULL, {{held}}, 'gone', '{{B}}', 9, '{{WHO}}')",
        ],
        ["DELETE FROM manifests WHERE repository_id = {held} AND digest = '{B}'"],
        ["UPDATE manifests SET last_pulled_at = 9 WHERE repository_id = {held}"],
        ["UPDATE repositories SET scan_on_push = 1 WHERE id = {held}"],
    ],
)
def test_acts_along_the_rule_are_let_through(file: Through, statements: list[str]) -> None:
    values = {name: getattr(NUMBERS["of"], name) for name in Numbers.__dataclass_fields__}
    for statement in statements:
        before = file.guarded()
        file.run(statement.format(A=DIGEST_A, B=DIGEST_B, WHO=WHO, **values))
        assert file.guarded() != before


def test_a_tombstone_wrong_by_one_field_does_not_let_a_held_tag_be_deleted(file: Through) -> None:
    numbers = NUMBERS["of"]
    for repository, tag, digest in (
        ("team/held", "v1", DIGEST_B),
        ("team/held", "v10", DIGEST_A),
        ("team/free", "v1", DIGEST_A),
    ):
        file.run(
            "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
            "VALUES (?, ?, ?, ?, 9, 'x')",
            numbers.registry,
            repository,
            tag,
            digest,
        )
    with pytest.raises(Refused, match="leaves a tombstone"):
        file.run(
            "UPDATE bindings SET ended_at = 9, ended_by = 'x', end_cause = 'deleted' WHERE id = ?", numbers.held_binding
        )


def test_a_tag_names_only_a_manifest_that_its_repository_has(file: Through) -> None:
    with pytest.raises(Refused, match="a manifest of its repository"):
        file.run(
            "INSERT INTO bindings (repository_id, tag, digest, bound_at, bound_by) VALUES (?, 'n', 'absent', 1, 'x')",
            NUMBERS["of"].held,
        )


def test_a_recreated_repository_finds_its_tombstones(file: Through) -> None:
    numbers = NUMBERS["of"]
    file.run(
        "INSERT INTO tombstones (registry_id, repository, tag, digest, deleted_at, deleted_by) "
        "VALUES (?, 'team/gone', 'v1', ?, 9, 'x')",
        numbers.registry,
        DIGEST_A,
    )
    file.run(
        "INSERT INTO repositories (registry_id, name, tag_mutability, created_at, created_by) "
        "VALUES (?, 'team/gone', 'MUTABLE', 9, 'x')",
        numbers.registry,
    )
    file.run(
        "INSERT INTO manifests (repository_id, digest, media_type, payload_bytes, image_bytes, pushed_at, pushed_by) "
        "SELECT (SELECT max(id) FROM repositories), digest, media_type, payload_bytes, image_bytes, pushed_at, "
        "pushed_by FROM manifests WHERE repository_id = ?",
        numbers.held,
    )
    bind = (
        "INSERT INTO bindings (repository_id, tag, digest, bound_at, bound_by) "
        "VALUES ((SELECT max(id) FROM repositories), 'v1', ?, 9, 'x')"
    )
    with pytest.raises(Refused, match="waits for the digest"):
        file.run(bind, DIGEST_B)
    file.run(bind, DIGEST_A)


# --- the rule and its guards agree -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scratch(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    copy = tmp_path_factory.mktemp("scratch") / "holdfast.db"
    shutil.copyfile(filled, copy)
    connection = apsw.Connection(str(copy))
    connection.pragma("synchronous", 0)
    yield connection
    connection.close()


_FILTERS = st.lists(st.text("aA1.-_*", min_size=1, max_size=6), max_size=5)
_TAGS = st.text("aA1.-_", min_size=1, max_size=8)


def _repository_with(connection: apsw.Connection, settings: MutabilitySettings, tag: str) -> int:
    """Make a repository of these settings with the tag bound to A; return the binding's number."""
    registry = NUMBERS["of"].registry
    connection.execute(
        "INSERT INTO repositories (registry_id, name, tag_mutability, created_at, created_by) "
        "VALUES (?, (SELECT 'r/' || max(id) FROM repositories), ?, 1, 'x')",
        (registry, settings.mode),
    )
    identity = connection.last_insert_rowid()
    for position, pattern in enumerate(settings.filters):
        connection.execute("INSERT INTO exclusion_filters VALUES (?, ?, ?)", (identity, position, pattern))
    connection.execute(
        "INSERT INTO manifests (repository_id, digest, media_type, payload_bytes, image_bytes, pushed_at, pushed_by) "
        "SELECT ?, digest, media_type, payload_bytes, image_bytes, pushed_at, pushed_by "
        "FROM manifests WHERE repository_id = ? AND digest = ?",
        (identity, NUMBERS["of"].held, DIGEST_A),
    )
    connection.execute(
        "INSERT INTO bindings (repository_id, tag, digest, bound_at, bound_by) VALUES (?, ?, ?, 1, 'x')",
        (identity, tag, DIGEST_A),
    )
    return connection.last_insert_rowid()


def _is_held(connection: apsw.Connection, binding: int) -> bool:
    return bool(list(connection.execute("SELECT 1 FROM held_bindings WHERE id = ?", (binding,))))


def _may_end(connection: apsw.Connection, binding: int, cause: str) -> bool:
    """Try to end the binding, and take it back; say whether it was let through."""
    connection.execute("SAVEPOINT attempt")
    try:
        connection.execute(
            "UPDATE bindings SET ended_at = 9, ended_by = 'x', end_cause = ? WHERE id = ?", (cause, binding)
        )
    except apsw.ConstraintError:
        return False
    else:
        return True
    finally:
        connection.execute("ROLLBACK TO attempt")
        connection.execute("RELEASE attempt")


@given(mode=st.sampled_from(TagMutability), filters=_FILTERS, tag=_TAGS)
def test_the_rule_and_its_guard_agree_on_what_is_held(
    scratch: apsw.Connection, mode: TagMutability, filters: list[str], tag: str
) -> None:
    settings = MutabilitySettings(mode, tuple(filters))
    with scratch:
        binding = _repository_with(scratch, settings, tag)
        held = settings.judge(tag).held
        assert _is_held(scratch, binding) is held
        assert _may_end(scratch, binding, "moved") is not held
        assert _may_end(scratch, binding, "deleted") is not held


_HEX = st.text("abcdef0123456789", min_size=64, max_size=64)
_ALMOST = st.builds(
    "{}{}{}".format,
    st.sampled_from(["sha256-", "sha512-", "sha256_", "Sha256-", "sha384-", "sha256-x", ""]),
    _HEX | _HEX.map(lambda text: text[1:]) | _HEX.map(str.upper) | st.just("a"),
    st.sampled_from(["", ".sig", ".att", ".sbom", ".SIG", ".sig.sig", "0", "-evil"]),
)


@given(tag=_ALMOST | _TAGS)
def test_the_rule_and_its_guard_agree_on_what_may_grow(scratch: apsw.Connection, tag: str) -> None:
    with scratch:
        binding = _repository_with(scratch, MutabilitySettings(TagMutability.IMMUTABLE), tag)
        assert _may_end(scratch, binding, "appended") is is_signature_tag(tag)


def test_every_guarded_table_refuses_to_lose_rows(file: Through) -> None:
    for table in ("registries", "repositories", "bindings", "tombstones", "entries"):
        count = f"SELECT count(*) FROM {table}"
        before: Any = file.rows(count)
        with pytest.raises(Refused):
            file.run(f"DELETE FROM {table}")
        assert file.rows(count) == before


def test_the_scene_is_as_described(file: Through) -> None:
    assert file.v1() == (DIGEST_A, A)
    assert file.rows("SELECT payload FROM manifest_payloads WHERE digest = ?", DIGEST_B) == [(B,)]
