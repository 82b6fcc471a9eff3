"""SQLite behind the database port: its settings, its commits in groups, and what happens when the disk says no."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import subprocess
import sys
import threading
from importlib import resources
from typing import TYPE_CHECKING, NoReturn

import apsw
import pytest

from holdfast.core.errors import (
    ConfigurationInvalid,
    DatabaseBusy,
    GuardRefused,
    HoldfastError,
    StorageFailed,
    StorageFull,
    TagInvalid,
    TooManyFiles,
)
from holdfast.store import catalog, entries
from holdfast.store import sqlite as adapter
from holdfast.store.database import placeholders
from holdfast.store.entries import EntryKind
from holdfast.store.sqlite import SQLiteDatabase
from running import running, settings
from store.failing_disk import failing_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from holdfast.store.database import Transaction
    from running import RunningServer


@contextlib.asynccontextmanager
async def opened(
    path: Path, on_failure: Callable[[BaseException], None] | None = None
) -> AsyncIterator[SQLiteDatabase]:
    database = SQLiteDatabase(path, on_failure=on_failure)
    try:
        yield database
    finally:
        await asyncio.to_thread(database.close)


def entry(name: str) -> Callable[[Transaction], int]:
    """Return a job that writes one entry."""
    return lambda txn: entries.append(txn, 1, EntryKind.TAG_BOUND, {}, tag=name)


async def prepare(database: SQLiteDatabase) -> None:
    await database.write(lambda txn: catalog.ensure_registry(txn, "123456789012", "eu-central-1", 1))


def tags(database: SQLiteDatabase) -> list[str]:
    return [str(row[0]) for row in database.rows("SELECT tag FROM entries ORDER BY sequence")]


# --- settings --------------------------------------------------------------------------------------------------------


async def test_the_settings_that_durability_rests_on_are_in_force(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "mmap_size": 0}
        writer = {name: database._writer.pragma(name) for name in expected}
        assert writer == expected
        assert database._writer.pragma("recursive_triggers") == 1
        assert database.row("PRAGMA query_only") is not None
        assert database.row("PRAGMA foreign_keys") == (1,)
        # Both outlive the process or are set anew by it: journal_mode is in the file.
        assert apsw.Connection(str(tmp_path / "db")).pragma("journal_mode") == "wal"


async def test_the_connection_that_reads_cannot_write(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        with pytest.raises(apsw.ReadOnlyError):
            database.rows("INSERT INTO registries (account_id, region, created_at) VALUES ('123456789012', 'r', 1)")


def test_an_sqlite_that_can_corrupt_its_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapter.LEAST_SQLITE == (3, 51, 3)
    newer_than_ours = tuple(int(part) + 1 for part in apsw.sqlite_lib_version().split("."))
    monkeypatch.setattr(adapter, "LEAST_SQLITE", newer_than_ours)
    with pytest.raises(ConfigurationInvalid, match="too old"):
        SQLiteDatabase(tmp_path / "db")
    assert not (tmp_path / "db").exists()


def test_the_sqlite_in_use_is_new_enough() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= adapter.LEAST_SQLITE


def test_a_setting_that_did_not_take_is_refused() -> None:
    # A database in memory cannot have a write-ahead log: what SQLite then does silently must not pass.
    with pytest.raises(ConfigurationInvalid, match="journal_mode=wal"):
        SQLiteDatabase(":memory:")  # type: ignore[arg-type]


# --- schema ----------------------------------------------------------------------------------------------------------


async def test_the_schema_is_made_once_and_kept(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        first = database.rows("SELECT name, sql FROM sqlite_schema ORDER BY name")
        version = database._writer.pragma("user_version")
    async with opened(tmp_path / "db") as database:
        assert database.rows("SELECT name, sql FROM sqlite_schema ORDER BY name") == first
        assert database._writer.pragma("user_version") == version
        assert database.row("SELECT account_id FROM registries") == ("123456789012",)
        assert database.row("PRAGMA integrity_check") == ("ok",)
        assert database.rows("PRAGMA foreign_key_check") == []


def test_the_scripts_are_numbered_without_gaps() -> None:
    # `user_version` counts the scripts that were applied: a gap, filled later, would never be applied to old data.
    names = sorted(
        one.name for one in resources.files("holdfast.store.schema.sqlite").iterdir() if one.name[0].isdigit()
    )

    assert [int(name.partition("_")[0]) for name in names] == list(range(1, len(names) + 1))


async def test_every_table_is_strict(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        listed = database.rows(
            "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        )
        assert listed
        assert [name for name, strict in listed if not strict] == []


async def test_data_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        known = int(str(database._writer.pragma("user_version")))
    connection = apsw.Connection(str(tmp_path / "db"))
    connection.pragma("user_version", known + 1)
    connection.close()
    before = (tmp_path / "db").read_bytes()
    with pytest.raises(ConfigurationInvalid, match=f"newer Holdfast .schema {known + 1}"):
        SQLiteDatabase(tmp_path / "db")
    assert (tmp_path / "db").read_bytes() == before


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db").write_bytes(content)
    with pytest.raises((ConfigurationInvalid, apsw.Error)):
        SQLiteDatabase(tmp_path / "db")
    assert (tmp_path / "db").read_bytes() == content


# --- commits ---------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_read_as_soon_as_write_returns(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        for number in range(50):
            sequence = await database.write(entry(f"t{number}"))
            assert database.row("SELECT tag FROM entries WHERE sequence = ?", sequence) == (f"t{number}",)


async def test_what_was_written_is_on_the_disk_when_write_returns(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        await database.write(entry("seen"))
        read = "import apsw,sys; print(list(apsw.Connection(sys.argv[1]).execute('SELECT tag FROM entries')))"
        other = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", read, str(tmp_path / "db")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout.strip() == "[('seen',)]"


async def test_every_commit_syncs_the_disk_before_it_is_reported(tmp_path: Path) -> None:
    with failing_disk() as disk:
        async with opened(tmp_path / "db") as database:
            await prepare(database)
            for number in range(5):
                before = disk.syncs
                await database.write(entry(f"t{number}"))
                assert disk.syncs > before


async def test_jobs_that_wait_are_committed_together(tmp_path: Path) -> None:
    with failing_disk() as disk:
        async with opened(tmp_path / "db") as database:
            await prepare(database)
            gate = threading.Event()
            waiting = asyncio.ensure_future(database.write(lambda _: gate.wait(10)))
            await asyncio.sleep(0.05)
            jobs = [asyncio.ensure_future(database.write(entry(f"t{number}"))) for number in range(100)]
            await asyncio.sleep(0)
            before = disk.syncs
            gate.set()
            assert await waiting
            sequences = await asyncio.gather(*jobs)
            assert sequences == list(range(1, 101))
            assert disk.syncs - before < 10


async def test_a_job_that_raises_leaves_nothing_and_takes_nobody_along(tmp_path: Path) -> None:
    def fails(error: Exception) -> Callable[[Transaction], NoReturn]:
        def job(txn: Transaction) -> NoReturn:
            entry("of a failure")(txn)
            raise error

        return job

    def breaks_a_key(txn: Transaction) -> None:
        entry("of a failure")(txn)
        txn.run("INSERT INTO entries (sequence, registry_id, kind, body) VALUES (99, 12345, 'x', '{}')")

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        gate = threading.Event()
        waiting = asyncio.ensure_future(database.write(lambda _: gate.wait(10)))
        await asyncio.sleep(0.05)
        jobs = [
            database.write(entry("a")),
            database.write(fails(TagInvalid("mine"))),
            database.write(entry("b")),
            database.write(fails(ZeroDivisionError("a bug"))),
            database.write(breaks_a_key),
            database.write(lambda txn: txn.run("NOT SQL AT ALL")),
            database.write(entry("c")),
        ]
        gathered = asyncio.gather(*jobs, return_exceptions=True)
        await asyncio.sleep(0)
        gate.set()
        await waiting
        results = await gathered
        assert [results[0], results[2], results[6]] == [1, 2, 3]
        assert [type(results[number]) for number in (1, 3, 4, 5)] == [
            TagInvalid, ZeroDivisionError, GuardRefused, apsw.SQLError,
        ]  # fmt: skip
        assert tags(database) == ["a", "b", "c"]
        assert await database.write(entry("d")) == 4
        assert not database.failed


async def test_what_ends_every_commit_is_part_of_it_and_cannot_spoil_it(tmp_path: Path) -> None:
    def fails(txn: Transaction) -> None:
        entry("of a failure")(txn)
        raise ZeroDivisionError

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        database.end_commits_with(lambda txn: (entry("behind")(txn), None)[1])
        gate = threading.Event()
        waiting = asyncio.ensure_future(database.write(lambda _: gate.wait(10)))
        await asyncio.sleep(0.05)
        both = asyncio.gather(database.write(entry("a")), database.write(entry("b")))
        await asyncio.sleep(0)
        gate.set()
        await waiting
        await both
        assert tags(database) == ["behind", "a", "b", "behind"]  # once a commit, behind whoever asked for it

        database.end_commits_with(fails)
        await database.write(entry("c"))
        assert tags(database)[4:] == ["c"]
        assert not database.failed


async def test_a_job_sees_what_it_wrote_and_what_those_before_it_wrote(tmp_path: Path) -> None:
    def job(txn: Transaction) -> list[object]:
        entry("mine")(txn)
        return [row[0] for row in txn.rows("SELECT tag FROM entries ORDER BY sequence")]

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        first, second = await asyncio.gather(database.write(entry("theirs")), database.write(job))
        assert first == 1
        assert second == ["theirs", "mine"]


async def test_nobody_reads_what_is_not_committed(tmp_path: Path) -> None:
    wrote, go_on = threading.Event(), threading.Event()

    def job(txn: Transaction) -> None:
        entry("not yet")(txn)
        wrote.set()
        go_on.wait(10)

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        running_job = asyncio.ensure_future(database.write(job))
        await asyncio.to_thread(wrote.wait, 10)
        assert tags(database) == []
        go_on.set()
        await running_job
        assert tags(database) == ["not yet"]


async def test_the_number_of_commits_is_odd_while_one_is_under_way_and_differs_after_each(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        seen = [database.commits]
        for _ in range(5):
            inside = await database.write(lambda _: database.commits)
            assert inside % 2 == 1
            seen.append(database.commits)
        assert all(number % 2 == 0 for number in seen)
        assert seen == sorted(set(seen))
        with pytest.raises(ZeroDivisionError):
            await database.write(lambda _: 1 // 0)
        assert database.commits % 2 == 0


async def test_a_caller_that_goes_away_does_not_undo_its_commit(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        gate = threading.Event()
        first = asyncio.ensure_future(database.write(lambda _: gate.wait(10)))
        second = asyncio.ensure_future(database.write(entry("of one who left")))
        await asyncio.sleep(0.02)
        second.cancel()
        gate.set()
        await first
        await database.write(entry("after"))
        assert tags(database) == ["of one who left", "after"]


async def test_closing_lets_what_waits_be_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        jobs = [asyncio.ensure_future(database.write(entry(f"t{number}"))) for number in range(300)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*jobs) == list(range(1, 301))
    async with opened(tmp_path / "db") as database:
        assert len(tags(database)) == 300


async def test_entries_are_numbered_without_gaps_whatever_fails_between(tmp_path: Path) -> None:
    def job(txn: Transaction) -> NoReturn:
        entry("lost")(txn)
        message = "no"
        raise TagInvalid(message)

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        jobs = [database.write(entry("kept") if number % 3 else job) for number in range(60)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [one for one in results if isinstance(one, int)] == list(range(1, 41))
        assert database.row("SELECT max(sequence), count(*) FROM entries") == (40, 40)


# --- when the disk says no -------------------------------------------------------------------------------------------


async def test_a_sync_that_fails_stops_all_writing_and_is_told(tmp_path: Path) -> None:
    heard: list[BaseException] = []
    with failing_disk() as disk:
        async with opened(tmp_path / "db", heard.append) as database:
            await prepare(database)
            await database.write(entry("before"))
            disk.broken = True
            with pytest.raises(StorageFailed):
                await database.write(entry("during"))
            assert database.failed
            assert len(heard) == 1
            # The disk recovers, but what the kernel dropped meanwhile nobody knows: only a restart may write again.
            disk.broken = False
            with pytest.raises(StorageFailed):
                await database.write(entry("after"))
            assert tags(database)[0] == "before"
            assert database.commits % 2 == 0
        async with opened(tmp_path / "db") as database:
            assert "before" in tags(database)
            assert "after" not in tags(database)
            assert database.row("PRAGMA integrity_check") == ("ok",)


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        await database.write(entry("before"))
        pages = int(str(database._writer.pragma("page_count")))
        database._writer.pragma("max_page_count", pages)
        large = "x" * 200_000
        with pytest.raises(StorageFull):
            await database.write(lambda txn: entries.append(txn, 1, EntryKind.TAG_BOUND, {"x": large}))
        assert not database.failed
        assert tags(database) == ["before"]
        database._writer.pragma("max_page_count", pages + 1_000)
        await database.write(lambda txn: entries.append(txn, 1, EntryKind.TAG_BOUND, {"x": large}, tag="after"))
        assert tags(database) == ["before", "after"]


async def test_a_want_of_descriptors_refuses_and_goes_on_when_there_are_some(tmp_path: Path) -> None:
    """A statement that changes much opens a file, to be undone by."""

    def much(txn: Transaction) -> None:
        for name in ("a", "b"):
            txn.run("UPDATE settings_of_a_test SET value = value || ?", name)

    async with opened(tmp_path / "db") as database:
        await prepare(database)
        database._writer.execute("CREATE TABLE settings_of_a_test (id INTEGER PRIMARY KEY, value TEXT UNIQUE) STRICT")
        database._writer.execute(
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 20000) "
            "INSERT INTO settings_of_a_test SELECT id, printf('%0200d', id) FROM n"
        )
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(TooManyFiles):
                await database.write(much)
            assert await database.write(entry("small")) == 1, "what is small needs no file"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not database.failed
        await database.write(much)
        assert database.row("SELECT count(*) FROM settings_of_a_test WHERE value LIKE '%ab'") == (20_000,)


async def test_a_shell_that_holds_the_lock_delays_writing_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_BUSY_TIMEOUT_MS", 50)
    async with opened(tmp_path / "db") as database:
        await prepare(database)
        shell = apsw.Connection(str(tmp_path / "db"))
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            await database.write(entry("during"))
        shell.execute("ROLLBACK")
        shell.close()
        assert not database.failed
        assert await database.write(entry("after")) == 1


def test_every_error_of_the_port_is_one_of_ours() -> None:
    for error in (StorageFailed, StorageFull, DatabaseBusy, GuardRefused):
        assert issubclass(error, HoldfastError)


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (1, "?"), (3, "?, ?, ?")])
def test_placeholders_are_as_many_as_the_values(count: int, expected: str) -> None:
    assert placeholders([1] * count) == expected


# --- one server a data directory -------------------------------------------------------------------------------------


def answers(server: RunningServer) -> bool:
    with contextlib.closing(server.client()) as client:
        return client("GET", "/v2/").status == 200


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    wanted = settings(tmp_path / "data")
    with running(wanted) as first:
        with pytest.raises(ConfigurationInvalid, match="Another server is using the data directory"), running(wanted):
            pytest.fail("a second server came up")
        assert answers(first)
    with running(wanted) as again:
        assert answers(again)


def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    program = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    data = tmp_path / "data"
    data.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationInvalid, match="Another server"), running(settings(data)):
            pytest.fail("a second server came up")
        other.communicate()
    # The lock goes with the process, however it ended: nothing stale keeps the next one out.
    with running(settings(data)) as up:
        assert answers(up)
