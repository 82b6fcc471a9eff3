"""Help that teaches: commands and groups that carry examples and small tables below their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

Sections = Mapping[str, Sequence[str] | Mapping[str, str]]
"""Title -> lines that stay as they are, or terms and what they mean."""


def write_sections(formatter: click.HelpFormatter, sections: Sections) -> None:
    """Write sections into a help text."""
    for title, content in sections.items():
        with formatter.section(title):
            if isinstance(content, Mapping):
                formatter.write_dl(list(content.items()))
            else:
                for line in content:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class TeachingCommand(click.Command):
    """A command whose help ends with sections of its own."""

    def __init__(self, *args: Any, sections: Sections, **more: Any) -> None:  # noqa: ANN401 - click's many arguments
        super().__init__(*args, **more)
        self._sections = sections

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        write_sections(formatter, self._sections)


class TeachingGroup(click.Group):
    """A group whose help ends with sections of its own."""

    def __init__(self, *args: Any, sections: Sections, **more: Any) -> None:  # noqa: ANN401 - click's many arguments
        super().__init__(*args, **more)
        self._sections = sections

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        write_sections(formatter, self._sections)
