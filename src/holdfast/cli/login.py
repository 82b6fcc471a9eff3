"""`holdfast login`: short-lived credentials of a role, for a pipeline by its token, for a user by its key."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from holdfast.cli.connection import Connection, connected
from holdfast.cli.output import Output, moment
from holdfast.cli.teaching import TeachingCommand

_TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 - the name of a variable


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            'eval "$(holdfast login --role arn:aws:iam::111122223333:role/ci --oidc token.jwt)"',
            'eval "$(holdfast login --role arn:aws:iam::111122223333:role/release)"',
            "aws ecr get-login-password | docker login -u AWS --password-stdin HOST",
        )
    },
)
@click.option("--role", required=True, metavar="ARN", help="The role to become.")
@click.option(
    "--oidc", "token", metavar="FILE", help="The pipeline's token; - is standard input. Without, the access key speaks."
)
@click.option("--session-name", default="holdfast", show_default=True, metavar="NAME", help="How the record calls it.")
@click.option("--seconds", type=click.IntRange(900, 43_200), metavar="N", help="How long; an hour by default.")
@click.option("--external-id", metavar="ID", help="What the role's trust policy may ask for.")
@connected
def login(
    at: Connection,
    out: Output,
    role: str,
    token: str | None,
    session_name: str,
    seconds: int | None,
    external_id: str | None,
) -> None:
    """Become a role for a while, with a token or a key.

    Prints the credentials as commands for a shell. With --oidc (or AWS_WEB_IDENTITY_TOKEN_FILE) no secret is needed:
    the role trusts the token's issuer.
    """
    wish: dict[str, Any] = {"RoleArn": role, "RoleSessionName": session_name}
    if seconds:
        wish["DurationSeconds"] = seconds
    file = token or os.environ.get(_TOKEN_FILE)
    if file is not None:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        made = at.api.sts("assume_role_with_web_identity", WebIdentityToken=text.strip(), **wish)
    else:
        more = {"ExternalId": external_id} if external_id else {}
        made = at.api.sts("assume_role", **wish, **more)
    given = made["Credentials"]
    until = moment(given["Expiration"])
    out.result(
        {
            "arn": made["AssumedRoleUser"]["Arn"],
            "access_key_id": given["AccessKeyId"],
            "secret_access_key": given["SecretAccessKey"],
            "session_token": given["SessionToken"],
            "until": until,
        },
        f"# {made['AssumedRoleUser']['Arn']}, until {until}",
        f"export AWS_ACCESS_KEY_ID={given['AccessKeyId']}",
        f"export AWS_SECRET_ACCESS_KEY={given['SecretAccessKey']}",
        f"export AWS_SESSION_TOKEN={given['SessionToken']}",
    )
