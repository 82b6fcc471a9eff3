"""The help teaches, and docs/reference says what the program says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from holdfast.cli import reference
from holdfast.cli.main import PLACES, SECTIONS, holdfast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands import Commands

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"


def every_command(command: click.Command = holdfast, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every command."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_command(below, (*path, name))


@pytest.mark.parametrize("path", list(every_command()), ids=" ".join)
def test_every_command_explains_itself(holdfast: Commands, path: tuple[str, ...]) -> None:
    ran = holdfast(*path, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('holdfast', *path))} ")
    assert len(ran.out.splitlines()) > 4
    assert max(map(len, ran.out.splitlines())) <= 100


def test_the_first_help_teaches(holdfast: Commands) -> None:
    told = holdfast("--help").out
    for title in ("Getting started:", "Server:", "Repositories and tags:", "Images:", "Exit codes:"):
        assert f"\n{title}\n" in told
    assert len(told.split("Getting started:\n")[1].split("\n\n")[0].splitlines()) == 5
    for name in PLACES:
        assert f"\n  {name} " in told
    assert "..." not in told.split("Server:\n")[1].split("Options:")[0]
    assert holdfast().code == 2


def test_every_command_stands_in_one_section() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(PLACES)


@pytest.mark.parametrize("path", [path for path in every_command() if path], ids=" ".join)
def test_every_command_that_does_something_takes_json(path: tuple[str, ...]) -> None:
    command: click.Command = holdfast
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    if isinstance(command, click.Group) and not command.invoke_without_command:
        return
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def test_the_version(holdfast: Commands) -> None:
    assert holdfast("--version").out.startswith("holdfast, version ")


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_the_reference_says_what_the_program_says(name: str) -> None:
    written = (REFERENCE / name).read_text("utf-8") if (REFERENCE / name).is_file() else ""
    assert written == reference.pages()[name], "run `make docs`"


def test_the_reference_is_written_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference.main(tmp_path / "reference")
    assert {one.name: one.read_text("utf-8") for one in (tmp_path / "reference").iterdir()} == reference.pages()
    assert capsys.readouterr().out.count("wrote ") == len(reference.pages())
