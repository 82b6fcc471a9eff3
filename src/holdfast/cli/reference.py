"""Writes docs/reference from the tables that the program runs from: `python -m holdfast.cli.reference docs/reference`.

A test compares what stands there with what this would write.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast import config
from holdfast.cli import iam_reference, openapi
from holdfast.cli.exits import Exit
from holdfast.cli.main import holdfast
from holdfast.faces import ecr, ecr_operations, holdfast_operations, oci
from holdfast.faces.ecr_operations import differences
from holdfast.faces.service_model import ServiceModel
from holdfast.pin.mention import Context
from holdfast.pin.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 100
_GENERATED: Final = "<!-- Written by `make docs`; do not edit. -->\n"
_FAULTS: Final = {
    "caller": "the caller's",
    "server": "the server's",
    "operator": "the operator's",
    "upstream": "another registry's",
}


def pages() -> dict[str, str]:
    """Return the pages: file name -> text."""
    return {
        "api.md": _api(),
        "cli.md": _cli(),
        "config.md": _config(),
        "ecr.md": _ecr(),
        "errors.md": _errors(),
        "iam.md": iam_reference.page(_GENERATED),
        "rules.md": _rules(),
        "openapi.json": json.dumps(openapi.document(), indent=1) + "\n",
    }


def _cli() -> str:
    told = [_GENERATED, "# Commands\n"]
    for path, text in _helps(holdfast, "holdfast", None):
        told.append(f"## {path}\n\n```text\n{text}\n```\n")
    return "\n".join(told)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from _helps(found, below, context)


def _config() -> str:
    told = [
        _GENERATED,
        "# Settings of the server\n",
        "A setting is taken from the command line, else from the environment, else from the configuration file (TOML,",
        "`--config`), else its default. A secret has no option, as a command line is for all users to see.\n",
        "| setting | option | variable | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for one in config.TABLE:
        option = "" if one.secret else f"`--{one.name.replace('_', '-')}`"
        default = "" if one.default is None else f"`{one.default}`"
        told.append(f"| `{one.name}` | {option} | `{one.variable}` | {default} | {_cell(one.help)} |")
    return "\n".join(told) + "\n"


def _errors() -> str:
    told = [
        _GENERATED,
        "# Errors\n",
        "Each error of Holdfast, as the registry protocol tells it (HTTP status and code) and as the JSON API does",
        "(the first of the exceptions that the operation knows). The message says what to do.\n",
        "| error | what it is | fault | registry protocol | JSON API |",
        "|---|---|---|---|---|",
    ]
    for kind, (status, code) in oci.ERRORS.items():
        meaning = (kind.__doc__ or "").strip().partition("\n")[0]
        exceptions = ", ".join(f"`{name}`" for name in ecr.ERRORS[kind])
        told.append(
            f"| {kind.__name__} | {_cell(meaning)} | {_FAULTS[kind.fault]} | {status} `{code}` | {exceptions} |"
        )
    told += [
        "",
        "A held tag (TagHeld) is 409 `DENIED`, or 400 `TAG_INVALID` as Amazon ECR tells it: `holdfast settings set",
        "--refusal-style ecr`. With a Bearer token, TokenExpired is 401 `UNAUTHORIZED`.",
    ]
    return "\n".join(told) + "\n"


def _api() -> str:
    told = [
        _GENERATED,
        "# Operations of the JSON API\n",
        "POST `/` with `X-Amz-Target`, signed by AWS Signature Version 4. Amazon ECR's, to AWS's own model:\n",
        *(f"- {name}" for name in sorted(ecr_operations.ECR)),
        "",
        "Holdfast's own, to the model in `src/holdfast/service/holdfast`:\n",
        "| operation | what it does | takes |",
        "|---|---|---|",
    ]
    folder = resources.files("holdfast") / "service" / "holdfast"
    model = json.loads(next(one / "service-2.json" for one in folder.iterdir() if one.is_dir()).read_text("utf-8"))
    for name in sorted(holdfast_operations.HOLDFAST):
        operation = model["operations"][name]
        shape = model["shapes"][operation["input"]["shape"]]
        required = shape.get("required", ())
        takes = ", ".join(f"`{member}`" if member in required else f"[`{member}`]" for member in shape["members"])
        told.append(f"| {name} | {_cell(operation['documentation'])} | {takes} |")
    return "\n".join(told) + "\n"


def _ecr() -> str:
    offered = ecr_operations.ECR
    names = ServiceModel.from_botocore("ecr").operations
    told = [
        _GENERATED,
        "# Amazon ECR's operations\n",
        f"Of the {len(names)} operations of AWS's own service model, {len(offered)} are offered.",
        "An operation that is offered does what AWS documents, but for what stands beside it. Of all operations:\n",
        *(f"- {one.what} {one.why}" for one in differences.EVERYWHERE),
        "",
        "| operation | status | differences from Amazon ECR, and the reason |",
        "|---|---|---|",
    ]
    for name in sorted(names):
        found = differences.DIFFERENCES.get(name, ())
        rows = "<br>".join(_cell(f"{one.what} *{one.why}*") for one in found) if name in offered else ""
        told.append(f"| {name} | {'offered' if name in offered else 'not offered yet'} | {rows} |")
    return "\n".join(told) + "\n"


def _rules() -> str:
    told = [
        _GENERATED,
        "# Rules of holdfast lint\n",
        "How grave a finding is goes by where the image runs. Each rule has a page with a bad and a good example.\n",
        "| rule | what it finds | production | build | test |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        grave = " | ".join(rule.severities[context].value.lower() for context in Context)
        told.append(f"| [{rule.id}](../rules/{rule.id}.md) | {_cell(rule.title)} | {grave} |")
    return "\n".join(told) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(folder: Path) -> None:
    """Write the pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")
        click.echo(f"wrote {folder / name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the folder
        click.echo("usage: python -m holdfast.cli.reference FOLDER", err=True)
        sys.exit(Exit.USAGE)
    main(Path(sys.argv[1]))
