"""SQLite behind the database port: the only file that knows apsw.

One process, one writer. All writes pass through one thread, which gathers the jobs that wait and commits them together:
each job has a savepoint of its own, so one that fails takes nothing with it, and one sync of the disk serves them all.
Reads run straight on the event loop, on a connection of their own: a look-up takes microseconds, a hand-over to a
thread would take longer.

Why these settings: `docs/decisions/0002-sqlite-access.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import queue
import threading
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import apsw

from holdfast.core.errors import (
    ConfigurationInvalid,
    DatabaseBusy,
    GuardRefused,
    HoldfastError,
    ReadOnly,
    StorageFailed,
    StorageFull,
    TooManyFiles,
)
from holdfast.store.failpoints import reach
from holdfast.store.syncing import sync_folder, sync_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from holdfast.store.database import Row, Transaction, Value

T = TypeVar("T")

_LOGGER: Final = logging.getLogger("holdfast.database")

LEAST_SQLITE: Final = (3, 51, 3)
"""Older versions can corrupt a WAL that two connections write and reset at once (fixed in 3.51.3)."""

CHECKPOINT_PAGES: Final = 8_000
"""Of 4 KiB: the write-ahead log is carried over to the database when it has grown so far. A manifest writes to about
ten places that its digest scatters; the more of them are carried over at once, the more of them are the same page."""

MAX_JOBS_PER_COMMIT: Final = 128
_BUSY_TIMEOUT_MS: Final = 5_000
_CROWDED: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""No descriptor is left: of this process, of the whole system."""

_SYNCS: Final = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})
_CACHE_KIB: Final = 16_384
_PAGES_PER_STEP: Final = 4_096
_STATEMENT_CACHE: Final = 256


