"""What a lint rule is, what it is given, and what it answers.

This file alone decides the shape of a rule: one row of the table in `rules` with one function. It knows no rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holdfast.core.finding import Rule, Severity
from holdfast.pin.mention import Context

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping

    from holdfast.pin.knowledge import Knowledge, Known
    from holdfast.pin.mention import Mention, Span, Splice

PAGES: Final = "docs/rules"
"""Where each rule has its page, `<id>.md`."""


def _nothing(_path: str) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Case:
    """One file to judge: its bytes, where images are named in it, and what registries told of those."""

    path: str
    """Relative to where the run began, with `/`."""

    data: bytes
    mentions: tuple[Mention, ...]
    knowledge: Knowledge = field(default_factory=dict[str, "Known"])
    platform: str = ""
    """The platform that everything has to run on, `os/architecture`; empty where nobody asked for one."""

    neighbour: Callable[[str], bytes | None] = _nothing
    """Another file of the same tree, by a path like `path`; None when it is not there or may not be read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of one place of a file. `reason` and `fix` are those of the rule where they are empty."""

    span: Span
    subject: str
    message: str
    context: Context = Context.BUILD
    reason: str = ""
    fix: str = ""
    splices: tuple[Splice, ...] = ()
    """The exact change that mends it, if one is known."""


@dataclass(frozen=True, slots=True)
class LintRule:
    """One row of the table: how it is called, how grave it is where, why it matters, and who judges."""

    id: str
    title: str
    why: str
    fix: str
    severities: Mapping[Context, Severity]
    judge: Callable[[Case], Iterable[Verdict]]
    paths: re.Pattern[str] | None = None
    """Files that the rule wants to see although no reader of mentions knows them; asked of the relative path."""

    asks_registries: bool = False
    """Whether it can only judge with knowledge of registries."""

    @property
    def summary(self) -> Rule:
        """Return the rule as readers of findings need it; its severity is that of production."""
        return Rule(self.id, self.title, self.severities[Context.PRODUCTION], self.why, f"{PAGES}/{self.id}.md")


def severities(production: Severity, build: Severity, test: Severity) -> Mapping[Context, Severity]:
    """Write a row's severities: where it runs, where it builds what runs, and where it is only tried."""
    return {Context.PRODUCTION: production, Context.BUILD: build, Context.TEST: test}
