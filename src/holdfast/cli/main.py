"""The command line: which commands there are, and how a failure ends the process.

Exit codes: 0 done; 1 the check found something; 2 usage; 3 could not finish, part done; 4 refused by a rule.
"""

from __future__ import annotations

import sys

import click

from holdfast.cli.serve import serve
from holdfast.core.errors import ConfigurationInvalid, HoldfastError, TagHeld


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="holdfast")
def holdfast() -> None:
    """Run a container registry whose tags hold fast, and work with it."""


holdfast.add_command(serve)


def main() -> None:
    """Run a command and end the process with its exit code."""
    try:
        holdfast.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ConfigurationInvalid as error:
        click.echo(f"holdfast: {error.message}", err=True)
        sys.exit(2)
    except HoldfastError as error:
        click.echo(f"holdfast: {error.message}", err=True)
        sys.exit(4 if isinstance(error, TagHeld) else 3)
