"""The command line: which commands there are, what the help teaches, and how the process ends."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import wants_json
from holdfast.cli.exits import EXIT_MEANINGS, Exit, explain
from holdfast.cli.output import tell_failure
from holdfast.cli.teaching import write_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS: Final = {
    "Server": ("serve", "ready", "demo", "gc"),
    "Repositories and tags": ("repo", "tags", "tag", "forget", "apply"),
    "Care": ("read-only", "scrub", "fsck", "backup", "restore", "migrate", "reseal"),
    "Ledger": ("ledger", "witness", "investigate", "evidence", "watch"),
    "Other registries": ("upstream", "replication"),
    "Images": ("push", "pull", "lifecycle", "orphans"),
    "Vulnerabilities": ("scan",),
    "Code that names images": ("lint", "pin", "drift", "migrate-ci"),
    "People and settings": ("user", "group", "role", "iam", "login", "settings", "quota"),
    "Governance": (
        "inventory",
        "history",
        "triage",
        "simulate",
        "plan",
        "flip",
        "undo",
        "findings",
        "guard",
        "recheck",
        "evaluate",
    ),
    "Accounts": ("registry", "org", "guardrail"),
}
"""The commands as the help lists them."""

PLACES: Final = {
    "serve": "holdfast.cli.serve:serve",
    "ready": "holdfast.cli.ready:ready",
    "demo": "holdfast.cli.demo:demo",
    "gc": "holdfast.cli.gc:gc",
    "read-only": "holdfast.cli.read_only:read_only",
    "reseal": "holdfast.cli.reseal:reseal",
    "backup": "holdfast.cli.backup:backup",
    "migrate": "holdfast.cli.migrate:migrate",
    "restore": "holdfast.cli.backup:restore",
    "scrub": "holdfast.cli.scrub:scrub",
    "fsck": "holdfast.cli.fsck:fsck",
    "ledger": "holdfast.cli.ledger:ledger",
    "investigate": "holdfast.cli.investigate:investigate",
    "evidence": "holdfast.cli.evidence:evidence",
    "watch": "holdfast.cli.watch:watch",
    "witness": "holdfast.cli.witness:witness",
    "repo": "holdfast.cli.repo:repo",
    "apply": "holdfast.cli.apply:apply",
    "tags": "holdfast.cli.tags:tags",
    "tag": "holdfast.cli.tag:tag",
    "forget": "holdfast.cli.tag:forget",
    "push": "holdfast.cli.image:push",
    "pull": "holdfast.cli.image:pull",
    "upstream": "holdfast.cli.upstream:upstream",
    "replication": "holdfast.cli.replication:replication",
    "lifecycle": "holdfast.cli.lifecycle:lifecycle",
    "orphans": "holdfast.cli.orphans:orphans",
    "scan": "holdfast.cli.scan:scan",
    "lint": "holdfast.cli.lint:lint",
    "pin": "holdfast.cli.pin:pin",
    "migrate-ci": "holdfast.cli.migrate_ci:migrate_ci",
    "drift": "holdfast.cli.drift:drift",
    "user": "holdfast.cli.user:user",
    "settings": "holdfast.cli.settings:settings",
    "inventory": "holdfast.cli.inventory:inventory",
    "history": "holdfast.cli.history:history",
    "triage": "holdfast.cli.triage:triage",
    "simulate": "holdfast.cli.simulate:simulate",
    "group": "holdfast.cli.identities:group",
    "role": "holdfast.cli.identities:role",
    "iam": "holdfast.cli.identities:iam",
    "login": "holdfast.cli.login:login",
    "registry": "holdfast.cli.organization:registry",
    "org": "holdfast.cli.organization:org",
    "guardrail": "holdfast.cli.organization:guardrail",
    "quota": "holdfast.cli.quota:quota",
    "plan": "holdfast.cli.plan:plan",
    "flip": "holdfast.cli.flip:flip",
    "undo": "holdfast.cli.flip:undo",
    "findings": "holdfast.cli.findings:findings",
    "guard": "holdfast.cli.guard:guard",
    "recheck": "holdfast.cli.recheck:recheck",
    "evaluate": "holdfast.cli.evaluate:evaluate",
}
"""Command -> where it is; it is imported when it runs, so that `holdfast tags` does not load a server."""

GETTING_STARTED: Final = (
    "holdfast demo                          see it hold, in half a minute",
    "holdfast serve                         run a registry; it tells a first key, once",
    "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...",
    "holdfast repo create demo/app          make a repository whose tags hold, then push to it",
    "holdfast tags demo/app --history       see what each tag named, and who tried to move it",
)

_BROKEN_PIPE: Final = 141


class Commands(click.Group):
    """The commands of the tables above."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the commands in the order of the sections."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in PLACES:
            return None
        module, _, attribute = PLACES[name].partition(":")
        gc.disable()  # what is loaded stays: looking through it again and again takes a tenth of a start
        try:
            command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.enable()
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by sections."""
        longest = max(map(len, PLACES))
        for section, names in SECTIONS.items():
            limit = formatter.width - 6 - longest
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl(
                    [(name.ljust(longest), one.get_short_help_str(limit)) for name, one in commands if one is not None]
                )

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what this is, and how to begin."""
        super().format_help_text(ctx, formatter)
        write_sections(formatter, {"Getting started": GETTING_STARTED})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the exit codes mean."""
        write_sections(formatter, {"Exit codes": {str(int(code)): meaning for code, meaning in EXIT_MEANINGS.items()}})

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run a command; what it raises is told in one place and becomes the exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # Whoever read our output has had enough; do not write into it again when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE
        except Exception as error:  # noqa: BLE001 - told in full, and ends the process
            failure = explain(error)
            tell_failure(failure, as_json=wants_json(ctx))
            return int(failure.exit)


def version() -> str:
    """Return the version that is installed."""
    try:
        return metadata.version("holdfast")
    except metadata.PackageNotFoundError:
        return "not installed"


@click.command(
    "holdfast",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(version(), prog_name="holdfast")
def holdfast() -> None:
    """A container registry whose tags hold fast: it speaks to docker and to aws.

    Commands speak to the server at --endpoint (HOLDFAST_ENDPOINT) as the user of AWS's usual credentials.
    `holdfast COMMAND --help` tells more and shows examples.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    try:
        code = holdfast.main(
            None if arguments is None else list(arguments), prog_name="holdfast", standalone_mode=False
        )
    except click.Abort:
        click.echo("\nholdfast: stopped.", err=True)
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    sys.exit(code if isinstance(code, int) else Exit.DONE)