class SQLiteDatabase:
    """An open SQLite database; see `holdfast.store.database.Database` for the promise of each method."""

    def __init__(
        self,
        path: Path,
        *,
        on_failure: Callable[[BaseException], None] | None = None,
        make_room: Callable[[], bool] | None = None,
        on_read_only: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Open the file, check the settings, bring the schema up to date.

        `on_failure` is called, in the writer's thread, when the disk refused a commit: from then on nothing is written.
        `make_room` is called there when the disk is full; when it says that it made some, the commit is tried anew.
        `on_read_only` is called there when the file system is not to be written any more; reading goes on.
        """
        _check_version()
        self._on_failure = on_failure
        self._make_room = make_room
        self._on_read_only = on_read_only
        self._failed: BaseException | None = None
        self._last_job: Callable[[Transaction], None] | None = None
        self.commits = 0
        self._writer = _connect(path)
        _migrate(self._writer, path)
        self._reads = _Statements(_connect(path, read_only=True))
        self.rows = self._reads.rows
        self.row = self._reads.row
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_forever, name="holdfast-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[Transaction], T]) -> T:
        """Run the job in the writer's thread and wait for its commit to be durable."""
        if self._failed is not None:
            raise _failed(self._failed)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(job, future, loop))
        # A caller that goes away must not take the answer of a commit under way with it.
        return await asyncio.shield(future)

    def end_commits_with(self, job: Callable[[Transaction], None]) -> None:
        """Run a job, in the writer's thread, in the transaction of every commit from now on."""
        self._last_job = job

    @property
    def failed(self) -> bool:
        """Whether a commit failed, so that nothing is written any more."""
        return self._failed is not None

    def close(self) -> None:
        """Let the writer finish what waits, then close the connections."""
        self._jobs.put(None)
        self._thread.join()
        self._reads.connection.close()
        self._writer.close()

    def _write_forever(self) -> None:
        while True:
            first = self._jobs.get()
            batch: list[_Job] = []
            stop = first is None
            if first is not None:
                batch.append(first)
            while not stop and len(batch) < MAX_JOBS_PER_COMMIT:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stop = True
                else:
                    batch.append(job)
            if batch:
                self._commit(batch)
                _deliver(batch)
            if stop:
                return

    def _commit(self, batch: list[_Job]) -> None:
        if self._failed is not None:
            for job in batch:
                job.error = _failed(self._failed)
            return
        self.commits += 1
        try:
            try:
                self._run(batch)
            except apsw.Error as error:
                if not _is_full(error) or self._make_room is None or not self._make_room():
                    raise
                self._roll_back()
                self._run(batch)
        except Exception as error:  # noqa: BLE001 - whatever broke the commit, every job of it must hear of it
            read_only = _is_read_only(error, self._writer)
            self._roll_back()
            self._refuse(batch, error, read_only=read_only)
        finally:
            self.commits += 1

    def _run(self, batch: list[_Job]) -> None:
        statements = _Statements(self._writer)
        self._writer.execute("BEGIN IMMEDIATE")
        reach("commit.begun")
        for job in batch:
            job.result, job.error = _outcome(job.run, statements)
        if self._last_job is not None:
            _, error = _outcome(self._last_job, statements)
            if error is not None:
                _LOGGER.warning("what ends every commit was left out: %s", error)
        reach("commit.before")
        self._writer.execute("COMMIT")
        reach("commit.after")

    def _refuse(self, batch: list[_Job], error: Exception, *, read_only: bool) -> None:
        """Tell every job of a batch that was rolled back; nothing more is written unless this passes by itself."""
        passing = _passing(error, read_only=read_only)
        if passing is None:
            self._failed = error
        for job in batch:
            job.error = _failed(error) if passing is None else passing()
        if read_only and self._on_read_only is not None:
            self._on_read_only(error)
        elif passing is None and self._on_failure is not None:
            self._on_failure(error)

    def _roll_back(self) -> None:
        with contextlib.suppress(apsw.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")


class SQLiteFile:
    """A database file for care: read beside a server, or examined and repaired while none runs."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        """Open a file that is there. Raises ConfigurationInvalid when its schema is another than this program's."""
        _check_version()
        with _damage_told():
            self._connection = _connect(path, read_only=not writable)
            self.schema = int(self._connection.pragma("user_version"))
        self._statements = _Statements(self._connection)

    def rows(self, statement: str, *values: Value) -> list[Row]:
        """Return all rows. Raises StorageFailed where the file is damaged."""
        with _damage_told():
            return self._statements.rows(statement, *values)

    def row(self, statement: str, *values: Value) -> Row | None:
        """Return the first row, or None. Raises StorageFailed where the file is damaged."""
        with _damage_told():
            return self._statements.row(statement, *values)

    def run(self, statement: str, *values: Value) -> int:
        """Run a statement that writes; return how many rows it changed."""
        with _damage_told():
            return self._statements.run(statement, *values)

    def missing_scripts(self) -> list[str]:
        """List the scripts that bring the schema up to date. Raises ConfigurationInvalid when it is a newer one."""
        scripts = _scripts()
        if self.schema > len(scripts):
            self.require_current_schema()
        return [script.name for script in scripts[self.schema :]]

    def require_current_schema(self) -> None:
        """Raise ConfigurationInvalid when the schema is another than this program's."""
        newest = len(_scripts())
        if self.schema != newest:
            todo = "run: holdfast migrate" if self.schema < newest else "use the Holdfast that wrote it, or a newer one"
            msg = f"The database has schema {self.schema}; this program knows {newest}: {todo}."
            raise ConfigurationInvalid(msg)

    def damage(self) -> Iterator[str]:
        """Tell what SQLite itself finds wrong: broken pages and indexes, references to rows that are not there."""
        for row in self.rows("PRAGMA integrity_check(100)"):
            if row[0] != "ok":
                yield str(cast("str", row[0]))
        for table, identity, parent, _ in self.rows("PRAGMA foreign_key_check"):
            yield f"row {identity!r} of {table!r} refers to a row of {parent!r} that is not there"

    def last_entry(self) -> int:
        """Return the number of the last entry of the record."""
        row = self.row("SELECT coalesce(max(sequence), 0) FROM entries")
        return cast("tuple[int]", row)[0]

    def copy_to(self, path: Path, watch: Callable[[int, int], None]) -> None:
        """Copy the database as it is at this moment, while others write to it; the copy has no -wal beside it.

        `watch` is told of pages: how many are copied, and of how many.
        """
        path.touch(mode=0o600)
        with _damage_told(), contextlib.closing(apsw.Connection(str(path))) as target:
            self._connection.execute("BEGIN")
            try:
                self._statements.row("SELECT count(*) FROM sqlite_schema")  # from here on, one moment
                with target.backup("main", self._connection, "main") as copying:
                    while not copying.done:
                        copying.step(_PAGES_PER_STEP)
                        watch(copying.page_count - copying.remaining, copying.page_count)
            finally:
                self._connection.execute("ROLLBACK")
            target.pragma("journal_mode", "delete")

    def change(self, job: Callable[[Transaction], T]) -> T:
        """Run a job in one transaction, durable when this returns."""
        with _damage_told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(self)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            return result

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class _Job:
    __slots__ = ("error", "future", "loop", "result", "run")

    def __init__(
        self, run: Callable[[Transaction], Any], future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.run = run
        self.future = future
        self.loop = loop
        self.result: Any = None
        self.error: BaseException | None = None


class _Statements:
    """Rows in, rows out, on one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._execute = connection.execute

    def rows(self, statement: str, *values: Value) -> list[Row]:
        return list(self._execute(statement, values))

    def row(self, statement: str, *values: Value) -> Row | None:
        cursor = self._execute(statement, values)
        row: Row | None = next(cursor, None)
        cursor.close()
        return row

    def run(self, statement: str, *values: Value) -> int:
        self._execute(statement, values)
        return self.connection.changes()


def _is_full(error: Exception) -> bool:
    """Whether the disk has no room; for the shared memory beside the database, SQLite has a code of its own."""
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.FullError) or code == apsw.SQLITE_IOERR_SHMSIZE


def _is_read_only(error: Exception, connection: apsw.Connection) -> bool:
    """Whether the file system refused because it is read-only."""
    is_system = isinstance(error, apsw.IOError) and connection.system_errno == errno.EROFS
    return is_system or isinstance(error, apsw.ReadOnlyError)


def _passing(error: Exception, *, read_only: bool) -> Callable[[], HoldfastError] | None:
    """Return what makes the error to tell where a commit surely left nothing behind; None where that is in doubt."""
    if _is_full(error):
        return StorageFull
    if isinstance(error, apsw.BusyError):
        return DatabaseBusy
    is_sync = getattr(error, "extendedresult", None) in _SYNCS
    return ReadOnly.of_the_disk if read_only and not is_sync else None


def _outcome(run: Callable[[Transaction], T], statements: _Statements) -> tuple[T | None, BaseException | None]:
    """Run one job of a commit; return its result, or its error when nothing of it remains."""
    execute = statements.connection.execute
    execute("SAVEPOINT job")
    result: T | None = None
    error: BaseException | None = None
    try:
        result = run(statements)
    except (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError):
        raise  # the whole batch is lost, not this job alone
    except apsw.ConstraintError as refused:
        _LOGGER.exception("the database refused a change")
        error = GuardRefused(str(refused))
        execute("ROLLBACK TO job")
    except apsw.CantOpenError as refused:
        # What a large statement is undone by is a file of its own (https://sqlite.org/tempfiles.html).
        error = TooManyFiles() if statements.connection.system_errno in _CROWDED else refused
        execute("ROLLBACK TO job")
    except Exception as raised:  # noqa: BLE001 - handed to the caller that waits for this job
        error = raised
        execute("ROLLBACK TO job")
    execute("RELEASE job")
    return result, error


def _deliver(batch: list[_Job]) -> None:
    """Wake those who wait, with one call into each event loop."""
    for loop in {job.loop for job in batch}:
        mine = [job for job in batch if job.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _settle(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except apsw.Error as error:
        msg = f"The database cannot be read: {error}"
        raise StorageFailed(msg) from error


def _failed(cause: BaseException) -> HoldfastError:
    msg = "The registry's database refused a commit, and the server stops writing. Ask its operator."
    error = StorageFailed(msg)
    error.__cause__ = cause
    return error


def _check_version() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        msg = f"SQLite {apsw.sqlite_lib_version()} is too old: {least} or newer is needed. Install a newer apsw."
        raise ConfigurationInvalid(msg)


def _connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=_STATEMENT_CACHE)
    connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
    # Without this, SQLite plans a join anew for each set of values (measured: 62 us a look-up instead of 9).
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    settings: dict[str, str | int] = {
        "foreign_keys": 1,
        "trusted_schema": 0,
        "recursive_triggers": 1,
        "mmap_size": 0,
        "cache_size": -_CACHE_KIB,
    }
    if not read_only:
        settings |= {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": CHECKPOINT_PAGES}
    for name, value in settings.items():
        connection.pragma(name, value)
        found = connection.pragma(name)
        # A pragma that did not take is silent, and a lost `synchronous` loses acknowledged commits.
        if found is not None and found != value:
            msg = f"SQLite did not take the setting {name}={value} (it says {found}); is the data on a local disk?"
            raise ConfigurationInvalid(msg)
    return connection


def _scripts() -> list[Traversable]:
    found = resources.files("holdfast.store.schema.sqlite").iterdir()
    return sorted((one for one in found if one.name.endswith(".sql")), key=lambda one: one.name)


def migrate(path: Path) -> list[str]:
    """Bring the schema of a file that nobody else has open up to date; return the scripts that were applied."""
    _check_version()
    connection = _connect(path)
    try:
        return _migrate(connection, path)
    finally:
        connection.close()


def copy_of(path: Path, schema: int) -> Path:
    """Return where the copy of a database lies that was made before its schema was changed."""
    return path.with_name(f"{path.name}.schema-{schema}")


def _migrate(connection: apsw.Connection, path: Path) -> list[str]:
    """Apply the numbered scripts that are missing, each in a transaction; refuse a schema newer than this program.

    Before the first is applied to a database that has been used, it is copied: whoever must go back has the way open. A
    process that is killed anywhere here leaves one schema or the next, and goes on at the next start.
    """
    scripts = _scripts()
    applied = int(connection.pragma("user_version"))
    if applied > len(scripts):
        msg = f"The data was written by a newer Holdfast (schema {applied}; this one knows {len(scripts)})."
        raise ConfigurationInvalid(msg)
    missing = scripts[applied:]
    if applied > 0 and missing:
        _keep_copy(path, copy_of(path, applied))
    for number, script in enumerate(missing, start=applied + 1):
        with connection:
            connection.execute(script.read_text("utf-8"))
            connection.pragma("user_version", number)
            reach("schema.before")
        reach("schema.after")
    return [script.name for script in missing]


def _keep_copy(path: Path, copy: Path) -> None:
    new = copy.with_name(copy.name + ".new")
    new.unlink(missing_ok=True)
    source = SQLiteFile(path)
    try:
        source.copy_to(new, lambda _done, _total: None)
    finally:
        source.close()
    sync_path(new)
    new.replace(copy)
    sync_folder(path.parent)
