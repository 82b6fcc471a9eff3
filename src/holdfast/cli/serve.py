"""`holdfast serve`: start the server, tell how to reach it, end it well."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import uvloop

from holdfast import config
from holdfast.cli.connection import json_option
from holdfast.cli.exits import Exit
from holdfast.cli.teaching import TeachingCommand
from holdfast.core.errors import ConfigurationInvalid
from holdfast.wiring import Holdfast, arm_failpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.config import Settings

_EVERYWHERE: Final = ("0.0.0.0", "[::]")  # noqa: S104 - named, not bound
_CANNOT_LISTEN: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})
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


def _with_settings(command: Callable[..., int]) -> Callable[..., int]:
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


@click.command(
    cls=TeachingCommand,
    sections={
        "Examples": (
            "holdfast serve --data /srv/holdfast",
            "holdfast serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --create-on-push IMMUTABLE",
        )
    },
)
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Configuration file (TOML).")
@json_option
@_with_settings
def serve(file: Path | None, *, as_json: bool, **flags: str | None) -> int:
    """Run the registry.

    Every setting can also be given as HOLDFAST_<NAME> in the environment; secrets can be given only there or in the
    configuration file. When it listens, it tells how to reach it, with --json as one line; its log goes to standard
    error. The first start makes an administrator and shows its key, once.
    """
    settings = config.load(flags, os.environ, file)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    _arm(os.environ.get("HOLDFAST_FAILPOINTS"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, as_json=as_json))


def _arm(plan: str | None) -> None:
    """Let a crash test kill this server where it said; nobody shall run such a server without knowing."""
    if plan:
        armed = ", ".join(f"{name} ({number})" for name, number in arm_failpoints(plan).items())
        click.echo(f"HOLDFAST_FAILPOINTS is set: this server will kill itself at {armed}. For tests only.", err=True)


def _spare_the_collector() -> None:
    """Keep Python's collector of cycles from holding up requests.

    What was made for the start stays for ever and need not be looked at again; requests make next to no cycles, and a
    full look at the 43,000 objects of a start took 45 to 55 ms on two busy cores: once in some thousand requests. Long
    work (a lifecycle policy over 100,000 images) makes many objects, and is looked at in pieces of 10,000, which take
    a few milliseconds each, and seldom as a whole.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 100)


async def _run(settings: Settings, *, as_json: bool) -> int:
    server = Holdfast(settings)
    try:
        await server.start()
    except OSError as error:
        if error.errno not in _CANNOT_LISTEN or error.filename is not None:
            raise
        msg = (
            f"Cannot listen on {settings.host} port {settings.port}: {os.strerror(error.errno)}. "
            "Choose another with --host and --port."
        )
        raise ConfigurationInvalid(msg) from None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    _spare_the_collector()
    click.echo(json.dumps(facts(server)) if as_json else greeting(server))
    waits = [asyncio.create_task(stopping.wait()), asyncio.create_task(server.failed.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await server.stop()
    return Exit.UNFINISHED if server.failed.is_set() else Exit.DONE


def facts(server: Holdfast) -> dict[str, Any]:
    """Tell a program how to reach the server; a key that was made up is in it this once."""
    told = {"url": server.url, "account_id": server.settings.account_id, "region": server.settings.region}
    if server.made_up_key:
        told["access_key_id"], told["secret_access_key"] = server.made_up_key
    return told


def greeting(server: Holdfast) -> str:
    """Tell a newcomer who they are, how to log in, push, and reach the server with aws; commands to be copied."""
    settings = server.settings
    scheme, _, host = server.url.partition("://")
    for everywhere in _EVERYWHERE:
        host = host.replace(everywhere, "127.0.0.1")
    url = f"{scheme}://{host}"
    program = _program()
    lines = [f"Holdfast listens on {server.url}  (account {settings.account_id}, region {settings.region})", ""]
    key_id, secret = server.made_up_key or ("...", "...")
    if server.made_up_key:
        lines += ["The first administrator was made. Its access key is shown this once; keep it."]
    lines += [
        "Say who you are:",
        f"  export AWS_ACCESS_KEY_ID={key_id}",
        f"  export AWS_SECRET_ACCESS_KEY={secret}",
        f"  export AWS_DEFAULT_REGION={settings.region} AWS_ENDPOINT_URL_ECR={url} HOLDFAST_ENDPOINT={url}",
        "Make a repository whose tags hold:",
        f"  {program} repo create demo/app --mutability IMMUTABLE",
        "  aws ecr create-repository --repository-name demo/app --image-tag-mutability IMMUTABLE   # the same",
        "Log in and push:",
        f'  echo "$AWS_SECRET_ACCESS_KEY" | docker login -u "$AWS_ACCESS_KEY_ID" --password-stdin {host}',
        f"  aws ecr get-login-password | docker login -u AWS --password-stdin {host}   # the same",
        f"  docker tag IMAGE {host}/demo/app:v1 && docker push {host}/demo/app:v1",
        "See what holds:",
        f"  {program} tags demo/app",
    ]
    if settings.create_on_push:
        lines += ["", f"A push to a repository that is not there makes it, {settings.create_on_push}."]
    if scheme == "http" and not host.startswith(("127.", "localhost")):
        lines += [
            "",
            f"This is plain http: docker needs {host} under insecure-registries. Better: --tls-cert, --tls-key.",
        ]
    return "\n".join(lines)


def _program() -> str:
    """Say how a person types this program: its name if the shell finds it, else where it is."""
    if shutil.which("holdfast"):
        return "holdfast"
    beside = Path(sys.executable).with_name("holdfast")
    if not beside.exists():
        return f"{sys.executable} -m holdfast"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
