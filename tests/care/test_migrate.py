"""Migration: killed anywhere it leaves one schema or the next; what was there before is kept; a move is a move."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from commands import process_environment
from holdfast import care
from holdfast.core.errors import ConfigurationInvalid
from holdfast.store import sqlite
from images import digest_of, image, push
from running import running, settings

if TYPE_CHECKING:
    from commands import Commands

DRIVER = Path(__file__).parent / "migrating.py"
PUSHED = image(b"from before")

SECOND = """
CREATE TABLE synthetic (name TEXT PRIMARY KEY, number INTEGER) STRICT;
INSERT INTO synthetic SELECT tag, id FROM bindings;
ALTER TABLE synthetic ADD COLUMN more TEXT;
"""
THIRD = """
UPDATE synthetic SET more = 'third' || number;
CREATE INDEX synthetic_by_more ON synthetic (more);
"""
STATEMENTS = 5


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data of a server that ran before the new scripts came."""
    with running(settings(tmp_path / "data", create_on_push="MUTABLE")) as up:
        push(up.client(), "t/a", "v1", PUSHED)
    return tmp_path / "data"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Two new scripts."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "9001_second.sql").write_text(SECOND)
    (folder / "9002_third.sql").write_text(THIRD)
    return folder


@pytest.fixture
def newer(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let this process know the new scripts; return the schema of them all."""
    real = sqlite._scripts
    monkeypatch.setattr(sqlite, "_scripts", lambda: [*real(), *sorted(scripts.glob("*.sql"))])
    return len(sqlite._scripts())


def schema_of(path: Path) -> tuple[int, bool, str]:
    """Return the schema's number, whether the new table is there, and what SQLite finds."""
    connection = apsw.Connection(str(path))
    try:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
        ((checked,),) = list(connection.execute("PRAGMA integrity_check"))
        return int(connection.pragma("user_version")), "synthetic" in tables, str(checked)
    finally:
        connection.close()


def test_a_migration_killed_anywhere_goes_on(data: Path, scripts: Path, newer: int, tmp_path: Path) -> None:
    deaths = 0
    for number in range(1, 40):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(data, copy)
        ran = subprocess.run(
            [sys.executable, str(DRIVER), str(copy), str(scripts), str(number)],
            env=process_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode == 0:
            break
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        deaths += 1
        schema, has_table, checked = schema_of(copy / "holdfast.db")
        assert checked == "ok"
        assert schema in {newer - 2, newer - 1}, "one schema or the next"
        assert has_table == (schema == newer - 1), "a script is applied whole or not at all"
        care.migrate(copy)
        assert schema_of(copy / "holdfast.db") == (newer, True, "ok")
        assert care.fsck(copy).is_sound
    assert deaths >= STATEMENTS


def test_what_was_before_is_kept_and_can_be_gone_back_to(data: Path, newer: int) -> None:
    rehearsed = care.migrate(data, dry_run=True)
    assert (rehearsed.before, rehearsed.after) == (newer - 2, newer)
    assert rehearsed.scripts == ["9001_second.sql", "9002_third.sql"]
    assert schema_of(data / "holdfast.db")[0] == newer - 2, "a rehearsal changes nothing"
    done = care.migrate(data)
    assert done.copy is not None
    assert schema_of(done.copy) == (newer - 2, False, "ok")
    assert done.copy.stat().st_mode & 0o777 == 0o600
    assert care.migrate(data).scripts == []


def test_a_start_does_the_same(data: Path, newer: int) -> None:
    with running(settings(data)) as up:
        assert digest_of(up.client(), "t/a", "v1") == PUSHED.digest
    assert schema_of(data / "holdfast.db") == (newer, True, "ok")
    assert schema_of(sqlite.copy_of(data / "holdfast.db", newer - 2))[0] == newer - 2


def test_an_older_program_refuses_newer_data(data: Path, newer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    care.migrate(data)
    monkeypatch.undo()
    for act in (lambda: care.migrate(data), lambda: care.fsck(data)):
        with pytest.raises(ConfigurationInvalid, match=str(newer)):
            act()
    with pytest.raises(ConfigurationInvalid, match="newer Holdfast"), running(settings(data)):
        pass


def test_a_script_that_fails_changes_nothing(data: Path, scripts: Path, newer: int) -> None:
    (scripts / "9002_third.sql").write_text("UPDATE synthetic SET more = 1; SELECT no_such_function();")
    with pytest.raises(apsw.Error):
        care.migrate(data)
    assert schema_of(data / "holdfast.db") == (newer - 1, True, "ok")
    connection = apsw.Connection(str(data / "holdfast.db"))
    assert list(connection.execute("SELECT more FROM synthetic")) == [(None,)]
    connection.close()


def test_a_data_directory_that_was_moved_is_as_it_was(data: Path, tmp_path: Path) -> None:
    data.rename(tmp_path / "elsewhere")
    with running(settings(tmp_path / "elsewhere")) as up:
        assert digest_of(up.client(), "t/a", "v1") == PUSHED.digest
    assert care.fsck(tmp_path / "elsewhere").is_sound


def test_the_command(data: Path, newer: int, holdfast: Commands) -> None:
    ran = holdfast("migrate", "--data", str(data), "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith(f"Would bring the database from schema {newer - 2} to {newer}: 9001_second.sql, ")
    assert holdfast("migrate", "--data", str(data), "--json").json()["schema_after"] == newer
    assert "nothing to do" in holdfast("migrate", "--data", str(data)).out
    with running(settings(data)):
        assert holdfast("migrate", "--data", str(data)).code == 2
