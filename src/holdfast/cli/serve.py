"""`holdfast serve`: start the server, tell how to reach it, end it well."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import uvloop

from holdfast import config
from holdfast.wiring import Holdfast

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.config import Settings

EXIT_FAILED: Final = 3
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONLines(logging.Formatter):
    """One JSON object a line; control characters in what clients sent are escaped by that."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting that is no secret: a command line is for all users to see."""
    for setting in reversed(config.TABLE):
        if not setting.secret:
            default = f"  [default: {setting.default}]" if setting.default is not None else ""
            option = click.option(
                f"--{setting.name.replace('_', '-')}",
                setting.name,
                metavar="VALUE",
                help=f"{setting.help}{default}",
            )
            command = option(command)
    return command


@click.command()
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Configuration file (TOML).")
@_with_settings
def serve(file: Path | None, **flags: str | None) -> None:
    """Run the registry.

    Every setting can also be given as HOLDFAST_<NAME> in the environment; secrets can be given only there or in the
    configuration file.
    """
    settings = config.load(flags, os.environ, file)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_run(settings)))


async def _run(settings: Settings) -> int:
    server = Holdfast(settings)
    await server.start()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    click.echo(greeting(server))
    waits = [asyncio.create_task(stopping.wait()), asyncio.create_task(server.failed.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await server.stop()
    return EXIT_FAILED if server.failed.is_set() else 0


def greeting(server: Holdfast) -> str:
    """Tell a newcomer how to log in, push, and reach the server with aws."""
    settings = server.settings
    host = server.url.partition("://")[2]
    lines = [f"Holdfast listens on {server.url}  (account {settings.account_id}, region {settings.region})", ""]
    if server.made_up_key:
        key_id, secret = server.made_up_key
        lines += [
            "The first administrator was made. This is shown once; keep it:",
            f"  access key id      {key_id}",
            f"  secret access key  {secret}",
            "",
        ]
        user, password = key_id, secret
    else:
        user, password = "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"
    lines += [
        "Log in and push:",
        f"  docker login {host} -u {user} -p {password}",
        f"  docker tag IMAGE {host}/demo/app:v1 && docker push {host}/demo/app:v1",
        "Reach it with aws:",
        f"  export AWS_ACCESS_KEY_ID={user} AWS_SECRET_ACCESS_KEY={password} AWS_DEFAULT_REGION={settings.region}",
        f"  aws ecr create-repository --repository-name demo/app --image-tag-mutability IMMUTABLE "
        f"--endpoint-url {server.url}",
    ]
    return "\n".join(lines)
